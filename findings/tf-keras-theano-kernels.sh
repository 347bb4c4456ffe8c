#!/usr/bin/env bash
# tf_keras 2.21 no longer rotates the kernels of models that Theano wrote.
#
# Expected: as in Keras 2.0 to 2.3, kernels of a file whose attribute `backend` is theano are rotated by 180
#   degrees on loading (Theano convolves, TensorFlow correlates), or the file is refused.
# Seen: it loads without a word, the kernels as they are, so the outputs are those of another network.
#   Keras 2.3.1 still has the step (keras/engine/saving.py, _need_convert_kernel).
# Needs: python3 with venv. Fails if what is printed changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check tf_keras==2.21.0 tensorflow-cpu==2.21.0 h5py==3.14.0
export TF_CPP_MIN_LOG_LEVEL=3 KERAS_BACKEND=tensorflow
cat >ask.py <<'P'
import h5py
import numpy as np
import tf_keras

L = tf_keras.layers
model = tf_keras.Sequential([L.InputLayer((8, 8, 1)), L.Conv2D(2, 3, name="conv"), L.Flatten(), L.Dense(3)])
x = np.random.default_rng(1).random((4, 8, 8, 1), dtype="float32")
wanted = model.predict(x, verbose=0)
model.save("model.h5")
with h5py.File("model.h5", "r+") as f:  # as a run with the backend Theano stores the same network
    kernel = next(v for k, v in f["model_weights/conv/conv"].items() if k.startswith("kernel"))
    kernel[...] = kernel[...][::-1, ::-1]
    for group in (f, f["model_weights"]):
        group.attrs["backend"] = np.bytes_("theano")
got = tf_keras.models.load_model("model.h5", compile=False).predict(x, verbose=0)
worst = float(np.abs(got - wanted).max())
print("tf_keras", tf_keras.__version__)
print("expected: equal outputs or a message")
print(f"seen: they differ by {worst:.2f}")
assert worst > 0.01
P
venv/bin/python ask.py 2>/dev/null
