#!/usr/bin/env python3
"""Measures how Mien's speed depends on batch size, threads, image size and rows.

  bench/growth.py [--mien build/release/mien] [--seconds 2] [--rows 1000,10000,100000]

Varies one quantity at a time, prints tables and writes bench/results/<date>-<cpu>-growth.json.
Needs only the standard library.
"""

import argparse
import datetime
import json
import os
import re
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SIZES = (48, 64, 96, 128, 160, 224)


def measure(args, *words):
    command = [args.mien, "bench", *map(str, words), "--seconds", str(args.seconds), "--json"]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    result.pop("layers", None)
    return result


def curves(args):
    threads = [1]
    while threads[-1] * 2 <= os.cpu_count():
        threads.append(threads[-1] * 2)
    for mode in ("train", "infer"):
        yield f"{mode} classic, by batch", "batch", BATCHES, lambda n, m=mode: (m, "--batch", n)
    for mode in ("train", "infer"):
        for batch in (1, 64):
            yield (
                f"{mode} classic, batch {batch}, by threads",
                "threads",
                threads,
                lambda n, m=mode, b=batch: (m, "--batch", b, "--threads", n),
            )
    for mode in ("train", "infer"):
        yield (
            f"{mode} classic, batch 16, by side of the image",
            "side",
            SIZES,
            lambda n, m=mode: (m, "--batch", 16, "--size", n),
        )
    rows = [int(text) for text in args.rows.split(",")]
    yield "load csv, by rows", "rows", rows, lambda n: ("load", "--rows", n)


def line(quantity, value, result):
    words = [f"{value:>9}", f"{result['images_per_second']:>12,.1f}"]
    share = result.get("fraction_of_peak")
    words.append(f"{1e3 * result['median']:>12,.3f}")
    words.append(f"{100 * share:>7.0f} %" if share else " " * 9)
    words.append(f"{result['peak_memory'] / 1e6:>9,.0f}")
    return " ".join(words)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mien", default="build/release/mien")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rows", default="1000,10000,100000", help="rows of generated csv files")
    parser.add_argument("--out", default=str(HERE / "results"))
    args = parser.parse_args()
    document, machine = {"schema": 1, "curves": []}, "cpu"
    for title, quantity, values, words in curves(args):
        print(f"\n{title}\n{quantity:>9} {'images/s':>12} {'step, ms':>12} {'of peak':>9} {'MB':>9}")
        points = []
        for value in values:
            result = measure(args, *words(value))
            points.append({quantity: value, **result})
            machine = result.get("cpu") or machine
            print(line(quantity, value, result), flush=True)
        document["curves"].append({"title": title, "by": quantity, "points": points})
    name = re.sub(r"[^a-z0-9]+", "-", str(machine).lower()).strip("-")
    path = Path(args.out) / f"{datetime.date.today()}-{name}-growth.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    main()
