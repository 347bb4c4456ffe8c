"""Fine-tunes networks of keras.applications from `_notop` files: check_transfer.py MIEN [NETWORK...].

Keras writes files of random weights, as those of keras.applications are laid out. Mien trains a new head on a frozen base
for one epoch of random pictures. Keras then opens the result, whose probabilities must be those of Keras's own base with
that head, to 1e-5. Needs tf_keras. Run it in the root of the source tree.
Exits with 1 if one differs or is refused.
"""

import os
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tf_keras as keras

TOLERANCE = 1e-5
CLASSES = 3
APPS = keras.applications
NETWORKS = {  # name: class, side of the pictures, preprocessing
    "vgg16": (APPS.VGG16, 48, "caffe"),
    "vgg19": (APPS.VGG19, 48, "caffe"),
    "resnet50": (APPS.ResNet50, 48, "caffe"),
    "resnet50v2": (APPS.ResNet50V2, 50, "tf"),
    "mobilenet": (APPS.MobileNet, 48, "tf"),
    "mobilenet_v2": (APPS.MobileNetV2, 50, "tf"),
    "densenet121": (APPS.DenseNet121, 48, "torch"),
    "efficientnetb0": (APPS.EfficientNetB0, 50, "none"),
}


def base_of(make, side, rng):
    base = make(weights=None, include_top=False, input_shape=(side, side, 3))
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return base


def pictures(folder, side, rng):
    for part, count in (("train", 8), ("val", 2)):
        for k in range(CLASSES):
            os.makedirs(f"{folder}/{part}/class{k}")
            for i in range(count):
                pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
                with open(f"{folder}/{part}/class{k}/{i}.ppm", "wb") as out:
                    out.write(b"P6\n%d %d\n255\n" % (side, side) + pixels.tobytes())


def check(mien, name, folder):
    make, side, preprocess = NETWORKS[name]
    rng = np.random.default_rng(1)
    base = base_of(make, side, rng)
    base.save_weights(f"{folder}/notop.h5")
    pictures(f"{folder}/faces", side, rng)
    flags = ["model.freeze=base", "input.channels=3", f"input.height={side}", f"input.width={side}", "train.epochs=1",
             "train.batch_size=8"]
    command = [mien, "train", "-q", "--threads", "1", "--data", f"{folder}/faces", "--from", f"{folder}/notop.h5",
               "--architecture", name, "--out", f"{folder}/run"]
    if name != "efficientnetb0":  # which scales pixels itself
        command += ["--preprocess", preprocess]
    for flag in flags:
        command += ["--set", flag]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    model = keras.models.load_model(f"{folder}/run/best.h5", compile=False)
    scale = 255 if name == "efficientnetb0" else 1
    x = (rng.uniform(0, 1, (3, side, side, 3)) * scale).astype(np.float32)
    # a network that reads BGR is stored as one that reads RGB
    own = model.predict(x[..., ::-1] if preprocess == "caffe" else x, verbose=0)
    kernel, bias = model.layers[-1].get_weights()
    logits = base.predict(x, verbose=0).mean((1, 2)) @ kernel + bias
    expected = np.exp(logits - logits.max(1, keepdims=True))
    expected /= expected.sum(1, keepdims=True)
    gap = float(np.abs(own - expected).max())
    print(f"{name} at {side}x{side}: {gap:.2g}", flush=True)
    return None if gap <= TOLERANCE else "the probabilities differ"


def main():
    mien, names = sys.argv[1], sys.argv[2:] or list(NETWORKS)
    failed = False
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            problem = check(mien, name, folder)
        if problem:
            print(f"{name}: {problem}")
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
