"""Makes configs/architectures: networks of keras.applications for files of weights only, as JSON that Mien reads, without
the settings that are defaults or change nothing in inference.

    pip install tensorflow-cpu==2.21 tf_keras==2.21
    python3 tests/golden/make_architectures.py configs/architectures"""
import json
import pathlib
import sys

import tf_keras

OUT = pathlib.Path(sys.argv[1])
NAMES = dict(vgg16="VGG16", vgg19="VGG19", resnet50="ResNet50", resnet50v2="ResNet50V2", mobilenet="MobileNet",
             mobilenet_v2="MobileNetV2", xception="Xception", densenet121="DenseNet121", efficientnetb0="EfficientNetB0",
             inception_v3="InceptionV3")
DROPPED = {"dtype", "sparse", "ragged", "noise_shape", "seed", "trainable", "momentum", "name", "optional"} | {
    f"{what}_{kind}" for what in ("kernel", "bias", "beta", "gamma", "moving_mean", "moving_variance", "depthwise", "pointwise",
                                  "activity") for kind in ("initializer", "regularizer", "constraint")}
DEFAULTS = {"data_format": "channels_last", "groups": 1, "dilation_rate": [1, 1], "use_bias": True, "activation": "linear",
            "strides": [1, 1], "padding": "valid", "scale": True, "center": True, "keepdims": False, "depth_multiplier": 1,
            "threshold": 0.0, "negative_slope": 0.0}


def short(layer):
    pool = "Pooling" in layer["class_name"]  # whose strides have another default
    config = {k: v for k, v in layer["config"].items()
              if k not in DROPPED and (k not in DEFAULTS or v != DEFAULTS[k] or (pool and k == "strides"))}
    nodes = [[ref[:3] for ref in node] for node in layer["inbound_nodes"]]
    return dict(class_name=layer["class_name"], name=layer["config"]["name"], config=config, inbound_nodes=nodes)


OUT.mkdir(exist_ok=True)
for name, function in NAMES.items():
    config = json.loads(getattr(tf_keras.applications, function)(weights=None).to_json())["config"]
    layers = ",\n".join(json.dumps(short(l), separators=(",", ":")) for l in config["layers"])
    (OUT / f"{name}.json").write_text(
        '{"class_name":"Functional","keras_version":"2","config":{"name":"%s","input_layers":%s,"output_layers":%s,"layers":[\n%s]}}\n'
        % (name, json.dumps(config["input_layers"]), json.dumps(config["output_layers"]), layers))
