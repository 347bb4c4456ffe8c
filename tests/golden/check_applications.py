"""Compares the networks of configs/architectures, with random weights, with Keras: check_applications.py MIEN [NAME…]. Exits
with 1 above 1e-4 of the largest output. Needs the packages of make_architectures.py and Pillow."""
import json
import os
import subprocess
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import keras
import numpy as np
import tf_keras
from PIL import Image

sys.argv, arguments = sys.argv[:1] + ["."], sys.argv[1:]
from make_architectures import FAMILIES, NAMES


def randomise(model, rng):
    values = []
    for v, w in zip(model.get_weights(), model.weights):
        name = getattr(w, "path", w.name)
        if "variance" in name:
            values.append(rng.uniform(0.5, 1.5, v.shape))
        elif v.ndim >= 2:
            values.append(rng.normal(0, (1.5 / np.prod(v.shape[:-1])) ** 0.5, v.shape))
        elif "gamma" in name:
            values.append(rng.uniform(0.7, 1.3, v.shape))
        else:
            values.append(rng.normal(0, 0.1, v.shape) if v.dtype == np.float32 else v)
    model.set_weights(values)


def answer(model, x):
    """With the last layer scaled down until no class has it all, which would hide differences."""
    while True:
        y = np.asarray(model(x, training=False))[0]
        if y.max() < 0.5:
            return y
        dense = next(l for l in reversed(model.layers) if l.get_weights())
        dense.set_weights([v / 4 for v in dense.get_weights()])


def difference(mien, function, name, folder):
    rng = np.random.default_rng(5)
    k = keras if function.startswith(("MobileNetV3", "InceptionResNet")) else tf_keras
    more = {"input_shape": (224, 224, 3)} if function.startswith("MobileNetV3") else {}
    model = getattr(k.applications, function)(weights=None, **more)
    randomise(model, rng)
    shape = model.input_shape[1:]
    weights, picture = os.path.join(folder, "w.weights.h5"), os.path.join(folder, "x.png")
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(picture)
    wanted = answer(model, pixels[None].astype(np.float32) / np.float32(255))
    model.save_weights(weights)
    k.backend.clear_session()
    run = subprocess.run([mien, "predict", "--json", "--detector", "none", "--model", weights, "--architecture", name,
                          "--preprocess", "unit", "--classes", ",".join(f"c{i}" for i in range(len(wanted))), picture], capture_output=True, text=True)
    if run.returncode:
        return run.stderr.strip().split("\n")[-1]
    scores = json.loads(run.stdout)["faces"][0]["scores"]
    got = np.array([scores[f"c{i}"] for i in range(len(wanted))])
    return float(abs(got - wanted).max() / abs(wanted).max())


def main():
    mien, names = arguments[0], arguments[1:]
    bad = 0
    for function in [f for family in FAMILIES.values() for f in family]:
        name = NAMES.get(function, function.lower())
        if names and name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            seen = difference(mien, function, name, folder)
        print(f"{name:20} {seen}", flush=True)
        bad += not (isinstance(seen, float) and seen < 1e-4)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
