#!/usr/bin/env bash
# MoviePy 2.2.1 (with imageio-ffmpeg 0.8.1, which carries FFmpeg 9): videos of a phone held upright, which are
# stored lying with a rotation, are squeezed into landscape.
#
# Expected: a 96x64 video with a rotation of 90 degrees has frames of 64x96, as MoviePy's comment says
#   ("ffmpeg automatically rotates videos"; "ffmpeg 7 now use displaymatrix instead of rotate").
# Seen: rotation 0, size 96x64, and frames that are the upright picture scaled to 96x64: a face of a 1080x1920
#   video becomes 3.2 times as wide for its height. FFmpeg 9 prints "Display Matrix:" where FFmpeg 7 printed
#   "displaymatrix:", which MoviePy looks for.
# Needs: python3 with venv. Fails if what is printed changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check moviepy==2.2.1 imageio-ffmpeg==0.8.1 numpy==2.4.6
cat >ask.py <<'P'
import subprocess
import imageio_ffmpeg
import numpy as np
from moviepy import VideoFileClip

ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
print("FFmpeg", imageio_ffmpeg.get_ffmpeg_version().lstrip("n").split(".")[0])
subprocess.run(ffmpeg + "-f lavfi -i testsrc2=size=96x64:rate=25:duration=0.4 -c:v mpeg4 lying.mp4".split(), check=True)
subprocess.run(ffmpeg + "-display_rotation 90 -i lying.mp4 -c copy phone.mp4".split(), check=True)


def first(size):
    done = subprocess.run(ffmpeg + "-i phone.mp4 -frames:v 1".split() + size +
                          "-pix_fmt rgb24 -f rawvideo -".split(), stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, np.uint8)


clip = VideoFileClip("phone.mp4", audio=False)
frame = clip.get_frame(0)
print("MoviePy: rotation", clip.rotation, "size", "x".join(map(str, clip.size)), "frame", frame.shape)
print("equal to FFmpeg's upright picture:", frame.shape == (96, 64, 3) and bool((first([]).reshape(96, 64, 3) == frame).all()))
print("equal to that picture squeezed to 96x64:", bool((first(["-vf", "scale=96:64"]).reshape(64, 96, 3) == frame).all()))
P
cat >want <<'W'
FFmpeg 9
MoviePy: rotation 0 size 96x64 frame (64, 96, 3)
equal to FFmpeg's upright picture: False
equal to that picture squeezed to 96x64: True
W
venv/bin/python -W ignore ask.py | tee seen
diff want seen
