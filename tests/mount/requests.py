# SPDX-License-Identifier: MIT
"""requests.py DIR TRACING - what the kernel asks the daemon for each operation, in order, against the table of
docs/ARCHITECTURE.md. TRACING is an instance of tracefs. TAP."""
import os
import sys
import time

top, tracing = sys.argv[1], sys.argv[2]
event = tracing + "/events/fuse/fuse_request_send"
points = 0


def put(path, text):
    with open(path, "w") as f:
        f.write(text)


def asked(do):
    """The requests that do() has caused, in order; those that nobody waits for may come a little later."""
    put(tracing + "/trace", "")
    do()
    time.sleep(0.02)
    with open(tracing + "/trace") as f:
        return [line.split("(FUSE_")[1].split(")")[0] for line in f if "(FUSE_" in line]


def check(name, want, do):
    global points
    points += 1
    got = " ".join(asked(do))
    print(f"{'ok' if got == want else 'not ok'} {points} - {name}: {want or 'nothing'}")
    if got != want:
        print(f"# the kernel asked for: {got or 'nothing'}")


def at(name):
    return top + "/" + name


def store(path, flags, content=b""):
    fd = os.open(path, flags, 0o644)
    if content:
        os.write(fd, content)
    os.close(fd)


def load(path):
    fd = os.open(path, os.O_RDONLY)
    os.read(fd, 1 << 20)
    os.close(fd)


def is_missing(path):
    try:
        os.stat(path)
    except FileNotFoundError:
        return
    raise SystemExit(f"{path} is there")


def drop_caches():
    os.sync()
    put("/proc/sys/vm/drop_caches", "3\n")


NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def main():
    put(event + "/filter", f"connection == {os.minor(os.stat(top).st_dev)}")
    put(event + "/enable", "1")
    # what the kernel asks once after a mount
    store(at("first"), NEW, b"1")
    load(at("first"))
    os.listdir(top)
    store(at("second"), NEW)

    check("create, write, close", "GETATTR LOOKUP MKNOD GETXATTR WRITE", lambda: store(at("a"), NEW, b"a" * 100))
    check("create, close", "GETATTR LOOKUP MKNOD", lambda: store(at("b"), NEW))
    check("mkdir", "GETATTR LOOKUP MKDIR", lambda: os.mkdir(at("d")))
    check("symlink", "GETATTR LOOKUP SYMLINK", lambda: os.symlink("a", at("s")))
    check("read a file that was just written, in a changed directory", "GETATTR GETATTR READ", lambda: load(at("a")))
    check("read it again", "", lambda: load(at("a")))
    check("stat what was read", "GETATTR", lambda: os.stat(at("a")))
    check("stat it again", "", lambda: os.stat(at("a")))
    check("stat a name that is missing", "LOOKUP", lambda: is_missing(at("missing")))
    check("again", "", lambda: is_missing(at("missing")))
    check("readlink", "READLINK", lambda: os.readlink(at("s")))
    check("again", "", lambda: os.readlink(at("s")))

    fd = os.open(at("a"), os.O_WRONLY | os.O_APPEND)
    check("append, the first since the kernel got the attributes", "GETXATTR WRITE", lambda: os.write(fd, b"b" * 100))
    check("append again", "WRITE", lambda: os.write(fd, b"b" * 100))
    check("fsync", "FSYNC", lambda: os.fsync(fd))
    os.close(fd)
    check("stat a file that was written since", "GETATTR", lambda: os.stat(at("a")))
    check("open, truncate, write, close", "GETXATTR SETATTR GETXATTR WRITE",
          lambda: store(at("a"), os.O_WRONLY | os.O_TRUNC, b"c" * 100))
    check("chmod", "SETATTR", lambda: os.chmod(at("a"), 0o600))
    check("rename to a new name", "LOOKUP RENAME", lambda: os.rename(at("b"), at("c")))
    check("link", "GETATTR LOOKUP LINK", lambda: os.link(at("c"), at("hard")))
    check("unlink", "GETATTR UNLINK", lambda: os.unlink(at("hard")))
    check("rmdir", "GETATTR RMDIR", lambda: os.rmdir(at("d")))
    os.stat(at("c"))
    check("set an attribute", "SETXATTR", lambda: os.setxattr(at("c"), "user.x", b"1"))
    check("get it", "GETXATTR", lambda: os.getxattr(at("c"), "user.x"))

    os.mkdir(at("many"))
    for i in range(1000):
        store(at(f"many/{i}"), NEW)
    drop_caches()
    os.stat(top)
    check("list 1,000 names and stat them, cold", "LOOKUP" + 4 * " READDIRPLUS",
          lambda: [e.stat(follow_symlinks=False) for e in os.scandir(at("many"))])
    check("again", "GETATTR", lambda: [e.stat(follow_symlinks=False) for e in os.scandir(at("many"))])
    drop_caches()
    os.stat(at("many"))
    check("stat, cold", "LOOKUP", lambda: os.stat(at("many/7")))
    print(f"1..{points}")


main()
