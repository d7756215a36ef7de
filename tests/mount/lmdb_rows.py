#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lmdb_rows.py write|kill|check DIR

LMDB with a writable map of its file: what is changed goes through shared memory, and msync makes it durable.
write: transactions by one process, read by another one. kill: the writer dies in the middle of a transaction.
check: all that was committed is there.
"""
import hashlib
import os
import signal
import sys

import lmdb

TRANSACTIONS = 60
ROWS = 50


def env(path):
    return lmdb.open(path, map_size=64 << 20, writemap=True, max_dbs=2)


def value(key):
    return hashlib.sha256(key).digest() * (key[-1] % 40 + 1)


def key(transaction, row):
    return b"%06d-%04d" % (transaction * 7919 % 1000003, row)


def add(txn, transaction):
    for row in range(ROWS):
        k = key(transaction, row)
        txn.put(k, value(k))
        if row % 5 == 4:
            txn.delete(key(transaction, row - 1))
    txn.put(b"count", b"%d" % (transaction + 1))


def write(path):
    e = env(path)
    for transaction in range(TRANSACTIONS):
        with e.begin(write=True) as txn:
            add(txn, transaction)
    e.close()


def check(path):
    e = env(path)
    with e.begin() as txn:
        wanted = int(txn.get(b"count"))
        found = 0
        for k, v in txn.cursor():
            if k != b"count":
                assert v == value(k), k
                found += 1
        assert found == wanted * ROWS * 4 // 5, (found, wanted)
    e.close()
    return wanted


def kill(path):
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        e = env(path)
        txn = e.begin(write=True)
        add(txn, TRANSACTIONS)
        os.write(theirs, b"x")
        signal.pause()
    os.close(theirs)
    assert os.read(ours, 1) == b"x"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert check(path) == TRANSACTIONS
    write_more = env(path)  # the dead writer's lock must not hold us up
    with write_more.begin(write=True) as txn:
        txn.put(b"count", b"%d" % TRANSACTIONS)
    write_more.close()


def main():
    what, path = sys.argv[1:]
    if what == "write":
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                write(path)
                code = 0
            finally:
                os._exit(code)
        seen = 0
        done = 0
        while not done:
            done, status = os.waitpid(pid, os.WNOHANG)
            if os.path.exists(path + "/data.mdb"):
                try:
                    now = check(path)
                except (TypeError, lmdb.Error):
                    now = 0  # nothing is committed yet
                assert now >= seen, (now, seen)
                seen = now
        assert status == 0, "the writer failed"
        assert check(path) == TRANSACTIONS
    elif what == "kill":
        kill(path)
    else:
        assert check(path) == TRANSACTIONS


if __name__ == "__main__":
    main()
