#!/usr/bin/env python3
"""Measures the Python package against C: `Model.predict` of a list of 64 arrays and mien_predictor_run of the same
pixels, in turns, and a pool of eight callers against one.

  MIEN_LIBRARY=build/release/libmien.so bench/python.py [--rounds 9] [--model models/fer2013-small.h5]

Needs a C compiler and NumPy; run `make` before.
"""
import argparse, os, statistics, subprocess, sys, tempfile, threading, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))
import numpy as np
import mien

# reads lines from stdin; for each, the seconds of a call go to stdout
C_PROGRAM = r"""
#include <mien/mien.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec; }
int main(int argc, char **argv) {
    mien_backend *backend; mien_model *model; mien_predictor *p;
    if (argc < 4 || mien_backend_open("cpu", &(mien_backend_options){.threads = atoi(argv[3])}, &backend) || mien_model_load(argv[1], &model) || mien_predictor_create(model, backend, 64, &p)) return 1;
    const size_t size = 64 * mien_shape_sample(mien_model_input(model));
    unsigned char *images = malloc(size);
    float *out = malloc(64 * sizeof *out * (size_t)mien_model_class_count(model));
    FILE *file = fopen(argv[2], "rb");
    if (fread(images, 1, size, file) != size) return 1;
    char line[8];
    while (fgets(line, sizeof line, stdin)) {
        const double start = now();
        if (mien_predictor_run(p, images, 64, out)) return 1;
        printf("%.9f\n", now() - start);
        fflush(stdout);
    }
    return 0;
}
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--model", default=str(ROOT / "models/fer2013-small.h5"))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    model = mien.Model(args.model, "cpu", threads=args.threads)
    h, w, c = model.input
    images = [a for a in np.random.default_rng(1).integers(0, 256, (64, h, w, c), np.uint8)]
    library = Path(mien.library_path()).resolve()
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "c.c").write_text(C_PROGRAM)
        (Path(work) / "pixels").write_bytes(np.stack(images).tobytes())
        subprocess.run([*os.environ.get("CC", "cc").split(), "-O2", f"-I{ROOT}/include", f"{work}/c.c", str(library),
                        f"-Wl,-rpath,{library.parent}", "-o", f"{work}/c"], check=True)
        peer = subprocess.Popen([f"{work}/c", args.model, f"{work}/pixels", str(args.threads)], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)

        def in_c():
            peer.stdin.write("\n")
            peer.stdin.flush()
            return float(peer.stdout.readline())

        def in_python():
            start = time.perf_counter()
            model.predict(images)
            return time.perf_counter() - start

        def turns(n):  # call by call, so that both meet the same machine
            pairs = [(in_c(), in_python()) for _ in range(n)]
            return [statistics.median(side) for side in zip(*pairs)]

        def callers(n, calls=64):
            threads = [threading.Thread(target=lambda: [model.predict(images) for _ in range(calls // n)]) for _ in range(n)]
            start = time.perf_counter()
            [t.start() for t in threads], [t.join() for t in threads]
            return calls * 64 / (time.perf_counter() - start)

        turns(5), callers(8)
        rows = [(*turns(40), callers(1), callers(8)) for _ in range(args.rounds)]
        peer.stdin.close()
        peer.wait()
    for c_time, py_time, one, eight in rows:
        print(f"C {1e3 * c_time:.3f} ms   Python {1e3 * py_time:.3f} ms   {py_time / c_time:.3f}x    "
              f"one caller {one:.0f} img/s   eight {eight:.0f} img/s   {eight / one:.2f}x")
    print(f"median: Python {statistics.median(r[1] / r[0] for r in rows):.3f}x of C, "
          f"eight callers {statistics.median(r[3] / r[2] for r in rows):.2f}x of one")


main()
