"""Makes tests/golden/keras: small models of Keras 1 to 3 and the outputs of the real Keras.

    pip install tensorflow-cpu==2.21 tf_keras==2.21 keras==3.15.1 h5py==3.14
    python3 tests/golden/make_keras.py tests/golden/keras

Keras 3 and Keras 2 (tf_keras) write most of them; the layouts of older versions, which no Keras of today
writes, are made from these with h5py. expected.json has, for each file, the outputs for the images of
`pixels`, divided by 255 where `unit` is true."""
import gzip
import json
import marshal
import os
import pathlib
import shutil
import sys
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import h5py
import keras
import numpy as np
import tensorflow as tf
import tf_keras

from keras_nets import BOTH, RAW, ROWS, head, nested, pixels, residual, sequential

OUT = pathlib.Path(sys.argv[1])
expected = {}
rng = np.random.default_rng(17)


def randomise(model):
    """Also of states, so that a mistaken order shows; 10 bits of mantissa keep the files small."""
    values = []
    for w, v in zip(model.weights, model.get_weights()):
        name = getattr(w, "path", w.name)
        if v.dtype != np.float32:
            values.append(v)
            continue
        if "variance" in name:
            new = rng.uniform(0.5, 1.5, v.shape)
        elif "gamma" in name:
            new = rng.uniform(0.7, 1.3, v.shape)
        elif v.ndim >= 2:
            new = rng.normal(0, (2.0 / max(1, np.prod(v.shape[:-1]))) ** 0.5, v.shape)
        else:
            new = rng.normal(0, 0.2, v.shape)
        bits = np.asarray(new, np.float32).view(np.uint32) & np.uint32(0xFFFFE000)
        values.append(bits.view(np.float32).reshape(v.shape))
    model.set_weights(values)
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return model


def weights_of_layers(model):
    """Of convolutions and dense layers alone, as a Normalization keeps what it was adapted to. By numbers of its own, so
    that those of the other models stay the same."""
    own = np.random.default_rng(18)
    for layer in model.layers:
        if type(layer).__name__ in ("Conv2D", "Dense"):
            layer.set_weights([own.normal(0, 0.3, v.shape).astype(np.float32) for v in layer.get_weights()])
    return model


def outputs(model, shape, unit=True):
    x = pixels(shape).astype(np.float32)
    y = np.asarray(model(x / np.float32(255) if unit else x, training=False))
    return y.reshape(ROWS, -1)


def note(name, shape, y, unit=True, **more):
    assert name not in expected, name
    assert np.isfinite(y).all(), name
    expected[name] = dict(shape=list(shape), unit=unit, outputs=[[float(f"{v:.9g}") for v in row] for row in y], **more)


def save(model, name, shape, unit=True, **more):
    model.save(OUT / name)
    note(name, shape, outputs(model, shape, unit), unit, **more)


def shape_of(model):
    return tuple(model.input_shape[0][1:] if isinstance(model.input_shape, list) else model.input_shape[1:])


def both():
    for name, make in {**BOTH, **RAW}.items():
        for k, tag in ((keras, "k3"), (tf_keras, "k2")):
            model = weights_of_layers(make(k)) if name == "resized" else randomise(make(k))
            unit = name not in RAW
            for suffix in ("h5", "keras"):
                if k is tf_keras and suffix == "h5" and name in ("nested_twice", "deep"):
                    continue  # it cannot write weights of equal names in one group
                if suffix == "keras" and name in ("vgg", "xception", "mobilenet_v2", "shapes", "mixing", "densenet",
                                                  *(("nested_twice", "transfer", "attention") if k is tf_keras else ()), "mobilenet", "efficientnet", "many"):
                    continue
                save(model, f"{tag}_{name}.{suffix}", shape_of(model), unit)
    for kind in ("logits", "sigmoid", "labels", "age", "dropped", "pixel", "list"):
        model = randomise(head(keras, kind))
        save(model, f"k3_{kind}.h5", shape_of(model))
    model = randomise(head(keras, "two"))
    model.save(OUT / "k3_two.h5")
    y = [np.asarray(v) for v in model(pixels((8, 8, 1)).astype(np.float32) / np.float32(255))]
    note("k3_two.h5", (8, 8, 1), y[0], output="emotion")
    for k, tag in ((keras, "k3"), (tf_keras, "k2")):
        for name, frozen, everything in (("free", (), False), ("partly", ("a_conv", "b_bn"), False), ("frozen", (), True)):
            model = randomise(nested(k, frozen, everything))
            save(model, f"{tag}_{name}.h5", shape_of(model))
            if name == "partly":
                save(model, f"{tag}_{name}.keras", shape_of(model))


# ---- what only one of them writes ----

def operators3():
    L = keras.layers
    i = keras.Input((8, 8, 3))
    x = i / 127.5
    x = x - 1.0
    x = x[..., ::-1] - np.array([0.1, 0.2, 0.3], "float32")
    y = L.Conv2D(3, 3, padding="same")(x)
    x = keras.ops.relu(x + y * 2.0) * 0.5
    x = x[:, 1:-1, 2:, :]
    x = keras.ops.silu(x) + keras.ops.sigmoid(x)
    x = keras.ops.mean(x, axis=[1, 2])
    x = 1.0 - x
    return keras.Model(i, L.Dense(4, activation="softmax")(x))


def operators2(mode):
    L = tf_keras.layers
    i = tf_keras.Input((8, 8, 3))
    x = getattr(tf_keras.applications, mode).preprocess_input(i)
    y = L.Conv2D(3, 3, padding="same")(x / 100.0)
    x = tf.nn.relu(x * 0.01 + y)
    x = tf.reduce_mean(x, [1, 2])
    return tf_keras.Model(i, L.Dense(4, activation="softmax")(1.0 - x))


def special():
    model = randomise(operators3())
    save(model, "k3_operators.h5", (8, 8, 3), False)
    save(model, "k3_operators.keras", (8, 8, 3), False)
    for mode in ("vgg16", "mobilenet_v2"):
        save(randomise(operators2(mode)), f"k2_operators_{mode}.h5", (8, 8, 3), False)
    for k, tag in ((keras, "k3"), (tf_keras, "k2")):
        L = k.layers
        for name, f in (("tf", lambda x: x / 127.5 - 1), ("unit", lambda x: x / 255.0)):
            model = randomise(k.Sequential([k.Input((8, 8, 1)), L.Lambda(f), L.Conv2D(3, 3, activation="relu"),
                                            L.GlobalAveragePooling2D(), L.Dense(3, activation="softmax")]))
            save(model, f"{tag}_lambda_{name}.{'keras' if tag == 'k3' else 'h5'}", (8, 8, 1), False)


# ---- older layouts, made with h5py from a model of tf_keras ----

STRIP = {"kernel_initializer", "bias_initializer"}


def write_h5(name, model, config, names=lambda layer, weights: [w.name for w in weights], values=None, attrs=None,
             whole=True, order=None):
    """The layout of Keras 1 and 2."""
    with h5py.File(OUT / name, "w") as f:
        g = f.create_group("model_weights") if whole else f
        layers = order or [l for l in model.layers]
        g.attrs["layer_names"] = [l.name.encode() for l in layers]
        for l in layers:
            sub = g.create_group(l.name)
            own = names(l, l.weights)
            sub.attrs["weight_names"] = [n.encode() for n in own]
            data = values(l, l.get_weights()) if values else l.get_weights()
            for n, v in zip(own, data):
                sub.create_dataset(n, data=v)
        for k, v in (attrs or {}).items():
            f.attrs[k] = np.bytes_(v)
            g.attrs[k] = np.bytes_(v)
        if whole:
            f.attrs["model_config"] = np.bytes_(json.dumps(config))


def old_layer(l, extra=()):
    config = {k: v for k, v in l.get_config().items() if k not in ("dtype", "groups")}
    return {"class_name": type(l).__name__, "config": config}


def keras_20(model, bare):
    layers = [old_layer(l) for l in model.layers if type(l).__name__ != "InputLayer"]
    layers[0]["config"]["batch_input_shape"] = [None, *shape_of(model)]
    return {"class_name": "Sequential", "config": layers if bare else {"name": "sequential_1", "layers": layers}}


def keras_1(model, ordering):
    """Keras 1.2's names of classes and settings."""
    out = []
    for l in model.layers:
        c, kind = l.get_config(), type(l).__name__
        if kind == "InputLayer":
            continue
        n = {"name": c["name"], "trainable": True}
        if kind == "Conv2D":
            kind = "Convolution2D"
            n |= dict(nb_filter=c["filters"], nb_row=c["kernel_size"][0], nb_col=c["kernel_size"][1], border_mode=c["padding"],
                      subsample=c["strides"], dim_ordering=ordering, bias=c["use_bias"], activation=c["activation"],
                      init="glorot_uniform", W_regularizer=None, b_regularizer=None, activity_regularizer=None,
                      W_constraint=None, b_constraint=None)
        elif kind == "Dense":
            n |= dict(output_dim=c["units"], activation=c["activation"], bias=True, init="uniform", input_dim=None,
                      W_regularizer=None, b_regularizer=None, activity_regularizer=None, W_constraint=None, b_constraint=None)
        elif kind == "BatchNormalization":
            axis = c["axis"][0] if isinstance(c["axis"], (list, tuple)) else c["axis"]
            n |= dict(mode=0, axis=1 if ordering == "th" and axis == 3 else axis, epsilon=c["epsilon"], momentum=c["momentum"], gamma_regularizer=None, beta_regularizer=None)
        elif kind == "MaxPooling2D":
            n |= dict(pool_size=c["pool_size"], strides=c["strides"], border_mode=c["padding"], dim_ordering=ordering)
        elif kind == "Dropout":
            n |= dict(p=c["rate"])
        elif kind == "Activation":
            n |= dict(activation=c["activation"])
        elif kind == "LeakyReLU":
            n |= dict(alpha=c.get("alpha", 0.3))
        out.append({"class_name": kind, "config": n})
    h, w, c = shape_of(model)
    out[0]["config"]["batch_input_shape"] = [None, c, h, w] if ordering == "th" else [None, h, w, c]
    return {"class_name": "Sequential", "config": out}


KERAS_1 = {"kernel": "W", "bias": "b", "gamma": "gamma", "beta": "beta", "moving_mean": "running_mean", "moving_variance": "running_std"}


def old_names(layer, weights):
    return [f"{layer.name}_{KERAS_1[w.name.split('/')[-1].split(':')[0]]}" for w in weights]


def theano(rows):
    def convert(layer, values):
        out = []
        for v in values:
            if v.ndim == 4:
                v = v.transpose(3, 2, 0, 1)[:, :, ::-1, ::-1]
            out.append(v)
        if rows and type(layer).__name__ == "Dense" and rows.get("first", True):
            rows["first"] = False
            h, w, c = rows["shape"]
            out[0] = out[0].reshape(h, w, c, -1).transpose(2, 0, 1, 3).reshape(h * w * c, -1)
        return out
    return convert


def eras():
    model = randomise(sequential(tf_keras, True))
    shape, y = shape_of(model), outputs(model, shape_of(model))
    flat = tuple(int(v) for v in [l for l in model.layers if type(l).__name__ == "Activation"][0].output_shape[1:])
    write_h5("era_20_list.h5", model, keras_20(model, True), attrs=dict(keras_version="2.0.8", backend="tensorflow"))
    write_h5("era_22_input_shape.h5", model, keras_20(model, False), attrs=dict(keras_version="2.2.4", backend="tensorflow"))
    write_h5("era_20_theano.h5", model, keras_20(model, True), attrs=dict(keras_version="2.0.8", backend="theano"),
             values=lambda l, vs: [v[::-1, ::-1] if v.ndim == 4 else v for v in vs])
    write_h5("era_no_role.h5", model, keras_20(model, True), attrs=dict(keras_version="2.3.1", backend="tensorflow"),
             names=lambda l, ws: [f"{l.name}/variable_{i}:0" for i, _ in enumerate(ws)])
    write_h5("era_no_layer.h5", model, keras_20(model, True), attrs=dict(keras_version="2.3.1", backend="tensorflow"),
             names=lambda l, ws: [w.name.split("/")[-1] for w in ws])
    write_h5("era_1_tf.h5", model, keras_1(model, "tf"), names=old_names, attrs=dict(keras_version="1.2.2"))
    write_h5("era_1_th.h5", model, keras_1(model, "th"), names=old_names, attrs=dict(keras_version="1.2.2"),
             values=theano(dict(shape=flat)))
    for name in ("era_20_list", "era_22_input_shape", "era_20_theano", "era_no_role", "era_no_layer", "era_1_tf", "era_1_th"):
        note(f"{name}.h5", shape, y)
    # weights and the architecture in files of their own
    write_h5("weights_only.h5", model, None, whole=False, attrs=dict(keras_version="2.4.0", backend="tensorflow"))
    (OUT / "weights_only.json").write_text(model.to_json())
    note("weights_only.h5", shape, y)
    shutil.copy(OUT / "weights_only.h5", OUT / "json_in_json_weights.h5")
    (OUT / "json_in_json.json").write_text(json.dumps(model.to_json()))
    note("json_in_json_weights.h5", shape, y)
    write_h5("other_names.h5", model, None, whole=False, names=old_names, values=theano(dict(shape=flat)))
    note("other_names.h5", shape, y, architecture="renamed.json")
    text = json.loads(model.to_json())
    for l in text["config"]["layers"]:
        l["config"]["name"] += "_9"
    (OUT / "renamed.json").write_text(json.dumps(text))
    # Keras 3's file of weights
    m3 = randomise(residual(keras))
    m3.save_weights(OUT / "k3.weights.h5")
    (OUT / "k3.json").write_text(m3.to_json())
    note("k3.weights.h5", shape_of(m3), outputs(m3, shape_of(m3)))
    # a user block, split lists, strings of other kinds, deflated members of a .keras
    with h5py.File(OUT / "k2_sequential.h5") as a, h5py.File(OUT / "split_block.h5", "w", userblock_size=512) as b:
        for k, v in a.attrs.items():
            b.attrs[k] = v
        a.copy("model_weights", b)
        g = b["model_weights"]
        layer_names = list(g.attrs["layer_names"])
        del g.attrs["layer_names"]
        for i, start in enumerate(range(0, len(layer_names), 5)):
            g.attrs[f"layer_names{i}"] = layer_names[start:start + 5]
    note("split_block.h5", (12, 12, 1), np.array(expected["k2_sequential.h5"]["outputs"]))
    with zipfile.ZipFile(OUT / "k3_sequential.keras") as a, zipfile.ZipFile(OUT / "deflated.keras", "w", zipfile.ZIP_DEFLATED) as b:
        for n in a.namelist():
            b.writestr(n, a.read(n))
    note("deflated.keras", (12, 12, 1), np.array(expected["k3_sequential.keras"]["outputs"]))
    with zipfile.ZipFile(OUT / "k3_residual.keras") as a:
        (OUT / "tmp.h5").write_bytes(a.read("model.weights.h5"))
        with h5py.File(OUT / "tmp.h5", "r+") as f:  # before 3.8 `vars` had no name
            f.visititems(lambda n, o: o.attrs.clear())
            f.move("layers", "_layer_checkpoint_dependencies")
        with zipfile.ZipFile(OUT / "dependencies.keras", "w") as b:
            for n in a.namelist():
                b.writestr(n, (OUT / "tmp.h5").read_bytes() if n.endswith(".h5") else a.read(n))
        (OUT / "tmp.h5").unlink()
    note("dependencies.keras", (16, 16, 1), np.array(expected["k3_residual.keras"]["outputs"]))


def keras_1_lambda():
    """Keras 1 wrote a function's bytes as text, with NUL bytes."""
    L = tf_keras.layers
    f = lambda x: x / 127.5 - 1
    model = randomise(tf_keras.Sequential([tf_keras.Input((8, 8, 1)), L.Lambda(f), L.Conv2D(3, 3), L.Flatten(), L.Dense(3, activation="softmax")]))
    config = keras_1(model, "tf")
    code = marshal.dumps(f.__code__).decode("raw_unicode_escape")
    config["config"][0]["config"] |= dict(function=code, function_type="lambda", output_shape=None, output_shape_type="raw", arguments={})
    write_h5("era_1_lambda.h5", model, config, names=old_names, attrs=dict(keras_version="1.2.0"))
    note("era_1_lambda.h5", (8, 8, 1), outputs(model, (8, 8, 1), False), False)


def channels_first():
    """One layer that wants its channels first, which TensorFlow cannot run on a CPU: computed by permutations."""
    L = keras.layers
    i = keras.Input((3, 10, 8))
    p = L.Permute((2, 3, 1))
    x = L.Conv2D(4, 3, padding="same", name="c1")(p(i))
    x = L.MaxPooling2D(2)(x)
    x = L.Flatten(data_format="channels_last")(L.Permute((3, 1, 2))(x))
    ref = randomise(keras.Model(i, L.Dense(4, activation="softmax", name="d1")(x)))
    text = json.loads(ref.to_json())
    ref.save(OUT / "channels_first.h5")
    layers = text["config"]["layers"]
    keep = [l for l in layers if l["class_name"] != "Permute"]
    before = None
    for l in keep:
        if before:
            l["inbound_nodes"] = [[[before, 0, 0, {}]]]
        before = l["config"]["name"]
        l["name"] = before
        if l["class_name"] in ("Conv2D", "MaxPooling2D"):
            l["config"]["data_format"] = "channels_first"
    text["config"]["layers"] = keep
    x = pixels((10, 8, 3)).astype(np.float32) / np.float32(255)
    y = np.asarray(ref(x.transpose(0, 3, 1, 2)))
    with h5py.File(OUT / "channels_first.h5", "r+") as f:
        del f.attrs["model_config"]
        f.attrs["model_config"] = json.dumps(text)
    note("channels_first.h5", (10, 8, 3), y)


def without_dates(path):
    """The same archive, without the time at which it was made."""
    with zipfile.ZipFile(path) as f:
        members = [(m, f.read(m)) for m in f.infolist()]
    with zipfile.ZipFile(path, "w") as f:
        for m, data in members:
            if m.filename == "metadata.json":
                data = json.dumps(json.loads(data) | dict(date_saved="1980-01-01@00:00:00")).encode()
            new = zipfile.ZipInfo(m.filename)
            new.compress_type = m.compress_type
            f.writestr(new, data)


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    both()
    special()
    eras()
    keras_1_lambda()
    channels_first()
    for path in OUT.glob("*.keras"):
        without_dates(path)
    for path in sorted(OUT.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
        path.unlink()
    (OUT / "expected.json").write_text(json.dumps(expected, indent=0))
    print(len(expected), "files,", sum(p.stat().st_size for p in OUT.iterdir()) // 1000, "KB")
