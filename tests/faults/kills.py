#!/usr/bin/env python3
"""kill -9 of a training, again and again, and on: kills.py [KILLS]. More than half of the kills are
inside a save, before a chosen write, fsync, rename, link or unlink; the others come at any moment.
Every save that was finished is there afterwards, the newest is whole, and the weights of the end
are those of a run that nobody killed."""
import os
import random
import shutil
import signal
import threading
import time

import world
from world import EVERY, checkpoint, log_lines, newest, ok

kills = world.size_of(100, 10000)
home = world.World(epochs=3)
train = ("train", "run.yaml", "--threads", "1", "-q", "--resume")
began = time.time()
status, _, err = home.run(*train, "whole")
took = time.time() - began
whole = newest("whole")
ok("a training that nobody kills", status == 0 and whole and whole[1], err)


def saved_step(lines):
    """The step of the newest save that was finished: the folder was synchronised after its rename."""
    step = done = 0
    for line in lines:
        word = line.split()
        if len(word) > 2 and word[1] == "rename" and "/step-" in word[2]:
            step = int(word[2].split("/step-")[1].split(".")[0])
        elif len(word) > 2 and word[1] == "close" and step:  # of the folder, after its fsync
            done = step
    return done


def is_save(lines):
    """Whether the last call of a log is within a save: no rename of `last` has ended it."""
    if not lines:
        return False
    word = lines[-1].split()
    return len(word) > 2 and word[1] in ("write", "fsync", "close", "rename", "link", "unlink", "open")


class Chain(threading.Thread):
    """One folder after another: killed a few times, then to the end."""

    def __init__(self, number, kills):
        super().__init__()
        self.folder, self.log = "run-%d" % number, "log-%d" % number
        self.dice = random.Random(number)
        self.left, self.inside, self.ended = kills, 0, 0
        self.faults = []

    def one(self):
        """Kills one training: whether it had not ended before."""
        before = newest(self.folder)
        if os.path.exists(self.log):
            os.remove(self.log)
        shim = {"kind": "save", "log": self.log}
        aimed = self.dice.random() < 0.6
        if aimed:
            shim.update(at=self.dice.randrange(1, 130), signal=int(signal.SIGKILL))
        process = home.start(*train, self.folder, shim=shim)
        if not aimed:
            time.sleep(self.dice.random() * took)
            process.kill()
        _, err = process.communicate()
        lines, after = log_lines(self.log), newest(self.folder)
        if process.returncode == 0:
            return False
        if process.returncode != -signal.SIGKILL:
            self.faults.append("status %s: %s" % (process.returncode, err))
        self.inside += aimed and is_save(lines)
        floor = max(before[0] if before else 0, saved_step(lines))
        if floor and (not after or after[0] < floor):
            self.faults.append("step %d was saved, and %s is left" % (floor, after))
        last = os.path.join(self.folder, "last.safetensors")
        if os.path.exists(last) and not checkpoint(last):
            self.faults.append("last.safetensors is not whole")
        return True

    def to_the_end(self):
        status, _, err = home.run(*train, self.folder)
        end = newest(self.folder)
        self.ended += 1
        if status != 0 or not end or end[1:] != whole[1:]:
            self.faults.append("the end is another: status %s, %s, %s" % (status, end, err))
        left = [name for name in os.listdir(self.folder) if name.startswith(".mien-")]
        if left:
            self.faults.append("left behind: %s" % left)
        shutil.rmtree(self.folder, True)

    def run(self):
        while self.left > 0:
            for _ in range(self.dice.randrange(1, 8)):
                if self.left > 0 and self.one():
                    self.left -= 1
            self.to_the_end()


jobs = 2
chains = [Chain(i, (kills + i) // jobs) for i in range(jobs)]
for chain in chains:
    chain.start()
for chain in chains:
    chain.join()
inside = sum(c.inside for c in chains)
faults = [fault for c in chains for fault in c.faults]
ok("%d kills, %d inside a save, %d trainings to the end in %.0f s: a save every %d steps, none lost, "
   "the same weights" % (kills, inside, sum(c.ended for c in chains), time.time() - began, EVERY),
   not faults, *faults)
ok("at least 30 % of the kills are inside a save", inside >= 0.3 * kills, inside)
world.finish()
