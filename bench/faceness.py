#!/usr/bin/env python3
"""Fits the weights by which `mien audit` tells images without a face (host/audit/faceness_weights.h).

    faceness.py fer2013.csv.gz fer2013new.csv [OUT.h]      needs numpy and scikit-learn

A logistic regression on the Training rows of FER2013; an image counts as "no face" if more than half of
its FER+ votes say so. Prints how many of these it finds at 1.5 % false alarms: on Training out of fold
(copies of an image in the same fold), and on PublicTest, which it has not seen.
"""
import csv
import gzip
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler


def read(faces, votes):
    opened = gzip.open(faces, "rt") if faces.endswith(".gz") else open(faces)
    with opened as f:
        rows = list(csv.reader(f))[1:]
    pixels = np.array([np.array(r[1].split(), np.uint8) for r in rows])
    with open(votes) as f:
        no_face = np.array([int(r[-1]) for r in list(csv.reader(f))[1:]]) > 5
    return pixels, np.array([r[2] == "Training" for r in rows]), no_face


def counts(values, n, weights=None):
    return np.stack([np.bincount(v, None if weights is None else weights[i], n) for i, v in enumerate(values)])


def features(pixels):
    """As describe() in host/audit/faceness.c."""
    n = len(pixels)
    image = pixels.reshape(-1, 48, 48).astype(np.int32)
    center = image[:, 1:-1, 1:-1]
    around = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    code = sum((image[:, 1 + y:47 + y, 1 + x:47 + x] >= center).astype(np.int32) << b for b, (y, x) in enumerate(around))
    uniform = [v for v in range(256) if bin(v ^ (v >> 1 | (v & 1) << 7)).count("1") <= 2]
    bins = np.full(256, 58)
    bins[uniform] = np.arange(len(uniform))
    gx = (image[:, 1:-1, 2:] - image[:, 1:-1, :-2]).astype(np.float32)
    gy = (image[:, 2:, 1:-1] - image[:, :-2, 1:-1]).astype(np.float32)
    magnitude = np.sqrt(gx * gx + gy * gy)
    direction = np.floor(np.arctan2(gy, gx) % np.float32(np.pi) / np.float32(np.pi) * 8).astype(int) % 8
    cell = np.arange(46) * 4 // 46
    place = (cell[:, None] * 4 + cell[None, :]) * 8 + direction
    edges = counts(place.reshape(n, -1), 128, magnitude.reshape(n, -1))
    gray = counts(pixels, 256) / 2304
    entropy = -(gray * np.log2(np.maximum(gray, 1e-9))).sum(1)
    return np.concatenate([
        np.sqrt(counts(bins[code].reshape(n, -1), 59) / 2116),
        np.sqrt(counts(np.digitize(magnitude, 2 ** np.arange(9)).reshape(n, -1), 10) / 2116),
        np.sqrt(gray.reshape(n, 16, 16).sum(2)),
        np.sqrt(edges / np.maximum(edges.sum(1, keepdims=True), 1)),
        entropy[:, None]], 1)


def fit(x, y):
    scale = StandardScaler().fit(x)
    model = LogisticRegression(C=C, class_weight="balanced", max_iter=500).fit(scale.transform(x), y)
    weights = model.coef_[0] / scale.scale_
    return weights, model.intercept_[0] - weights @ scale.mean_


def main(faces, votes, out=None):
    pixels, training, no_face = read(faces, votes)
    x = features(pixels)
    rows = np.flatnonzero(training)
    _, groups = np.unique(pixels[rows], axis=0, return_inverse=True)
    score = np.zeros(len(x))
    for a, b in StratifiedGroupKFold(5, shuffle=True, random_state=1).split(rows, no_face[rows], groups.ravel()):
        weights, bias = fit(x[rows[a]], no_face[rows[a]])
        score[rows[b]] = x[rows[b]] @ weights + bias
    limit = np.quantile(score[training & ~no_face], 1 - ALARMS)
    weights, bias = fit(x[training], no_face[training])
    score[~training] = x[~training] @ weights + bias
    print(f"C {C}: limit {limit:.4f}")
    for name, part in (("Training, out of fold", training), ("PublicTest", ~training)):
        print(f"  {name}: found {(score[part & no_face] > limit).sum()} of {(part & no_face).sum()}, "
              f"false alarms {(score[part & ~no_face] > limit).mean():.4f}")
    score = x @ weights + bias
    print(f"  all, as shipped: found {(score[no_face] > limit).sum()} of {no_face.sum()}, false alarms {(score[~no_face] > limit).mean():.4f}")
    if out:
        with open(out, "w") as f:
            f.write("/* Weights of faceness.c, made by bench/faceness.py from FER2013's Training rows and FER+'s votes. */\n"
                    "#ifndef HOST_AUDIT_FACENESS_WEIGHTS_H\n#define HOST_AUDIT_FACENESS_WEIGHTS_H\n\n"
                    f"static const float faceness_bias = {bias - limit:.6f}F; /* the limit is 0 */\n"
                    f"static const float faceness_weights[{len(weights)}] = {{\n"
                    + "\n".join(" ".join(f"{w:.5g}F," if "." in f"{w:.5g}" or "e" in f"{w:.5g}" else f"{w:.5g}.0F,"
                                         for w in weights[i:i + 8]) for i in range(0, len(weights), 8))
                    + "\n};\n\n#endif\n")


ALARMS = 0.015  # on Training, so that other data stay below 2 %
C = float(sys.argv.pop(1)[4:]) if sys.argv[1].startswith("--C=") else 0.0003
main(*sys.argv[1:])
