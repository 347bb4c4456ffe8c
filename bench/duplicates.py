"""Accuracy on FER2013 with and without the images that are also in its training part.

    mien evaluate --model M --data fer2013.csv --split val --predictions p.csv
    python3 bench/duplicates.py fer2013.csv p.csv

Prints n and accuracy of all predictions, of images that are not in Training, and of those that
are. Needs only the standard library and the plain csv.
"""

import csv
import hashlib
import sys


def digests(path):
    """The digest of each row's pixels, and the set of the digests of the training part."""
    rows, trained = [], set()
    with open(path, newline="") as file:
        reader = csv.reader(file)
        names = [name.strip() for name in next(reader)]
        pixels, usage = names.index("pixels"), names.index("Usage")
        for fields in reader:
            digest = hashlib.md5(" ".join(fields[pixels].split()).encode()).digest()
            rows.append(digest)
            if fields[usage] == "Training":
                trained.add(digest)
    return rows, trained


def main(data, predictions):
    rows, trained = digests(data)
    counts = {False: [0, 0], True: [0, 0]}
    with open(predictions, newline="") as file:
        for fields in csv.DictReader(file):
            group = counts[rows[int(fields["row"])] in trained]
            group[0] += 1
            group[1] += fields["label"] == fields["prediction"]
    total = [sum(c) for c in zip(*counts.values())]
    for name, (n, right) in (("all", total), ("no duplicates", counts[False]),
                             ("only duplicates", counts[True])):
        print(f"{name:15} n {n:5}  accuracy {right / n if n else float('nan'):.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
