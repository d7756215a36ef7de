#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_mount.py BENCH_MOUNT FS_NULL

Runs the benchmark of mounts with tiny numbers: every workload on every target. Looks at the exit codes, the tables, the
JSON lines, the chart, the messages and what is left behind, not at the figures.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

FILES, ENTRIES, STORY_FILES, ROWS, BIG = 112, 150, 120, 20, 1 << 20
TINY = ["--files", str(FILES), "--entries", str(ENTRIES), "--story-files", str(STORY_FILES), "--rows", str(ROWS),
        "--big-mib", "1", "--seconds", "0"]
# The others do the same as what is run warm, and each has the kernel forget what the tests beside this one work with.
COLD_TRIED = "stat-cold readdir-cold ls-cold seq-read-4k git-status-cold tar-out-cold ls-many-cold".split()
NUMBERS = """operations bytes seconds p50_us p99_us max_us client_cpu_seconds daemon_cpu_seconds client_write_bytes
    daemon_write_bytes device_write_bytes space_bytes clients""".split()

program, fs_null = (os.path.abspath(path) for path in sys.argv[1:3])


def roomy_memory():
    """In memory the disk is spared hundreds of syncs, of which nothing is learned here."""
    try:
        return shutil.disk_usage("/dev/shm").free >= 4 << 30 and os.access("/dev/shm", os.W_OK)
    except OSError:
        return False


if not os.access("/dev/fuse", os.R_OK | os.W_OK):
    print("skipped: no /dev/fuse")
    sys.exit(77)
folder = tempfile.mkdtemp(prefix="check_mount.", dir="/dev/shm" if roomy_memory() else os.getcwd())


def check(good, what, *shown):
    if not good:
        print(*shown, sep="\n")
        sys.exit("FAILED: " + what)


def run(*arguments, expect=0, env=None):
    done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=folder,
                          env=env, timeout=120)
    check(done.returncode == expect, "%s: exit code %d, not %d" % (" ".join(arguments), done.returncode, expect),
          done.stdout, done.stderr)
    return done


def mounts():
    with open("/proc/self/mounts", encoding="utf-8") as f:
        return [line for line in f if " %s/" % folder in line]


def check_nothing_left():
    check(not mounts(), "no mounts left behind", *mounts())
    left = [name for name in os.listdir(folder) if name.startswith("bench_mount.")]
    check(not left, "no files left behind", left)


def help_text():
    """Workloads by group."""
    groups, group = {}, None
    for line in run("--help").stdout.split("--help ")[1].splitlines()[1:]:
        head, name = re.match(r"(\S+): ", line), re.match(r"  (\S+)", line)
        if head:
            group = groups.setdefault(head.group(1), [])
        elif name:
            group.append(name.group(1))
    return groups


def read_json(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def rows_of(text):
    """{workload: [columns]} of the tables by which workloads are judged."""
    rows = {}
    for title in ("Operations a second", "MB a second", "Seconds", "MB on disk"):
        if "\n%s (" % title in text:
            table = text.split("\n%s (" % title)[1].split("\n\n")[0].splitlines()
            rows.update({line[:20].strip(" ~"): line[20:].split() for line in table[2:]})
    return rows


def expected_operations(line):
    name, group = line["workload"], line["group"]
    if name == "space":
        return ENTRIES
    if group == "stories":
        return 1
    if group == "large":
        return 1 if "1m" in name else BIG // 4096
    return FILES


def expected_bytes(line):
    name = line["workload"]
    if line["group"] == "large":
        return BIG
    if re.match("create|read-cold|read$|overwrite|append|replace", name):
        return 100 * FILES
    return 100 * ENTRIES if name == "space" else 0


def check_result(line):
    for name in NUMBERS:
        check(isinstance(line[name], (int, float)) and line[name] >= 0, "number " + name, line)
    check(line["operations"] == expected_operations(line), "count of operations", line)
    check(line["bytes"] == expected_bytes(line), "count of bytes", line)
    check(0 < line["seconds"] < 60 and not line["cut"], "time", line)
    check(line["clients"] == int((re.search(r"-(4|16)$", line["workload"]) or "11")[1]), "clients", line)
    timed = line["group"] != "stories" or line["workload"] == "space"
    check(timed == (line["p50_us"] > 0), "timed", line)
    check(line["p50_us"] <= line["p99_us"] <= line["max_us"] * 1.02, "order of the times", line)
    check(line["client_cpu_seconds"] > 0, "the client's processor time", line)
    check((line["space_bytes"] > 0) == (line["workload"] == "space"), "space", line)
    if line["target"] in ("lsmfs", "passthrough") and re.match("create|rename|unlink|tar-in", line["workload"]):
        check(line["daemon_cpu_seconds"] > 0, "the daemon's processor time", line)
    if line["target"] == native:
        check(line["daemon_cpu_seconds"] == line["daemon_write_bytes"] == 0, "no daemon", line)


def check_summaries(names, targets, lines, rows):
    summaries = {(l["workload"], l["target"]): l for l in lines if l["type"] == "summary"}
    for name in names:
        ours = summaries[name, "lsmfs"]
        for other, key in ((native, "ratio_to_native"), ("null", "ratio_to_null"),
                           ("passthrough", "ratio_to_passthrough")):
            if (name, other) in summaries and other in targets:
                expected = ours["value"] / summaries[name, other]["value"]
                check(abs(ours[key] - expected) <= 0.001 * expected, "ratio of " + name, ours)
        for i, target in enumerate(targets):
            if (name, target) not in summaries:
                check(rows[name][i] == "-", "a row's gap", name, rows[name])
                continue
            value = summaries[name, target]["value"]
            shown = float(rows[name][i])
            check(abs(shown - value) <= 0.006 + 0.05 * value, "value of %s in the table" % name, shown, value)
            check_median(name, target, summaries[name, target], lines)


def check_median(name, target, summary, lines):
    values = []
    for l in lines:
        if l["type"] == "result" and (l["workload"], l["target"]) == (name, target):
            values.append({"operations_per_second": l["operations"] / l["seconds"],
                           "megabytes_per_second": l["bytes"] / l["seconds"] / 1e6,
                           "seconds": l["seconds"], "megabytes": l["space_bytes"] / 1e6}[summary["unit"]])
    values.sort()
    middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
    check(abs(summary["value"] - middle) <= 0.001 * middle, "median of " + name, values, summary)


def check_run(names, targets, rounds, done, path):
    lines = read_json(path)
    check(lines[0]["type"] == "run" and lines[0]["files"] == FILES and lines[0]["rounds"] == rounds, "first line", lines[0])
    results = [l for l in lines if l["type"] == "result"]
    for line in results:
        check_result(line)
    met = sorted((l["workload"], l["target"], l["round"]) for l in results if l["workload"] in names)
    wanted = sorted((n, t, r + 1) for n in names for t in targets for r in range(rounds)
                    if n not in stories or (r == 0 and t != "null"))
    check(met == wanted, "results in JSON", set(met) ^ set(wanted))
    rows = rows_of(done.stdout)
    check(set(names) <= set(rows), "rows in the tables", set(names) - set(rows), done.stdout)
    check_summaries(names, targets, lines, rows)


def check_stories():
    """The stories, on ours only: they take long."""
    path = os.path.join(folder, "stories.json")
    names = [name for name in tried if name in stories]
    done = run(*TINY, "--rounds", "1", "--targets", "lsmfs", "--workloads", ",".join(names), "--json", path)
    check_run(names, ["lsmfs"], 1, done, path)
    check_nothing_left()


def check_all():
    """The rest, and one story, on every target."""
    names = [name for name in tried if name not in stories] + ["git-clone"]
    path, chart = os.path.join(folder, "all.json"), os.path.join(folder, "chart.svg")
    draw = ["--svg", chart] if shutil.which("gnuplot") else []
    done = run(*TINY, "--rounds", "1", "--workloads", ",".join(names), "--all-tables", "--json", path, *draw)
    check_run(names, ["lsmfs", native, "passthrough", "null"], 1, done, path)
    check("round 1 of 1: unlink: lsmfs" in done.stderr, "progress", done.stderr)
    for title in ("Half of the", "99 of 100", "The slowest", "Processor time of the client",
                  "Processor time of the daemon", "Bytes that client"):
        check("\n" + title in done.stdout, "table " + title, done.stdout)
    if draw:
        with open(chart, encoding="utf-8") as f:
            text = f.read()
        check(text.rstrip().endswith("</svg>") and ">passthrough<" in text, "chart", text[:500])
        check(all(">%s<" % name in text for name in names if name != "space"), "the chart's workloads", text)
    check_nothing_left()


def check_rounds():
    """The medians of three rounds; and what a workload needs is run, but no more."""
    path = os.path.join(folder, "rounds.json")
    done = run(*TINY, "--workloads", "append,create-tree-4", "--targets", "lsmfs,native", "--rounds", "3", "--quiet",
               "--json", path)
    check(not done.stderr, "silence", done.stderr)
    check_run(["create", "overwrite", "append", "create-tree-4"], ["lsmfs", native], 3, done, path)
    check(sorted(rows_of(done.stdout)) == ["append", "create", "create-tree-4", "overwrite"], "what is run", done.stdout)
    check_nothing_left()


def check_absent_program():
    """What isn't installed is said, and is no failure."""
    path = os.path.join(folder, "bin")
    os.mkdir(path)
    for name in "bash rm dirname mkdir fusermount3".split():
        os.symlink(shutil.which(name), os.path.join(path, name))
    done = run(*TINY, "--targets", "native", "--workloads", "create,git-clone", env={"PATH": path})
    check("git-clone is left out: git is not installed" in done.stderr, "message without git", done.stderr)
    check(sorted(rows_of(done.stdout)) == ["create"], "the others are run", done.stdout)


def check_few_descriptors():
    """Passthrough is left out of what it has not descriptors enough for, and of nothing else."""
    many = "npm,rm-rf,space" + (",ls-many-cold" if cold else "")
    command = [program, *TINY, "--entries", "1500", "--story-files", "1200", "--workloads", "create,tar-in," + many,
               "--targets", "native,passthrough", "--rounds", "1", "--quiet"]
    done = subprocess.run(["bash", "-c", 'ulimit -n 2200; exec "$@"', "bash", *command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, cwd=folder, check=False)
    check(done.returncode == 0 and "is left out for passthrough" in done.stdout, "few descriptors", done.stdout, done.stderr)
    rows = rows_of(done.stdout)
    check(all(rows[name][1] == "-" for name in many.split(",")), "what passthrough is left out of", done.stdout)
    check("-" not in rows["create"] + rows["tar-in"], "what it isn't left out of", done.stdout)
    check_nothing_left()


def check_errors():
    for arguments, words in (
            (["--workloads", "create,nosuch"], ['no workload "nosuch"', "stat-cold", "sqlite"]),
            (["--groups", "nosuch"], ['no group "nosuch"', "files", "stories"]),
            (["--targets", "nosuch"], ['no target "nosuch"', "passthrough", native]),
            (["--files", "many"], ["--files", '"many" is not a number']),
            (["--quick", "--full"], ["exclude each other"]),
            (["--big-mib", "0"], ["--big-mib", '"0" is not a number']),
            (["--null-loop", "none"], ["--null-loop", "own or libfuse"]),
            (["--targets", "null", "--groups", "stories"], ["nothing to run"]),
            (["stray"], ["stray", "unknown argument"]),
            (["--big-mib", "1048576"], ["MiB are free", "--big-mib"]),
            (["--lsmfs", "/nonexistent/lsmfs"], ["/nonexistent/lsmfs", "No such file"]),
            (["--dir", "/nonexistent/here"], ["/nonexistent/here", "No such file"]),
            (["--json", "/nonexistent/file"], ["/nonexistent/file", "No such file"])):
        done = run(*arguments, expect=1)
        check(all(word in done.stderr for word in words), "message of " + " ".join(arguments), done.stderr)
    done = run("--svg", "chart.svg", expect=1, env={"PATH": "/nonexistent"})
    check("gnuplot is not there" in done.stderr, "message without gnuplot", done.stderr)
    check_nothing_left()


def pretender(text):
    """A program in the place of ours, called as `mount -f STORE DIR`."""
    path = os.path.join(folder, "pretender")
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return ["--lsmfs", path]


def check_wrong_answers():
    """One that forgets all when it is unmounted is found out by what is read cold; the others are measured."""
    names = ["--workloads", "stat-cold,unlink", "--targets", "lsmfs,native", "--rounds", "1", "--quiet"]
    done = run(*TINY, *names, *pretender('exec %s "$4"\n' % fs_null), expect=1)
    if cold:
        check("lsmfs: stat-cold: " in done.stderr and "stat-cold failed" in done.stderr, "loss is noticed", done.stderr)
        rows = rows_of(done.stdout)
        check(rows["unlink"][0] == "-" and float(rows["unlink"][1]) > 0, "the others go on", done.stdout)
    done = run(*TINY, *names, *pretender("echo out of order >&2; exit 3\n"), expect=1)
    check("lsmfs: its daemon: out of order" in done.stderr, "a daemon's last words", done.stderr)
    check(float(rows_of(done.stdout)["unlink"][1]) > 0, "the others go on", done.stdout)
    check_nothing_left()


def check_killed_daemon():
    done = run(*TINY[:-1], "1", "--workloads", "create-sync-16,create", "--targets", "lsmfs,native", "--rounds", "1",
               *pretender('exec timeout -s KILL 0.7 %s "$4"\n' % fs_null), expect=1)
    check("lsmfs: create-sync-16 failed" in done.stderr, "a daemon's end is noticed", done.stderr)
    check(float(rows_of(done.stdout)["create-sync-16"][1]) > 0, "the others go on", done.stdout)
    check_nothing_left()


def wait_until(condition, what):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    sys.exit("FAILED: " + what)


def check_interrupted():
    """By a signal that asks: it cleans up, and tells what it has. By one that doesn't: the mounts go all the same."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with subprocess.Popen([program, *TINY[:-1], "60", "--workloads", "create,create-sync-16"], cwd=folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            wait_until(lambda: len(mounts()) == 3, "the mounts are there")
            time.sleep(0.5)
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        if number == signal.SIGINT:
            check(process.returncode == 128 + number and "interrupted; what was measured" in out, "interruption", out, err)
            check_nothing_left()
        else:
            wait_until(lambda: not mounts(), "the mounts go without the one that made them")


def main():
    check(len(groups) == 6 and len(tried) > 30, "help", groups)
    check_errors()
    check_absent_program()
    check_few_descriptors()
    check_all()
    check_stories()
    check_rounds()
    check_wrong_answers()
    check_killed_daemon()
    check_interrupted()
    print("%d workloads on %s, passthrough and null" % (len(tried), native))


try:
    groups = help_text()
    cold = os.access("/proc/sys/vm/drop_caches", os.W_OK)
    native = re.search(r"known are: lsmfs, native, passthrough, null, (\S+)",
                       run("--targets", "nosuch", expect=1).stderr).group(1)
    tried = [n for group in groups.values() for n in group
             if n in COLD_TRIED and cold or "-cold" not in n and "read-" not in n]
    stories = groups["stories"]
    main()
finally:
    for line in mounts():
        subprocess.run(["fusermount3", "-uz", line.split()[1]], check=False)
    shutil.rmtree(folder, ignore_errors=True)
