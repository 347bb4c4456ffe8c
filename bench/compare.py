#!/usr/bin/env python3
"""Measures Mien and other programs (peers) in turn, on the same work; writes the results as JSON.

  bench/compare.py --python VENV/bin/python --what train,infer --net classic,vgg --threads 2

Each peer is started once and sleeps between its turns. In every round each contestant is measured
for --seconds; the order is reversed each round. Ratios are computed within a round, so that other
load on the machine affects both sides. This script needs only the standard library; the peers run
in --python.
"""

import argparse
import atexit
import datetime
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import commit, machine

HERE = Path(__file__).resolve().parent
#: What is compared -> (mode of `mien bench`, dtype, peers). A peer is a script and its dtype.
CONTESTS = {
    "train": ("train", "f32", [("torch_train", "f32"), ("keras_train", "f32")]),
    "infer": (
        "infer",
        "f32",
        [
            ("torch_infer", "f32"),
            ("ort_infer", "f32"),
            ("openvino_infer", "f32"),
            ("openvino_infer", "bf16"),
        ],
    ),
    "int8": ("infer", "int8", [("ort_infer", "int8"), ("openvino_infer", "int8")]),
    "load": ("load", None, [("pandas_load", "u8")]),
}
CONTESTS["latency"] = CONTESTS["infer"]  # with --batch 1
#: Variables that limit the instruction set of each runtime. TensorFlow's and OpenVINO's oneDNN use
#: the same one; ONNX Runtime's kernels have none: see hold().
ISA_ENVIRONMENT = {
    "native": {},
    "avx2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "DNNL_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
        "MIEN_ISA": "v3",
    },
}


#: torch.compile crashes if PyTorch is limited to AVX2 on a machine with AVX-512. Without the limit,
#: its training is slower than eager, its inference at most a fifth faster.
EAGER_ON_AVX2 = {"torch_train": "eager-fused-adam", "torch_infer": "eager"}


def hold(isa):
    """Variables for the peers alone: with avx2, a library that hides what the CPU has beyond that."""
    if isa != "avx2":
        return {}
    folder = tempfile.TemporaryDirectory(prefix="mien-bench-")
    atexit.register(folder.cleanup)
    library = Path(folder.name) / "hold_avx2.so"
    source = HERE / "peers" / "hold_avx2.c"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    return {"LD_PRELOAD": str(library)}


class Peer:
    """A server process: bench/peers/<script>.py."""

    def __init__(self, script, dtype, task, args, environment):
        self.name = script if dtype in ("f32", "u8") else f"{script} {dtype}"
        command = [args.python, str(HERE / "peers" / f"{script}.py"), "--dtype", dtype]
        command += ["--net", task.net, "--batch", str(task.batch), "--threads", str(args.threads)]
        if args.data:
            command += ["--data", args.data]
        if args.isa == "avx2" and script in EAGER_ON_AVX2:
            command += ["--mode", EAGER_ON_AVX2[script]]
        self.process = subprocess.Popen(
            command,
            env=environment | args.hold,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if args.verbose else subprocess.DEVNULL,
        )
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit(f"{self.name} did not start: run with --verbose to see why")

    def measure(self, seconds):
        try:
            self.process.stdin.write(f"go {seconds}\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            raise SystemExit(f"{self.name} ended early: run with --verbose to see why") from None

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Mien:
    """Mien: a new process each round."""

    name = "mien"

    def __init__(self, mode, dtype, task, args, environment):
        self.environment = environment
        self.command = [args.mien, "bench", mode]
        if mode == "load":
            self.command += [args.data]
        else:
            self.command += [task.model, "--batch", str(task.batch)]
        if dtype == "int8":
            self.command += ["--dtype", "int8"]
        self.command += ["--threads", str(args.threads), "--json"]

    def measure(self, seconds):
        command = self.command + ["--seconds", str(seconds)]
        run = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        if run.returncode:
            raise SystemExit(f"{' '.join(command)}: {run.stderr.strip()}")
        result = json.loads(run.stdout)
        result.pop("layers", None)  # long, and peers have nothing to compare it with
        return result

    def close(self):
        pass


class Task:
    """One comparison: what, which network, which batch."""

    def __init__(self, what, net, args):
        self.what, self.net = what, net
        self.batch = 1 if what == "latency" else args.batch
        self.model = args.model or net

    def __str__(self):
        if self.what == "load":
            return "load"
        return f"{self.what} {self.net}, batch {self.batch}"


def measure(contestants, args, name):
    """All rounds, in turns: {contestant: [result of each round]}."""
    results = {c.name: [] for c in contestants}
    for number in range(args.rounds):
        for contestant in contestants[:: -1 if number % 2 else 1]:
            result = contestant.measure(args.seconds)
            results[contestant.name].append(result)
            rate = result["images_per_second"]
            print(f"{name}: round {number + 1}, {contestant.name} {rate:.1f}", file=sys.stderr)
    return results


def compare(task, args, environment):
    """All rounds of one task: {contestant: [result of each round]}."""
    mode, dtype, peers = CONTESTS[task.what]
    contestants = [] if args.no_mien else [Mien(mode, dtype, task, args, environment)]
    try:
        for script, peer_dtype in peers:
            if args.peers and script not in args.peers:
                continue
            if args.isa == "avx2" and peer_dtype == "bf16":
                continue  # AVX2 has no bf16 instructions
            print(f"{task}: starting {script} {peer_dtype}", file=sys.stderr)
            contestants.append(Peer(script, peer_dtype, task, args, environment))
        return measure(contestants, args, task)
    finally:
        for contestant in contestants:
            contestant.close()


def summary(results):
    """For each contestant the spread over the rounds, and the median ratio of Mien to it."""
    rows = []
    ours = [r["images_per_second"] for r in results.get("mien", [])]
    for name, rounds in results.items():
        rates = [r["images_per_second"] for r in rounds]
        ratios = [mine / theirs for mine, theirs in zip(ours, rates)]
        rows.append(
            {
                "contestant": name,
                "version": rounds[0].get("version") or rounds[0].get("commit"),
                "mode": rounds[0].get("mode"),
                "images_per_second": {
                    "median": statistics.median(rates),
                    "min": min(rates),
                    "max": max(rates),
                },
                "step_seconds": {
                    "median": statistics.median(r["median"] for r in rounds),
                    "p90": statistics.median(r["p90"] for r in rounds),
                    "min": min(r["min"] for r in rounds),
                },
                "mien_ratio": statistics.median(ratios) if ratios else None,
                "rounds": rounds,
            }
        )
    return sorted(rows, key=lambda row: -row["images_per_second"]["median"])


def table(task, rows):
    """The rows as a Markdown table."""
    lines = [
        f"### {task}",
        "",
        "| contestant | mode | images/s, median (min-max) | step, median / p90 | mien relative |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        rate, step, ratio = row["images_per_second"], row["step_seconds"], row["mien_ratio"]
        times = "" if ratio is None or row["contestant"] == "mien" else f"{ratio:.2f}x"
        lines.append(
            f"| {row['contestant']} | {row['mode'] or ''} "
            f"| {rate['median']:.1f} ({rate['min']:.1f}-{rate['max']:.1f}) "
            f"| {step['median'] * 1e3:.3f} / {step['p90'] * 1e3:.3f} ms | {times} |"
        )
    return "\n".join(lines) + "\n"


def peak(tasks):
    """The highest FMA rate that Mien measured, in operations per second."""
    rounds = [r for t in tasks for row in t["rows"] for r in row["rounds"]]
    return max((r["peak_flops"] for r in rounds if r.get("peak_flops")), default=None)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    root = HERE.parent
    parser.add_argument("--what", default="train,infer", help=", ".join(CONTESTS))
    parser.add_argument("--net", default="classic", help="classic, vgg")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--isa", choices=ISA_ENVIRONMENT, default="native")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--data", help="fer2013.csv: required for int8 and load")
    parser.add_argument("--model", help="model that mien runs instead of the network (int8)")
    parser.add_argument("--mien", default=str(root / "build/release/mien"))
    parser.add_argument("--python", default=sys.executable, help="Python of the peers")
    parser.add_argument("--peers", help="only these scripts, e.g. torch_train,ort_infer")
    parser.add_argument("--no-mien", action="store_true", help="measure only the peers")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for the results")
    parser.add_argument("--verbose", action="store_true", help="show the peers' messages")
    args = parser.parse_args()
    args.what, args.net = args.what.split(","), args.net.split(",")
    args.peers = args.peers and args.peers.split(",")
    for name in args.what:
        if name not in CONTESTS:
            parser.error(f"--what {name}: must be one of {', '.join(CONTESTS)}")
    for name in args.net:
        if name not in ("classic", "vgg"):
            parser.error(f"--net {name}: must be classic or vgg")
    if min(args.rounds, args.batch, args.threads) < 1 or args.seconds <= 0:
        parser.error("--rounds, --batch, --threads and --seconds must be above 0")
    if {"int8", "load"} & set(args.what) and not args.data:
        parser.error("int8 and load need --data fer2013.csv")
    if not args.no_mien and not os.access(args.mien, os.X_OK):
        parser.error(f"--mien {args.mien}: no such program; build it with `make`")
    args.hold = hold(args.isa)
    return args


def main():
    args = arguments()
    environment = os.environ | ISA_ENVIRONMENT[args.isa]
    tasks = []
    for what in args.what:
        for net in args.net if what != "load" else args.net[:1]:
            task = Task(what, net, args)
            rows = summary(compare(task, args, environment))
            tasks.append({"what": what, "net": net, "batch": task.batch, "rows": rows})
            print(table(task, rows), flush=True)
    record = {
        "schema": 1,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "isa": args.isa,
        "threads": args.threads,
        "rounds": args.rounds,
        "seconds": args.seconds,
        "peak_flops": peak(tasks),
        "tasks": tasks,
    }
    cpu = re.sub(r"[^a-z0-9]+", "-", record["machine"]["cpu"].lower()).strip("-")
    parts = [record["date"][:10], cpu, *args.what, *args.net, f"{args.threads}t"]
    parts += [args.isa] * (args.isa != "native")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / ("-".join(parts) + ".json")
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"{record['machine']['cpu']}, {args.threads} threads, written to {path}")


if __name__ == "__main__":
    main()
