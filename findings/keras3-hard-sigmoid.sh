#!/usr/bin/env bash
# Keras 3.15.1 opens a model of Keras 2 (tf_keras 2.21) with hard_sigmoid and computes another function.
#
# Expected: the same outputs, or a message: Keras 2's is 0.2 x + 0.5, limited to 0 and 1, Keras 3's relu6(x + 3) / 6.
# Seen: the .h5 loads without a word and its outputs differ by up to 0.083.
# Needs: python3 with venv. Fails if what is printed changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check keras==3.15.1 tf_keras==2.21.0 tensorflow-cpu==2.21.0
export TF_CPP_MIN_LOG_LEVEL=3 KERAS_BACKEND=tensorflow
cat >ask.py <<'P'
import warnings

import keras
import numpy as np
import tf_keras

model = tf_keras.Sequential([tf_keras.layers.InputLayer((1,)), tf_keras.layers.Activation("hard_sigmoid")])
x = np.linspace(-4, 4, 801, dtype="float32")[:, None]
wanted = model.predict(x, verbose=0)
model.save("model.h5")
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    got = keras.models.load_model("model.h5", compile=False).predict(x, verbose=0)
worst = float(np.abs(got - wanted).max())
print("keras", keras.__version__, "tf_keras", tf_keras.__version__)
print("expected: equal outputs or a message")
print(f"seen: they differ by {worst:.3f};", len([w for w in said if "sigmoid" in str(w.message)]), "messages")
assert 0.08 < worst < 0.09 and not [w for w in said if "sigmoid" in str(w.message)]
P
venv/bin/python ask.py 2>/dev/null
