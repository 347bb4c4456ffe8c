"""Compares the pixels and labels that Mien reads from an image folder with libjpeg-turbo in Python.

    mien evaluate --model best.h5 --data FOLDER --split all --json > metrics.json
    python3 tests/golden/check_folder.py FOLDER metrics.json

FOLDER is <part>/<class>/picture or <class>/picture, with gray pictures of the model's input size, so
that nothing is resized. Decodes every file with Pillow (libjpeg-turbo and libpng) in the order of the
names and compares the SHA-256 of all labels and pixels with that of the report. Exit status 1 if they
differ. Parts of the report's split are found by the folder's name.
"""

import hashlib
import json
import os
import sys

import numpy as np
from PIL import Image, features

PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".pgm", ".ppm")


def names_in(folder, want):
    """Sorted names of a folder's entries for which want(path) holds."""
    names = [n for n in os.listdir(folder) if not n.startswith(".")]
    return sorted((n for n in names if want(os.path.join(folder, n))), key=os.fsencode)


def main(arguments):
    root, report = arguments
    with open(report) as file:
        report = json.load(file)
    expected = report["fingerprint"]["sha256"]
    parts = [n for n in names_in(root, os.path.isdir) if n.lower() in PARTS] or ["."]
    classes = sorted({n for p in parts for n in names_in(os.path.join(root, p), os.path.isdir)}, key=os.fsencode)
    digest = hashlib.sha256()
    count = 0
    for part in parts:
        if report["split"] not in ("all", PARTS.get(part.lower())):
            continue
        for label, name in enumerate(classes):
            folder = os.path.join(root, part, name)
            for file in names_in(folder, lambda path: path.lower().endswith(SUFFIXES)):
                with Image.open(os.path.join(folder, file)) as image:
                    pixels = np.asarray(image.convert("L"))
                digest.update(label.to_bytes(2, "little") + pixels.tobytes())
                count += 1
    same = digest.hexdigest() == expected and count == report["n"]
    turbo = features.version_feature("libjpeg_turbo")
    print(f"Pillow with libjpeg-turbo {turbo}: {count} pictures, sha256 {digest.hexdigest()}")
    print(f"Mien:  {report['n']} pictures, sha256 {expected}: {'the same' if same else 'DIFFERENT'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
