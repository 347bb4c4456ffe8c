"""Shared by all peers: arguments, the measuring loop, the choice of the fastest mode, the server.

A peer prepares itself, warms up and prints "ready". For each line "go SECONDS" on stdin it
measures that long and prints one line of JSON; it exits at the end of stdin. With --seconds it
measures once and exits. Between measurements it sleeps in a read: none of its threads may spin.
"""

import argparse
import ctypes
import gc
import json
import os
import sys
import time
from pathlib import Path

HEIGHT = WIDTH = 48
CLASSES = 7
#: Size of the resident data set: that of FER2013's Training part.
IMAGES = 28709
#: A pixel x becomes x * SCALE + SHIFT; FER2013 has a mean of 0.508 and a std of 0.255 (1 is white).
SCALE = 1 / 255 / 0.255
SHIFT = -0.508 / 0.255
#: Ranges of the augmentation, as `mien bench train` draws them (docs/config.md).
AUGMENT = dict(rotate=10.0, shift=0.1, zoom=0.1, brightness=0.2, contrast=0.2)

WARM_SECONDS = 1.0
TRIAL_SECONDS = 2.0


def arguments(doc, dtypes=("f32",), modes=()):
    """Parses a peer's command line; sets environment variables, which must precede its imports."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--net", choices=("classic", "vgg"), default="classic")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, help="measure once; without it, serve")
    parser.add_argument("--json", action="store_true", help="ignored: the output is always JSON")
    parser.add_argument("--dtype", choices=dtypes, default=dtypes[0])
    parser.add_argument("--data", help="fer2013.csv or .csv.gz; without it random pixels")
    parser.add_argument(
        "--mode", choices=("best", *modes), default="best", help="best: time all, keep the fastest"
    )
    args = parser.parse_args()
    if args.batch < 1 or args.threads < 1:
        parser.error("--batch and --threads must be at least 1")
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    keep_memory()
    # results have their own file: anything that libraries print to stdout goes to stderr
    args.results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return args


def keep_memory():
    """Makes glibc keep freed memory; otherwise page faults take up to a quarter of every step."""
    M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(M_TOP_PAD, 2**28)


def images(args, count=IMAGES):
    """uint8 [n,48,48,1] and int64 labels [n] from --data; random ones without it."""
    import numpy as np

    if args.data:
        import pandas as pd

        table = pd.read_csv(args.data, nrows=count)
        if len(table) < args.batch:
            raise SystemExit(f"{args.data} has {len(table)} images, but a batch needs {args.batch}")
        return pixels(table), table["emotion"].to_numpy(np.int64)
    random = np.random.default_rng(1)
    x = random.integers(0, 256, (count, HEIGHT, WIDTH, 1), dtype=np.uint8)
    return x, random.integers(0, CLASSES, count, dtype=np.int64)


def calibration_batches(args, count=512):
    """Real images in whole batches [k,batch,48,48,1]; random pixels would give useless ranges."""
    if not args.data:
        raise SystemExit("int8 needs real images for calibration: --data fer2013.csv")
    x = images(args, max(count, args.batch))[0]
    return x[: len(x) // args.batch * args.batch].reshape(-1, args.batch, *x.shape[1:])


def pixels(table):
    """uint8 [n,48,48,1] from the pixel strings of a fer2013 table, converted in one call."""
    import numpy as np

    flat = np.fromstring(" ".join(table["pixels"]), dtype=np.uint8, sep=" ")
    return flat.reshape(len(table), HEIGHT, WIDTH, 1)


def measure(step, seconds, drain=None):
    """Runs steps for about `seconds`: the wall time of each, and total wall and CPU time.

    drain waits until all steps have ended; the totals include it.
    """
    times = []
    clock = time.perf_counter
    cpu = time.process_time()
    start = last = clock()
    while last - start < seconds or not times:
        step()
        now = clock()
        times.append(now - last)
        last = now
    if drain:
        drain()
    return times, clock() - start, time.process_time() - cpu


def summary(times, total, cpu, batch, overlapping):
    """As in `mien bench`: images/s are those of the median step, or of the mean if steps overlap.

    cpu_seconds well below the sum of the steps means that the machine was shared.
    """
    ordered = sorted(times)
    n = len(ordered)
    return {
        "n": n,
        "median": ordered[n // 2],
        "min": ordered[0],
        "p90": ordered[min(n - 1, n * 9 // 10)],
        "p99": ordered[min(n - 1, n * 99 // 100)],
        "mean": total / n,
        "images_per_second": batch * (n / total if overlapping else 1 / ordered[n // 2]),
        "cpu_seconds": cpu,
    }


def fastest(makers):
    """The name, step and drain of the fastest mode; modes that fail on this machine are left out.

    makers: name -> function without arguments that returns a step or a pair (step, drain).
    """
    best = None
    for name, make in makers.items():
        try:
            made = make()
            step, drain = made if isinstance(made, tuple) else (made, None)
            step()  # compiles
            warm = min(measure(step, WARM_SECONDS, drain)[0])
            if len(makers) == 1:
                return name, step, drain
            if best and warm > 4 / best[0]:
                print(f"mode {name}: skipped, a step takes {warm:.3f} s", file=sys.stderr)
                continue
            times, total, _ = measure(step, TRIAL_SECONDS, drain)
        except Exception as error:  # a mode that this version lacks must not end the comparison
            first = (str(error).strip() or "?").splitlines()[0]
            print(f"mode {name}: {type(error).__name__}: {first}", file=sys.stderr)
            continue
        # the fastest step depends least on other load on the machine
        rate = len(times) / total if drain else 1 / min(times)
        print(f"mode {name}: {rate:.3f} steps/s", file=sys.stderr)
        if best is None or rate > best[0]:
            best = (rate, name, step, drain)
        made = step = drain = None
        gc.collect()
    if best is None:
        raise SystemExit("no mode of this peer works on this machine")
    return best[1:]


def serve(args, version, makers):
    """Runs the peer; its name in the results is that of the script."""
    if args.mode != "best":
        makers = {args.mode: makers[args.mode]}
    mode, step, drain = fastest(makers)
    facts = {
        "peer": Path(sys.argv[0]).stem,
        "version": version,
        "mode": mode,
        "net": args.net,
        "batch": args.batch,
        "threads": args.threads,
        "dtype": args.dtype,
    }

    def once(seconds):
        result = summary(*measure(step, seconds, drain), args.batch, drain is not None)
        print(json.dumps(facts | result), file=args.results, flush=True)

    if args.seconds:
        once(args.seconds)
        return
    print("ready", file=args.results, flush=True)
    for line in sys.stdin:
        word, seconds = line.split()
        if word != "go":
            raise SystemExit(f"expected 'go SECONDS', got {line!r}")
        once(float(seconds))
