"""Make train_sgd, train_adam, train_bn and train_frozen.safetensors: short training runs by Keras 3's optimizers.

Networks start from float32 weights and read float32 batches; everything computed from them is
float64. There is no dropout and no augmentation. The loss is the categorical cross-entropy on
logits, averaged over the batch: the models' last layer says softmax, and training fuses it.

One number needs PyTorch: the script runs itself once more with `--free-run-f32` on Keras's
PyTorch backend to measure how far plain float32 drifts from float64.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import golden_keras as gk  # before keras: it picks the backend
from golden_io import f32, load_safetensors, save_safetensors, write_golden

import keras

SEED = 20240612
STEPS = 20
BATCH = 8
CLASSES = 5
SHAPE = (12, 12, 1)

# Some are numpy floats, because Keras rounds Python floats to float32 even for float64 variables.
SGD_RATE = 0.01
MOMENTUM = np.float64(0.9)
ADAM_RATE = 0.001
ADAMW_STEPS = 5
ADAMW_DECAY = np.float64(0.01)
BETAS = {"beta_1": np.float64(0.9), "beta_2": np.float64(0.999)}
BN_STEPS = 3
BN_RATE = 0.05


def classifier(filters1, filters2, units):
    """Layers of the small classifier."""
    return [
        ("conv2d", {"name": "c1", "filters": filters1, "kernel_size": 3, "activation": "relu"}),
        ("max_pooling2d", {"name": "p1", "pool_size": 2}),
        ("conv2d", {"name": "c2", "filters": filters2, "kernel_size": 3, "padding": "same",
                    "activation": "relu"}),
        ("flatten", {"name": "flat"}),
        ("dense", {"name": "d1", "units": units, "activation": "relu"}),
        ("dense", {"name": "d2", "units": CLASSES, "activation": "softmax"}),
    ]


SGD_LAYERS = classifier(8, 16, 24)
ADAM_LAYERS = classifier(4, 4, 8)  # small: the file holds twenty states
BN_LAYERS = [
    ("conv2d", {"name": "c1", "filters": 8, "kernel_size": 3, "padding": "same",
                "use_bias": False}),
    ("batch_normalization", {"name": "bn"}),
    ("activation", {"name": "relu", "activation": "relu"}),
    ("conv2d", {"name": "shortcut", "inputs": [gk.INPUT], "filters": 8, "kernel_size": 1}),
    ("add", {"name": "sum", "inputs": ["relu", "shortcut"]}),
    ("global_average_pooling2d", {"name": "gap"}),
    ("dense", {"name": "d1", "units": CLASSES, "activation": "softmax"}),
]


# Fine-tuning: the base is frozen, and its batch normalization uses the running statistics.
FROZEN_LAYERS = [
    ("conv2d", {"name": "c1", "filters": 8, "kernel_size": 3, "trainable": False}),
    ("batch_normalization", {"name": "bn", "trainable": False}),
    ("activation", {"name": "relu", "activation": "relu"}),
    ("max_pooling2d", {"name": "p1", "pool_size": 2}),
    ("conv2d", {"name": "c2", "filters": 8, "kernel_size": 3, "activation": "relu"}),
    ("batch_normalization", {"name": "bn2", "trainable": False}),
    ("global_average_pooling2d", {"name": "gap"}),
    ("dense", {"name": "d1", "units": CLASSES, "activation": "softmax"}),
]


class Training:
    """A model on logits with an optimizer, and the batches it reads."""

    def __init__(self, layers, optimizer, x, labels):
        kind, keys = layers[-1]
        logits = (kind, {**keys, "activation": "linear"})
        self.model = gk.make_model(SHAPE, [*layers[:-1], logits])
        self.optimizer = optimizer
        self.weights = gk.trainable(self.model)
        self.optimizer.build(list(self.weights.values()))
        self.x = x.astype(keras.backend.floatx())
        self.targets = np.eye(CLASSES, dtype=keras.backend.floatx())[labels]

    def step(self, index):
        """Train on one batch and return the loss before the update."""

        def loss():
            logits = self.model(self.x[index], training=True)
            losses = keras.losses.categorical_crossentropy(
                self.targets[index], logits, from_logits=True)
            return keras.ops.mean(losses)

        variables = list(self.weights.values())
        value, gradients = gk.value_and_gradients(loss, variables)
        self.optimizer.apply(gradients, variables)
        return float(gk.array_of(value))

    def run(self, start, steps):
        """Train from the weights `start`; return the losses and the weights after."""
        gk.assign(gk.variables(self.model), start)
        losses = [self.step(index) for index in range(steps)]
        return np.array(losses), gk.read(gk.variables(self.model))


def adam(kind=keras.optimizers.Adam, **keys):
    """Make an Adam with Keras's default constants."""
    return kind(ADAM_RATE, epsilon=1e-7, **BETAS, **keys)


def adamw():
    """Make an AdamW that decays kernels and leaves biases alone."""
    optimizer = adam(keras.optimizers.AdamW, weight_decay=ADAMW_DECAY)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def make_batches(rng, steps):
    """Draw `steps` batches of random images and labels."""
    x = f32(rng.standard_normal((steps, BATCH, *SHAPE)))
    return x, rng.integers(0, CLASSES, (steps, BATCH), dtype=np.int64)


def make_start(layers, rng):
    """Draw the first weights of a model."""
    return gk.glorot_weights(gk.make_model(SHAPE, layers), rng)


def make_sgd():
    """Write train_sgd.safetensors."""
    rng = np.random.default_rng([SEED, 1])
    x, labels = make_batches(rng, STEPS)
    start = make_start(SGD_LAYERS, rng)
    plain = keras.optimizers.SGD(SGD_RATE)
    nesterov = keras.optimizers.SGD(SGD_RATE, momentum=MOMENTUM, nesterov=True)
    losses, after = Training(SGD_LAYERS, plain, x, labels).run(start, STEPS)
    nesterov_losses, nesterov_after = Training(SGD_LAYERS, nesterov, x, labels).run(start, STEPS)
    tensors = {"x": x, "labels": labels, "losses": losses, "nesterov_losses": nesterov_losses}
    tensors |= gk.prefixed("w0", start)
    tensors |= gk.prefixed(f"w{STEPS}", after)
    tensors |= gk.prefixed(f"nesterov{STEPS}", nesterov_after)
    metadata = gk.model_metadata(SHAPE, SGD_LAYERS)
    metadata |= {"learning_rate": str(SGD_RATE), "momentum": str(MOMENTUM)}
    write_golden("train_sgd.safetensors", tensors, metadata)


def adam_inputs():
    """Draw the batches and the first weights of the Adam runs."""
    rng = np.random.default_rng([SEED, 2])
    x, labels = make_batches(rng, STEPS)
    return x, labels, make_start(ADAM_LAYERS, rng)


def flat(named):
    """Join arrays, in their order, to one vector."""
    return np.concatenate([np.ravel(value) for value in named.values()])


class AdamState:
    """Weights, moments and step count of a training with Adam, saved and loaded together."""

    def __init__(self, training):
        optimizer = training.optimizer
        names = training.weights.keys()
        self.iterations = optimizer.iterations
        self.parts = {
            "w": training.weights,
            "m": dict(zip(names, optimizer._momentums)),
            "v": dict(zip(names, optimizer._velocities)),
        }

    def get(self):
        """Copy the state: part to name to array."""
        return {part: gk.read(named) for part, named in self.parts.items()}

    def set(self, step, state):
        """Load a state as the one before step `step`."""
        self.iterations.assign(step)
        for part, named in self.parts.items():
            gk.assign(named, state[part])


def single_steps(x, labels, start):
    """Run Adam in float64, and from each of its states, rounded, take one separate step.

    Return the tensors of those single steps, the losses and the last weights of the free run.
    """
    training = Training(ADAM_LAYERS, adam(), x, labels)
    gk.assign(training.weights, start)
    state = AdamState(training)
    tensors = {}
    losses = []
    for index in range(STEPS):
        free = state.get()
        rounded = {part: {name: f32(value) for name, value in named.items()}
                   for part, named in free.items()}
        tensors |= gk.prefixed(f"t{index}", {part: flat(rounded[part]) for part in rounded})
        state.set(index, rounded)
        training.step(index)
        tensors[f"t{index}/after"] = flat(gk.read(training.weights))
        state.set(index, free)
        losses.append(training.step(index))
    return tensors, np.array(losses), flat(gk.read(training.weights))


def free_run_f32(path):
    """Run Adam freely in this backend's float32 and save the last weights to `path`."""
    x, labels, start = adam_inputs()
    _, after = Training(ADAM_LAYERS, adam(), x, labels).run(start, STEPS)
    save_safetensors(path, {"after": flat(after)}, {"backend": gk.backend_text()})


def run_torch():
    """Run free_run_f32 under PyTorch in a separate process; return its tensors and metadata."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "free.safetensors"
        subprocess.run([sys.executable, __file__, "--free-run-f32", str(path)], check=True,
                       env={**os.environ, "KERAS_BACKEND": "torch"})
        return load_safetensors(path)


def make_adam():
    """Write train_adam.safetensors."""
    x, labels, start = adam_inputs()
    steps, losses, free = single_steps(x, labels, start)
    torch_free, torch_metadata = run_torch()
    distance = np.linalg.norm(torch_free["after"] - free)
    _, adamw_after = Training(ADAM_LAYERS, adamw(), x, labels).run(start, ADAMW_STEPS)
    tensors = {"x": x, "labels": labels, "losses": losses} | steps
    tensors |= {"free/f64": free, f"adamw{ADAMW_STEPS}": flat(adamw_after)}
    metadata = gk.model_metadata(SHAPE, ADAM_LAYERS)
    metadata |= {
        "order": json.dumps(list(start)),
        "shapes": json.dumps({name: value.shape for name, value in start.items()}),
        "learning_rate": str(ADAM_RATE),
        "adamw_weight_decay": str(ADAMW_DECAY),
        "free_torch_backend": torch_metadata["backend"],
        "free_torch_f32_distance": f"{distance:.6e}",
        "free_torch_f32_relative": f"{distance / np.linalg.norm(free):.6e}",
        "free_torch_f32_of_path": f"{distance / np.linalg.norm(free - flat(start)):.6e}",
    }
    write_golden("train_adam.safetensors", tensors, metadata)
    print({key: value for key, value in metadata.items() if key.startswith("free_")})


def make_bn():
    """Write train_bn.safetensors."""
    rng = np.random.default_rng([SEED, 3])
    x, labels = make_batches(rng, BN_STEPS)
    start = make_start(BN_LAYERS, rng)
    training = Training(BN_LAYERS, keras.optimizers.SGD(BN_RATE), x, labels)
    losses, after = training.run(start, BN_STEPS)
    logits = training.model(training.x[0], training=False)
    tensors = {"x": x, "labels": labels, "losses": losses}
    tensors |= gk.prefixed("w0", start) | gk.prefixed("after", after)
    tensors["y_infer"] = gk.array_of(keras.ops.softmax(logits))
    metadata = gk.model_metadata(SHAPE, BN_LAYERS) | {"learning_rate": str(BN_RATE)}
    write_golden("train_bn.safetensors", tensors, metadata)


def make_frozen():
    """Write train_frozen.safetensors."""
    rng = np.random.default_rng([SEED, 4])
    x, labels = make_batches(rng, BN_STEPS)
    start = make_start(FROZEN_LAYERS, rng)
    for name, value in start.items():
        if "moving" in name or name.endswith(("gamma", "beta")):
            start[name] = f32(rng.uniform(0.5, 1.5, value.shape))
    training = Training(FROZEN_LAYERS, keras.optimizers.SGD(BN_RATE), x, labels)
    losses, after = training.run(start, BN_STEPS)
    tensors = {"x": x, "labels": labels, "losses": losses}
    tensors |= gk.prefixed("w0", start) | gk.prefixed("after", after)
    metadata = gk.model_metadata(SHAPE, FROZEN_LAYERS) | {"learning_rate": str(BN_RATE)}
    write_golden("train_frozen.safetensors", tensors, metadata)


def main():
    """Write the files, or only the output that run_torch needs."""
    if sys.argv[1:2] == ["--free-run-f32"]:
        free_run_f32(sys.argv[2])
        return
    gk.use_float64()
    make_sgd()
    make_adam()
    make_bn()
    make_frozen()


if __name__ == "__main__":
    main()
