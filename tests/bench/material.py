#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""material.py KIND PATH N - what the stories of bench_mount begin with; the same each time.

sources   a tree of N files of 200 to 8,000 bytes of text, 25 a directory
modules   a tree as npm makes it: packages in packages, N files in all, of 50 to 2,000 bytes
entries   a directory of N empty files
project   a C project of N files that meson builds; its program prints N
rows      an SQLite database: N inserts into a table, each a transaction
count     fails unless that has N rows
"""
import os
import sys

# Other modules are loaded where they are needed: they take long, and some of this is timed.

WORDS = "the of and to in a is that it for as with was on be at by this had not are but from or have an they which".split()


def text(rng, size):
    words = []
    while size > 0:
        word = rng.choice(WORDS) if rng.random() < 0.7 else "%x" % rng.getrandbits(40)
        words.append(word)
        size -= len(word) + 1
    return " ".join(words) + "\n"


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as f:
        f.write(data)


def sources(path, n):
    import random
    rng = random.Random(1)
    for i in range(n):
        write("%s/part%02d/section%03d/file%05d.txt" % (path, i // 500, i // 25, i), text(rng, rng.randint(200, 8000)))


def modules(path, n):
    import random
    rng = random.Random(2)
    package = 0
    while n > 0:
        top = "%s/package-%04d" % (path, package)
        if package % 4 == 3:
            top = "%s/package-%04d/node_modules/package-%04d" % (path, package - 1, package)
        for i in range(min(n, rng.randint(5, 40))):
            folder = ("", "/lib", "/lib/internal", "/test", "/dist/esm")[i % 5]
            write("%s%s/module-%02d.js" % (top, folder, i), text(rng, rng.randint(50, 2000)))
            n -= 1
        package += 1


def entries(path, n):
    os.mkdir(path)
    folder = os.open(path, os.O_RDONLY)
    for i in range(n):
        os.mknod("entry-%07d" % i, 0o644, dir_fd=folder)
    os.close(folder)


def project(path, n):
    names = ["unit%03d" % i for i in range(n)]
    for name in names:
        write("%s/%s.c" % (path, name), '#include "all.h"\nint %s(int x)\n{\n\treturn x + 1;\n}\n' % name)
    write(path + "/all.h", "#include <stdio.h>\n" + "".join("int %s(int x);\n" % name for name in names))
    calls = "".join("\tx = %s(x);\n" % name for name in names)
    write(path + "/main.c",
          '#include "all.h"\nint main(void)\n{\n\tint x = 0;\n\n%s\tprintf("%%d\\n", x);\n\treturn 0;\n}\n' % calls)
    files = ", ".join("'%s.c'" % name for name in names + ["main"])
    write(path + "/meson.build", "project('project', 'c')\nexecutable('program', %s)\n" % files)


def rows(path, n):
    import sqlite3
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
    for i in range(n):
        db.execute("INSERT INTO t VALUES (?, ?)", (i, "this is row %d of the table" % i))
    db.close()


def count(path, n):
    import sqlite3
    db = sqlite3.connect(path)
    if db.execute("SELECT count(*), sum(id) FROM t").fetchone() != (n, n * (n - 1) // 2):
        sys.exit(1)
    if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
        sys.exit(1)


KINDS = {"sources": sources, "modules": modules, "entries": entries, "project": project, "rows": rows, "count": count}

KINDS[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
