#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_bench.py BENCH_ENGINE [--ours-only]

Runs the engine benchmark with tiny numbers: every workload on our engine, a good part of them on each peer that the
build found. Looks at the exit codes, the tables, the JSON lines, the chart and the error messages, not at the figures.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

TINY = ["--keys", "2000", "--seconds", "1", "--cache-mib", "32", "--buffer-mib", "16"]
PEER_WORKLOADS = ("overwrite,readrandom-2,readmissing,multiread,readrev-rand,seekrandom,readwhilewriting,deleterandom,"
                  "readseq-del,fillsync-4,ycsb-a,ycsb-e,over-100k,recover")
NUMBERS = """operations seconds open_seconds close_seconds cpu_seconds p50_us p99_us p999_us max_us user_bytes write_bytes
    disk_bytes live_bytes rss_bytes anon_bytes""".split()

program = os.path.abspath(sys.argv[1])
ours_only = "--ours-only" in sys.argv[2:]


def roomy_memory():
    """Stores in memory spare the disk hundreds of syncs, of which nothing is learned here."""
    try:
        return shutil.disk_usage("/dev/shm").free >= 4 << 30 and os.access("/dev/shm", os.W_OK)
    except OSError:
        return False


folder = tempfile.mkdtemp(prefix="check_bench.", dir="/dev/shm" if roomy_memory() else os.getcwd())


def run(*arguments, expect=0, env=None):
    done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=folder,
                          env=env)
    if done.returncode != expect:
        print(done.stdout, done.stderr, sep="\n")
        sys.exit("%s: exit code %d, not %d" % (" ".join(arguments), done.returncode, expect))
    return done


def check(good, what, *shown):
    if not good:
        print(*shown, sep="\n")
        sys.exit("FAILED: " + what)


def help_text():
    """Names of the engines in this build, and the workloads by group."""
    text, engines, groups, group = run("--help").stdout, [], {}, None
    for line in text[text.index("\nengines:"):].splitlines()[2:]:
        head = re.match(r"(\w+)( \*)?: ", line)
        name = re.match(r"  (\S+)\s+(.*)", line)
        if head:
            group = groups.setdefault(head.group(1), [])
        elif name and group is None:
            engines += [name.group(1)] if not name.group(2).startswith("absent") else []
        elif name:
            group.append(name.group(1))
    return engines, groups


def first_table(text):
    """{workload: [numbers]} of the table of rates."""
    lines = text.split("Thousand operations a second (more is better)\n")[1].split("\n\n")[0].splitlines()
    return lines[0].split(), {l[:18].strip(" ~"): l[18:].split() for l in lines[1:] if re.match(r".{18}\s+[\d.-]+", l)}


def check_result(line, rounds):
    for name in NUMBERS:
        check(isinstance(line[name], (int, float)) and line[name] >= 0, "number " + name, line)
    check(line["operations"] > 0 and line["seconds"] > 0 and 1 <= line["round"] <= rounds, "counts", line)
    check(0 < line["p50_us"] <= line["p99_us"] <= line["p999_us"] <= line["max_us"] * 1.02, "order of the times", line)
    check(line["disk_bytes"] > 0 and line["live_bytes"] > 0 and line["rss_bytes"] > 0, "sizes", line)
    check(not line["incomplete"], "completeness", line)


def check_run(engines, names, rounds, done, json_path):
    """All that was asked for is in the table and in the JSON lines, once for each engine and round."""
    with open(json_path, encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    check(lines[0]["type"] == "run" and lines[0]["keys"] == 2000 and lines[0]["rounds"] == rounds, "first line", lines[0])
    check([l["engine"] for l in lines if l["type"] == "engine"] == engines, "engines in JSON", lines)
    results = [l for l in lines if l["type"] == "result"]
    for line in results:
        check_result(line, rounds)
    met = sorted((l["workload"], l["engine"], l["round"]) for l in results if l["workload"] in names)
    check(met == sorted((n, e, r + 1) for n in names for e in engines for r in range(rounds)), "results in JSON", met)
    header, table = first_table(done.stdout)
    check(header[:len(engines)] == engines, "table's header", header)
    ratios = ["/best"] * (len(engines) > 1) + ["/RocksDB"] * (len(engines) > 1)
    check(header[len(engines):] == ratios, "table's ratios", header)
    summaries = {(l["workload"], l["engine"]): l for l in lines if l["type"] == "summary"}
    for name in names:
        check(name in table and len(table[name]) == len(header), "row of " + name, done.stdout)
        for i, engine in enumerate(engines):
            rate = summaries[name, engine]["operations_per_second"] / 1000
            check(abs(float(table[name][i]) - rate) <= 0.006 + rate * 0.05, "rate of " + name, table[name], rate)
            rates = sorted(l["operations"] / l["seconds"] for l in results
                           if l["workload"] == name and l["engine"] == engine)
            check(rates[0] * 0.99 <= rate * 1000 <= rates[-1] * 1.01, "median of " + name, rates, rate)
    check_ratios(engines, names, summaries)
    return results


def check_ratios(engines, names, summaries):
    for name in names if len(engines) > 1 else []:
        line = summaries[name, engines[0]]
        best = max(summaries[name, e]["operations_per_second"] for e in engines[1:])
        expected = line["operations_per_second"] / best
        check(abs(line["ratio_to_best_peer"] - expected) <= 0.001 * expected, "ratio of " + name, line, best)


def check_ours(groups):
    names = [n for g in groups.values() for n in g]
    path = os.path.join(folder, "ours.json")
    done = run(*TINY, "--full", "--engines", "lsmfs", "--rounds", "1", "--all-tables", "--json", path)
    results = check_run(["lsmfs"], names, 1, done, path)
    for line in results:
        if line["workload"] in ("fillrandom", "fill-100k"):
            check(line["user_bytes"] == line["operations"] * (16 + line["value_bytes"]), "user bytes", line)
        check(line["lost"] == 0, "lost records", line)
    check("the disk's limit: " in done.stdout, "the disk's limit", done.stdout)
    check("round 1 of 1: open-huge: lsmfs" in done.stderr, "progress", done.stderr)
    for title in ("Half of the", "99 of 100", "999 of 1000", "The slowest", "Processor time", "Write amplification",
                  "Space amplification", "Peak anonymous", "Peak resident"):
        check("\n" + title in done.stdout, "table " + title, done.stdout)


def check_rounds():
    """Three rounds, of which the medians are taken; and what a group's workload needs is run, but no more."""
    path = os.path.join(folder, "rounds.json")
    done = run(*TINY, "--workloads", "overwrite,fill-1k", "--engines", "lsmfs", "--rounds", "3", "--json", path)
    check_run(["lsmfs"], ["fillrandom", "overwrite", "fill-1k"], 3, done, path)
    _, table = first_table(done.stdout)
    check(sorted(table) == ["fill-1k", "fillrandom", "overwrite"], "only what is needed", done.stdout)


def check_peers(engines):
    path, chart = os.path.join(folder, "peers.json"), os.path.join(folder, "chart.svg")
    draw = ["--svg", chart] if shutil.which("gnuplot") else []
    done = run(*TINY, "--workloads", PEER_WORKLOADS, "--json", path, "--quiet", *draw)
    check_run(engines, PEER_WORKLOADS.split(","), 1, done, path)
    check(not done.stderr.strip() or "kernel kept" in done.stderr, "silence with --quiet", done.stderr)
    if draw:
        with open(chart, encoding="utf-8") as f:
            text = f.read()
        check(text.rstrip().endswith("</svg>") and all(e in text for e in engines), "chart", text[:500])
        check(all(">%s<" % name in text for name in PEER_WORKLOADS.split(",")), "the chart's workloads", text)


def check_errors(engines):
    for arguments, words in (
            (["--workloads", "fillseq,nosuch"], ['no workload "nosuch"', "readrandom", "ycsb-e"]),
            (["--groups", "nosuch"], ['no group "nosuch"', "ycsb", "large"]),
            (["--engines", "nosuch"], ['no engine "nosuch"', "RocksDB", "WiredTiger"]),
            (["--keys", "many"], ["--keys", '"many" is not a number']),
            (["--rounds", "-1"], ["--rounds", "is not a number"]),
            (["--quick", "--full"], ["exclude each other"]),
            (["stray"], ["stray", "unknown argument"]),
            (["--keys", "1000000000", "--groups", "random"], ["MiB are free", "--keys"]),
            (["--dir", "/nonexistent/here"], ["/nonexistent/here"]),
            (["--json", "/nonexistent/file"], ["/nonexistent/file", "No such file"])):
        done = run(*arguments, expect=1)
        for word in words:
            check(word in done.stderr, "message of " + " ".join(arguments), done.stderr)
    done = run("--svg", "chart.svg", expect=1, env={"PATH": "/nonexistent"})
    check("gnuplot is not there" in done.stderr and "--install" in done.stderr, "message without gnuplot", done.stderr)
    for name in ("RocksDB", "LevelDB", "LMDB", "WiredTiger"):
        if name not in engines:
            check("--install" in run("--engines", name, expect=1).stderr, "message on an absent engine")


def main():
    engines, groups = help_text()
    check(engines[0] == "lsmfs" and len(groups) == 10, "help", engines, groups)
    check_errors(engines)
    check_ours(groups)
    check_rounds()
    if len(engines) > 1 and not ours_only:
        check_peers(engines)
    left = [name for name in os.listdir(folder) if name.startswith("bench_engine.")]
    check(not left, "no stores left behind", left)
    print("engines: " + ", ".join(engines[:1] if ours_only else engines))


try:
    main()
finally:
    shutil.rmtree(folder, ignore_errors=True)
