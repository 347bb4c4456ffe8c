"""Load a model file with the real Keras and compare its answers with recorded ones.

    check_h5.py model.h5 probes.safetensors [--legacy]

`probes.safetensors` holds inputs "x" and outputs "y" of the same model from another program.
Keras 3 loads the file (a .keras file works as well), or with --legacy Keras 2 by the package
tf_keras. Prints the largest absolute difference and how often the top class agrees; exits
with 1 if the difference is above 1e-5. Needs Keras, so it is not part of `make check`.
"""

import argparse
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from golden_io import load_safetensors

LIMIT = 1e-5


def load_model(path, legacy):
    """Load a model by Keras 3, or by Keras 2 if `legacy`."""
    if legacy:
        import tf_keras as keras
    else:
        import keras
    return keras.models.load_model(path, compile=False)


def main():
    """Run the comparison and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help=".h5 or .keras file")
    parser.add_argument("probes", help='safetensors file with "x" and "y"')
    parser.add_argument("--legacy", action="store_true", help="load by tf_keras (Keras 2)")
    arguments = parser.parse_args()

    probes, _ = load_safetensors(arguments.probes)
    expected = probes["y"]
    model = load_model(arguments.model, arguments.legacy)
    actual = np.asarray(model.predict(probes["x"], verbose=0))
    if actual.shape != expected.shape:
        print(f"shape: Keras gives {actual.shape}, probes hold {expected.shape}")
        return 1
    difference = np.max(np.abs(actual.astype(np.float64) - expected))
    agree = np.sum(actual.argmax(axis=-1) == expected.argmax(axis=-1))
    print(f"max abs difference {difference:.3e} (limit {LIMIT:.0e})")
    print(f"top-1 agreement {agree}/{expected[..., 0].size}")
    return 0 if difference <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
