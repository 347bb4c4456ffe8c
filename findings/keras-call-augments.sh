#!/usr/bin/env bash
# Keras 3.15.1 (TensorFlow 2.21): calling a model applies its random augmentation.
#
# Expected: model(x) infers, as it does for Dropout, so it equals model.predict(x).
# Seen: without an argument `training`, RandomFlip, RandomRotation and their relatives take it for training
#   (their own default is True), Dropout for inference: model(x) differs from call to call and from predict.
# Needs: python3 with venv. Fails if what is printed changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check keras==3.15.1 tensorflow-cpu==2.21.0
export TF_CPP_MIN_LOG_LEVEL=3 KERAS_BACKEND=tensorflow
cat >ask.py <<'P'
import keras
import numpy as np

L = keras.layers
x = np.arange(2 * 8 * 8, dtype="float32").reshape(2, 8, 8, 1)


def differs(layer):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((8, 8, 1)), layer])
    wanted = model.predict(x, verbose=0)
    return any(not np.array_equal(np.asarray(model(x)), wanted) for _ in range(8))


found = {"Dropout": differs(L.Dropout(0.5)), "GaussianNoise": differs(L.GaussianNoise(1.0)),
         "RandomFlip": differs(L.RandomFlip()), "RandomRotation": differs(L.RandomRotation(0.2))}
print("keras", keras.__version__)
print("expected: model(x) equals model.predict(x) for every layer")
print("seen: it differs for", [k for k, v in found.items() if v])
assert found == {"Dropout": False, "GaussianNoise": False, "RandomFlip": True, "RandomRotation": True}
P
venv/bin/python ask.py 2>/dev/null
