"""Make layers.safetensors and convolutions.safetensors: outputs and gradients of single Keras 3 layers in float64.

Inputs, parameters and upstream gradients are float32 values stored as F32; everything
computed from them is float64, stored as F64. See README.md for the names.
"""

import zlib

import numpy as np

import golden_keras as gk  # before keras: it picks the backend
from golden_io import f32, write_golden, yaml_layer

import keras

SEED = 20240611
MARGIN = 0.02  # least distance of an input from a point where a derivative jumps


def normal(rng, shape):
    """Standard normal values."""
    return f32(rng.standard_normal(shape))


def distinct(rng, shape):
    """Values at least MARGIN / 2 apart in random order: no two compete for a maximum."""
    count = int(np.prod(shape))
    return f32((rng.permutation(count) - 0.5 * count + 0.25) * MARGIN / 2).reshape(shape)


def away_from(*kinks):
    """Make a drawer of normal values, wide enough to pass the kinks but never near one."""
    spread = 1.0 + 0.7 * max((abs(kink) for kink in kinks), default=0.0)

    def draw(rng, shape):
        values = spread * rng.standard_normal(shape)
        for kink in kinks:
            near = np.abs(values - kink) < MARGIN
            values[near] = kink + np.where(values[near] < kink, -MARGIN, MARGIN) * 2
        return f32(values)

    return draw


def draw_parameter(rng, v):
    """Draw a start value for one variable of a layer."""
    if v.name.endswith("kernel"):
        fan_in = int(np.prod(v.shape[:-1]))
        return f32(rng.standard_normal(v.shape) / np.sqrt(fan_in))
    if v.name in ("moving_variance", "variance"):
        return f32(rng.uniform(0.5, 1.5, v.shape))
    if v.name == "count":  # a whole number
        return f32(np.full(v.shape, 3))
    centre = 1.0 if v.name == "gamma" else 0.0
    return f32(centre + 0.3 * rng.standard_normal(v.shape))


def is_smooth(kind, keys, parameters, inputs):
    """Return whether all inputs of the relu fused into a layer are away from zero."""
    if "activation" not in keys or kind == "activation":
        return True
    layer = gk.make_layer(kind, {**keys, "activation": "linear"})
    layer.build(inputs[0].shape)
    gk.assign({v.name: v for v in layer.weights}, parameters)
    return np.min(np.abs(gk.array_of(layer(inputs[0].astype(np.float64))))) > 1e-3


def compute(kind, keys, inputs, parameters, rng):
    """Run one layer forward and back; return its tensors by short name."""
    layer = gk.make_layer(kind, keys)
    shapes = [value.shape for value in inputs]
    layer.build(shapes[0] if len(shapes) == 1 else shapes)
    weights = {v.name: v for v in layer.weights}
    gk.assign(weights, parameters)
    if hasattr(layer, "finalize_state"):  # normalization adopts its weights here
        layer.finalize_state()
    sources = [keras.Variable(value, dtype="float64") for value in inputs]

    def apply(training):
        values = [source.value for source in sources]
        return layer(values[0] if len(values) == 1 else values, training=training)

    names = ["x", "x2"][: len(inputs)]
    out = dict(zip(names, inputs)) | parameters
    y_infer = gk.array_of(apply(False))
    dy = normal(rng, y_infer.shape)

    def scalar():
        y = apply(True)
        return keras.ops.sum(y * keras.ops.cast(dy, "float64")), y

    targets = dict(zip(names, sources))
    targets |= {name: v for name, v in weights.items() if v.trainable}
    (_, y), gradients = gk.value_and_gradients(scalar, list(targets.values()))
    out["dy"] = dy
    out["y"] = gk.array_of(y)
    if kind == "batch_normalization":
        out["y_infer"] = y_infer
    out |= {f"d{name}": gk.array_of(grad) for name, grad in zip(targets, gradients)}
    for name, v in weights.items():
        if not v.trainable:
            out[f"{name}_after"] = np.asarray(gk.array_of(v.value), np.float64)
    return out


def make_case(rng, kind, keys, shapes, draw):
    """Draw inputs and parameters until no fused relu sits at its kink, and compute."""
    while True:
        inputs = [draw(rng, shape) for shape in shapes]
        layer = gk.make_layer(kind, keys)
        layer.build(shapes[0] if len(shapes) == 1 else shapes)
        parameters = {v.name: draw_parameter(rng, v) for v in layer.weights}
        if is_smooth(kind, keys, parameters, inputs):
            return compute(kind, keys, inputs, parameters, rng)


def conv(filters, kernel_size, **keys):
    """Keys of a conv2d."""
    return "conv2d", {"filters": filters, "kernel_size": kernel_size, **keys}


def pool(kind, size, strides, **keys):
    """Keys of a pooling layer."""
    return kind, {"pool_size": size, "strides": strides, **keys}


def convolutions():
    """Cases of the other convolutions, which have a separate file.

    TensorFlow has no transposed convolution with dilation on a CPU.
    """
    kernel = {"kernel_size": 3}

    def depthwise(**keys):
        return "depthwise_conv2d", kernel | keys

    def separable(filters, **keys):
        return "separable_conv2d", {"filters": filters} | kernel | keys

    def transpose(filters, **keys):
        return "conv2d_transpose", {"filters": filters} | kernel | keys

    image, wide = [(2, 6, 5, 3)], [(2, 5, 6, 16)]
    layers = {
        "conv2d_dilated": (conv(4, 3, dilation_rate=2), [(2, 7, 6, 3)]),
        "conv2d_dilated_same": (conv(4, [3, 2], dilation_rate=[2, 3], padding="same"), image),
        "conv2d_groups": (conv(6, 3, groups=3, padding="same"), image),
        "conv2d_groups_wide": (conv(32, 3, groups=2, strides=2, padding="same"), [(2, 7, 6, 16)]),
        "depthwise": (depthwise(), image),
        "depthwise_same_relu": (depthwise(padding="same", activation="relu"), wide),
        "depthwise_stride2": (depthwise(strides=2, padding="same"), image),
        "depthwise_multiplier": (depthwise(depth_multiplier=2, use_bias=False), image),
        "depthwise_dilated": (depthwise(dilation_rate=2, padding="same"), image),
        "separable": (separable(4), image),
        "separable_stride2_relu": (
            separable(16, strides=2, padding="same", activation="relu"), wide),
        "separable_multiplier": (
            separable(5, depth_multiplier=2, dilation_rate=2, padding="same", use_bias=False),
            image),
        "transpose": (transpose(4), image),
        "transpose_same": (transpose(16, padding="same"), wide),
        "transpose_stride2": (transpose(4, strides=2), image),
        "transpose_stride2_same": (transpose(4, strides=2, padding="same"), image),
        "transpose_stride2_same_even": (
            transpose(4, kernel_size=[4, 2], strides=2, padding="same", activation="relu"), image),
        "transpose_kernel_below_stride": (transpose(4, kernel_size=2, strides=[3, 2]), image),
        "transpose_output_padding": (transpose(4, strides=2, output_padding=[1, 0]), image),
        "transpose_output_padding_same": (
            transpose(4, strides=2, padding="same", output_padding=1), image),
        "transpose_output_padding_0_same": (
            transpose(4, strides=3, padding="same", output_padding=0), image),
    }
    return {name: (layer, shapes, normal) for name, (layer, shapes) in layers.items()}


#: name: ((kind, keys), shapes of the inputs, drawer of inputs)
CASES = {
    "conv2d_3x3_valid": (conv(4, 3), [(2, 7, 6, 3)], normal),
    "conv2d_3x3_same_odd": (conv(4, 3, padding="same"), [(2, 7, 5, 3)], normal),
    "conv2d_3x3_same_even": (conv(4, 3, padding="same"), [(2, 6, 8, 3)], normal),
    "conv2d_3x3_same_stride2_odd": (
        conv(4, 3, strides=2, padding="same"), [(2, 7, 9, 3)], normal),
    "conv2d_3x3_same_stride2_even": (
        conv(4, 3, strides=2, padding="same"), [(2, 8, 6, 3)], normal),
    "conv2d_3x3_same_stride2_mixed": (
        conv(4, 3, strides=2, padding="same"), [(2, 7, 8, 3)], normal),
    "conv2d_3x3_valid_stride2": (conv(4, 3, strides=2), [(2, 8, 7, 3)], normal),
    "conv2d_5x3_valid": (conv(4, [5, 3]), [(2, 7, 6, 3)], normal),
    "conv2d_5x3_same": (conv(4, [5, 3], padding="same"), [(2, 6, 7, 3)], normal),
    "conv2d_3x2_same_stride2_relu": (
        conv(5, [3, 2], strides=2, padding="same", activation="relu"), [(2, 7, 6, 3)], normal),
    "conv2d_2x2_same": (conv(4, 2, padding="same"), [(2, 5, 6, 3)], normal),
    "conv2d_1x1": (conv(6, 1), [(2, 5, 6, 3)], normal),
    "conv2d_1x1_stride2": (conv(6, 1, strides=2), [(2, 7, 6, 3)], normal),
    "conv2d_1_channel": (conv(8, 3), [(2, 9, 7, 1)], normal),
    "conv2d_1_channel_same_relu": (
        conv(8, 3, padding="same", activation="relu"), [(3, 6, 5, 1)], normal),
    "conv2d_17_to_5": (conv(5, 3, padding="same"), [(2, 5, 6, 17)], normal),
    "conv2d_no_bias": (conv(4, 3, padding="same", use_bias=False), [(3, 5, 5, 3)], normal),
    "conv2d_16_to_32": (conv(32, 3, padding="same"), [(2, 6, 5, 16)], normal),
    "max_pooling2d_2_2_valid": (pool("max_pooling2d", 2, 2), [(2, 7, 5, 3)], distinct),
    "max_pooling2d_3_2_same_odd": (
        pool("max_pooling2d", 3, 2, padding="same"), [(2, 7, 5, 3)], distinct),
    "max_pooling2d_3_2_same_even": (
        pool("max_pooling2d", 3, 2, padding="same"), [(2, 8, 6, 3)], distinct),
    "max_pooling2d_2_2_same": (
        pool("max_pooling2d", 2, 2, padding="same"), [(2, 7, 6, 3)], distinct),
    "max_pooling2d_2_1": (pool("max_pooling2d", 2, 1), [(2, 6, 5, 3)], distinct),
    "max_pooling2d_negative": (  # padding must not win although every input is negative
        pool("max_pooling2d", 3, 2, padding="same"), [(2, 5, 6, 2)],
        lambda rng, shape: distinct(rng, shape) - np.float32(10)),
    "average_pooling2d_2_2": (pool("average_pooling2d", 2, 2), [(2, 7, 6, 3)], normal),
    "average_pooling2d_3_2_same_odd": (
        pool("average_pooling2d", 3, 2, padding="same"), [(2, 7, 5, 3)], normal),
    "average_pooling2d_3_2_same_even": (
        pool("average_pooling2d", 3, 2, padding="same"), [(2, 8, 6, 3)], normal),
    "global_average_pooling2d": (
        ("global_average_pooling2d", {"keepdims": False}), [(3, 6, 5, 4)], normal),
    "global_average_pooling2d_keepdims": (
        ("global_average_pooling2d", {"keepdims": True}), [(3, 6, 5, 4)], normal),
    "global_max_pooling2d": (
        ("global_max_pooling2d", {"keepdims": False}), [(3, 6, 5, 4)], distinct),
    "global_max_pooling2d_keepdims": (
        ("global_max_pooling2d", {"keepdims": True}), [(3, 6, 5, 4)], distinct),
    "batch_normalization": (("batch_normalization", {}), [(3, 6, 5, 4)], normal),
    "batch_normalization_momentum_epsilon": (
        ("batch_normalization", {"momentum": 0.9, "epsilon": 1.0e-5}), [(2, 5, 6, 4)], normal),
    "batch_normalization_no_scale": (
        ("batch_normalization", {"scale": False}), [(3, 5, 5, 4)], normal),
    "batch_normalization_no_center": (
        ("batch_normalization", {"center": False}), [(3, 5, 5, 4)], normal),
    "batch_normalization_dense": (("batch_normalization", {}), [(8, 5)], normal),
    "dense": (("dense", {"units": 5}), [(3, 11)], normal),
    "dense_relu": (("dense", {"units": 7, "activation": "relu"}), [(3, 10)], normal),
    "dense_no_bias": (("dense", {"units": 5, "use_bias": False}), [(3, 11)], normal),
    "dense_sigmoid_4d": (
        ("dense", {"units": 6, "activation": "sigmoid"}), [(3, 1, 1, 4)], normal),
    "add": (("add", {}), [(2, 5, 6, 3)] * 2, normal),
    "multiply": (("multiply", {}), [(2, 5, 6, 3)] * 2, normal),
    "multiply_broadcast": (("multiply", {}), [(2, 5, 6, 3), (2, 1, 1, 3)], normal),
    "rescaling": (("rescaling", {"scale": 0.25, "offset": -1.0}), [(2, 5, 6, 3)], normal),
    "flatten": (("flatten", {}), [(2, 5, 6, 3)], normal),
}

#: Activations with the inputs at which their derivatives jump.
ACTIVATIONS = {
    "relu": (0,), "relu6": (0, 6), "leaky_relu": (0,), "elu": (0,), "selu": (0,), "gelu": (),
    "sigmoid": (), "hard_sigmoid": (-3, 3), "swish": (), "softmax": (), "tanh": (),
    "linear": (),
}
CASES |= {
    f"activation_{name}": (
        ("activation", {"activation": name}), [(2, 5, 6, 3)], away_from(*kinks))
    for name, kinks in ACTIVATIONS.items()
}


def moved_cases():
    """Cases of layers without kernel or statistics: copies, selections and activations."""
    image = [(2, 5, 6, 3)]
    cases = {
        "average": ("average", {}, image * 2, normal),
        "maximum": ("maximum", {}, image * 2, normal),
        "maximum_equal": ("maximum", {}, image * 2, lambda rng, shape: f32(np.ones(shape))),
        "concatenate": ("concatenate", {}, image * 2, normal),
        "concatenate_axis_3": ("concatenate", {"axis": 3}, [(2, 3, 4, 16)] * 2, normal),
        "zero_padding2d": ("zero_padding2d", {"padding": 2}, image, normal),
        "zero_padding2d_pair": ("zero_padding2d", {"padding": [1, 3]}, image, normal),
        "zero_padding2d_sides": ("zero_padding2d", {"padding": [[0, 1], [2, 3]]}, image, normal),
        "cropping2d": ("cropping2d", {"cropping": 1}, image, normal),
        "cropping2d_sides": ("cropping2d", {"cropping": [[0, 2], [3, 1]]}, image, normal),
        "up_sampling2d": ("up_sampling2d", {}, image, normal),
        "up_sampling2d_bilinear": (
            "up_sampling2d", {"size": [2, 3], "interpolation": "bilinear"}, image, normal),
        "reshape": ("reshape", {"target_shape": [3, -1, 2]}, image, normal),
        "reshape_flat": ("reshape", {"target_shape": [90]}, image, normal),
        "reshape_image": ("reshape", {"target_shape": [2, 3, 4]}, [(3, 24)], normal),
        "normalization": ("normalization", {}, image, normal),
        "normalization_flat": ("normalization", {}, [(3, 7)], normal),
        "relu": ("relu", {}, image, away_from(0)),
        "relu_6": ("relu", {"max_value": 6}, image, away_from(0, 6)),
        "relu_all": (
            "relu", {"max_value": 1.5, "negative_slope": 0.25, "threshold": 0.5}, image,
            away_from(0.5, 1.5)),
        "relu_slope": ("relu", {"negative_slope": 0.25}, image, away_from(0)),
        "relu_limit": ("relu", {"max_value": 0.75}, image, away_from(0, 0.75)),
        "leaky_relu": ("leaky_relu", {}, image, away_from(0)),
        "leaky_relu_slope": ("leaky_relu", {"negative_slope": 0.125}, image, away_from(0)),
        "elu": ("elu", {}, image, away_from(0)),
        "elu_alpha": ("elu", {"alpha": 0.5}, image, away_from(0)),
        "prelu": ("prelu", {}, image, away_from(0)),
        "prelu_channels": ("prelu", {"shared_axes": [1, 2]}, [(2, 3, 4, 16)], away_from(0)),
        "prelu_rows": ("prelu", {"shared_axes": [2, 3]}, image, away_from(0)),
        "prelu_flat": ("prelu", {}, [(3, 11)], away_from(0)),
        "softmax": ("softmax", {}, image, normal),
        "softmax_flat": ("softmax", {}, [(3, 7)], normal),
    }
    for height, width in ((10, 12), (3, 4), (7, 3), (1, 1)):
        for kind in ("nearest", "bilinear"):
            keys = {"height": height, "width": width, "interpolation": kind}
            cases[f"resizing_{height}x{width}_{kind}"] = ("resizing", keys, image, normal)
    for dims in ([2, 1, 3], [3, 1, 2], [2, 3, 1]):
        name = "permute_" + "".join(map(str, dims))
        cases[name] = ("permute", {"dims": dims}, image, normal)
    return {name: ((kind, keys), shapes, draw) for name, (kind, keys, shapes, draw) in cases.items()}


CASES |= moved_cases()


def write(file, cases):
    """Compute every case and write them to a file."""
    tensors = {}
    metadata = {"backend": gk.backend_text()}
    for name, ((kind, keys), shapes, draw) in sorted(cases.items()):
        rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
        tensors |= gk.prefixed(name, make_case(rng, kind, keys, shapes, draw))
        metadata[name] = yaml_layer(kind, keys)
    write_golden(file, tensors, metadata)


def main():
    """Write the files."""
    gk.use_float64()
    write("layers.safetensors", CASES)
    write("convolutions.safetensors", convolutions())


if __name__ == "__main__":
    main()
