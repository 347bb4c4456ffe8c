#!/usr/bin/env python3
"""Every call of a kind fails in turn, once and for ever: calls.py io|memory [STRIDE] [CASE].
A command either ends as if nothing had failed, with the same answer and the same files, or with
status 1, a message, no leak, and its old files or whole new ones. A training is then continued to
the same weights. STRIDE: only every so many calls (1: all)."""
import os
import re
import shutil
import sys
import time

import world
from world import ERRORS, messages, newest, ok, unexpected

kind = sys.argv.pop(1)
only = sys.argv.pop() if len(sys.argv) > 2 else None
stride = world.size_of(23 if kind == "io" else 29, 1)
home = world.World()
ONE = ["--threads", "1"]
OLD = "old content\n"
HALVED = ("read", "pread", "write", "pwrite")


class Case:
    """A command, and the files that it writes in its folder."""

    def __init__(self, name, arguments, files=(), before=None, share=1):
        self.name, self.arguments, self.files = name, arguments + ONE, list(files)
        self.before, self.share = before, share


def at_home(name):
    return os.path.join(home.folder, name)


def prepare_world():
    portrait = os.path.join(world.HERE, "../cli/portrait.jpg")
    os.makedirs("photos/happy")
    os.makedirs("photos/sad")
    shutil.copy(portrait, "portrait.jpg")
    shutil.copy(portrait, "photos/happy/a.jpg")
    shutil.copy(portrait, "photos/sad/b.jpg")
    status, _, err = home.run("train", "run.yaml", "-q", "--out", "whole", *ONE)
    assert status == 0, err
    # of a network that gains from int8
    world.write("wide.yaml", world.NETWORK.replace("  - relu", "  - relu\n  - conv2d: {filters: 32, "
                "kernel_size: 3}\n  - relu\n  - conv2d: {filters: 32, kernel_size: 3}"))
    home.run("train", "run.yaml", "-q", "--out", "wide", "--set", "model.file=wide.yaml", *ONE)
    home.run("train", "run.yaml", "-q", "--out", "half", *ONE,
             shim={"kind": "save", "at": 75, "signal": 9})
    assert newest("half") and not newest("half")[1]


def cases():
    model, data = ["--model", at_home("whole")], ["--data", at_home("faces.csv")]
    return [
        Case("train", ["train", at_home("run.yaml"), "-q", "--out", "run"]),
        Case("resume", ["train", "-q", "--resume", "run"],
             before=lambda folder: shutil.copytree("half", folder + "/run")),
        Case("evaluate", ["evaluate", "--json", "--predictions", "p.csv", "--report", "report"] +
             model + data, ["p.csv", "report/report.html", "report/metrics.json"]),
        Case("predict-data", ["predict", "--json", "--csv", "c.csv"] + model + data, ["c.csv"]),
        Case("predict-photo", ["predict", at_home("portrait.jpg"), "--detector", "none", "--json",
                               "--csv", "c.csv", "--annotate", "drawn"] + model,
             ["c.csv", "drawn/portrait.png"]),
        Case("convert-onnx", ["convert", at_home("whole"), "out.onnx"], ["out.onnx"]),
        Case("convert-h5", ["convert", at_home("whole/last.safetensors"), "out.h5"], ["out.h5"]),
        Case("convert-int8", ["convert", at_home("wide"), "out.safetensors", "--calibrate",
                              at_home("faces.csv")], ["out.safetensors"]),
        Case("inspect", ["inspect", at_home("whole/last.safetensors"), "--json"]),
        Case("prepare", ["prepare", "--data", at_home("photos"), "--out", "crops", "--detector",
                         "none"] + model, ["crops/happy/a.png", "crops/sad/b.png"]),
        Case("preview", ["preview", at_home("run.yaml"), "--out", "p.png"], ["p.png"]),
        Case("tune", ["tune", at_home("tiny.yaml"), "--batch", "2"], share=8),
        Case("bench-load", ["bench", "load", "--rows", "50", "--seconds", "0.1", "--json"],
             share=4),
    ]


VOLATILE = re.compile(r'.*"?(seconds|images_per_second|rows_per_second|images a second|img/s|_ms|"?started|"?ended|'
                      r'date|version|median|memory|rows_s|ms\b).*')
CURVES = "There are no learning curves: "  # a report says why: the log cannot be read
LOOSE = ("tune", "bench-load")  # what they print is times


def steady(text):
    return [line for line in text.splitlines() if not VOLATILE.match(line)]


def content(path):
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    if path.endswith((".json", ".html")):
        return "\n".join(steady(data.decode(errors="replace")))
    return data


def run_state(folder):
    """What a run folder holds at its end, apart from times."""
    return [newest(folder)] + [content(os.path.join(folder, name))
                               for name in ("best.h5", "log.csv", "metrics.json")]


class Runner:
    def __init__(self, case):
        self.case, self.count, self.faults, self.said = case, 0, [], {}
        self.statuses = {}

    def once(self, number, shim):
        folder = at_home("%s-%d" % (self.case.name, number))
        os.makedirs(folder)
        if self.case.before:
            self.case.before(folder)
        for name in self.case.files if self.case.name != "prepare" else ():
            os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
            world.write(os.path.join(folder, name), OLD)
        log = folder + ".log"
        outcome = home.run(*self.case.arguments, cwd=folder, limit=30,
                           shim=dict(shim, kind=kind, log=log))
        lines = world.log_lines(log)
        if os.path.exists(log):
            os.remove(log)
        return folder, outcome, lines

    def reference(self):
        folder, (status, out, err), lines = self.once(0, {})
        assert status == 0, (self.case.name, err)
        self.out = steady(out)
        self.files = [content(os.path.join(folder, name)) for name in self.case.files]
        assert all(self.files), (self.case.name, self.case.files)
        self.live = [line for line in lines if line.startswith("live")]
        self.calls = [line for line in lines if line[:1].isdigit()]
        self.total = int([line for line in lines if line.startswith("calls")][0].split()[1])
        self.end = run_state(os.path.join(folder, "run")) if self.is_training() else None
        shutil.rmtree(folder)

    def is_training(self):
        return self.case.name in ("train", "resume")

    def check(self, number, n, shim):
        folder, (status, out, err), lines = self.once(number, shim)
        where = "%s: call %d (%s) %s" % (self.case.name, n, self.name_of(n), shim)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        why = self.judge(folder, status, out, err, lines)
        if not why and self.is_training():
            why = self.continues(folder, status)
        if why:
            self.faults.append("%s: %s; status %s: %s" % (where, why, status, err[-300:]))
        for line in messages(err):
            self.said.setdefault(re.sub(r"[\w.-]*\d+", "N", line), where)
        shutil.rmtree(folder, True)

    def name_of(self, n):
        return self.calls[n - 1].split(" ", 1)[1] if n <= len(self.calls) else kind

    def judge(self, folder, status, out, err, lines):
        now = [content(os.path.join(folder, name)) for name in self.case.files]
        old = None if self.case.name == "prepare" else OLD.encode()
        if unexpected(err):
            return "it says %s" % unexpected(err)[0]
        if status not in (0, 1):
            return "the status"
        if status == 0:
            if messages(err):
                return "a message of failure and status 0"
            if self.case.name not in LOOSE and steady(out) != self.out and not self.told(out, err):
                return "status 0 and another answer"
            for had, has, name in zip(self.files, now, self.case.files):
                if has != had and not self.told(out, err) and CURVES not in str(has):
                    return "status 0 and another %s" % name
            if self.is_training() and run_state(os.path.join(folder, "run")) != self.end:
                return "status 0 and another end"
        else:
            if not messages(err):
                return "no message"
            for had, has, name in zip(self.files, now, self.case.files):
                # predict keeps the table of what it has read so far
                kept = name == "c.csv" and has and had.startswith(has)
                if not kept and has not in (had, old, OLD.strip()):
                    return "%s is neither old nor new" % name
        live = [line for line in lines if line.startswith("live")]
        if kind == "memory" and live != self.live:
            return "a leak: %s, not %s" % (live, self.live)
        return None

    def told(self, out, err):
        """prepare skips what it cannot read, and counts it."""
        return self.case.name == "prepare" and ("unreadable" in out or "unreadable" in err)

    def continues(self, folder, status):
        """What a fault left is continued without one, to the same end."""
        if status == 0:
            return None
        status, _, err = home.run("train", at_home("run.yaml"), "-q", "--resume", "run", *ONE,
                                  cwd=folder)
        if status != 0:
            return "then it cannot be continued (%s: %s)" % (status, err)
        if run_state(os.path.join(folder, "run")) != self.end:
            return "then another end"
        return None

    def plan(self):
        """(number of the call, settings of the shim) of all faults to try."""
        plan = []
        for n in range(1, self.total + 1, 1):
            name = self.calls[n - 1].split()[1] if n <= len(self.calls) else kind
            if kind == "memory":
                plan += [(n, {"at": n}), (n, {"at": n, "ever": 1})]
                continue
            for word, number in ERRORS.items():
                if word != "short" or name in HALVED:
                    plan.append((n, {"at": n, "error": number}))
            plan.append((n, {"at": n, "error": ERRORS["ENOSPC"], "ever": 1}))
            plan.append((n, {"at": n, "error": ERRORS["EIO"], "ever": 1}))
        return plan[::stride * (self.case.share if stride > 1 else 1)]

    def run(self):
        began = time.time()
        self.reference()
        plan = self.plan()
        world.in_parallel(lambda item: self.check(item[0] + 1, *item[1]), list(enumerate(plan)))
        ok("%s: %d of %d calls' %s faults in %.0f s; statuses %s" %
           (self.case.name, len(plan), self.total, kind, time.time() - began, self.statuses),
           not self.faults, *self.faults)
        if os.environ.get("FAULTS_SAID"):
            for line, where in self.said.items():
                print("#   %s   <- %s" % (line, where))


prepare_world()
for case in cases():
    if not only or case.name == only:
        Runner(case).run()
world.finish()
