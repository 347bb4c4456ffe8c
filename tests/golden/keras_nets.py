"""The small models of make_keras.py. `k` is the module keras or tf_keras; weights are set there."""

import keras
import numpy as np
import tensorflow as tf

ROWS = 2


def pixels(shape, rows=ROWS):
    """The same numbers in tests/unit/test_keras.c."""
    count = rows * int(np.prod(shape))
    n = np.arange(count, dtype=np.uint64)
    n = (n * np.uint64(2654435761) + np.uint64(12345)) & np.uint64(0xFFFFFFFF)
    n ^= n >> np.uint64(13)
    n = (n * np.uint64(1597334677)) & np.uint64(0xFFFFFFFF)
    return (n >> np.uint64(24)).astype(np.uint8).reshape((rows, *shape))


# ---- models that both versions can build ----

def sequential(k, scale=False):
    L = k.layers
    return k.Sequential([
        k.Input((12, 12, 1)),
        L.Conv2D(4, 3, padding="same", activation="relu", kernel_regularizer="l2"), L.BatchNormalization(),
        L.MaxPooling2D(), L.Dropout(0.3), L.Conv2D(5, (3, 2), strides=(2, 1), use_bias=False),
        L.BatchNormalization(scale=scale), L.Activation("elu"), L.Flatten(), L.Dense(8), L.BatchNormalization(axis=1),
        L.LeakyReLU(), L.Dropout(0.5), L.Dense(7, activation="softmax")])


def residual(k):
    L = k.layers
    i = k.Input((16, 16, 1))
    x = L.Conv2D(4, 3, use_bias=False)(i)
    x = L.Activation("relu")(L.BatchNormalization()(x))
    r = L.BatchNormalization()(L.Conv2D(6, 1, strides=2, padding="same", use_bias=False)(x))
    x = L.SeparableConv2D(6, 3, padding="same", use_bias=False)(x)
    x = L.BatchNormalization(center=False)(x)
    x = L.MaxPooling2D(3, strides=2, padding="same")(x)
    x = L.add([x, r])
    x = L.Conv2D(7, 3, padding="same")(x)
    x = L.GlobalAveragePooling2D()(x)
    return k.Model(i, L.Activation("softmax", name="predictions")(x))


def activations(k):
    L = k.layers
    i = k.Input((8, 8, 3))
    c = L.Conv2D(3, 3, strides=2)(i)
    parts = [L.Activation(a)(c) for a in
             ("relu", "elu", "selu", "sigmoid", "tanh", "hard_sigmoid", "swish", "gelu")]
    a = L.concatenate(parts)
    a = L.Conv2D(3, 1)(a)
    b = L.concatenate([L.ReLU(max_value=0.5)(a), L.ReLU(6.0, negative_slope=0.1)(a), L.ELU(0.7)(a),
                       L.PReLU(shared_axes=[1, 2])(a), L.PReLU()(a), L.Softmax()(a)])
    b = L.Conv2D(4, 1, activation="tanh")(b)
    b = L.Dense(3, activation="relu")(b)
    return k.Model(i, L.Dense(4, activation="softmax")(L.Flatten()(b)))


def shapes(k):
    L = k.layers
    i = k.Input((13, 9, 3))
    x = L.ZeroPadding2D(((1, 0), (2, 1)))(i)
    x = L.Cropping2D(((0, 1), (1, 0)))(x)
    x = L.Conv2DTranspose(4, 3, strides=2, padding="same")(x)
    x = L.UpSampling2D((1, 2), interpolation="bilinear")(x)
    x = L.AveragePooling2D((2, 3), padding="same")(x)
    x = L.Permute((2, 3, 1))(x)
    x = L.concatenate([x, L.DepthwiseConv2D(3, depth_multiplier=1, padding="same")(x)], axis=1)
    x = L.Reshape((-1, 4))(x)
    x = L.Dense(3, activation="relu")(x)
    x = L.Permute((2, 1))(x)
    return k.Model(i, L.Dense(5, activation="softmax")(L.Flatten()(x)))


def mixing(k):
    """Squeeze and excitation, attention over pixels, and all layers that merge."""
    L = k.layers
    i = k.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same", groups=1, activation="relu")(i)
    s = L.Reshape((1, 1, 4))(L.Dense(4, activation="sigmoid")(L.Dense(2, activation="relu")(L.GlobalAveragePooling2D()(x))))
    x = L.multiply([x, s])
    x = L.multiply([x, L.Conv2D(1, 3, padding="same", activation="sigmoid")(x)])
    y = L.Conv2D(4, 1, name="odd.name")(x)
    z = L.concatenate([L.maximum([x, y]), L.minimum([x, y]), L.average([x, y]), L.subtract([x, y])])
    z = L.Conv2D(4, 3, dilation_rate=2, groups=2)(z)
    z = L.GlobalMaxPooling2D()(z)
    return k.Model(i, L.Dense(3, activation="softmax")(z))


def base(k, name="base", frozen=()):
    L = k.layers
    i = k.Input((10, 10, 3))
    x = L.Conv2D(4, 3, name="a_conv")(i)
    x = L.BatchNormalization(name="a_bn")(x)
    x = L.ReLU(6.0, name="a_relu")(x)
    x = L.Conv2D(4, 3, padding="same", name="b_conv")(x)
    x = L.BatchNormalization(name="b_bn")(x)
    x = L.Conv2D(4, 3, padding="same", name="c_conv")(x)
    m = k.Model(i, x, name=name)
    for n in frozen:
        m.get_layer(n).trainable = False
    return m


def nested(k, frozen=(), all_frozen=False):
    b = base(k, frozen=frozen)
    if all_frozen:
        b.trainable = False
    return k.Sequential([b, k.layers.GlobalAveragePooling2D(), k.layers.Dense(6, activation="relu"),
                         k.layers.Dense(4, activation="softmax")])


def nested_twice(k):
    """Two equal models with layers of equal names, one of them called twice."""
    L = k.layers
    i = k.Input((10, 10, 3))
    a, b = base(k, "left"), base(k, "right")
    x = L.concatenate([a(i), b(i), a(L.Rescaling(0.5)(i))])
    return k.Model(i, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def deep(k):
    L = k.layers
    inner = k.Sequential([k.Input((8, 8, 4)), L.Conv2D(3, 3, name="conv"), L.BatchNormalization(name="bn")], name="inner")
    i = k.Input((10, 10, 3))
    x = L.Conv2D(4, 3, name="conv")(i)
    middle = k.Model(i, L.ReLU()(inner(x)), name="middle")
    return k.Sequential([k.Input((10, 10, 3)), middle, L.Flatten(), L.Dense(4, activation="softmax")])


def augmented(k):
    L = k.layers
    return k.Sequential([
        k.Input((12, 12, 3)),
        k.Sequential([L.RandomFlip("horizontal"), L.RandomRotation(0.1), L.RandomZoom(0.1)], name="augment"),
        L.Rescaling(1 / 127.5, offset=-1), L.RandomContrast(0.1), L.GaussianNoise(0.1), L.Conv2D(4, 3, activation="relu"),
        L.SpatialDropout2D(0.2), L.GlobalAveragePooling2D(), L.Dense(3, activation="softmax")])


def shared(k):
    L = k.layers
    i = k.Input((8, 8, 1))
    conv, act = L.Conv2D(1, 3, padding="same"), L.LeakyReLU()
    x = act(conv(act(conv(i))))
    return k.Model(i, L.Dense(3, activation="softmax")(L.Flatten()(x)))


def resized(k):
    L = k.layers
    n = L.Normalization(axis=-1)
    n.adapt(pixels((8, 8, 3)).astype("float32"))
    return k.Sequential([k.Input((8, 8, 3)), L.Resizing(12, 10), n, L.Conv2D(3, 3, activation="relu"), L.Flatten(),
                         L.Dense(3, activation="softmax")])


def head(k, kind):
    L = k.layers
    i = k.Input((8, 8, 1))
    x = L.Flatten()(L.Conv2D(3, 3, activation="relu")(i))
    if kind == "logits":
        o = L.Dense(5)(x)
    elif kind == "sigmoid":
        o = L.Dense(1, activation="sigmoid")(x)
    elif kind == "labels":
        o = L.Dense(4, activation="sigmoid")(x)
    elif kind == "age":
        o = L.Dense(1, activation="relu")(x)
    elif kind == "dropped":
        o = L.Dropout(0.2)(L.Dense(5, activation="softmax")(x))
    elif kind == "pixel":
        o = L.Flatten()(L.Softmax()(L.Conv2D(5, 6)(L.Conv2D(3, 3)(i))))
    elif kind == "list":
        return k.Model([i], [L.Dense(5, activation="softmax")(x)])
    else:
        return k.Model(i, [L.Dense(5, activation="softmax", name="emotion")(x), L.Dense(1, name="age")(x)])
    return k.Model(i, o)


# ---- narrow forms of the networks in keras.applications ----

def mobilenet(k):
    L = k.layers
    i = x = k.Input((24, 24, 3))
    x = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(x)))
    for n, (filters, stride) in enumerate([(6, 1), (8, 2), (8, 1)]):
        if stride == 2:
            x = L.ZeroPadding2D(((0, 1), (0, 1)))(x)
        x = L.DepthwiseConv2D(3, strides=stride, padding="same" if stride == 1 else "valid", use_bias=False, name=f"conv_dw_{n}")(x)
        x = L.ReLU(6.0)(L.BatchNormalization()(x))
        x = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(filters, 1, padding="same", use_bias=False)(x)))
    x = L.GlobalAveragePooling2D(keepdims=True)(x)
    x = L.Conv2D(5, 1)(L.Dropout(0.001)(x))
    return k.Model(i, L.Activation("softmax")(L.Reshape((5,))(x)))


def mobilenet_v2(k):
    L = k.layers
    i = x = k.Input((24, 24, 3))
    x = L.ReLU(6.0)(L.BatchNormalization(epsilon=1e-3, momentum=0.999)(L.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(x)))
    for n in range(2):
        y = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(12, 1, use_bias=False)(x)))
        y = L.ReLU(6.0)(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same", use_bias=False)(y)))
        y = L.BatchNormalization()(L.Conv2D(4, 1, use_bias=False)(y))
        x = L.Add()([x, y])
    return k.Model(i, L.Dense(5, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def xception(k):
    L = k.layers
    i = x = k.Input((24, 24, 3))
    x = L.Activation("relu")(L.BatchNormalization()(L.Conv2D(4, 3, strides=2, use_bias=False)(x)))
    for filters in (6, 8):
        r = L.BatchNormalization()(L.Conv2D(filters, 1, strides=2, padding="same", use_bias=False)(x))
        y = L.BatchNormalization()(L.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x))
        y = L.BatchNormalization()(L.SeparableConv2D(filters, 3, padding="same", use_bias=False)(L.Activation("relu")(y)))
        x = L.add([L.MaxPooling2D(3, strides=2, padding="same")(y), r])
    return k.Model(i, L.Dense(5, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def densenet(k):
    L = k.layers
    i = x = k.Input((24, 24, 3))
    x = L.Conv2D(6, 7, strides=2, use_bias=False)(L.ZeroPadding2D(3)(x))
    x = L.MaxPooling2D(3, strides=2)(L.ZeroPadding2D(1)(L.Activation("relu")(L.BatchNormalization(axis=3, epsilon=1.001e-5)(x))))
    for n in range(3):
        y = L.Activation("relu")(L.BatchNormalization(axis=3, epsilon=1.001e-5)(x))
        y = L.Activation("relu")(L.BatchNormalization(axis=3, epsilon=1.001e-5)(L.Conv2D(8, 1, use_bias=False)(y)))
        y = L.Conv2D(3, 3, padding="same", use_bias=False)(y)
        x = L.Concatenate(axis=3)([x, y])
    x = L.AveragePooling2D(2, strides=2)(L.Conv2D(6, 1, use_bias=False)(x))
    return k.Model(i, L.Dense(5, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def efficientnet(k):
    L = k.layers
    i = k.Input((24, 24, 3))
    x = L.Rescaling(1.0 / 255.0)(i)
    n = L.Normalization(axis=-1)
    x = n(x)
    x = L.Rescaling([1 / 0.479, 1 / 0.473, 1 / 0.474])(x)
    x = L.Conv2D(6, 3, strides=2, padding="valid", use_bias=False)(L.ZeroPadding2D(((0, 1), (0, 1)))(x))
    x = L.Activation("swish")(L.BatchNormalization()(x))
    y = L.Activation("swish")(L.BatchNormalization()(L.DepthwiseConv2D(5, padding="same", use_bias=False)(x)))
    s = L.Reshape((1, 1, 6))(L.GlobalAveragePooling2D()(y))
    s = L.Conv2D(6, 1, padding="same", activation="sigmoid")(L.Conv2D(2, 1, padding="same", activation="swish")(s))
    y = L.multiply([y, s])
    y = L.BatchNormalization()(L.Conv2D(6, 1, use_bias=False)(y))
    x = L.add([L.Dropout(0.2, noise_shape=(None, 1, 1, 1))(y), x])
    return k.Model(i, L.Dense(5, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def objects(k):
    """Activations that are layers, and names of functions."""
    L = k.layers
    i = k.Input((8, 8, 1))
    x = L.Conv2D(4, 3, activation=L.LeakyReLU(0.1))(i)
    x = L.Dense(3, activation=L.ReLU(0.4))(x)
    x = L.Activation("leaky_relu")(x)
    x = L.Activation("hard_sigmoid")(L.Dense(4, activation=k.activations.swish)(x))
    return k.Model(i, L.Dense(3, activation="softmax")(L.Flatten()(x)))


def transfer(k):
    """A base that is called for inference, behind augmentation and preprocess_input."""
    L = k.layers
    i = k.Input((10, 10, 3))
    x = k.Sequential([L.RandomFlip("horizontal")], name="augment")(i)
    x = k.applications.vgg16.preprocess_input(x)
    b = base(k, frozen=("a_conv", "a_bn"))
    x = L.Dropout(0.2)(L.GlobalAveragePooling2D()(b(x, training=False)))
    m = k.Model(i, L.Dense(4, activation="softmax")(x))
    m.compile("adam", "categorical_crossentropy")
    return m


def many(k):
    L = k.layers
    i = k.Input((8, 8, 1))
    x = L.concatenate([L.Conv2D(1, 3)(i) for _ in range(10)])
    x = L.add([L.Conv2D(2, 1)(x) for _ in range(9)])
    return k.Model(i, L.Dense(3, activation="softmax")(L.Flatten()(x)))


def attention(k):
    L = k.layers
    i = k.Input((12, 12, 3))
    x = L.Conv2D(4, 3, activation="relu")(i)
    x = x * (L.ReLU(6.0)(x + 3.0) * (1 / 6.0))
    if k is keras:
        parts = [keras.ops.mean(x, axis=-1, keepdims=True), keras.ops.max(x, axis=-1, keepdims=True)]
    else:
        parts = [tf.reduce_mean(x, axis=-1, keepdims=True), tf.reduce_max(x, axis=-1, keepdims=True)]
    x = L.Multiply()([x, L.Conv2D(1, 7, padding="same", activation="sigmoid")(L.Concatenate()(parts))])
    return k.Model(i, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(x[:, :, :, 1:4])))


def vgg(k):
    L = k.layers
    m = k.Sequential([k.Input((16, 16, 3))])
    for n, filters in enumerate((4, 6)):
        m.add(L.Conv2D(filters, (3, 3), activation="relu", padding="same", name=f"block{n}_conv1"))
        m.add(L.Conv2D(filters, (3, 3), activation="relu", padding="same", name=f"block{n}_conv2"))
        m.add(L.MaxPooling2D((2, 2), strides=(2, 2)))
    for layer in (L.Flatten(), L.Dense(10, activation="relu"), L.Dense(7, activation="softmax")):
        m.add(layer)
    return m


BOTH = dict(sequential=sequential, residual=residual, activations=activations, shapes=shapes, mixing=mixing,
            nested_twice=nested_twice, deep=deep, shared=shared, mobilenet=mobilenet, mobilenet_v2=mobilenet_v2,
            xception=xception, densenet=densenet, vgg=vgg, objects=objects, many=many,
            attention=attention)
RAW = dict(augmented=augmented, transfer=transfer, resized=resized, efficientnet=efficientnet)
