#!/usr/bin/env python3
"""Measures Mien and its peers on a shared machine: alone, beside programs that only spin, and with a
CPU quota; writes the results as JSON.

  bench/contention.py --python VENV/bin/python --what train,infer,latency --spinners 1,2,4 --quota 1.5

Contestants, options and rounds are those of bench/compare.py, in the same run for every situation.
A spinner may use any CPU and has the same priority. The quota is a control group's, which needs the
right to make one; without it that situation is left out. `fair` is the share of the machine that
the scheduler gives to as many threads as there are CPUs beside the spinners.
"""

import contextlib
import datetime
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import compare

SPIN = "while True: pass"
GROUPS = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def spinners(count):
    running = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


@contextlib.contextmanager
def quota(cpus, processes):
    """This process, what it starts from now on, and `processes` share `cpus` CPUs."""
    first = GROUPS / "cpu" if (GROUPS / "cpu").is_dir() else GROUPS
    group = first / f"mien-contention-{os.getpid()}"
    group.mkdir()
    members = [os.getpid(), *processes]
    try:
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{int(cpus * 100000)} 100000")
        else:
            (group / "cpu.cfs_period_us").write_text("100000")
            (group / "cpu.cfs_quota_us").write_text(str(int(cpus * 100000)))
        for pid in members:
            (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for pid in members:
            (first / "cgroup.procs").write_text(str(pid))
        group.rmdir()


def situations(args):
    """Name, fair share and a function from the contestants to a context manager."""
    cpus = args.threads
    rows = [("alone", 1, lambda _: contextlib.nullcontext())]
    for count in args.spinners:
        rows.append(
            (f"{count} spinning", cpus / (cpus + count), lambda _, count=count: spinners(count))
        )
    if args.quota:
        rows.append(
            (
                f"quota {args.quota:g}",
                min(1, args.quota / cpus),
                lambda them: quota(args.quota, [c.process.pid for c in them if hasattr(c, "process")]),
            )
        )
    return rows


def contest(task, args, environment):
    """All situations of one task: [{situation, fair, rows}]."""
    mode, dtype, peers = compare.CONTESTS[task.what]
    contestants = [compare.Mien(mode, dtype, task, args, environment)]
    done = []
    try:
        for script, peer_dtype in peers:
            if peer_dtype == "f32" and (not args.peers or script in args.peers):
                contestants.append(compare.Peer(script, peer_dtype, task, args, environment))
        for name, fair, enter in situations(args):
            try:
                with enter(contestants):
                    results = compare.measure(contestants, args, f"{task}, {name}")
            except PermissionError as error:
                print(f"{name}: left out, {error}", file=sys.stderr)
                continue
            done.append({"situation": name, "fair": fair, "rows": compare.summary(by_the_mean(results, task.batch))})
    finally:
        for contestant in contestants:
            contestant.close()
    return done


def by_the_mean(results, batch):
    """Images per second of all the time that passed: the median step hides what waiting costs."""
    for rounds in results.values():
        for r in rounds:
            r["images_per_second"] = batch / r["mean"]
    return results


def rate_of(done, contestant):
    return next(r for r in done["rows"] if r["contestant"] == contestant)["images_per_second"]


def p99(row):
    values = [r["p99"] for r in row["rounds"] if "p99" in r]
    return f"{statistics.median(values) * 1e3:.2f} ms" if values else ""


def table(task, done):
    lines = [
        f"### {task}",
        "",
        "| situation | contestant | images/s, median (min-max) | part of its own figure alone | p99 | mien relative |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for situation in done:
        for row in situation["rows"]:
            rate, name = row["images_per_second"], row["contestant"]
            part = rate["median"] / rate_of(done[0], name)["median"]
            ratio = "" if name == "mien" else f"{row['mien_ratio']:.2f}x"
            lines.append(
                f"| {situation['situation']} (fair {situation['fair']:.2f}) | {name} "
                f"| {rate['median']:.0f} ({rate['min']:.0f}-{rate['max']:.0f}) | {part:.2f} "
                f"| {p99(row)} | {ratio} |"
            )
    return "\n".join(lines) + "\n"


def arguments():
    own, rest = {"--spinners": "1,2,4", "--quota": "1.5"}, []
    words = iter(sys.argv[1:])
    for word in words:
        if word in own:
            own[word] = next(words, "")
        else:
            rest.append(word)
    if {"-h", "--help"} & set(rest):
        print(__doc__)
    sys.argv[1:] = rest
    args = compare.arguments()
    try:
        args.spinners = [int(n) for n in own["--spinners"].split(",") if n]
        args.quota = float(own["--quota"] or 0)
    except ValueError:
        raise SystemExit("--spinners takes numbers such as 1,2,4; --quota a number of CPUs") from None
    return args


def main():
    args = arguments()
    environment = os.environ | compare.ISA_ENVIRONMENT[args.isa]
    tasks = []
    for what in args.what:
        task = compare.Task(what, args.net[0], args)
        done = contest(task, args, environment)
        tasks.append({"what": what, "net": args.net[0], "batch": task.batch, "situations": done})
        print(table(task, done), flush=True)
    record = {
        "schema": 1,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": compare.commit(),
        "machine": compare.machine(),
        "threads": args.threads,
        "rounds": args.rounds,
        "seconds": args.seconds,
        "tasks": tasks,
    }
    cpu = re.sub(r"[^a-z0-9]+", "-", record["machine"]["cpu"].lower()).strip("-")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{record['date'][:10]}-{cpu}-contention.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
