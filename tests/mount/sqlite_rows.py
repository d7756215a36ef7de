#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sqlite_rows.py DB MODE COUNT: rows written to a SQLite database by two processes, and checked.

MODE delete, wal   two processes insert COUNT rows between them in that journal mode, a third reads meanwhile
     check         COUNT rows are there
     endless       rows are inserted into another table until the file system dies; prints a line for each commit
     after         at least COUNT commits of that are there, and all rows of each
"""
import multiprocessing
import sqlite3
import sys

ROWS_A_COMMIT = 500
ENDLESS_ROWS = 20


def connect(path):
    db = sqlite3.connect(path, timeout=120, isolation_level=None)
    db.execute("pragma synchronous=normal")
    return db


def payload(who, i):
    return "%d %d " % (who, i) + "x" * (i % 90)


def insert(path, who, count):
    db = connect(path)
    for start in range(0, count, ROWS_A_COMMIT):
        db.execute("begin immediate")
        db.executemany("insert into rows values (?, ?, ?)",
                       ((who, i, payload(who, i)) for i in range(start, min(count, start + ROWS_A_COMMIT))))
        db.execute("commit")
    db.close()


def watch(path, done):
    """What a reader sees is whole commits, and only ever more of them."""
    db = connect(path)
    last = 0
    while not done.is_set():
        n = db.execute("select count(*) from rows").fetchone()[0]
        if n % ROWS_A_COMMIT or n < last:
            sys.exit("a reader sees %d rows after %d" % (n, last))
        last = n
        done.wait(0.05)


def integrity(db):
    answer = db.execute("pragma integrity_check").fetchall()
    if answer != [("ok",)]:
        sys.exit("integrity_check: %s" % answer[:5])


def check(path, count):
    db = connect(path)
    integrity(db)
    n = db.execute("select count(*) from rows").fetchone()[0]
    if n != count:
        sys.exit("%d rows are there, %d should be" % (n, count))
    for who, i, text in db.execute("select who, i, text from rows"):
        if text != payload(who, i):
            sys.exit("row %d of %d is wrong" % (i, who))
    by_index = db.execute("select count(*) from rows indexed by by_text where text >= ''").fetchone()[0]
    if by_index != count:
        sys.exit("the index has %d rows" % by_index)
    print("%d rows, journal mode %s: ok" % (n, db.execute("pragma journal_mode").fetchone()[0]))
    db.close()


def write(path, mode, count):
    db = connect(path)
    got = db.execute("pragma journal_mode=%s" % mode).fetchone()[0]
    if got != mode:
        sys.exit("journal mode is %s, wanted %s" % (got, mode))
    db.execute("create table rows (who integer, i integer, text text, primary key (who, i))")
    db.execute("create index by_text on rows (text)")
    db.close()
    done = multiprocessing.Event()
    writers = [multiprocessing.Process(target=insert, args=(path, who, count // 2)) for who in (1, 2)]
    watcher = multiprocessing.Process(target=watch, args=(path, done))
    for p in writers + [watcher]:
        p.start()
    for p in writers:
        p.join()
    done.set()
    watcher.join()
    if any(p.exitcode for p in writers + [watcher]):
        sys.exit("a process failed")
    check(path, count)


def endless(path):
    db = connect(path)
    db.execute("pragma synchronous=full")
    db.execute("create table if not exists more (n integer, i integer, text text)")
    n = 0
    try:
        while True:
            db.execute("begin immediate")
            db.executemany("insert into more values (?, ?, ?)",
                           ((n, i, payload(n, i)) for i in range(ENDLESS_ROWS)))
            db.execute("commit")
            n += 1
            print("committed %d" % n, flush=True)
    except sqlite3.Error as error:
        print("ended: %s" % error)


def after(path, commits):
    db = connect(path)
    integrity(db)
    n = db.execute("select count(*) from more").fetchone()[0]
    if n % ENDLESS_ROWS or n // ENDLESS_ROWS not in (commits, commits + 1):
        sys.exit("%d rows are there after %d commits" % (n, commits))
    print("%d commits were acknowledged, %d are there: ok" % (commits, n // ENDLESS_ROWS))


def main():
    path, mode, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if mode == "check":
        check(path, count)
    elif mode == "endless":
        endless(path)
    elif mode == "after":
        after(path, count)
    else:
        write(path, mode, count)


if __name__ == "__main__":
    main()
