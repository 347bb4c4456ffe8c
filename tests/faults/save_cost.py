#!/usr/bin/env python3
"""What a checkpoint costs, beside writing and synchronising as many bytes: save_cost.py [FOLDER].
Prints the medians; FOLDER chooses the disk."""
import os
import shutil
import statistics
import sys
import time

where = sys.argv.pop() if len(sys.argv) > 1 else "/var/tmp"
import world  # noqa: E402 (takes its argument from sys.argv)

home = world.World()
folder = os.path.join(where, "mien-save-cost-%d" % os.getpid())
os.mkdir(folder)
try:
    common = ("train", "run.yaml", "-q", "--threads", "1", "--force", "--out", folder, "--set",
              "model.file=%s/classic.yaml" % os.path.join(world.HERE, "../../configs/models"),
              "--set", "train.epochs=6")

    def saves(every):
        """Seconds of a training with a checkpoint every so many steps (0: only at its end)."""
        began = time.time()
        status, _, err = home.run(*common, "--set", "checkpoint.every_steps=%d" % every)
        assert status == 0, err
        return time.time() - began

    steps = world.newest(folder) or (saves(0), world.newest(folder))[1]
    steps = steps[0]
    size = os.path.getsize(os.path.join(folder, "last.safetensors"))
    data = os.urandom(size)

    def plain():
        began = time.time()
        for i in range(steps):
            path = os.path.join(folder, "plain-%d" % (i % 2))
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.write(file, data)
            os.fsync(file)
            os.close(file)
        return time.time() - began

    # a disk's times change from minute to minute: only those of neighbours are compared
    costs, plains = [], []
    for _ in range(5):
        calm = saves(0)
        costs.append((saves(1) - calm) / steps)
        plains.append(plain() / steps)
    times = statistics.median(cost / least for cost, least in zip(costs, plains))
    print("%d checkpoints of %.1f MB: %.1f ms each; write and fsync of as many bytes: %.1f ms; "
          "%.2f times" % (steps, size / 1e6, statistics.median(costs) * 1e3,
                          statistics.median(plains) * 1e3, times))
finally:
    shutil.rmtree(folder)
