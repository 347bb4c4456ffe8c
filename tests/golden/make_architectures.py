"""Makes configs/architectures: the networks of keras.applications for files of weights only, one JSON for each family.

    pip install tensorflow-cpu==2.21 tf_keras==2.21 keras==3.15.1
    python3 tests/golden/make_architectures.py configs/architectures [FOLDER of to_json() files, for a second run]

A family's `networks` are lists of layers [class, name, config, inputs], without the settings that are defaults or change
nothing in inference, and of uses ["@BLOCK", arguments…] of its `blocks`, layers in which "{0}" stands for the name of the
block and "{1}", … for what differs between its uses. host/formats/keras_families.c puts them together again; layers that
Keras numbers by itself (conv2d_7) are named after their block."""
import json
import os
import pathlib
import re
import sys

OUT = pathlib.Path(sys.argv[1])
CACHE = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
FAMILIES = {
    "vgg": ["VGG16", "VGG19"],
    "resnet": ["ResNet50", "ResNet101", "ResNet152"],
    "resnet_v2": ["ResNet50V2", "ResNet101V2", "ResNet152V2"],
    "densenet": ["DenseNet121", "DenseNet169", "DenseNet201"],
    "mobilenet": ["MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large"],
    "efficientnet": [f"EfficientNetB{i}" for i in range(8)],
    "efficientnet_v2": [f"EfficientNetV2{i}" for i in ("B0", "B1", "B2", "B3", "S", "M", "L")],
    "inception": ["InceptionV3", "InceptionResNetV2"],
    "nasnet": ["NASNetMobile", "NASNetLarge"],
    "xception": ["Xception"],
}
NAMES = {"MobileNetV2": "mobilenet_v2", "MobileNetV3Small": "mobilenet_v3_small", "MobileNetV3Large": "mobilenet_v3_large",
         "InceptionV3": "inception_v3", "InceptionResNetV2": "inception_resnet_v2", "NASNetMobile": "nasnet_mobile",
         "NASNetLarge": "nasnet_large"}
DROPPED = {"dtype", "sparse", "ragged", "noise_shape", "seed", "trainable", "momentum", "name", "optional",
           "quantization_config"} | {
    f"{what}_{kind}" for what in ("kernel", "bias", "beta", "gamma", "moving_mean", "moving_variance", "depthwise", "pointwise",
                                  "activity") for kind in ("initializer", "regularizer", "constraint")}
DEFAULTS = {"data_format": "channels_last", "groups": 1, "dilation_rate": [1, 1], "use_bias": True, "activation": "linear",
            "strides": [1, 1], "padding": "valid", "scale": True, "center": True, "keepdims": False, "depth_multiplier": 1,
            "threshold": 0.0, "negative_slope": 0.0, "max_value": None, "renorm": False, "synchronized": False}
BLOCK = re.compile(r"^(conv\d+_block\d+|block(?:35|17|8)_\d+|block\d+[a-z]?|block_\d+|expanded_conv(?:_\d+)?|mixed\w*?)(?:_|$)")
CELL = re.compile(r"_(stem_\d|reduce_\d+|\d+)$")  # NASNet's, at the end
AUTO = re.compile(r"^(conv2d|batch_normalization|activation|max_pooling2d|average_pooling2d|concatenate|add|multiply|re_lu|"
                  r"custom_scale_layer|zero_padding2d|cropping2d|global_average_pooling2d|flatten|dropout)(_\d+)?$")


def describe(name):
    """to_json() by Keras 3 where Keras 2's needs operators."""
    if CACHE and (CACHE / f"{name}.json").exists():
        return json.loads((CACHE / f"{name}.json").read_text())["config"]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tf_keras
    k = keras if name.startswith(("MobileNetV3", "InceptionResNet")) else tf_keras
    text = getattr(k.applications, name)(weights=None).to_json()
    k.backend.clear_session()
    if CACHE:
        (CACHE / f"{name}.json").write_text(text)
    return json.loads(text)["config"]


def inputs_of(layer):
    """Names of layers, and numbers that they are added to or multiplied with."""
    found = []

    def walk(v):
        if isinstance(v, dict) and v.get("class_name") == "__keras_tensor__":
            found.append(v["config"]["keras_history"][0])
        elif isinstance(v, dict):
            walk(v.get("args", []))
        elif isinstance(v, list) and len(v) in (3, 4) and isinstance(v[0], str):
            found.append(v[0])
        elif isinstance(v, list):
            for item in v:
                walk(item)
        elif isinstance(v, (int, float)):
            found.append(v)
    walk(layer["inbound_nodes"])
    return found


def layers_of(name):
    out = []
    for l in describe(name)["layers"]:
        kind, inputs = l["class_name"], inputs_of(l)
        pool = "Pooling" in kind  # whose strides have another default
        config = {k: v for k, v in l["config"].items()
                  if k not in DROPPED and (k not in DEFAULTS or v != DEFAULTS[k] or (pool and k == "strides"))}
        own = l["config"]["name"]
        if kind == "InputLayer":
            shape = list(config.get("batch_input_shape") or config["batch_shape"])
            config, own = {"batch_input_shape": [None] + [s or 224 for s in shape[1:3]] + [3]}, "input"
            names = {l["config"]["name"]: own}
        if kind in ("Add", "Multiply") and any(not isinstance(i, str) for i in inputs):
            number = next(i for i in inputs if not isinstance(i, str))
            inputs = [i for i in inputs if isinstance(i, str)]
            config = {"scale": number} if kind == "Multiply" else {"scale": 1, "offset": number}
            kind = "Rescaling"
        inputs = [names.get(i, i) for i in inputs]
        if kind == "CustomScaleLayer":  # x + y * scale
            out.append(["Rescaling", own + "_scaled", {"scale": config.get("scale", 1)}, [inputs[1]]])
            inputs, kind, config = [inputs[0], own + "_scaled"], "Add", {}
        out.append([kind, own, config, inputs])
    return out


def block_name(name, cells):
    found = CELL.search(name) if cells else BLOCK.match(name)
    return found.group(1) if found and not AUTO.match(name.removesuffix("_scaled")) else None


def rename(layers, cells):
    """[(block, layer)]; layers with a name of Keras's belong to the block of the next layer that has one."""
    blocks, following = [None] * len(layers), None
    for i in reversed(range(len(layers))):
        own = block_name(layers[i][1], cells)
        auto = AUTO.match(layers[i][1].removesuffix("_scaled"))
        following = own or (following if auto else None)
        blocks[i] = following
    names, counts, out = {}, {}, []
    for block, (kind, own, config, inputs) in zip(blocks, layers):
        if block and AUTO.match(own.removesuffix("_scaled")):
            counts[block] = counts.get(block, 0) + 1
            names[own] = f"auto{counts[block]}_{block}" if cells else f"{block}_auto{counts[block]}"
        out.append((block, [kind, names.get(own, own), config, [names.get(i, i) for i in inputs]]))
    assert len({l[1] for _, l in out}) == len(out)
    return out


def generalise(block, layers, cells):
    """The layers with leaves replaced by None, and the leaves."""
    leaves, own = [], {l[1] for l in layers}

    def name(text):
        if cells:
            assert text.endswith("_" + block), (text, block)
            return text[:-len(block)] + "{0}"
        assert text.startswith(block), (text, block)
        return "{0}" + text[len(block):]

    def walk(v):
        if isinstance(v, dict):
            return {k: walk(x) for k, x in v.items()}
        if isinstance(v, list):
            return [walk(x) for x in v]
        leaves.append(v)
        return None
    shape = [[kind, name(n), walk(config), [name(i) if i in own else walk(i) for i in inputs]] for kind, n, config, inputs in layers]
    return shape, leaves


def fill(v, values):
    if isinstance(v, dict):
        return {k: fill(x, values) for k, x in v.items()}
    if isinstance(v, list):
        return [fill(x, values) for x in v]
    return values.pop(0) if v is None else v


def compress(members, cells):
    uses, networks = {}, {}
    for member, layers in members.items():
        runs = []
        for block, layer in rename(layers, cells):
            if block and runs and runs[-1][0] == block:
                runs[-1][1].append(layer)
            else:
                runs.append((block, [layer]))
        networks[member] = []
        for block, run in runs:
            if not block or len(run) < 2:
                networks[member] += run
                continue
            shape, leaves = generalise(block, run, cells)
            key = json.dumps(shape)
            use = [block, *leaves]
            uses.setdefault(key, []).append(use)
            networks[member].append((key, use, run))
    blocks, plans = {}, {}
    for number, (key, list_) in enumerate(uses.items()):
        columns = list(map(list, zip(*list_)))[1:]
        values, wanted = [], []
        for i, c in enumerate(columns):
            if all(json.dumps(v) == json.dumps(c[0]) for v in c):
                values.append(c[0])
                continue
            same = [w for w in wanted if json.dumps(columns[w]) == json.dumps(c)]
            if not same:
                wanted.append(i)
            values.append("{%d}" % (1 + wanted.index(same[0] if same else i)))
        if len(list_) == 1:
            continue
        blocks[f"{number}"] = fill(json.loads(key), values)
        plans[key] = (f"@{number}", wanted)
    for member, items in networks.items():
        flat = []
        for item in items:
            if isinstance(item, list):
                flat.append(item)
            elif item[0] in plans:
                call, wanted = plans[item[0]]
                flat.append([call, item[1][0], *[item[1][1 + w] for w in wanted]])
            else:
                flat += item[2]
        networks[member] = flat
    return blocks, networks


def expand(items, blocks):
    def put(v, args):
        if isinstance(v, dict):
            return {k: put(x, args) for k, x in v.items()}
        if isinstance(v, list):
            return [put(x, args) for x in v]
        if not isinstance(v, str):
            return v
        whole = re.fullmatch(r"\{(\d+)\}", v)
        return args[int(whole.group(1))] if whole else v.replace("{0}", str(args[0]))
    out = []
    for item in items:
        out += put(blocks[item[0][1:]], item[1:]) if item[0].startswith("@") else [item]
    return out


def rows(items, indent):
    return ",\n".join(indent + json.dumps(i, separators=(",", ":")) for i in items)


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for family, functions in FAMILIES.items():
        members = {NAMES.get(f, f.lower()): layers_of(f) for f in functions}
        cells = family == "nasnet"
        blocks, networks = compress(members, cells)
        for member, items in networks.items():
            assert expand(items, blocks) == [l for _, l in rename(members[member], cells)], member
        text = '{"blocks":{\n%s},\n"networks":{\n%s}}\n' % (
            ",\n".join(f'"{k}":[\n{rows(v, " ")}]' for k, v in blocks.items()),
            ",\n".join(f'"{k}":[\n{rows(v, " ")}]' for k, v in networks.items()))
        (OUT / f"{family}.json").write_text(text)
        print(f"{family:16} {len(text) // 1000:4} KB, {len(blocks)} blocks:", ", ".join(networks))
