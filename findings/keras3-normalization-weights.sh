#!/usr/bin/env bash
# Keras 3.15.1: new weights of a Normalization layer have no effect until the model is saved and loaded.
#
# Expected: after model.set_weights the layer uses the new mean and variance, as every other layer does.
# Seen: it computes with the statistics of before; the saved file holds the new ones, so the loaded model
#   gives other outputs than the model that was saved. layer.finalize_state() is needed, which set_weights
#   does not call.
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

model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Normalization()])
x = np.full((1, 4, 4, 1), 10.0, "float32")
model.set_weights([np.array([8.0], "float32"), np.array([4.0], "float32"), np.array(1, "int64")])
before = float(model.predict(x, verbose=0).max())
model.save("model.keras")
after = float(keras.models.load_model("model.keras").predict(x, verbose=0).max())
print("keras", keras.__version__)
print("expected: (10 - 8) / 2 = 1 before and after saving")
print("seen:", before, "before,", after, "after")
assert before == 10 and abs(after - 1) < 1e-6
P
venv/bin/python ask.py 2>/dev/null
