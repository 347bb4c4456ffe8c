"""Compares `mien evaluate --predictions` with the real Keras, starting from the pixels.

    mien evaluate --model best.h5 --data fer2013.csv --split val --predictions p.csv
    python3 tests/golden/check_evaluate.py best.h5 fer2013.csv p.csv

Reads the images of the csv, applies the preprocessing that the file's attribute `mien` describes, runs
keras.models.load_model(best.h5).predict and prints the largest difference of a probability and how
many predictions agree. Exit status 1 if a probability differs by more than 1e-5, or any prediction.
With --legacy tf_keras (Keras 2) is used instead of Keras 3.
"""

import csv
import gzip
import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import numpy as np


def read_predictions(path):
    """Row numbers of the csv's images, predicted class names, probabilities."""
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    names = rows[0][3:]
    index = np.array([int(r[0]) for r in rows[1:]])
    scores = np.array([[float(v) for v in r[3:]] for r in rows[1:]])
    return names, index, scores


def read_images(path, wanted):
    """Images of the wanted data rows as [n, h, w] bytes."""
    wanted = {int(row): at for at, row in enumerate(wanted)}
    images = [None] * len(wanted)
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", newline="") as file:
        reader = csv.reader(file)
        column = [name.strip() for name in next(reader)].index("pixels")
        for row, fields in enumerate(reader):
            if row in wanted:
                pixels = np.array(fields[column].split(), dtype=np.uint8)
                side = int(round(len(pixels) ** 0.5))
                images[wanted[row]] = pixels.reshape(side, side)
    return np.stack(images)


def main(arguments):
    legacy = "--legacy" in arguments
    model_path, data_path, predictions_path = [a for a in arguments if a != "--legacy"]
    if legacy:
        import tf_keras as keras
    else:
        import keras
    with h5py.File(model_path) as file:
        attribute = json.loads(file.attrs["mien"])
    names, index, ours = read_predictions(predictions_path)
    shape = attribute["input"]
    scale = float(shape["scale"][0])
    mean = np.array([float(v) for v in shape["mean"]])
    std = np.array([float(v) for v in shape["std"]])
    x = (read_images(data_path, index)[..., None] * scale - mean) / std
    theirs = keras.models.load_model(model_path, compile=False).predict(
        x.astype(np.float32), batch_size=128, verbose=0
    )
    # Mien divides the logits by the model's temperature, which Keras does not know
    theirs = theirs.astype(np.float64) ** (1 / float(attribute["temperature"]))
    theirs /= theirs.sum(axis=1, keepdims=True)
    difference = float(np.abs(theirs - ours).max())
    agree = int((theirs.argmax(1) == ours.argmax(1)).sum())
    print(f"{keras.__name__} {keras.__version__}: largest difference {difference:.2e}, "
          f"{agree} of {len(index)} answers agree, classes {', '.join(names)}")
    return 0 if difference <= 1e-5 and agree == len(index) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
