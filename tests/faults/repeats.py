#!/usr/bin/env python3
"""The same weights, whatever happens on the way: repeats.py [STEPS]. A training that is stopped
after each of its first steps and continued, one that is run again and again, and one of streamed
data by any number of threads that read it, all end with one hash."""
import os
import shutil

import world
from world import newest, ok

steps = world.size_of(20, 200)
home = world.World()
train = ("train", "run.yaml", "-q", "--threads", "1")
long = ("--set", "train.epochs=%d" % (steps // 7 + 2), "--set", "checkpoint.every_steps=1",
        "--set", "checkpoint.keep=2")
status, _, err = home.run(*train, *long, "--out", "whole")
whole = newest("whole")
ok("a training that is not stopped", status == 0 and whole and whole[0] > steps, err)


def stopped(step):
    """Stopped by a signal as its checkpoint of this step gets its name, and continued."""
    folder = "stop-%d" % step
    log = home.folder + "/log-%d" % step
    calls = {"kind": "save", "log": log}
    at = rename_of[step]
    status, _, err = home.run(*train, *long, "--out", folder, shim=dict(calls, at=at, signal=9))
    found = newest(folder)
    if not found or found[0] not in (step - 1, step):
        return "step %d: killed with %s: %s" % (step, found, err)
    status, _, err = home.run(*train, *long, "--resume", folder)
    if status != 0 or newest(folder)[1:] != whole[1:]:
        return "step %d: continued to %s: %s" % (step, newest(folder), err)
    shutil.rmtree(folder)
    return None


home.run(*train, *long, "--out", "logged", shim={"kind": "save", "log": "log"})
rename_of = {}
for line in world.log_lines("log"):
    word = line.split()
    if len(word) > 2 and word[1] == "rename" and "/step-" in word[2]:
        rename_of[int(word[2].split("/step-")[1].split(".")[0])] = int(word[0]) + 1
faults = [fault for fault in world.in_parallel(stopped, range(1, steps + 1)) if fault]
ok("continued after each of the first %d steps: one hash" % steps, not faults, *faults)


def again(number):
    folder = "again-%d" % number
    status, _, err = home.run(*train, *long, "--out", folder)
    end = newest(folder)
    shutil.rmtree(folder)
    return end if status == 0 else err


ends = set(world.in_parallel(again, range(max(5, steps // 4))))
ok("repeated %d times: one hash" % max(5, steps // 4), ends == {whole}, ends)


def streamed(cpus):
    """With one CPU, one thread reads ahead; with more, several."""
    folder = "streamed-%d" % len(cpus)
    status, _, err = home.run(*train, *long, "--set", "data.memory=stream", "--out", folder,
                              preexec_fn=lambda: os.sched_setaffinity(0, cpus))
    return newest(folder)[2] if status == 0 else err


here = os.sched_getaffinity(0)
ends = {streamed(cpus) for cpus in ({min(here)}, here)}
ok("streamed, read by one thread or several: one hash", ends == {whole[2]}, ends)
world.finish()
