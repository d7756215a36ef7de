#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""python_programs.py WHAT DIR: what Python's library does with files, one function each, in the empty directory DIR."""
import compileall
import dbm
import fcntl
import filecmp
import glob
import hashlib
import importlib
import json
import logging.handlers
import mailbox
import mmap
import multiprocessing
import os
import pathlib
import shelve
import shutil
import struct
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import venv
import zipfile


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def same_trees(a, b):
    compared = filecmp.dircmp(a, b)
    assert not (compared.left_only or compared.right_only or compared.funny_files), compared.report()
    _, differ, errors = filecmp.cmpfiles(a, b, compared.common_files, shallow=False)
    assert not (differ or errors), (differ, errors)
    for name in compared.common_dirs:
        same_trees(os.path.join(a, name), os.path.join(b, name))


def do_venv(_):
    for name, symlinks in (("linked", True), ("copied", False)):
        venv.create(name, symlinks=symlinks, with_pip=False)
        python = name + "/bin/python3"
        assert os.path.islink(python) == symlinks
        packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        assert os.path.realpath(packages).startswith(os.path.realpath(name)), packages
        pathlib.Path(packages, "ours.py").write_text("VALUE = 42\n")
        assert run(python, "-c", "import ours, sys; print(ours.VALUE, sys.prefix != sys.base_prefix)") == "42 True\n"
        assert glob.glob(packages + "/__pycache__/ours.*.pyc")
        shutil.rmtree(name)
        assert not os.path.exists(name)


def do_compileall(path):
    source = os.path.join(sysconfig.get_path("stdlib"), "json")
    shutil.copytree(source, "json2", ignore=shutil.ignore_patterns("__pycache__"))
    files = len(glob.glob("json2/*.py"))
    assert compileall.compile_dir("json2", quiet=1, workers=2)
    compiled = glob.glob("json2/__pycache__/*.pyc")
    assert len(compiled) == files, compiled
    before = {name: os.stat(name).st_mtime_ns for name in compiled}
    assert compileall.compile_dir("json2", quiet=1)
    assert before == {name: os.stat(name).st_mtime_ns for name in compiled}, "compiled again: time stamps"
    sys.path.insert(0, path)
    assert importlib.import_module("json2").loads("[1]") == [1]
    with open("json2/__init__.py", "a", encoding="utf-8") as f:
        f.write("\nADDED = 1\n")
    assert run(sys.executable, "-c", "import json2; print(json2.ADDED)") == "1\n", "the old module is taken"


def do_shelve(_):
    with shelve.open("shelf", writeback=True) as shelf:
        for i in range(300):
            shelf["key%d" % i] = {"number": i, "list": list(range(i % 30))}
        shelf["key7"]["number"] = 70
    with shelve.open("shelf", flag="r") as shelf:
        assert len(shelf) == 300 and shelf["key7"]["number"] == 70 and shelf["key29"]["list"] == list(range(29))
    kinds = 0
    for kind in ("dbm.gnu", "dbm.ndbm", "dbm.dumb"):
        try:
            module = importlib.import_module(kind)
        except ImportError:
            continue
        kinds += 1
        with module.open(kind, "n") as db:
            for i in range(500):
                db[b"%d" % i] = b"value %d" % i * (i % 9)
            for i in range(0, 500, 3):
                del db[b"%d" % i]
        with module.open(kind, "r") as db:
            assert sorted(int(k) for k in db.keys()) == [i for i in range(500) if i % 3]
            assert db[b"400"] == b"value 400" * (400 % 9)
        assert dbm.whichdb(kind) == kind
    assert kinds >= 1


def locked_mbox():
    while True:
        mbox = mailbox.mbox("mbox")
        try:
            mbox.lock()  # a dot lock, and lockf; it does not wait
            return mbox
        except mailbox.ExternalClashError:
            mbox.close()
            time.sleep(0.002)


def deliver(who, count):
    for i in range(count):
        maildir = mailbox.Maildir("maildir")
        maildir.add("From: %d\nSubject: %d\n\nbody %d\n" % (who, i, i))
        mbox = locked_mbox()
        mbox.add("From: %d\nSubject: %d\n\nbody %d\n" % (who, i, i))
        mbox.flush()
        mbox.unlock()
        mbox.close()


def do_mailbox(_):
    wanted = sorted((str(who), str(i)) for who in range(3) for i in range(20))
    mailbox.Maildir("maildir").close()
    processes = [multiprocessing.Process(target=deliver, args=(who, 20)) for who in range(3)]
    for p in processes:
        p.start()
    for p in processes:
        p.join()
        assert p.exitcode == 0
    for box in (mailbox.Maildir("maildir"), mailbox.mbox("mbox")):
        assert sorted((m["From"], m["Subject"]) for m in box) == wanted, box
        assert all(m.get_payload().strip() == "body " + m["Subject"] for m in box)
    maildir = mailbox.Maildir("maildir")
    for key, message in maildir.items():
        message.set_subdir("cur")
        message.add_flag("S")
        maildir[key] = message
    assert not os.listdir("maildir/new") and len(os.listdir("maildir/cur")) == 60
    assert not os.listdir("maildir/tmp")
    maildir.add_folder("old")
    for key in maildir.keys()[:10]:
        maildir.get_folder("old").add(maildir[key])
        maildir.remove(key)
    assert len(maildir) == 50 and len(maildir.get_folder("old")) == 10


def count_up(path, times):
    with open(path, "r+b") as f, mmap.mmap(f.fileno(), 4096) as m:
        for _ in range(times):
            fcntl.lockf(f, fcntl.LOCK_EX)
            m[:8] = struct.pack("<Q", struct.unpack("<Q", m[:8])[0] + 1)
            fcntl.lockf(f, fcntl.LOCK_UN)


def append_lines(path, who, times):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    for i in range(times):
        os.write(fd, b"%d %d %s\n" % (who, i, b"x" * (i % 100)))
    os.close(fd)


def do_multiprocessing(_):
    pathlib.Path("counter").write_bytes(bytes(4096))
    pathlib.Path("log").touch()
    processes = [multiprocessing.Process(target=count_up, args=("counter", 500)) for _ in range(3)]
    processes += [multiprocessing.Process(target=append_lines, args=("log", who, 300)) for who in range(3)]
    for p in processes:
        p.start()
    for p in processes:
        p.join()
        assert p.exitcode == 0
    assert struct.unpack("<Q", pathlib.Path("counter").read_bytes()[:8])[0] == 1500
    lines = pathlib.Path("log").read_bytes().splitlines()
    assert sorted(lines) == sorted(b"%d %d %s" % (w, i, b"x" * (i % 100)) for w in range(3) for i in range(300))


def do_archives(_):
    shutil.copytree(os.path.join(sysconfig.get_path("stdlib"), "email"), "tree",
                    ignore=shutil.ignore_patterns("__pycache__"))
    os.symlink("message.py", "tree/link")
    shutil.copytree("tree", "copy", symlinks=True)
    same_trees("tree", "copy")
    for path in glob.glob("tree/*.py"):
        assert os.stat(path).st_mtime_ns == os.stat("copy/" + os.path.basename(path)).st_mtime_ns
    for kind in ("zip", "tar", "gztar", "xztar"):
        name = shutil.make_archive("archive-" + kind, kind, "tree")
        shutil.unpack_archive(name, "out-" + kind)
        same_trees("tree", "out-" + kind)
    with zipfile.ZipFile("archive-zip.zip", "a") as z:
        z.writestr("added", b"x" * 100000)
        with z.open("streamed", "w", force_zip64=True) as f:
            f.write(b"y" * 200000)
    with zipfile.ZipFile("archive-zip.zip") as z:
        assert z.testzip() is None and z.read("streamed") == b"y" * 200000
    with tarfile.open("archive-tar.tar", "a") as t:
        t.add("archive-zip.zip")
    with tarfile.open("archive-tar.tar") as t:
        assert hashlib.sha256(t.extractfile("archive-zip.zip").read()).digest() == \
            hashlib.sha256(pathlib.Path("archive-zip.zip").read_bytes()).digest()
    shutil.move("copy", "moved")
    same_trees("tree", "moved")
    shutil.rmtree("moved")
    assert not os.path.exists("moved")


def do_files(path):
    with tempfile.TemporaryFile(dir=path) as f:  # O_TMPFILE where it is to be had
        f.write(b"z" * 100000)
        f.seek(99999)
        assert f.read() == b"z" and os.fstat(f.fileno()).st_nlink == 0
    with tempfile.NamedTemporaryFile(dir=path) as f:
        assert os.path.exists(f.name)
    with tempfile.TemporaryDirectory(dir=path) as d:
        pathlib.Path(d, "a", "b").mkdir(parents=True)
    assert not os.listdir(path)
    data = os.urandom(3000000)
    pathlib.Path("a").write_bytes(data)
    with open("a", "rb") as a, open("b", "wb") as b:
        assert os.sendfile(b.fileno(), a.fileno(), 0, 1000000) == 1000000
        left = 2000000
        b.seek(1000000)
        a.seek(1000000)
        while left:
            left -= os.copy_file_range(a.fileno(), b.fileno(), left)
    assert pathlib.Path("b").read_bytes() == data
    os.link("a", "c")
    os.replace("b", "c")
    assert os.stat("a").st_nlink == 1
    with open("config.json", "w", encoding="utf-8") as f:
        json.dump({"a": list(range(1000))}, f)
        f.flush()
        os.fsync(f.fileno())
    handler = logging.handlers.RotatingFileHandler("app.log", maxBytes=500, backupCount=3)
    log = logging.getLogger("rotated")
    log.addHandler(handler)
    for i in range(300):
        log.error("line %d", i)
    handler.close()
    assert sorted(glob.glob("app.log*")) == ["app.log", "app.log.1", "app.log.2", "app.log.3"]
    with open("a", "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        m[-4:] = b"last"
        m.flush()
    assert pathlib.Path("a").read_bytes()[-4:] == b"last"
    names = ["%s%d" % (c, i) for c in ("a", "\u00e4", "a\u0308", "\U0001f600", " ", "-", "\n") for i in range(20)]
    os.mkdir("names")
    for name in names:
        pathlib.Path("names", name).write_text(name, encoding="utf-8")
    assert sorted(os.listdir("names")) == sorted(names)
    assert sorted(e.name for e in os.scandir("names") if e.is_file(follow_symlinks=False)) == sorted(names)
    assert all(pathlib.Path("names", name).read_text(encoding="utf-8") == name for name in names)


def main():
    what, path = sys.argv[1], os.path.abspath(sys.argv[2])
    os.makedirs(path)
    os.chdir(path)
    globals()["do_" + what](path)


if __name__ == "__main__":
    main()
