"""Prints, for each frame of videos: clip, width, height, time from the first frame, mean gray, red, green, blue."""
import subprocess
import sys

import av
import numpy as np


def times(path):
    with av.open(path) as container:
        stream = container.streams.video[0]
        found = [(frame.pts * frame.time_base, frame.width, frame.height) for frame in container.decode(stream)]
    return [(float(t - found[0][0]), w, h) for t, w, h in found]


def pixels(path, form, sizes, channels):
    """Frames of ffmpeg's command line as they are stored; -autoscale 0 keeps a size that changes."""
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-noautorotate", "-i", path, "-vsync", "passthrough", "-autoscale", "0", "-sws_flags",
         "bilinear+accurate_rnd+full_chroma_int", "-pix_fmt", form, "-f", "rawvideo", "-"],
        stdout=subprocess.PIPE, check=True)
    at = 0
    for w, h in sizes:
        yield np.frombuffer(done.stdout, np.uint8, w * h * channels, at).reshape(h, w, channels)
        at += w * h * channels
    assert at == len(done.stdout), (path, at, len(done.stdout))


for clip in sys.argv[1:]:
    seen = times(clip)
    sizes = [(w, h) for _, w, h in seen]
    gray = pixels(clip, "gray", sizes, 1)
    rgb = pixels(clip, "rgb24", sizes, 3)
    for (time, _, _), (w, h), g, c in zip(seen, sizes, gray, rgb):
        w, h = (h, w) if clip.startswith("rotated") else (w, h)
        print(clip, w, h, f"{time:.6f}", f"{g.mean():.2f}", *(f"{c[:, :, i].mean():.2f}" for i in range(3)))
