"""Makes yunet_2022.onnx and yunet_2023.onnx: networks with the outputs of a YuNet, as small as can be.

They find a face of 32x32 pixels, turned by 26.6 degrees, at each white pixel whose coordinates are multiples of 8, so
that tests can place faces. Run with: pip install onnx==1.23.2 numpy; python tests/golden/make_yunet.py
"""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
# the points from the face's middle, in pixels: eyes, nose, corners of the mouth
POINTS = [-8, -4, 8, 4, 0, 0, -5, 8, 5, 8]


class Network:
    def __init__(self):
        self.nodes, self.tensors = [], []

    def tensor(self, name, values):
        self.tensors.append(numpy_helper.from_array(values, name))
        return name

    def head(self, name, stride, slopes, biases, shape, sigmoid):
        """One value per slope for each pixel at multiples of the stride: slope * brightness + bias."""
        weights = np.array([[s / 765] * 3 for s in slopes], np.float32)
        self.tensor(name + "_w", weights.reshape(len(slopes), 3, 1, 1))
        self.tensor(name + "_b", np.array(biases, np.float32))
        self.nodes.append(helper.make_node("Conv", ["input", name + "_w", name + "_b"], [name + "_c"],
                                           kernel_shape=[1, 1], strides=[stride, stride]))
        last = name + "_c"
        if sigmoid:
            self.nodes.append(helper.make_node("Sigmoid", [last], [name + "_g"]))
            last = name + "_g"
        self.nodes.append(helper.make_node("Transpose", [last], [name + "_t"], perm=[0, 2, 3, 1]))
        self.tensor(name + "_s", np.array(shape, np.int64))
        self.nodes.append(helper.make_node("Reshape", [name + "_t", name + "_s"], [name]))
        return name

    def save(self, file, outputs):
        dims = ["n", "m"] if len(outputs) == 3 else [1, "n", "m"]
        graph = helper.make_graph(
            self.nodes, "faces", [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 64, 64])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name in outputs], self.tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
        onnx.save(model, os.path.join(HERE, file))


def yunet_2023():
    net = Network()
    for stride in (8, 16, 32):
        slope = 20 if stride == 8 else 0
        for name in ("cls", "obj"):
            net.head(f"{name}_{stride}", stride, [slope], [-10], [1, -1, 1], True)
        net.head(f"bbox_{stride}", stride, [0] * 4, [0.5, 0.5, np.log(4), np.log(4)], [1, -1, 4], False)
        net.head(f"kps_{stride}", stride, [0] * 10, [0.5 + p / 8 for p in POINTS], [1, -1, 10], False)
    net.save("yunet_2023.onnx", [f"{name}_{s}" for name in ("cls", "obj", "bbox", "kps") for s in (8, 16, 32)])


def yunet_2022():
    net = Network()
    parts = {"loc": [], "conf": [], "iou": []}
    # the last anchor of the first level has 24 pixels; sizes and offsets are those of the training
    own = [0, 0, np.log(32 / 24) / 0.1, np.log(32 / 24) / 0.2] + [p / 24 / 0.1 for p in POINTS]
    for stride, anchors in ((8, 3), (16, 2), (32, 2), (64, 3)):
        slope = 20 if stride == 8 else 0
        loc = [0] * 14 * (anchors - 1) + own
        conf = [0] * (2 * anchors - 1) + [slope]
        parts["loc"].append(net.head(f"loc_{stride}", stride, [0] * len(loc), loc, [-1, 14], False))
        parts["conf"].append(net.head(f"conf_{stride}", stride, conf, [-10] * len(conf), [-1, 2], True))
        parts["iou"].append(net.head(f"iou_{stride}", stride, [0] * anchors, [1] * anchors, [-1, 1], False))
    for name, inputs in parts.items():
        net.nodes.append(helper.make_node("Concat", inputs, [name], axis=0))
    net.save("yunet_2022.onnx", list(parts))


yunet_2022()
yunet_2023()
