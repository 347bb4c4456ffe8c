"""Make gradcam.safetensors: Grad-CAM by Keras and TensorFlow's gradients on small random networks.

For each network the map of each image and class, in the size of the last feature map, divided by
its maximum (`NAME/coarse`), and resized bilinearly to the image (`NAME/maps`).
"""

import numpy as np

import golden_keras as gk
from golden_io import f32, write_golden

import keras
import tensorflow as tf

SEED = 20171031
IMAGES = 3


def conv(name, filters, **keys):
    """A 3x3 convolution, `same` unless said otherwise."""
    return "conv2d", {"name": name, **{"filters": filters, "kernel_size": 3, "padding": "same"},
                      **keys}


def norm(name):
    """A batch normalization."""
    return "batch_normalization", {"name": name}


def act(name, activation="relu"):
    """An activation."""
    return "activation", {"name": name, "activation": activation}


def head(units=5):
    """The classes."""
    return "dense", {"name": "probs", "units": units, "activation": "softmax"}


#: Name to (input shape, layers, layer whose output is the feature map).
NETWORKS = {
    # flatten and two dense layers after a pooling, with dropouts
    "classic": ((20, 24, 1), [
        conv("c1", 6, activation="relu"), ("max_pooling2d", {"name": "p1", "pool_size": 2}),
        conv("c2", 8, padding="valid", activation="relu"),
        ("max_pooling2d", {"name": "p2", "pool_size": 2}), ("dropout", {"name": "d1", "rate": 0.5}),
        ("flatten", {"name": "flat"}), ("dense", {"name": "f1", "units": 16}), norm("b1"),
        act("r1"), ("dropout", {"name": "d2", "rate": 0.5}), head()], "c2"),
    # no pooling: flatten right after the convolution
    "flat": ((12, 10, 3), [
        conv("c1", 4, strides=2), act("e1", "elu"), ("flatten", {"name": "flat"}),
        ("dense", {"name": "f1", "units": 12, "activation": "tanh"}), head()], "e1"),
    # residual blocks, squeeze and excitation, global average pooling
    "residual": ((16, 16, 1), [
        conv("stem", 8, use_bias=False), norm("sb"), act("sr"),
        conv("a1", 8, use_bias=False, strides=2), norm("ab1"), act("ar1"),
        conv("a2", 8, use_bias=False), norm("ab2"),
        ("global_average_pooling2d", {"name": "squeeze", "keepdims": True}),
        ("dense", {"name": "s1", "units": 4, "activation": "relu"}),
        ("dense", {"name": "s2", "units": 8, "activation": "sigmoid"}),
        ("multiply", {"name": "scale", "inputs": ["ab2", "s2"]}),
        conv("short", 8, kernel_size=1, strides=2, inputs=["sr"]),
        ("add", {"name": "sum", "inputs": ["scale", "short"]}), act("out"),
        ("global_average_pooling2d", {"name": "gap"}), ("dropout", {"name": "d", "rate": 0.3}),
        head()], "out"),
    # as mini_XCEPTION: separable convolutions, then a convolution to the classes
    "xception": ((17, 17, 1), [
        conv("c1", 6, use_bias=False), norm("b1"), act("r1"),
        ("separable_conv2d", {"name": "s1", "filters": 8, "kernel_size": 3, "padding": "same",
                              "use_bias": False}), norm("b2"),
        ("max_pooling2d", {"name": "p1", "pool_size": 3, "strides": 2, "padding": "same"}),
        conv("skip", 8, kernel_size=1, strides=2, inputs=["r1"]),
        ("add", {"name": "sum", "inputs": ["p1", "skip"]}),
        conv("last", 5), ("global_average_pooling2d", {"name": "gap"}),
        act("probs", "softmax")], "last"),
    # two kinds of pooling of one feature map
    "pools": ((14, 14, 1), [
        conv("c1", 6, activation="relu"), ("average_pooling2d", {"name": "p1", "pool_size": 2}),
        ("depthwise_conv2d", {"name": "dw", "kernel_size": 3, "padding": "same"}),
        ("leaky_relu", {"name": "leaky"}),
        ("global_average_pooling2d", {"name": "mean"}),
        ("global_max_pooling2d", {"name": "max", "inputs": ["leaky"]}),
        ("concatenate", {"name": "both", "inputs": ["mean", "max"]}),
        ("dense", {"name": "f", "units": 9, "activation": "relu"}), head()], "leaky"),
    # a pooling that keeps the size is after the feature map, too
    "overlap": ((10, 10, 1), [
        conv("c1", 6, activation="relu"),
        ("max_pooling2d", {"name": "p1", "pool_size": 3, "strides": 1, "padding": "same"}),
        ("global_average_pooling2d", {"name": "gap"}), head()], "c1"),
    # branches that only meet as vectors: the last feature map that both read
    "branches": ((12, 12, 1), [
        conv("c1", 6, strides=2, activation="relu"), conv("a", 4, activation="relu"),
        ("global_average_pooling2d", {"name": "ga"}),
        conv("b", 5, inputs=["c1"], activation="relu"),
        ("global_max_pooling2d", {"name": "gb"}),
        ("concatenate", {"name": "both", "inputs": ["ga", "gb"]}), head()], "c1"),
}


def weights(model, rng):
    """Random weights, and statistics of batch normalizations that matter."""
    values = {}
    for name, v in gk.variables(model).items():
        kind = name.split("/")[-1]
        if "kernel" in kind:
            fan = np.prod(v.shape[:-1]) if "depthwise" not in kind else np.prod(v.shape[:2])
            values[name] = f32(rng.normal(size=v.shape) * np.sqrt(2 / fan))
        elif kind in ("gamma", "moving_variance"):
            values[name] = f32(rng.uniform(0.5, 1.5, v.shape))
        else:
            values[name] = f32(rng.normal(size=v.shape) * 0.2)
    return values


def grad_cam(model, layer, x, classes):
    """Maps of each image for its class."""
    last = model.layers[-1]
    if isinstance(last, keras.layers.Dense):  # scores: before the softmax
        last.activation = keras.activations.linear
        outputs = last.output
        model = keras.Model(model.input, [model.get_layer(layer).output, last(last.input)])
    else:
        model = keras.Model(model.input, [model.get_layer(layer).output, last.input])
    with tf.GradientTape() as tape:
        feature, scores = model(x, training=False)
        tape.watch(feature)
        own = tf.gather(scores, classes, axis=1, batch_dims=1)
    gradient = tape.gradient(own, feature)
    weight = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
    maps = tf.nn.relu(tf.reduce_sum(weight * feature, axis=-1)).numpy()
    top = maps.max(axis=(1, 2), keepdims=True)
    return np.where(top > 0, maps / np.where(top > 0, top, 1), 0)


def main():
    """Write the file."""
    tensors, metadata = {}, {"backend": gk.backend_text()}
    for at, (name, (shape, layers, layer)) in enumerate(NETWORKS.items()):
        rng = np.random.default_rng(SEED + at)
        keras.backend.clear_session()
        model = gk.make_model(shape, layers)
        values = weights(model, rng)
        gk.assign(gk.variables(model), values)
        x = f32(rng.normal(size=(IMAGES, *shape)))
        classes = model.predict(x, verbose=0).argmax(1)  # the last image: not its best class
        classes[-1] = (classes[-1] + 1) % 5
        coarse = grad_cam(model, layer, x, classes)
        large = tf.image.resize(coarse[..., None], shape[:2], method="bilinear").numpy()[..., 0]
        assert (coarse.max(axis=(1, 2)) > 0).any(), name
        tensors |= {f"{name}/x": x, f"{name}/labels": classes.astype(np.int64),
                    f"{name}/coarse": f32(coarse), f"{name}/maps": f32(large)}
        tensors |= gk.prefixed(name, values)
        own = gk.model_metadata(shape, layers)
        metadata |= {f"{name}/model": own["model"], f"{name}/input": own["input"]}
        print(name, coarse.shape, [round(float(m.max()), 3) for m in coarse])
    write_golden("gradcam.safetensors", tensors, metadata)


if __name__ == "__main__":
    main()
