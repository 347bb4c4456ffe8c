#!/usr/bin/env python3
"""A million rows that are streamed: million.py [ROWS]. Training and evaluation take memory for what
is known about a row, not for its image; what a training takes does not grow with its steps; stopped within
its epoch, it continues to the same weights; streamed or in memory, the metrics are the same. (An audit
compares every pair of images and keeps them all in memory: it is for fewer.)"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../faults"))
import world  # noqa: E402
from world import newest, ok  # noqa: E402

SIDE, FEW = 12, 10  # one of FEW rows is in the small set
rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1000000
BYTES = 100  # that a row may take, whose image has SIDE * SIDE * 4 in numbers
NETWORK = """layers:
  - flatten
  - dense: {units: 8, activation: relu}
  - dropout: {rate: 0.2}
  - dense: {units: classes, activation: softmax}
"""
folder = tempfile.mkdtemp(prefix="mien-million-")
os.chdir(folder)
environment = dict(os.environ, OMP_WAIT_POLICY="passive", XDG_CACHE_HOME=folder + "/cache")


def resident(pid):
    try:
        with open("/proc/%d/status" % pid) as file:
            return next((int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS")), 0)
    except OSError:
        return 0


def run(*arguments, until=None):
    """(status, peak of resident bytes, those in the middle of the time and after, stdout, stderr);
    SIGTERM as soon as until() is true."""
    with open("out", "w") as out, open("err", "w") as err:
        process = subprocess.Popen([world.MIEN, *arguments], stdout=out, stderr=err, env=environment)
        seen = []
        while process.poll() is None:
            seen.append(resident(process.pid))
            if until and until():
                process.send_signal(signal.SIGTERM)
                until = None
            time.sleep(0.05)
    half = [bytes_ for bytes_ in seen[len(seen) // 2:] if bytes_]
    return process.returncode, max(seen), half, open("out").read(), open("err").read()


def train(data, out, *more, until=None):
    return run("train", "--data", data, "-q", "--threads", "1", "--out", out, *settings, *more,
               until=until)


settings = []
for key in ("model.file=net.yaml", "data.memory=stream", "train.epochs=1", "train.batch_size=256",
            "input.height=%d" % SIDE, "input.width=%d" % SIDE, "checkpoint.every_steps=%d" % max(10, rows // 256 // 10)):
    settings += ["--set", key]
try:
    world.write("net.yaml", NETWORK)
    subprocess.run(os.environ.get("CC", "gcc").split() + ["-O2", here + "/rows.c", "-o", "rows"],
                   check=True)
    for name, count in (("few.csv", rows // FEW), ("many.csv", rows)):
        with open(name, "wb") as file:
            subprocess.run(["./rows", str(count), str(SIDE)], stdout=file, check=True)
    more = BYTES * (rows - rows // FEW) + (8 << 20)

    status, small, _, _, err = train("few.csv", "small")
    ok("a training of %d rows" % (rows // FEW), status == 0, err)
    began = time.time()
    status, peak, half, _, err = train("many.csv", "whole")
    whole = newest("whole")
    said = "%.0f MB, %d rows %.0f MB" % (peak / 1e6, rows // FEW, small / 1e6)
    print("# training: %d rows %s, in %.0f s" % (rows, said, time.time() - began))
    ok("a training of %d rows" % rows, status == 0 and whole and whole[1], err)
    ok("its memory is at most %d bytes a row" % BYTES, peak - small < more, said)
    grown = max(half) - half[0]
    ok("its memory does not grow with its steps", grown < 8 << 20, grown)
    status, _, _, _, err = train("many.csv", "stopped", until=lambda: newest("stopped"))
    found = newest("stopped")
    ok("stopped within its epoch", status == 75 and found and 0 < found[0] < whole[0], status, found,
       err)
    status, _, _, _, err = run("train", "--resume", "stopped", "-q", "--threads", "1")
    ok("and continued to the same weights", status == 0 and newest("stopped")[1:] == whole[1:], status,
       newest("stopped"), whole, err)

    answers = {}
    for memory in ("stream", "resident"):
        took = {}
        for name in ("few.csv", "many.csv"):
            status, took[name], _, out, err = run("evaluate", "--model", "whole", "--data", name, "--json",
                                                  "--memory", memory, "--threads", "1")
            ok("evaluate %s --memory %s" % (name, memory), status == 0, err)
            answers[name, memory] = [line for line in out.splitlines() if "second" not in line]
        if memory == "stream":
            ok("its memory is at most %d bytes a row" % BYTES, took["many.csv"] - took["few.csv"] < more,
               took)
    ok("streamed or in memory: the same metrics",
       answers["many.csv", "stream"] == answers["many.csv", "resident"])
finally:
    os.chdir("/")
    shutil.rmtree(folder)
world.finish()
