#!/usr/bin/env python3
"""Measures Mien and PyTorch in turn on the same GPU; called by bench.sh.

The most important measurements come first; those for which no time is left are listed in the
result as not run. Mien is a new process each time, PyTorch (bench/peers/torch_gpu.py) a server that
waits. Each round measures every contestant once, in alternating order; a ratio is the median over
the rounds.
"""

import argparse
import csv
import datetime
import json
import os
import select
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import compare  # its tables

#: Seconds for all compilations of PyTorch together.
COMPILE_SECONDS = 200
#: Accuracy of `classic` trained on the CPU, FER2013 PublicTest (docs/int8.md).
CPU_ACCURACY = 0.6473


class Clock:
    """The time budget, in seconds."""

    def __init__(self, budget):
        self.end = time.monotonic() + budget

    def left(self):
        return self.end - time.monotonic()


class Failed(Exception):
    """A measurement failed; the message says why."""


class Mien:
    """Mien: a new process each time."""

    def __init__(self, args, clock):
        self.args, self.clock = args, clock
        path = [os.environ.get("MIEN_LIBRARIES"), os.environ.get("LD_LIBRARY_PATH")]
        self.environment = os.environ | {"LD_LIBRARY_PATH": ":".join(p for p in path if p)}

    def run(self, words, limit=60, environment=None):
        """Runs mien and returns its stdout; raises Failed with the last line of stderr."""
        command = [self.args.mien, *map(str, words)]
        limit = max(1, min(limit, self.clock.left()))
        try:
            done = subprocess.run(
                command, env=self.environment | (environment or {}), timeout=limit,
                capture_output=True, text=True, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failed(f"stopped after {limit:.0f} s") from None
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise Failed(said[-1])
        return done.stdout

    def measure(self, what, net, batch, dtype, seconds):
        return self.bench(what, net, batch, dtype, seconds) | {"mode": "graph"}

    def bench(self, what, net, batch, dtype, seconds, environment=None):
        words = ["bench", what, net, "--device", "cuda", "--batch", batch, "--json"]
        words += ["--dtype", dtype, "--seconds", seconds]
        if self.args.fake:
            words[2:3] = ["sample", "--size", 16]
        return json.loads(self.run(words, environment=environment))


class Torch:
    """A server process of bench/peers/torch_gpu.py, started by the first request."""

    def __init__(self, args, clock):
        self.args, self.clock, self.process = args, clock, None
        self.never_started = None

    def start(self):
        if self.never_started:
            raise Failed(self.never_started)
        command = [sys.executable, str(HERE.parent / "peers" / "torch_gpu.py")]
        if self.args.fake:
            command += ["--device", "cpu", "--images", "200"]
        log = open(Path(self.args.work) / "torch.log", "a")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        log.close()
        if self.line(90) != "ready\n":
            self.stop()
            self.never_started = "PyTorch does not start: " + self.last_log_line()
            raise Failed(self.never_started)

    def last_log_line(self):
        lines = (Path(self.args.work) / "torch.log").read_text().strip().splitlines()
        return lines[-1] if lines else "no message"

    def line(self, limit):
        """The next line of its output, or None after `limit` seconds. Each request has one line of
        answer, so no further line can be in the buffer, where select would not see it."""
        limit = max(0, min(limit, self.clock.left()))
        if not select.select([self.process.stdout], [], [], limit)[0]:
            return None
        return self.process.stdout.readline()

    def ask(self, request, limit=60):
        if not self.process:
            self.start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.line(limit)
        except BrokenPipeError:
            line = ""
        if not line:
            self.stop()  # a hanging kernel or compiler would disturb the other measurements
            raise Failed(f"stopped after {limit:.0f} s" if line is None else self.last_log_line())
        result = json.loads(line)
        if "error" in result:
            raise Failed(result["error"])
        return result

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Peer:
    """A mode of PyTorch for one task."""

    def __init__(self, torch, request):
        self.torch, self.request = torch, request

    def prepare(self, limit):
        return self.torch.ask(self.request | {"seconds": 0}, limit)

    def measure(self, seconds):
        return self.torch.ask(self.request | {"seconds": seconds}, 30 + seconds)


class Bench:
    def __init__(self, args):
        self.args, self.clock = args, Clock(args.budget)
        self.mien = Mien(args, self.clock)
        self.torch = Torch(args, self.clock)  # one process for the modes eager and graph
        self.tasks, self.not_run, self.extra = [], [], {}
        self.compile_left = COMPILE_SECONDS

    def skip(self, what, why):
        self.not_run.append({"what": what, "why": why})
        print(f"not run: {what}: {why}", file=sys.stderr, flush=True)

    def prepared(self, request, modes):
        """Name → peer of the modes that work; each compiled mode has a separate process.
        The prefix "-" means without augmentation: an upper bound, not the same work."""
        peers, modes = {}, list(modes)
        for mode in modes:
            plain, mode = mode.startswith("-"), mode.lstrip("-")
            full = request | {"mode": mode, "augment": request["task"] == "train" and not plain}
            name = f"torch {mode}" + ", not augmented" * plain
            what = f"{request['task']} {request['net']} {request['batch']} {request['dtype']}: {name}"
            compiles = mode in ("compile", "trees")
            limit = self.compile_left if compiles else 45
            if self.clock.left() < min(limit, 60) + 20 or limit < 10:
                self.skip(what, "no time is left")
                continue
            torch = Torch(self.args, self.clock) if compiles else self.torch
            start = time.monotonic()
            try:
                answer = Peer(torch, full).prepare(limit)
                print(f"{what}: ready, {answer.get('setup_seconds', 0):.1f} s", file=sys.stderr)
                peers[name] = Peer(torch, full)
            except Failed as reason:
                self.skip(what, str(reason))
                if compiles:
                    torch.stop()
                if mode == "compile" and "stopped" not in str(reason):
                    modes.append("trees")  # the compiled step may not support capture as a whole
            if compiles:
                self.compile_left -= time.monotonic() - start
        return peers

    def contest(self, task, net, batch, dtype, modes):
        """Measures one task in rounds and adds its rows to the result."""
        label = f"{task} {net}, batch {batch}, {dtype}"
        if self.clock.left() < 25:
            self.skip(label, "no time is left")
            return
        if self.args.fake:  # too slow on the CPU emulation
            net, modes = "classic", [mode for mode in modes if mode != "compile"]
        request = {"task": task, "net": net, "batch": batch, "dtype": dtype}
        peers = self.prepared(request, modes)
        if modes == ["compile"] and not peers:
            return  # Mien alone was measured before
        contestants = {
            "mien": lambda s: self.mien.measure(task, net, batch, dtype, s),
            **{name: peer.measure for name, peer in peers.items()},
        }
        results = {name: [] for name in contestants}
        try:
            contestants["mien"](0.05)  # chooses and stores its engines
        except Failed as reason:
            self.skip(f"{label}: mien", str(reason))
            del contestants["mien"]
        for number in range(self.args.rounds):
            for name in list(contestants)[:: -1 if number % 2 else 1]:
                try:
                    results[name].append(contestants[name](self.args.seconds))
                except Failed as reason:
                    self.skip(f"{label}: {name}", str(reason))
                    del contestants[name]
        for name, peer in peers.items():
            if peer.torch is not self.torch:
                peer.torch.stop()
        # without contestants that failed: with fewer rounds their ratios would not match
        rows = compare.summary({k: v for k, v in results.items() if k in contestants and v})
        for row in rows:
            for result in row["rounds"][1:]:
                result.pop("layers", None)
        if rows:
            self.tasks.append({"what": label, "task": task, "net": net, "batch": batch,
                               "dtype": dtype, "rows": rows})  # fmt: skip
            print(compare.table(label, rows))
            for row in rows if batch == 1 else ():
                p50, p99 = (statistics.median(r[k] for r in row["rounds"]) for k in ("median", "p99"))
                name = row["contestant"]
                print(f"latency of {name}: p50 {p50 * 1e6:.1f} us, p99 {p99 * 1e6:.1f} us")
            print(flush=True)
            self.write()

    def attempt(self, what, need, work):
        """Runs another measurement if `need` seconds are left."""
        if self.clock.left() < need:
            self.skip(what, "no time is left")
            return
        try:
            self.extra[what] = work()
            print(f"{what}: {json.dumps(self.extra[what])}\n", flush=True)
            self.write()
        except Failed as reason:
            self.skip(what, str(reason))

    def launches(self):
        """The gain of CUDA graphs, and the host time of a step."""
        found = {}
        for name, graphs in (("graph", "1"), ("eager", "0")):
            result = self.mien.bench(
                "train", "classic", self.args.sizes[0], "bf16", self.args.seconds,
                {"MIEN_CUDA_GRAPHS": graphs},
            )  # fmt: skip
            keys = ("batch", "dtype", "median", "p99", "host_seconds")
            found[name] = {k: result[k] for k in keys if k in result}
        return found

    def augmentation(self):
        found = {}
        for batch in self.args.sizes:
            result = self.mien.measure("augment", "classic", batch, "auto", self.args.seconds)
            result.pop("layers", None)
            found[str(batch)] = {k: result[k] for k in ("median", "p90", "images_per_second")}
        return found

    def accuracy(self):
        """Time from process start to the CPU's accuracy on FER2013, including reading and engine
        choice; then again with the stored engines."""
        found = {"recipe": "fer2013-classic", "data": Path(self.args.data).name, "runs": []}
        for dtype in ("bf16", "tf32"):
            for cache in ("cold", "warm"):
                try:
                    run = self.fer2013(dtype)
                except Failed as reason:  # the other runs still count
                    run = {"failed": str(reason)}
                found["runs"].append(run | {"dtype": dtype, "engines": cache})
        return found

    def fer2013(self, dtype):
        folder = Path(self.args.work) / f"fer-{dtype}"
        words = ["train", "fer2013-classic", "--data", self.args.data, "--device", "cuda", "--force", "-q"]
        words += ["--out", folder, "--set", f"train.dtype={dtype}"]
        if self.args.fake:
            for setting in ("train.epochs=1", "train.batch_size=4", "model.file=sample"):
                words += ["--set", setting]
            words += ["--set", "input.height=16", "--set", "input.width=16"]
        own_cache = {"XDG_CACHE_HOME": f"{self.args.work}/cache-{dtype}"}
        start = time.time()
        self.mien.run(words, 120, own_cache)
        return run_record(folder, time.time() - start)

    def run(self):
        self.attempt("ceilings", 30, lambda: self.torch.ask({"task": "ceilings"}, 60))
        small, middle, large = self.args.sizes
        modes = ["eager", "graph"]
        self.contest("train", "classic", middle, "bf16", [*modes, "-graph"])
        self.contest("train", "vgg", middle, "bf16", modes)
        if self.args.data:
            self.attempt("fer2013", 60, self.accuracy)
        else:
            self.skip("fer2013", "carry/ has no FER2013")
        self.contest("infer", "classic", 1, "bf16", modes)
        self.contest("train", "classic", middle, "bf16", ["compile"])
        self.contest("train", "vgg", middle, "bf16", ["compile"])
        self.contest("train", "classic", small, "bf16", modes)
        self.contest("train", "classic", middle, "tf32", modes)
        self.contest("train", "vgg", middle, "tf32", modes)
        self.contest("infer", "classic", large, "bf16", modes)
        self.contest("infer", "classic", 1, "f32", modes)
        self.contest("train", "classic", large, "bf16", modes)
        self.attempt("launches", 20, self.launches)
        self.attempt("augment", 20, self.augmentation)
        self.contest("train", "classic", middle, "f32", modes)
        self.contest("train", "vgg", middle, "f32", modes)
        self.contest("train", "vgg", small, "bf16", modes)
        self.contest("infer", "classic", 1, "bf16", ["compile"])
        self.contest("infer", "vgg", middle, "bf16", modes)
        self.contest("infer", "classic", middle, "bf16", modes)
        self.contest("train", "classic", large, "tf32", modes)
        self.torch.stop()

    def write(self):
        """After every task, so that one that hangs loses nothing."""
        new = self.args.out.with_suffix(".new")
        new.write_text(json.dumps(self.record(), indent=1) + "\n")
        new.replace(self.args.out)

    def record(self):
        args = self.args
        return {
            "schema": 1,
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "commit": args.commit,
            "gpu": args.gpu,
            "driver": args.driver,
            "machine": compare.machine(),
            "rounds": args.rounds,
            "seconds": args.seconds,
            "tasks": self.tasks,
            **self.extra,
            "not_run": self.not_run,
        }


def run_record(folder, wall):
    """Time and accuracy of a run, and the first epoch that reached the CPU's accuracy.

    log.csv has no times, so all epochs are assumed to take equally long.
    """
    run = json.loads((folder / "run.json").read_text())
    with open(folder / "log.csv", newline="") as file:
        accuracy = [float(row["val_accuracy"]) for row in csv.DictReader(file)]
    reached = next((i + 1 for i, a in enumerate(accuracy) if a >= CPU_ACCURACY), None)
    before = max(0.0, wall - run["seconds"])
    return {
        "wall_seconds": wall,
        "train_seconds": run["seconds"],
        "images_per_second": run["images_per_second"],
        "best_accuracy": max(accuracy),
        "epochs": len(accuracy),
        "epoch_of_cpu_accuracy": reached,
        "seconds_to_cpu_accuracy": reached and before + run["seconds"] * reached / len(accuracy),
    }


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mien", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", required=True, help="folder for temporary files")
    parser.add_argument("--gpu", default="unknown")
    parser.add_argument("--driver", default="unknown")
    parser.add_argument("--commit", default="unknown")
    parser.add_argument("--budget", type=float, default=570)
    parser.add_argument("--data", help="FER2013, as a folder or a csv")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--fake", action="store_true", help="tiny sizes, to test this script")
    args = parser.parse_args()
    args.sizes = (2, 4, 8) if args.fake else (256, 1024, 4096)
    if args.fake:
        args.rounds, args.seconds = 2, min(args.seconds, 0.05)
    return args


def main():
    args = arguments()
    bench = Bench(args)
    try:
        bench.run()
    finally:  # keep the results after an interrupt
        bench.torch.stop()
        bench.write()
        for entry in bench.not_run:
            print(f"not run: {entry['what']}: {entry['why']}")


if __name__ == "__main__":
    main()
