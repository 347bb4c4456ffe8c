#!/usr/bin/env python3
"""Reads what Nsight Compute printed about a training step: time and DRAM bytes of each kernel.

    kernels.py ncu.csv [--cost cost.json] [--out kernels.json]

The csv is that of `ncu --csv --nvtx --print-units base` with the metrics of where.sh: a line per kernel
and metric. With --cost, an array of {pass, kernel, launches, bytes, flops, floor_seconds}, every row
also has what the kernel should need. The libraries' kernels have other names than the model's; what
is left over on both sides of a pass is therefore compared as one row. Called by where.sh.
"""

import argparse
import csv
import json
import re
import sys
from pathlib import Path

#: Metric -> (key, factor by unit). The base units are named differently by version.
METRICS = {
    "gpu__time_duration.sum": "seconds",
    "dram__bytes_read.sum": "bytes",
    "dram__bytes_write.sum": "bytes",
}
UNITS = {
    "ns": 1e-9, "nsecond": 1e-9, "us": 1e-6, "usecond": 1e-6, "ms": 1e-3, "msecond": 1e-3, "s": 1,
    "second": 1, "byte": 1, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9,
}  # fmt: skip
EMPTY = {"seconds": 0.0, "bytes": 0.0}
LIBRARY = "(library)"
#: Ranges of our own domain; the libraries may have domains of theirs.
RANGE = re.compile(r'"?\bmien:([^:"]*)')
#: The outer ranges say no more than that a step is running.
OUTER = ("step", "load", "epoch")


def base_name(kernel):
    """The function's name, without result, template arguments and parameters."""
    depth, name = 0, ""
    for letter in kernel.split("(anonymous namespace)::")[-1].removeprefix("void "):
        if letter == "(" and depth == 0:
            break
        depth += (letter == "<") - (letter == ">")
        if depth == 0 and letter != ">":
            name += letter
    return name.split("::")[-1].strip()


def pass_of(row):
    """The innermost range: "forward/conv2d", "adam"."""
    stack = " ".join(value for key, value in row.items() if key and "Push/Pop_Range" in key and value)
    names = RANGE.findall(stack)
    inner = [name for name in names if name not in OUTER]
    return (inner or names or [""])[-1]


def launches_of(lines):
    """[{pass, kernel, seconds, bytes}] in the order of the launches."""
    lines = [line for line in lines if line.startswith('"')]  # without what ncu and the program say
    launches = {}
    for row in csv.DictReader(lines):
        key = METRICS.get(row.get("Metric Name") or "")
        if not key:
            continue
        launch = launches.setdefault(
            int(row["ID"]),
            {"pass": pass_of(row), "kernel": base_name(row["Kernel Name"])} | EMPTY,
        )
        launch[key] += float(row["Metric Value"].replace(",", "")) * UNITS[row["Metric Unit"]]
    return [launches[number] for number in sorted(launches)]


def last_step(launches):
    """The launches of the last step that has its beginning and its end, which is the optimizer's."""
    ends = [
        i + 1
        for i, launch in enumerate(launches)
        if launch["pass"] == "adam" and (i + 1 == len(launches) or launches[i + 1]["pass"] != "adam")
    ]
    if len(ends) > 1 and ends[-1] == len(launches):
        whole = launches[ends[-2] : ends[-1]]
        if len(whole) < ends[-2] - (ends[-3] if len(ends) > 2 else 0):
            ends.pop()  # stopped within the optimizer's kernels
    if not ends:
        return launches, False
    return launches[ends[-2] if len(ends) > 1 else 0 : ends[-1]], True


def summed(rows, keys):
    """{(pass, kernel): {launches, sums of keys}}, in order."""
    found = {}
    for row in rows:
        empty = {"launches": 0} | dict.fromkeys(keys, 0.0)
        entry = found.setdefault((row["pass"], row["kernel"]), empty)
        entry["launches"] += row.get("launches", 1)
        for key in keys:
            entry[key] += row.get(key) or 0.0
    return found


def rows_of(launches, cost):
    """One row for each kernel of a pass, with "cost" if the model knows it; and the model's kernels that
    were not seen."""
    cost = [row | {"kernel": base_name(row["kernel"])} for row in cost]
    measured = summed(launches, ("seconds", "bytes"))
    model = summed(cost, ("bytes", "flops", "floor_seconds"))
    only_measured = [key for key in measured if key not in model]
    only_model = [key for key in model if key not in measured]
    for name in {p for p, _ in only_measured} & {p for p, _ in only_model}:
        for entries, keys in ((measured, only_measured), (model, only_model)):
            merge(entries, [key for key in keys if key[0] == name])
    rows = []
    for (name, kernel), entry in measured.items():
        row = {"pass": name, "kernel": kernel} | entry
        expected = model.pop((name, kernel), None)
        if expected:
            row["cost"] = expected
        rows.append(row)
    missing = [{"pass": key[0], "kernel": key[1], "cost": entry} for key, entry in model.items()]
    passes = list(dict.fromkeys(launch["pass"] for launch in launches))
    rows.sort(key=lambda row: passes.index(row["pass"]))
    for row in rows:
        add_ratio(row)
    return rows, missing


def merge(entries, keys):
    """Replaces some kernels of a pass by one row, which keeps their names."""
    target = {}
    for key in keys:
        for name, value in entries.pop(key).items():
            target[name] = target.get(name, 0) + value
    target["kernels"] = [kernel for _, kernel in keys]
    entries[keys[0][0], LIBRARY] = target


def add_ratio(row):
    if "cost" in row and row["cost"]["floor_seconds"]:
        row["times_floor"] = row["seconds"] / row["cost"]["floor_seconds"]


def table(rows, missing):
    head = f"{'pass':28} {'kernel':36} {'n':>3} {'us':>9} {'MB':>9} {'GB/s':>6}"
    has_cost = missing or any("cost" in row for row in rows)
    lines = [head + (f" {'floor us':>9} {'model MB':>9} {'x floor':>8}" if has_cost else "")]
    for row in [*rows, totals(rows, missing)]:
        speed = row["bytes"] / row["seconds"] / 1e9 if row["seconds"] else 0
        line = f"{row['pass'][:28]:28} {row['kernel'][:36]:36} {row['launches']:3d} "
        line += f"{row['seconds'] * 1e6:9.2f} {row['bytes'] / 1e6:9.2f} {speed:6.0f}"
        if "cost" in row:
            line += f" {row['cost']['floor_seconds'] * 1e6:9.2f} {row['cost']['bytes'] / 1e6:9.2f}"
            line += f" {row['times_floor']:8.2f}" if "times_floor" in row else ""
        lines.append(line)
        if "kernels" in row:
            lines += [f"{'':28}   {kernel}" for kernel in row["kernels"]]
    lines += [f"not seen: {row['pass']} {row['kernel']}" for row in missing]
    return lines


def totals(rows, missing):
    total = {"pass": "all", "kernel": ""}
    total |= {key: sum(row[key] for row in rows) for key in ("launches", "seconds", "bytes")}
    costs = [row["cost"] for row in [*rows, *missing] if "cost" in row]
    if costs:
        keys = ("launches", "bytes", "flops", "floor_seconds")
        total["cost"] = {key: sum(cost[key] for cost in costs) for key in keys}
    add_ratio(total)
    return total


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("csv", type=Path)
    parser.add_argument("--cost", type=Path, help="what each kernel should need")
    parser.add_argument("--out", type=Path, help="writes the rows as JSON")
    args = parser.parse_args()
    launches = launches_of(args.csv.read_text(errors="replace").splitlines(keepends=True))
    if not launches:
        sys.exit(f"{args.csv} has no kernel with the metrics {', '.join(METRICS)}")
    step, whole = last_step(launches)
    rows, missing = rows_of(step, json.loads(args.cost.read_text()) if args.cost else [])
    print("\n".join(table(rows, missing)))
    if not whole:
        print(f"no whole step was seen: these are all {len(step)} launches")
    if args.out:
        document = {"whole_step": whole, "rows": rows, "missing": missing, "total": totals(rows, missing)}
        args.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
