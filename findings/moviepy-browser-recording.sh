#!/usr/bin/env bash
# MoviePy 2.2.1 (with imageio-ffmpeg 0.8.1): a WebM as browsers record it cannot be opened.
#
# Expected: a WebM that was written to a stream, as MediaRecorder does, and therefore states no duration, opens;
#   FFmpeg, OpenCV and PyAV read all 20 frames.
# Seen: VideoFileClip raises OSError ("Error passing `ffmpeg -i` command output"), since it parses the words
#   "Duration: N/A".
# Needs: python3 with venv. Fails if what is printed changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check moviepy==2.2.1 imageio-ffmpeg==0.8.1 opencv-python-headless==5.0.0.93
cat >ask.py <<'P'
import subprocess
import cv2
import imageio_ffmpeg
from moviepy import VideoFileClip

command = "-v error -f lavfi -i testsrc2=size=96x64:rate=20:duration=1 -c:v libvpx -b:v 60k -f webm -"
done = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe()] + command.split(), stdout=subprocess.PIPE, check=True)
open("recorded.webm", "wb").write(done.stdout)
capture = cv2.VideoCapture("recorded.webm")
frames = 0
while capture.read()[0]:
    frames += 1
print("OpenCV reads", frames, "frames")
try:
    clip = VideoFileClip("recorded.webm")
    print("MoviePy opens it:", clip.duration, clip.fps)
except OSError as error:
    print("MoviePy: OSError,", str(error).split("\n")[0])
P
cat >want <<'W'
OpenCV reads 20 frames
MoviePy: OSError, Error passing `ffmpeg -i` command output:
W
venv/bin/python -W ignore ask.py | tee seen
diff want seen
