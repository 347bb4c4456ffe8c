"""Where and of what a measurement is: date, commit, machine; for the head of every file of results."""

import datetime
import os
import re
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


def machine():
    text = Path("/proc/cpuinfo").read_text()
    field = dict(re.findall(r"^(model name|flags)\s*: (.*)$", text, re.M))
    wanted = r"avx2|fma|f16c|avx_vnni|avx512f|avx512_(vnni|bf16|fp16)|amx_\w+"
    isa = [flag for flag in field.get("flags", "").split() if re.fullmatch(wanted, flag)]
    return {
        "cpu": field.get("model name", "unknown"),
        "cores": os.cpu_count(),
        "allowed_cores": sorted(os.sched_getaffinity(0)),
        "isa": isa,
    }


def commit():
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"


def head():
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "machine": machine(),
        "load": os.getloadavg()[0],
    }
