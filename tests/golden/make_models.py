"""Make classic_small and seresnet_small.safetensors: whole networks in inference by Keras 3.

Weights, batch statistics, inputs and the resulting probabilities are all float32, as Keras
computes them by default.
"""

import json

import numpy as np

import golden_keras as gk
from golden_io import f32, write_golden

SEED = 20240613
IMAGES = 4
CLASSES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]


def conv_relu(name, filters):
    """A 3x3 valid convolution with a relu."""
    return "conv2d", {"name": name, "filters": filters, "kernel_size": 3, "activation": "relu"}


def conv_plain(name, filters, kernel_size, strides=1, **keys):
    """A `same` convolution without bias, for use before a batch normalization."""
    return "conv2d", {"name": name, **keys, "filters": filters, "kernel_size": kernel_size,
                      "strides": strides, "padding": "same", "use_bias": False}


def norm(name):
    """A batch normalization."""
    return "batch_normalization", {"name": name}


def relu(name):
    """A separate relu layer."""
    return "activation", {"name": name, "activation": "relu"}


def dense(name, units, activation):
    """A dense layer."""
    return "dense", {"name": name, "units": units, "activation": activation}


def pool(name):
    """A 2x2 max pooling."""
    return "max_pooling2d", {"name": name, "pool_size": 2}


def dropout(name, rate):
    """A dropout."""
    return "dropout", {"name": name, "rate": rate}


CLASSIC = [
    conv_relu("conv1", 4),
    conv_relu("conv2", 8),
    pool("pool1"),
    dropout("drop1", 0.25),
    conv_relu("conv3", 8),
    pool("pool2"),
    conv_relu("conv4", 8),
    pool("pool3"),
    dropout("drop2", 0.25),
    ("flatten", {"name": "flat"}),
    dense("fc1", 32, "relu"),
    dropout("drop3", 0.5),
    dense("probs", len(CLASSES), "softmax"),
]

SERESNET = [
    conv_plain("stem", 8, 3),
    norm("stem_bn"),
    relu("stem_relu"),
    conv_plain("block_conv1", 16, 3, strides=2),
    norm("block_bn1"),
    relu("block_relu1"),
    conv_plain("block_conv2", 16, 3),
    norm("block_bn2"),
    ("global_average_pooling2d", {"name": "se_squeeze", "keepdims": True}),
    dense("se_reduce", 2, "relu"),
    dense("se_expand", 16, "sigmoid"),
    ("multiply", {"name": "se_scale", "inputs": ["block_bn2", "se_expand"]}),
    conv_plain("shortcut_conv", 16, 1, strides=2, inputs=["stem_relu"]),
    norm("shortcut_bn"),
    ("add", {"name": "block_add", "inputs": ["se_scale", "shortcut_bn"]}),
    relu("block_relu2"),
    ("global_average_pooling2d", {"name": "gap"}),
    dense("probs", len(CLASSES), "softmax"),
]


def draw_weight(rng, name, shape):
    """Draw one weight as in a trained network: spread, and away from its default."""
    role = name.rpartition("/")[2]
    if role == "kernel":
        gain = 6.0 if name.startswith("probs/") else 2.0
        return f32(rng.standard_normal(shape) * np.sqrt(gain / np.prod(shape[:-1])))
    if role == "moving_variance":
        return f32(rng.uniform(0.3, 3.0, shape))
    centre = 1.0 if role == "gamma" else 0.0
    return f32(centre + 0.3 * rng.standard_normal(shape))


def draw_images(rng, shape):
    """Draw images that differ in brightness, contrast and slope, so that answers differ."""
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape[:2]), indexing="ij")
    images = []
    for _ in range(IMAGES):
        mean, contrast, down, right = rng.standard_normal(4)
        noise = rng.standard_normal(shape)
        images.append(mean + contrast * noise + (down * rows + right * columns)[..., None])
    return f32(images)


def make_golden(file_name, seed, shape, layers):
    """Write one model with its images and answers."""
    rng = np.random.default_rng([SEED, seed])
    model = gk.make_model(shape, layers)
    weights = {name: draw_weight(rng, name, tuple(v.shape))
               for name, v in gk.variables(model).items()}
    gk.assign(gk.variables(model), weights)
    x = draw_images(rng, shape)
    y = gk.array_of(model(x, training=False))
    print(f"{file_name}: top-1 {y.argmax(axis=1)} at {y.max(axis=1).round(3)}")
    metadata = gk.model_metadata(shape, layers) | {"classes": json.dumps(CLASSES)}
    write_golden(file_name, {"x": x, "y": y} | weights, metadata)


def main():
    """Write both files, from seeds whose four images fall into three classes."""
    make_golden("classic_small.safetensors", 4, (48, 48, 1), CLASSIC)
    make_golden("seresnet_small.safetensors", 7, (32, 32, 1), SERESNET)


if __name__ == "__main__":
    main()
