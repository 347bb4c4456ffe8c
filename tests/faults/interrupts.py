#!/usr/bin/env python3
"""Signals at any moment, closed pipes, full disks, no sandbox: interrupts.py [SIGNALS].
A training that is stopped ends within two seconds and a save, with status 75, and continues to the
same weights; other commands end with 130 and keep what they have written."""
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import world
from world import messages, newest, ok, skip

signals = world.size_of(60, 1000)
home = world.World(epochs=3)
STOPPED, INTERRUPTED = 75, 130
LIMIT = 2.0 * (3 if os.getloadavg()[0] > 2 * os.cpu_count() else 1)  # a busy machine is slower
ONE = ("--threads", "1")
train = ("train", "run.yaml", "-q", "--resume") + ("--threads", "1")
KINDS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)

began = time.time()
status, _, err = home.run(*train[:-3], "--out", "whole", *ONE)
took = time.time() - began
whole = newest("whole")
ok("a training without a signal", status == 0 and whole and whole[1], err)
rows = open("faces.csv").readlines()
world.write("many.csv", rows[0] + "".join(rows[1:]) * 40)
model, many = ("--model", "whole"), ("--data", "many.csv")
at_once = {}  # what each command prints and writes when nobody stops it


def stop(arguments, dice, shim_calls, duration):
    """Runs a command and sends a signal, at a call or after a time: (status, seconds from the
    signal to the end, stdout, stderr)."""
    number = dice.choice(KINDS)
    if dice.random() < 0.5:
        process = home.start(*arguments, shim={"kind": "io", "signal": int(number),
                                               "at": dice.randrange(1, shim_calls)})
        sent = time.time()
    else:
        process = home.start(*arguments)
        time.sleep(dice.random() * duration)
        process.send_signal(number)
        sent = time.time()
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        return "hangs", time.time() - sent, out, err
    return process.returncode, time.time() - sent, out, err


class Trainings(threading.Thread):
    def __init__(self, number, left):
        super().__init__()
        self.dice, self.folder = random.Random(number), "run-%d" % number
        self.left, self.faults, self.statuses, self.late = left, [], {}, 0.0

    def one(self):
        before = newest(self.folder)
        status, seconds, _, err = stop(train[:4] + (self.folder,) + ONE, self.dice, 900, took)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        after = newest(self.folder)
        self.late = max(self.late, seconds)
        if status == 0:
            return False
        early = isinstance(status, int) and status < 0 and after == before
        if status != STOPPED and not early:  # before the handlers are there, the signal itself ends
            self.faults.append("status %s: %s" % (status, err))
        if status == STOPPED and len(messages(err)) != 1:
            self.faults.append("not one message: %s" % err)
        if before and (not after or after < before):
            self.faults.append("%s became %s" % (before, after))
        return True

    def run(self):
        while self.left > 0:
            for _ in range(self.dice.randrange(1, 5)):
                if self.left > 0:
                    self.left -= 1
                    if not self.one():
                        break
            status, _, err = home.run(*train[:4], self.folder, *ONE)
            if status != 0 or newest(self.folder)[1:] != whole[1:]:
                self.faults.append("then status %s, %s: %s" % (status, newest(self.folder), err))
            shutil.rmtree(self.folder, True)


began = time.time()
runs = [Trainings(i, signals * 6 // 10 // 2) for i in range(2)]
for run in runs:
    run.start()
for run in runs:
    run.join()
faults = [fault for run in runs for fault in run.faults]
statuses = {s: sum(r.statuses.get(s, 0) for r in runs) for r in runs for s in r.statuses}
late = max(run.late for run in runs)
ok("%d signals in trainings in %.0f s: statuses %s" %
   (sum(statuses.values()), time.time() - began, statuses), not faults, *faults)
ok("each ends within two seconds and a save (longest: %.2f s)" % late, late < took + LIMIT, late)

# ---- other commands ----

os.makedirs("photos/happy")
for i in range(30):
    shutil.copy(os.path.join(world.HERE, "../cli/portrait.jpg"), "photos/happy/%d.jpg" % i)
COMMANDS = {
    "evaluate": (("evaluate", "--json") + model + many + ("--predictions", "p.csv"), "p.csv"),
    "predict": (("predict", "--json") + model + many + ("--csv", "c.csv"), "c.csv"),
    "photos": (("predict", "photos/happy", "--detector", "none", "--json", "--csv", "d.csv") +
               model, "d.csv"),
    "prepare": (("prepare", "--data", "photos", "--out", "crops", "--detector", "none", "--force") +
                model, None),
}
for name, (arguments, file) in COMMANDS.items():
    began, faults, statuses, late = time.time(), [], {}, 0
    status, out, err = home.run(*arguments, *ONE)
    duration = time.time() - began
    assert status == 0, err
    whole_out, whole_file = out, open(file).read() if file else ""
    dice = random.Random(name)
    for i in range(signals // 10):
        if file and os.path.exists(file):
            os.remove(file)
        status, seconds, out, err = stop(arguments + ONE, dice, 60, duration)
        statuses[status] = statuses.get(status, 0) + 1
        late = max(late, seconds - duration)
        kept = open(file).read() if file and os.path.exists(file) else ""
        if status not in (0, INTERRUPTED) and not (isinstance(status, int) and status < 0 and
                                                   not kept):
            faults.append("status %s: %s" % (status, err))
        if status == INTERRUPTED and len(messages(err)) != 1:
            faults.append("not one message: %s" % err)
        if name in ("predict", "photos"):
            if not whole_out.startswith(out) or (out and not out.endswith("\n")):
                faults.append("half a line: %s" % out[-100:])
            if not whole_file.startswith(kept) or kept.count("\n") < out.count("\n") - 0:
                faults.append("%d lines on stdout, %d in the table" %
                              (out.count("\n"), kept.count("\n")))
        elif kept and kept != whole_file:
            faults.append("half a table")
    ok("%s: %d signals, statuses %s, longest %.2f s" % (name, signals // 10, statuses, late),
       not faults and late < LIMIT, *(faults or [late]))

# ---- while data are read ----

for i in range(30, 300):
    os.link("photos/happy/0.jpg", "photos/happy/%d.jpg" % i)
os.symlink("happy", "photos/sad")
for name, arguments, what, want in (
        ("train", ("train", "run.yaml", "-q", "--set", "data.sources=[many.csv]", "--out"),
         "pread", STOPPED),
        ("a folder", ("train", "run.yaml", "-q", "--data", "photos", "--out"), "open", STOPPED),
        ("evaluate", ("evaluate",) + model + many, "pread", INTERRUPTED),
        ("predict", ("predict",) + model + many, "pread", INTERRUPTED)):
    def under(log, **shim):
        out = (log + "-run",) if arguments[-1] == "--out" else ()
        return home.run(*arguments, *out, *ONE, shim=dict(shim, kind="io", log=log))
    under(name + "-calm")
    calls = [line.split() for line in world.log_lines(name + "-calm") if line[0].isdigit()]
    reads = [int(call[0]) for call in calls if call[1] == what and
             ("many.csv" in call[2] or "/happy/" in call[2])]
    status, _, err = under(name + "-hit", at=reads[len(reads) // 2], signal=15)
    hit = [line for line in world.log_lines(name + "-hit") if line[0].isdigit()]
    more, left = len(hit) - reads[len(reads) // 2], len(calls) - reads[len(reads) // 2]
    ok("%s: a signal while data are read ends it after %d of %d more calls" % (name, more, left),
       status == want and more < 20 and len(messages(err)) == 1,
       status, more, left, err)

# ---- a reader that leaves ----

process = home.start("predict", *model, *many, "--csv", "c.csv", *ONE)
line = process.stdout.readline()
process.stdout.close()
began = time.time()
status = process.wait(30)
err = process.stderr.read()
ok("predict | head -1 ends (status %s)" % status,
   line and status in (-signal.SIGPIPE, 1) and time.time() - began < LIMIT + 3 and
   len(messages(err)) <= 1, status, err)



def without_reader(arguments, where):
    """Runs a command whose standard output or error is a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return home.run(*arguments, **{where: writer})
    finally:
        os.close(writer)


for arguments in (("evaluate", "--json") + model + many, ("predict", "--json") + model + many,
                  ("audit", "--data", "faces.csv"), ("runs", "."), ("inspect", "whole", "--json"),
                  ("devices",), ("tune", "tiny.yaml", "--batch", "2"), ("train", "--help"),
                  ("bench", "op", "tiny.yaml", "--seconds", "0.1", "--batch", "2", "--json")):
    began = time.time()
    status, _, err = without_reader(arguments, "stdout")
    ok("%s whose output nobody reads (status %s)" % (arguments[0], status),
       status in (-signal.SIGPIPE, 1) and len(messages(err)) <= 1 and not world.unexpected(err),
       status, err)
for where in ("stderr", "stdout"):
    status, _, err = without_reader(("train", "run.yaml", "--out", "mute-" + where) + ONE, where)
    ok("a training goes on where nobody reads its %s (status %s)" % (where, status),
       status == (0 if where == "stderr" else 1) and newest("mute-" + where) == whole, status,
       newest("mute-" + where), err)
    status, _, err = without_reader(("prepare", "--data", "photos", "--out", "mute-crops-" + where,
                                     "--detector", "none") + model + ONE, where)
    ok("so does prepare where nobody reads its %s (status %s)" % (where, status),
       status == (0 if where == "stderr" else 1) and
       len(os.listdir("mute-crops-%s/happy" % where)) == 300, status, err)
    status, _, err = without_reader(("sweep", "run.yaml", "--seeds", "2", "--out",
                                     "mute-grid-" + where) + ONE, where)
    runs = sorted(os.listdir("mute-grid-" + where)) if os.path.isdir("mute-grid-" + where) else []
    ends = [newest(os.path.join("mute-grid-" + where, run)) for run in runs]
    ok("so does a sweep where nobody reads its %s (status %s)" % (where, status),
       status == (0 if where == "stderr" else 1) and sum(bool(end and end[1]) for end in ends) == 2,
       status, runs, err)

# ---- a full disk ----

world.write("tune.yaml", world.NETWORK)
for arguments in (("tune", "tiny.yaml", "--batch", "2"), ("tune", "tiny.yaml", "--json"),
                  ("bench", "load", "--rows", "50", "--seconds", "0.1"),
                  ("bench", "op", "tiny.yaml", "--seconds", "0.1", "--batch", "2", "--json"),
                  ("predict",) + model + many, ("evaluate",) + model + many, ("devices",),
                  ("inspect", "whole", "--json"), ("train", "run.yaml", "--print-config")):
    with open("/dev/full", "w") as full:
        status, _, err = home.run(*arguments, stdout=full)
    ok("%s with its output on a full disk" % " ".join(arguments[:2]),
       status == 1 and "No space left on device" in err and len(messages(err)) == 1, status, err)
for flag in ("--csv",):
    status, _, err = home.run("predict", *model, *many, flag, "/dev/full")
    ok("predict %s on a full disk" % flag, status == 1 and "No space left" in err, status, err)
status, _, err = home.run("evaluate", *model, *many, "--predictions", "/dev/full")
ok("evaluate --predictions on a full disk", status == 1 and "No space left" in err, status, err)

# ---- a small disk ----

os.makedirs("disk", exist_ok=True)
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", "disk"],
                  stderr=subprocess.DEVNULL).returncode:
    skip("a disk of 1 MiB", "no tmpfs can be mounted")
else:
    try:
        faults, statuses = [], {}
        for left in range(0, 256, 16 if signals < 100 else 4):
            with open("disk/filler", "wb") as filler:
                filler.write(b"x" * ((1 << 20) - (left << 10)))
            status, _, err = home.run(*train[:4], "disk/run", *ONE)
            statuses[status] = statuses.get(status, 0) + 1
            if status == 0 and (newest("disk/run")[1:] != whole[1:] or
                                open("disk/run/best.h5", "rb").read() !=
                                open("whole/best.h5", "rb").read()):
                faults.append("%d KiB: status 0 without the end" % left)
            if status not in (0, 1) or (status == 1 and len(messages(err)) != 1):
                faults.append("%d KiB: status %s: %s" % (left, status, err))
            if status == 1 and "No space left" not in err:
                faults.append("%d KiB: another message: %s" % (left, err))
            os.remove("disk/filler")
            status, _, err = home.run(*train[:4], "disk/run", *ONE)
            if status != 0 or newest("disk/run")[1:] != whole[1:]:
                faults.append("%d KiB, then %s: %s" % (left, status, err))
            shutil.rmtree("disk/run", True)
        status, _, err = home.run("tune", "tiny.yaml", "--batch", "2", cwd="disk")
        ok("a disk of 1 MiB that gets full: statuses %s" % statuses,
           not faults and len(statuses) == 2, *(faults or [statuses]))
        with open("disk/filler", "wb", buffering=0) as filler:
            try:
                filler.write(b"x" * (1 << 21))
            except OSError:
                pass
        environment = dict(home.environment, XDG_CACHE_HOME=os.path.abspath("disk"))
        done = subprocess.run([world.MIEN, "tune", "tiny.yaml", "--batch", "2"], env=environment,
                              capture_output=True, text=True)
        ok("tune whose cache does not fit on the disk",
           done.returncode == 1 and "No space left" in done.stderr and
           len(messages(done.stderr)) == 1, done.returncode, done.stderr)
    finally:
        subprocess.run(["umount", "disk"])

# ---- no sandbox ----

subprocess.run(["gcc", "-O2", os.path.join(world.HERE, "no_seccomp.c"), "-o", "no_seccomp"],
               check=True)
if subprocess.run(["./no_seccomp", "/bin/true"]).returncode:
    skip("without a sandbox", "seccomp cannot be filtered here")
else:
    for arguments in (("inspect", "whole/best.h5"), ("train", "run.yaml", "-q", "--out", "bare"),
                      ("convert", "whole/last.safetensors", "out.h5"),
                      ("serve", "--model", "whole/last.safetensors", "--port", "0",
                       "--detector", "none")):
        done = subprocess.run(["./no_seccomp", world.MIEN, *arguments], env=home.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        ok("%s where no sandbox can be set up" % arguments[0],
           done.returncode == 1 and "sandbox" in done.stderr and len(messages(done.stderr)) == 1,
           done.returncode, done.stderr)

# a decoder that ends with the server's request unread, which resets their connection
if os.path.exists(os.path.join(world.BUILD, "mien-serve.so")):
    os.mkdir("late")
    for name in ("mien", "mien-serve.so"):
        shutil.copy(os.path.join(world.BUILD, name), "late")
    subprocess.run(["gcc", "-O2", "-I", os.path.join(world.HERE, "../.."),
                    os.path.join(world.HERE, "late_decoder.c"), "-o", "late/mien-decode"], check=True)
    subprocess.run(["gcc", "-O2", "-fPIC", "-shared", os.path.join(world.HERE, "slow_poll.c"), "-o",
                    "late/slow_poll.so", "-ldl"], check=True)
    done = subprocess.run(["late/mien", "serve", "--model", "whole/last.safetensors", "--port", "0",
                           "--detector", "none"], stdin=subprocess.DEVNULL,
                          env=dict(home.environment, LD_PRELOAD=os.path.abspath("late/slow_poll.so")),
                          capture_output=True, text=True, timeout=60)
    ok("serve says what its decoder said last", done.returncode == 1 and "sandbox" in done.stderr and
       len(messages(done.stderr)) == 1, done.returncode, done.stderr)
else:
    skip("serve says what its decoder said last", "there is no mien-serve.so")
world.finish()
