#!/usr/bin/env python3
"""Power losses: power_loss.py [STATES]. The shim records everything that a training and its
continuation do to their folder. From the record, states are made that a disk may be in after a
power loss at any moment: of what was not synchronised, any part may be missing, whatever its order,
and single sectors of 512 bytes may be old. In each state every file is an old or the new one, and
the training is continued from at least the last checkpoint that was saved, to the same weights."""
import os
import random
import shutil
import time

import world
from world import checkpoint, newest, ok

SECTOR = 512
count = world.size_of(500, 5000)
home = world.World()
train = ("train", "run.yaml", "--threads", "1", "-q", "--resume")


class Disk:
    """Files as numbers and names, as far as they are synchronised and since."""

    def __init__(self):
        self.now, self.synced = {}, {}  # name: file
        self.changes = []  # of names since the folder was synchronised: {name: file or None}
        self.data, self.safe = {}, {}  # file: bytes now, and when it was synchronised
        self.writes = {}  # file: (offset, bytes) since then
        self.inodes, self.files = {}, 0

    def name(self, names):
        self.changes.append(names)
        for name, file in names.items():
            if file is None:
                self.now.pop(name, None)
            else:
                self.now[name] = file

    def apply(self, op, inode, offset, path, other, data):
        name, to = os.path.basename(path), os.path.basename(other)
        if op == "open":
            if name not in self.now:
                self.files += 1
                self.inodes[inode] = self.files
                self.data[self.files] = self.safe[self.files] = b""
                self.writes[self.files] = []
                self.name({name: self.files})
        elif op == "write":
            file = self.inodes[inode]
            old = self.data[file].ljust(offset, b"\0")
            self.data[file] = old[:offset] + data + old[offset + len(data):]
            self.writes[file].append((offset, data))
        elif op == "fsync" and inode in self.inodes and os.path.basename(path) in self.now:
            file = self.inodes[inode]
            self.safe[file], self.writes[file] = self.data[file], []
        elif op == "fsync":
            self.synced, self.changes = dict(self.now), []
        elif op == "rename":
            self.name({name: None, to: self.now[name]})
        elif op == "link":
            self.name({to: self.now[name]})
        elif op == "unlink" and name in self.now:
            self.name({name: None})

    def torn(self, file, dice):
        """What may be found in a file."""
        data = self.safe[file]
        how = dice.randrange(4)
        for offset, new in self.writes[file]:
            for at in range(0, len(new), SECTOR):
                part = new[at:at + SECTOR]
                if how == 0 or (how == 1 and dice.random() < 0.5) or \
                        (how == 2 and dice.random() < 0.1):
                    continue
                data = data.ljust(offset + at, b"\0")
                data = data[:offset + at] + part + data[offset + at + len(part):]
            if dice.random() < 0.3:  # the length is known to the disk before the bytes are
                data = data.ljust(offset + len(new), b"\0")
        return data

    def after_loss(self, dice):
        """{name: bytes} after a power loss now."""
        names = dict(self.synced)
        share = dice.choice((0, 0.5, 0.9, 1))
        for change in self.changes:
            if dice.random() < share:
                for name, file in change.items():
                    if file is None:
                        names.pop(name, None)
                    else:
                        names[name] = file
        torn = {file: self.torn(file, dice) for file in set(names.values())}
        return {name: torn[file] for name, file in names.items()}

    def saved_step(self):
        """The newest checkpoint that is surely on the disk."""
        steps = [int(name[5:].split(".")[0]) for name, file in self.synced.items()
                 if name.startswith("step-") and not self.writes[file]]
        return max(steps, default=0)


def read_record(path):
    ops = []
    with open(path, "rb") as file:
        while line := file.readline():
            op, inode, offset, size, path, other = line.decode().rstrip("\n").split("\t")
            data = file.read(int(size))
            where = path if op in ("open", "write", "fsync", "unlink", "rename", "link") else ""
            inside = os.path.basename(os.path.dirname(where)) == "run" or \
                (op == "fsync" and os.path.basename(where) == "run")
            if inside:
                ops.append((op, int(inode), int(offset), where, other, data))
    return ops


status, _, err = home.run(*train, "whole")
whole = newest("whole")
ok("a training without a power loss", status == 0 and whole and whole[1], err)
# a start that is killed, its continuation that is stopped, and the rest
for at, number in ((110, 9), (60, 15), (0, 0)):
    home.run(*train, "run", shim={"kind": "save", "record": "record", "at": at, "signal": number})
ops = read_record("record")
ok("a record of %d writes, synchronisations and changes of names" % len(ops),
   len(ops) > 150 and newest("run")[1:] == whole[1:], len(ops), newest("run"))

# what each file may hold: nothing but what was once renamed or linked to its name
versions, disk = {}, Disk()
for op in ops:
    disk.apply(*op)
    for name, file in disk.now.items():
        if not name.startswith("."):
            versions.setdefault(name, set()).add(disk.data[file])

dice = random.Random(5)
points = sorted(dice.randrange(1, len(ops) + 1) for _ in range(count))
states, disk, at = [], Disk(), 0
for number, point in enumerate(points):
    while at < point:
        disk.apply(*ops[at])
        at += 1
    states.append((number, point, disk.saved_step(), disk.after_loss(dice)))


def check(state):
    number, point, floor, files = state
    where = "after %d of %d operations (%s)" % (point, len(ops), ops[point - 1][0])
    folder = "state-%d" % number
    for name, data in files.items():
        if not name.startswith(".") and data not in versions[name]:
            return "%s: %s is neither old nor new" % (where, name)
    os.mkdir(folder)
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    found = newest(folder)
    if floor and (not found or found[0] < floor):
        return "%s: step %d was saved, and %s is left" % (where, floor, found)
    last = os.path.join(folder, "last.safetensors")
    if os.path.exists(last) and not checkpoint(last):
        return "%s: last.safetensors is not whole" % where
    status, _, err = home.run(*train, folder)
    if status != 0 or newest(folder)[1:] != whole[1:]:
        return "%s: continued to status %s, %s: %s" % (where, status, newest(folder), err)
    shutil.rmtree(folder)
    return None


began = time.time()
faults = [fault for fault in world.in_parallel(check, states) if fault]
ok("%d states after a power loss, each continued in %.0f s in all: every file old or new" %
   (len(states), time.time() - began), not faults, *faults)
world.finish()
