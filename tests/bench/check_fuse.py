#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_fuse.py FS_NULL FS_PASSTHROUGH - do the file systems that ours is compared with work, by our loop and by libfuse's?"""
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

fs_null, fs_passthrough = (os.path.abspath(path) for path in sys.argv[1:3])


def check(good, what, *shown):
    if not good:
        print(*shown, sep="\n")
        sys.exit("FAILED: " + what)


def wait_until(condition, what):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    sys.exit("FAILED: " + what)


class Mount:
    def __init__(self, *command):
        self.at = command[-1]
        os.makedirs(self.at, exist_ok=True)
        self.process = subprocess.Popen(command)  # pylint: disable=consider-using-with
        wait_until(lambda: os.path.ismount(self.at), "%s is mounted" % command[0])

    def __enter__(self):
        return self.at

    def __exit__(self, *unused):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        check(code == 0 and not os.path.ismount(self.at), "unmounted in order", code)


def fails_with(number, call, *arguments):
    try:
        call(*arguments)
    except OSError as e:
        return e.errno == number
    return False


def put(path, data, flags=os.O_CREAT | os.O_TRUNC):
    fd = os.open(path, os.O_WRONLY | flags, 0o644)
    check(os.write(fd, data) == len(data), "written as a whole", path)
    os.close(fd)


def get(path):
    with open(path, "rb") as f:
        return f.read()


def try_contents(top):
    data = os.urandom(3 << 20)
    put(top + "/file", data)
    with open(top + "/file", "rb") as f:
        os.fsync(f.fileno())
        check(f.read() == data, "content")
    put(top + "/file", b"more", os.O_APPEND)
    check(get(top + "/file") == data + b"more", "content after an append")
    os.truncate(top + "/file", 10)
    os.truncate(top + "/file", 5000)
    check(get(top + "/file") == data[:10] + bytes(4990), "zeros behind an end that was moved")
    put(top + "/file", b"short")
    check(get(top + "/file") == b"short" and os.stat(top + "/file").st_size == 5, "content after O_TRUNC")
    os.utime(top + "/file", (1000, 2000))
    os.chmod(top + "/file", 0o600)
    st = os.stat(top + "/file")
    check((st.st_atime, st.st_mtime, st.st_mode & 0o7777) == (1000, 2000, 0o600), "attributes", st)


def try_names(top):
    for i in range(1000):
        put("%s/f%03d" % (top, i), b"%d" % i)
    names = ["f%03d" % i for i in range(1000)]
    check(sorted(os.listdir(top)) == sorted(names + ["file"]), "listing")
    check(sum(e.stat().st_size for e in os.scandir(top)) == sum(len(str(i)) for i in range(1000)) + 5, "sizes")
    check(fails_with(errno.EEXIST, put, top + "/f000", b"", os.O_CREAT | os.O_EXCL), "no second file of one name")
    check(fails_with(errno.ENOENT, os.stat, top + "/none"), "what isn't there is not found")
    os.rename(top + "/f000", top + "/f001")
    check(get(top + "/f001") == b"0" and not os.path.exists(top + "/f000"), "a file in another one's place")
    os.link(top + "/f002", top + "/link")
    check(os.stat(top + "/f002").st_nlink == 2, "two links")
    os.unlink(top + "/f002")
    check(get(top + "/link") == b"2" and os.stat(top + "/link").st_nlink == 1, "what is left of two links")
    os.symlink("some/where", top + "/symlink")
    check(os.readlink(top + "/symlink") == "some/where", "symbolic link")
    fd = os.open(top + "/f003", os.O_RDONLY)
    os.unlink(top + "/f003")
    check(os.read(fd, 10) == b"3", "an open file without a name")
    os.close(fd)


def try_directories(top):
    os.makedirs(top + "/a/b/c")
    check(os.stat(top + "/a").st_nlink == 3, "a directory's links")
    check(fails_with(errno.ENOTEMPTY, os.rmdir, top + "/a"), "a directory in use stays")
    check(fails_with(errno.EISDIR, os.unlink, top + "/a"), "a directory is not unlinked")
    os.rename(top + "/a/b", top + "/b")
    check(os.listdir(top + "/a") == [] and os.listdir(top + "/b") == ["c"], "a directory that was moved")
    check(os.stat(top + "/b/..").st_ino == os.stat(top).st_ino, "its parent")
    shutil.rmtree(top + "/b")
    for name in os.listdir(top):
        if name != "a":
            os.unlink(os.path.join(top, name))
    os.rmdir(top + "/a")
    check(os.listdir(top) == [], "all is gone")


def main():
    for loop in "own", "libfuse":
        source = os.path.join(folder, "shown-" + loop)
        os.mkdir(source)
        for command in [fs_null], [fs_passthrough]:
            also = [source] if command[0] == fs_passthrough else []
            with Mount(*command, "--loop=" + loop, *also, os.path.join(folder, "mnt")) as top:
                try_contents(top)
                try_names(top)
                if also:
                    check(sorted(os.listdir(source)) == sorted(os.listdir(top)), "it is shown as it is")
                try_directories(top)
        check(os.listdir(source) == [], "all is gone")
    for command in [fs_null], [fs_null, "--loop=none", folder], [fs_passthrough, folder]:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        check(done.returncode == 2 and "usage: " in done.stderr, "usage", done.stderr)


if not os.access("/dev/fuse", os.R_OK | os.W_OK):
    print("skipped: no /dev/fuse")
    sys.exit(77)
folder = tempfile.mkdtemp(prefix="check_fuse.")
try:
    main()
finally:
    if os.path.ismount(folder + "/mnt"):
        subprocess.run(["fusermount3", "-uz", folder + "/mnt"], check=False)
    shutil.rmtree(folder, ignore_errors=True)
