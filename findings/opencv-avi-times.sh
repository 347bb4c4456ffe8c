#!/usr/bin/env bash
# OpenCV 5.0.0 (opencv-python-headless 5.0.0.93 from PyPI): times of an AVI with B-frames are one frame late, and
# the last frame's time is 0.
#
# Expected: CAP_PROP_POS_MSEC after each read of a 25 fps video is 0, 40, 80, ... 560, as of the same stream in an
#   mp4 (where OpenCV 4.6 gave the last two frames 0, and 5.0 is right).
# Seen: 40, 80, ... 560, 0 for the AVI.
# Needs: python3 with venv. Fails if what is printed changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check opencv-python-headless==5.0.0.93 imageio-ffmpeg==0.8.1
cat >ask.py <<'P'
import subprocess
import cv2
import imageio_ffmpeg

ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
subprocess.run(ffmpeg + "-f lavfi -i testsrc2=size=96x64:rate=25:duration=0.6 -c:v mpeg4 -bf 2 a.avi".split(), check=True)
subprocess.run(ffmpeg + "-fflags +genpts -i a.avi -c:v mpeg4 -bf 2 a.mp4".split(), check=True)
for name in ("a.mp4", "a.avi"):
    capture, times = cv2.VideoCapture(name), []
    while capture.read()[0]:
        times.append(round(capture.get(cv2.CAP_PROP_POS_MSEC)))
    print(name, *times)
P
cat >want <<'W'
a.mp4 0 40 80 120 160 200 240 280 320 360 400 440 480 520 560
a.avi 40 80 120 160 200 240 280 320 360 400 440 480 520 560 0
W
venv/bin/python ask.py | tee seen
diff want seen
