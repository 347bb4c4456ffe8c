#!/usr/bin/env python3
"""Frames a second of `mien video` beside other programs, in turn:

    bench/video.py --peers PYTHON [--photo GROUP.jpg --window X,Y,WIDTH] [--rounds N] [--spin N]

Makes two clips of 640x480 and 20 seconds at 30 frames/s with ffmpeg from still photos that move and
zoom slowly: one face (datasets/photos/astronaut.png) and, with --photo, a part of a group photo. Each
round measures Mien (the whole process, its start included) and each peer (bench/peers/video_peers.py:
the package alone, without start and reading) one after the other. Also reports how many of the faces
that detection on every frame finds are reported at IoU >= 0.5. --spin N: beside N processes that only
spin. Writes bench/results/<date>-<cpu>-video.json with --write.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import machine

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FRAMES = 600
PEERS = ("fer", "deepface")


def clip(photo, x, y, width, path):
    """The window of `photo` around (x, y), moving and zooming."""
    move = (
        f"crop=w={width}:h={width}*3/4:x='{x}-{width}/2+{width}/14*sin(t*1.3)':"
        f"y='{y}-{width}*3/8+{width}/30*sin(t*0.9+1)',scale=640:480:flags=area,noise=alls=4:allf=t"
    )
    subprocess.run(
        ["ffmpeg", "-y", "-loglevel", "error", "-loop", "1", "-framerate", "30", "-i", photo]
        + ["-vf", move, "-frames:v", str(FRAMES), "-c:v", "libx264", "-preset", "fast"]
        + ["-crf", "20", "-pix_fmt", "yuv420p", path],
        check=True,
    )


def mien(path, *flags):
    begin = time.perf_counter()
    subprocess.run([f"{ROOT}/build/mien", "video", path, "-q", *flags], check=True, stdout=subprocess.DEVNULL)
    return FRAMES / (time.perf_counter() - begin)


def peer(python, name, path):
    run = subprocess.run(
        [python, f"{ROOT}/bench/peers/video_peers.py", name, path, "4"], capture_output=True, text=True
    )
    found = re.search(r"([0-9.]+) frames/s", run.stdout)
    if not found:
        sys.exit(f"{name} failed:\n{run.stderr[-800:]}")
    return float(found[1])


def overlap(a, b):
    left, top = max(a["x"], b["x"]), max(a["y"], b["y"])
    right, bottom = min(a["x"] + a["w"], b["x"] + b["w"]), min(a["y"] + a["h"], b["y"] + b["h"])
    both = max(0, right - left) * max(0, bottom - top)
    return both / (a["w"] * a["h"] + b["w"] * b["h"] - both)


def reported(path, folder):
    """Of the faces that are detected on each frame, the share that the defaults report."""
    faces = []
    for name, flags in (("each", ["--every", "1"]), ("defaults", [])):
        mien(path, "--jsonl", f"{folder}/{name}.jsonl", *flags)
        with open(f"{folder}/{name}.jsonl") as lines:
            faces.append([json.loads(line)["faces"] for line in lines])
    wanted = found = 0
    for each, default in zip(*faces):
        for face in (f for f in each if f["detected"]):
            wanted += 1
            found += any(overlap(face["box"], f["box"]) >= 0.5 for f in default)
    return found / wanted


def main():
    parse = argparse.ArgumentParser(usage=__doc__)
    parse.add_argument("--peers", required=True)
    parse.add_argument("--photo")
    parse.add_argument("--window", default="960,1050,700")
    parse.add_argument("--rounds", type=int, default=5)
    parse.add_argument("--spin", type=int, default=0)
    parse.add_argument("--write", action="store_true")
    args = parse.parse_args()
    spinners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(args.spin)]
    result = {**machine.head(), "rounds": args.rounds, "spinners": args.spin, "clips": {}}
    with tempfile.TemporaryDirectory() as folder:
        clips = {"one": f"{folder}/one.mp4"}
        clip(f"{ROOT}/datasets/photos/astronaut.png", 240, 180, 420, clips["one"])
        if args.photo:
            clips["group"] = f"{folder}/group.mp4"
            clip(args.photo, *map(int, args.window.split(",")), clips["group"])
        for name, path in clips.items():
            speeds = {"mien": [], **{p: [] for p in PEERS}}
            for _ in range(args.rounds):
                speeds["mien"].append(mien(path))
                for p in PEERS:
                    speeds[p].append(peer(args.peers, p, path))
            ratios = {p: [m / s for m, s in zip(speeds["mien"], speeds[p])] for p in PEERS}
            result["clips"][name] = {
                "frames_per_second": speeds,
                "ratio": {p: statistics.median(r) for p, r in ratios.items()},
                "reported": reported(path, folder),
            }
            for p, s in speeds.items():
                print(f"{name:6} {p:9} {statistics.median(s):7.1f} frames/s ({min(s):.1f} to {max(s):.1f})")
            print(f"{name:6} ratios " + ", ".join(f"{p} {statistics.median(r):.1f}" for p, r in ratios.items()))
            print(f"{name:6} {100 * result['clips'][name]['reported']:.1f} % of the detected faces reported")
    for s in spinners:
        s.kill()
    if args.write:
        cpu = "-".join(result["machine"]["cpu"].lower().split()[:2])
        spin = f"-{args.spin}-spinners" if args.spin else ""
        path = f"{ROOT}/bench/results/{result['date']}-{cpu}-video{spin}.json"
        with open(path, "w") as out:
            json.dump(result, out, indent=1)
        print(path)


main()
