#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sqlite_modes.py PATH MODE MMAP_BYTES

Two processes write to one SQLite database in journal mode MODE, each in transactions of its own; a third one is killed
in the middle of one. Then all that was committed must be there, nothing else, and integrity_check must be content.
"""
import os
import signal
import sqlite3
import sys

TRANSACTIONS = 40
ROWS = 25
# These two keep no journal that could undo what a killed process left behind.
NO_RECOVERY = ("memory", "off")


def connect(path, mode, mmap):
    db = sqlite3.connect(path, timeout=60, isolation_level=None)
    got = db.execute("pragma journal_mode=%s" % mode).fetchone()[0]
    assert got == mode, "asked for %s, got %s" % (mode, got)
    got = db.execute("pragma mmap_size=%d" % mmap).fetchone()[0]
    assert got == mmap, "asked for %d bytes of mmap, got %d" % (mmap, got)
    db.execute("pragma synchronous=full")
    return db


def add(db, writer, transaction):
    db.execute("begin immediate")
    for row in range(ROWS):
        db.execute("insert into t values (?, ?, ?, ?)", (writer, transaction, row, os.urandom(50 * (row % 7))))


def write(path, mode, mmap, writer):
    db = connect(path, mode, mmap)
    for transaction in range(TRANSACTIONS):
        add(db, writer, transaction)
        db.execute("commit")
        if transaction % 10 == 9:
            # what is there alone is committed in whole transactions
            assert db.execute("select count(*) %% %d from t" % ROWS).fetchone()[0] == 0
    db.close()


def die(path, mode, mmap, pipe):
    db = connect(path, mode, mmap)
    db.execute("pragma cache_size=5")  # so that pages go to the file before the commit
    add(db, 9, 0)
    db.execute("update t set data = zeroblob(200)")
    os.write(pipe, b"x")
    signal.pause()


def fork(fn, *args):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            fn(*args)
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    return pid


def check(path, wanted):
    db = sqlite3.connect(path, timeout=60)
    assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert db.execute("select count(*), count(distinct writer * 1000000 + tx * 1000 + row) from t").fetchone() == (
        wanted,
        wanted,
    )
    assert db.execute("select count(*) from t indexed by i where tx >= 0").fetchone()[0] == wanted
    assert db.execute("select count(*) from t where writer = 9").fetchone()[0] == 0
    assert db.execute("select count(*) from t where length(data) != 50 * (row % 7)").fetchone()[0] == 0
    db.close()


def main():
    path, mode, mmap = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if mode == "check":
        check(path, 2 * TRANSACTIONS * ROWS)
        return
    db = connect(path, mode, mmap)
    db.execute("create table t (writer int, tx int, row int, data blob)")
    db.execute("create index i on t (tx, writer)")
    db.close()
    for pid in [fork(write, path, mode, mmap, writer) for writer in (1, 2)]:
        assert os.waitpid(pid, 0)[1] == 0, "a writer failed"
    check(path, 2 * TRANSACTIONS * ROWS)
    if mode not in NO_RECOVERY:
        ours, theirs = os.pipe()
        pid = fork(die, path, mode, mmap, theirs)
        os.close(theirs)
        assert os.read(ours, 1) == b"x", "the third writer failed"
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        check(path, 2 * TRANSACTIONS * ROWS)
    db = connect(path, mode, mmap)
    db.execute("vacuum")
    db.close()
    check(path, 2 * TRANSACTIONS * ROWS)


if __name__ == "__main__":
    main()
