"""What the fault tests share: a small world of data, models and runs, mien started under the shim
(shim.c) or without, an own reader of checkpoints (docs/checkpoint.md), and TAP."""
import atexit
import errno
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get("MIEN_BUILD", "build/release"))
MIEN = os.path.join(BUILD, "mien")
ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EINTR": errno.EINTR, "short": 0}
EVERY = 2  # steps between checkpoints

NETWORK = """layers:
  - conv2d: {filters: 2, kernel_size: 5, strides: 4}
  - batch_normalization
  - relu
  - max_pooling2d: {pool_size: 4}
  - flatten
  - dropout: {rate: 0.2}
  - dense: {units: classes, activation: softmax}
"""
RECIPE = """model: {file: tiny.yaml}
data: {sources: [faces.csv], split: {by: usage}}
optimizer: {ema: 0.9}
train: {epochs: %d, batch_size: 8}
checkpoint: {every_steps: %d}
"""

failed = False


def ok(name, good=True, *why):
    """One line of TAP; the reasons only when it is bad."""
    global failed
    print(("ok " if good else "not ok ") + name, flush=True)
    if not good:
        failed = True
        for line in list(why)[:12]:
            print("# " + str(line).replace("\n", " | ")[:400], flush=True)


def skip(name, why):
    print("ok %s # SKIP %s" % (name, why), flush=True)


def finish():
    sys.exit(1 if failed else 0)


def size_of(gate, full):
    """The first argument, a number, or that of the tier (MIEN_TIER)."""
    if len(sys.argv) > 1:
        return int(sys.argv[1])
    return full if os.environ.get("MIEN_TIER") == "all" else gate


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def faces(path, count, seed=7, parts=("Training",) * 6 + ("PublicTest",) * 2 + ("PrivateTest",) * 2):
    """Images of 48x48 in seven classes: a bright block over noise."""
    dice = random.Random(seed)
    with open(path, "w") as file:
        file.write("emotion,pixels,Usage\n")
        for i in range(count):
            k = i % 7
            pixels = [dice.randrange(60) + (150 if x // 8 == k % 6 and y // 24 == k // 6 else 20)
                      for y in range(48) for x in range(48)]
            file.write("%d,%s,%s\n" % (k, " ".join(map(str, pixels)), parts[i // 7 % len(parts)]))


class World:
    """A folder in memory where there is one, so that thousands of saves wear out no disk."""

    def __init__(self, epochs=2):
        shm = "/dev/shm"
        there = os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 256 << 20
        self.folder = tempfile.mkdtemp(prefix="mien-faults-", dir=shm if there else None)
        atexit.register(shutil.rmtree, self.folder, True)
        os.chdir(self.folder)
        self.shim = os.path.join(self.folder, "shim.so")
        compiler = os.environ.get("CC", "gcc").split()
        subprocess.run(compiler + ["-std=gnu11", "-O2", "-fno-builtin", "-fPIC", "-shared",
                                   os.path.join(HERE, "shim.c"), "-o", self.shim, "-ldl",
                                   "-lpthread"], check=True)
        write("tiny.yaml", NETWORK)
        write("run.yaml", RECIPE % (epochs, EVERY))
        faces("faces.csv", 84)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SHIM_")}
        self.environment.update(OMP_WAIT_POLICY="passive", XDG_CACHE_HOME=self.folder + "/cache")
        # the sanitizers' own allocator and the shim's exclude each other
        self.environment["ASAN_OPTIONS"] = "verify_asan_link_order=0"

    def start(self, *arguments, shim=None, cwd=None, **options):
        """Starts mien; `shim`: the settings of shim.c, without their prefix."""
        environment = dict(self.environment)
        if shim is not None:
            environment["LD_PRELOAD"] = self.shim
            environment.update({"SHIM_" + k.upper(): str(v) for k, v in shim.items()})
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([MIEN] + list(arguments), env=environment, cwd=cwd, text=True,
                                errors="replace", **options)

    def run(self, *arguments, shim=None, cwd=None, limit=60, **options):
        """Runs mien to its end: (status, what it printed, what it said on stderr)."""
        process = self.start(*arguments, shim=shim, cwd=cwd, **options)
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return "hangs", out, err
        return process.returncode, out, err


def messages(err):
    """The lines on stderr that are messages of failure; warnings, hints and notes are not."""
    return [line for line in err.splitlines() if line.startswith("mien: ")]


def unexpected(err):
    """What a program must never print."""
    marks = ("Sanitizer", "runtime error", "assert", "terminate called", "corrupted", "free():",
             "double free", "(null)")
    return [line for line in err.splitlines() if any(mark in line for mark in marks)]


def checkpoint(path):
    """(step, finished, SHA-256 of the tensors) of a checkpoint that is whole, else None."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    if len(data) < 8:
        return None
    header, = struct.unpack("<Q", data[:8])
    at = data.find(b'"sha256": "', 8, 8 + header)
    if header > len(data) - 8 or at < 0:
        return None
    at += len(b'"sha256": "')
    digest = hashlib.sha256(data[:at] + b"0" * 64 + data[at + 64:]).hexdigest()
    if digest.encode() != data[at:at + 64]:
        return None
    meta = json.loads(data[8:8 + header])["__metadata__"]
    return int(meta["step"]), meta["finished"] == "1", hashlib.sha256(data[8 + header:]).hexdigest()


def newest(folder):
    """The newest whole checkpoint of a run folder, else None."""
    found = [checkpoint(os.path.join(folder, name)) for name in os.listdir(folder)
             if name.startswith("step-") or name == "last.safetensors"] \
        if os.path.isdir(folder) else []
    return max((c for c in found if c), default=None)


def log_lines(path):
    try:
        with open(path, errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def in_parallel(work, items, jobs=None):
    """The results of work(item) for all items, in order, by a few threads."""
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        return list(pool.map(work, items))
