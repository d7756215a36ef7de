#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""unlinked_files DIR FILES MIB: holds files that have no name any more

Makes FILES small files, one of MIB MiB, a sparse one of 1 GiB, one as long as a file can be, and one that only a mapping
holds; unlinks all of them, checks what is in them, prints "held", and waits for a line. Then it changes and checks them
once more, prints "checked", waits for another line, and ends.
"""
import hashlib
import mmap
import os
import resource
import sys

MIB = 1 << 20
PAGE = 4096


def content(i, size):
    return hashlib.shake_128(b"%d" % i).digest(size)


def size_of(i):
    return (0, 1, 100, 3000, 3584, 3585, 9000)[i % 7]


def must(condition, what):
    if not condition:
        sys.exit("unlinked_files: " + what)


def make(name):
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)


def make_small(count):
    fds = []
    for i in range(count):
        fds.append(make("small%d" % i))
        must(os.write(fds[i], content(i, size_of(i))) == size_of(i), "a short write")
        if i % 2:
            os.unlink("small%d" % i)
    for i in range(0, count, 2):
        os.unlink("small%d" % i)
    return fds


def check_small(fds, extra):
    for i, fd in enumerate(fds):
        want = content(i, size_of(i)) + extra
        must(os.pread(fd, 20000, 0) == want, "small file %d has changed" % i)
        st = os.fstat(fd)
        must(st.st_nlink == 0 and st.st_size == len(want), "small file %d: links or size" % i)


def make_large(mib):
    fd = make("large")
    for i in range(mib):
        must(os.write(fd, content(i, MIB)) == MIB, "a short write")
    os.unlink("large")
    return fd


def check_large(fd, mib):
    must(os.fstat(fd).st_size == mib * MIB and os.fstat(fd).st_blocks * 512 >= mib * MIB, "size of the large file")
    for i in range(mib):
        must(os.pread(fd, MIB, i * MIB) == content(i, MIB), "MiB %d of the large file has changed" % i)


def make_sparse(name, size):
    """A byte at the start, in the middle and at the end. Native file systems may have no file so large: then none."""
    fd = make(name)
    os.unlink(name)
    try:
        os.ftruncate(fd, size)
    except OSError:
        return None
    for at in (0, size // 2, size - 1):
        must(os.pwrite(fd, b"s", at) == 1, "a short write")
    return fd


def check_sparse(fd, size):
    if fd is None:
        return
    st = os.fstat(fd)
    must(st.st_size == size and st.st_blocks * 512 < MIB, "size or space of a sparse file")
    for at in (0, size // 2, size - 1):
        must(os.pread(fd, 1, at) == b"s", "byte %d of a sparse file" % at)
    must(os.pread(fd, PAGE, size // 4) == bytes(PAGE), "a hole of a sparse file")
    must(os.lseek(fd, size // 2 + PAGE, os.SEEK_DATA) // PAGE == (size - 1) // PAGE, "SEEK_DATA in a sparse file")


def make_mapped():
    fd = make("mapped")
    os.ftruncate(fd, 4 * PAGE)
    held = mmap.mmap(fd, 4 * PAGE)
    os.close(fd)
    os.unlink("mapped")
    held[5000:5006] = b"mapped"
    return held


def wait(word):
    print(word, flush=True)
    sys.stdin.readline()


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    count, mib = int(sys.argv[2]), int(sys.argv[3])
    os.chdir(sys.argv[1])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
    small = make_small(count)
    large = make_large(mib)
    sparse = [(size, make_sparse("sparse", size)) for size in (1 << 30, (1 << 63) - 1)]
    mapped = make_mapped()
    must(os.listdir(".") == [], "names are left")
    for round_ in range(2):
        check_small(small, b"more" * round_)
        check_large(large, mib)
        for size, fd in sparse:
            check_sparse(fd, size)
        must(mapped[5000:5006] == b"mapped", "the mapping has changed")
        wait("checked" if round_ else "held")
        if round_ == 0:
            for i, fd in enumerate(small):
                os.pwrite(fd, b"more", size_of(i))
            mapped.flush()


main()
