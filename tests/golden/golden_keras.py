"""Keras 3 helpers shared by the golden-file makers: layers and models from Mien's (kind, keys)
pairs, named weights, and gradients.

Runs on one thread of the CPU, so that a second run gives the same bytes. The backend is
TensorFlow; KERAS_BACKEND=torch serves float32 only (see use_float64).
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np

from golden_io import f32, yaml_flow, yaml_model

BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
elif BACKEND == "torch":
    import torch

    torch.set_num_threads(1)
else:
    raise SystemExit(f"KERAS_BACKEND={BACKEND}: use tensorflow or torch")

#: Layer kind in a Mien model file (also Keras's default layer name) to a Keras class.
KINDS = {
    "conv2d": keras.layers.Conv2D,
    "depthwise_conv2d": keras.layers.DepthwiseConv2D,
    "separable_conv2d": keras.layers.SeparableConv2D,
    "conv2d_transpose": keras.layers.Conv2DTranspose,
    "max_pooling2d": keras.layers.MaxPooling2D,
    "average_pooling2d": keras.layers.AveragePooling2D,
    "global_average_pooling2d": keras.layers.GlobalAveragePooling2D,
    "global_max_pooling2d": keras.layers.GlobalMaxPooling2D,
    "batch_normalization": keras.layers.BatchNormalization,
    "activation": keras.layers.Activation,
    "dense": keras.layers.Dense,
    "dropout": keras.layers.Dropout,
    "flatten": keras.layers.Flatten,
    "rescaling": keras.layers.Rescaling,
    "add": keras.layers.Add,
    "multiply": keras.layers.Multiply,
    "average": keras.layers.Average,
    "maximum": keras.layers.Maximum,
    "concatenate": keras.layers.Concatenate,
    "zero_padding2d": keras.layers.ZeroPadding2D,
    "cropping2d": keras.layers.Cropping2D,
    "up_sampling2d": keras.layers.UpSampling2D,
    "resizing": keras.layers.Resizing,
    "reshape": keras.layers.Reshape,
    "permute": keras.layers.Permute,
    "normalization": keras.layers.Normalization,
    "relu": keras.layers.ReLU,
    "leaky_relu": keras.layers.LeakyReLU,
    "elu": keras.layers.ELU,
    "prelu": keras.layers.PReLU,
    "softmax": keras.layers.Softmax,
}

#: The name of the network's input in `inputs:`.
INPUT = "input"


def make_layer(kind, keys):
    """Make the Keras layer that `kind: {keys}` describes."""
    return KINDS[kind](**{key: value for key, value in keys.items() if key != "inputs"})


def make_model(input_shape, layers):
    """Make a functional model. A layer reads the layer before it unless it has `inputs`."""
    last = keras.Input(input_shape, name=INPUT)
    values = {INPUT: last}
    for kind, keys in layers:
        sources = [values[name] for name in keys.get("inputs", [])] or [last]
        last = make_layer(kind, keys)(sources[0] if len(sources) == 1 else sources)
        values[keys["name"]] = last
    return keras.Model(values[INPUT], last)


def model_metadata(input_shape, layers):
    """Metadata that describes a model: its text, and its input in the form of the config."""
    height, width, channels = input_shape
    return {
        "input": yaml_flow({"height": height, "width": width, "channels": channels}),
        "model": yaml_model(layers),
        "backend": backend_text(),
    }


def backend_text():
    """Name what computed a golden file."""
    library = tf if BACKEND == "tensorflow" else torch
    return f"keras {keras.__version__}, {BACKEND} {library.__version__.split('+')[0]}"


def variables(model):
    """Map "layer/weight" to Keras's variable, in the order of the model's layers."""
    return {f"{layer.name}/{v.name}": v for layer in model.layers for v in layer.weights}


def trainable(model):
    """Map "layer/weight" to the variables that an optimizer moves."""
    return {name: v for name, v in variables(model).items() if v.trainable}


def read(named):
    """Copy variables (name to variable) to numpy."""
    return {name: np.array(array_of(v.value)) for name, v in named.items()}


def assign(named, values):
    """Set variables (name to variable) from arrays of the same names."""
    for name, v in named.items():
        v.assign(values[name])


def prefixed(prefix, tensors):
    """Put `prefix/` before every name."""
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def glorot_weights(model, rng):
    """Draw Keras's default initial weights, glorot uniform kernels and zero biases, as float32.

    Batch normalization keeps its own: gamma and variance 1, beta and mean 0.
    """
    values = {}
    for name, v in variables(model).items():
        if name.endswith("/kernel"):
            field = int(np.prod(v.shape[:-2]))
            limit = np.sqrt(6.0 / (field * (v.shape[-2] + v.shape[-1])))
            values[name] = f32(rng.uniform(-limit, limit, v.shape))
        else:
            values[name] = f32(array_of(v.value))
    return values


def use_float64():
    """Compute in float64 from here on.

    Keras 3's PyTorch backend cannot: dense, mean and batch normalization promote through
    keras.backend.result_type, which turns float64 into float32 on any backend but TensorFlow.
    """
    if BACKEND != "tensorflow":
        raise SystemExit("float64 needs KERAS_BACKEND=tensorflow")
    keras.backend.set_floatx("float64")


def array_of(tensor):
    """Copy a tensor of the backend to numpy."""
    return keras.ops.convert_to_numpy(tensor)


def value_and_gradients(function, targets):
    """Return `function()` and the gradients of its first result, a scalar, as tensors.

    `targets` are Keras variables; the scalar comes first if `function` returns a tuple.
    """
    if BACKEND == "tensorflow":
        with tf.GradientTape() as tape:
            result = function()
        scalar = result[0] if isinstance(result, tuple) else result
        return result, tape.gradient(scalar, [v.value for v in targets])
    result = function()
    scalar = result[0] if isinstance(result, tuple) else result
    return result, list(torch.autograd.grad(scalar, [v.value for v in targets]))
