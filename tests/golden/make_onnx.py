"""Writes tests/golden/onnx/*.onnx by the exporters that people use, and onnx.safetensors with the
outputs that ONNX Runtime computes. See README.md."""

import os
import sys
import warnings

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "onnx")
IMAGES = 3
sys.path.insert(0, HERE)
warnings.filterwarnings("ignore")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import golden_io  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
from onnx import TensorProto as T, helper as h, numpy_helper as nh  # noqa: E402
from onnx_nets import (  # noqa: E402
    Activations,
    Detector,
    FlatNorm,
    Kinds,
    Landmarks,
    Plain,
    Pools,
    Shuffle,
    Up,
    Views,
    Wide,
)
from torch import nn  # noqa: E402

torch.set_num_threads(1)
only = sys.argv[1:]
made = {}


def pixels(n, shape):
    """The images of the tests, made by the same formula there: bytes of an xorshift generator."""
    count = n * int(np.prod(shape))
    out, s = np.empty(count, np.uint8), 2463534242
    for i in range(count):
        s ^= (s << 13) & 0xFFFFFFFF
        s ^= s >> 17
        s ^= (s << 5) & 0xFFFFFFFF
        out[i] = s >> 24
    return out.reshape((n,) + tuple(shape))


def strip(m):
    """PyTorch's notes on each node are larger than these networks, and hold paths and lines of source."""
    for entry in [m, m.graph, *m.graph.node, *m.graph.value_info, *m.graph.initializer, *m.graph.input,
                  *m.graph.output]:
        entry.ClearField("metadata_props")
        entry.ClearField("doc_string")
    del m.functions[:]


def note(name, output=None):
    """Runs the file in ONNX Runtime, one image at a time."""
    path = os.path.join(OUT, name + ".onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    wanted = session.get_inputs()[0]
    shape = [d if isinstance(d, int) else 1 for d in wanted.shape][1:]
    first = shape[0] <= 4
    hwc = [shape[1], shape[2], shape[0]] if first else shape
    x = pixels(IMAGES, hwc).astype(np.float32) / np.float32(255)
    if first:
        x = x.transpose(0, 3, 1, 2)
    names = [output] if output else None
    y = [session.run(names, {wanted.name: x[i : i + 1]})[0].reshape(-1) for i in range(IMAGES)]
    made[name] = np.stack(y).astype(np.float32)
    data = path + ".data"
    if os.path.exists(data) and os.path.getsize(data) == 0:
        os.remove(data)
    m = onnx.load(path, load_external_data=False)
    strip(m)
    onnx.save(m, path)
    size = os.path.getsize(path)
    ops = sorted({n.op_type for n in m.graph.node})
    print(f"{name:28} opset {m.opset_import[0].version:2} ir {m.ir_version:2} {size:6} bytes  {' '.join(ops)}")


def randomise(module, seed=1):
    g = torch.Generator().manual_seed(seed)
    for m in module.modules():
        if isinstance(m, (nn.BatchNorm2d, nn.BatchNorm1d)):
            m.running_mean.copy_(torch.rand(m.running_mean.shape, generator=g) - 0.5)
            m.running_var.copy_(torch.rand(m.running_var.shape, generator=g) + 0.5)
            m.weight.data.copy_(torch.rand(m.weight.shape, generator=g) + 0.5)
            m.bias.data.copy_(torch.rand(m.bias.shape, generator=g) - 0.5)
    return module.eval()


def by_torch(name, module, shape=(1, 16, 16), opset=13, dynamo=False, external=False, dynamic=True,
             fold=True, **more):
    if only and name not in only:
        return
    torch.manual_seed(sum(map(ord, name)))
    module = randomise(module(), len(name))  # made here, so that each file has its own seed
    path = os.path.join(OUT, name + ".onnx")
    x = torch.rand((1,) + shape)
    if dynamo:
        torch.onnx.export(module, (x,), path, dynamo=True, opset_version=opset,
                          external_data=external, verbose=False, **more)
    else:
        axes = {"input": {0: "batch"}} if dynamic else None
        torch.onnx.export(module, (x,), path, dynamo=False, opset_version=opset,
                          input_names=["input"], dynamic_axes=axes, do_constant_folding=fold, **more)
    note(name)


def narrow_torchvision():
    from torchvision.models import efficientnet, mobilenetv3, resnet
    from functools import partial

    def narrow_resnet():
        net = resnet.ResNet(resnet.BasicBlock, [2, 2, 2, 2], num_classes=7)
        narrow(net, 32)
        return net

    def narrow(module, by):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d):
                new = nn.Conv2d(max(child.in_channels // by, 1) if child.in_channels > 3 else 3,
                                child.out_channels // by, child.kernel_size, child.stride,
                                child.padding, bias=False)
                setattr(module, name, new)
            elif isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.BatchNorm2d(child.num_features // by))
            elif isinstance(child, nn.Linear):
                setattr(module, name, nn.Linear(child.in_features // by, child.out_features))
            else:
                narrow(child, by)

    by_torch("resnet18_old", narrow_resnet, (3, 32, 32), 17)
    by_torch("resnet18_dynamo", narrow_resnet, (3, 32, 32), 18, dynamo=True)
    conf = partial(mobilenetv3.InvertedResidualConfig, width_mult=0.15)
    rows = [conf(16, 3, 16, 16, True, "RE", 2, 1), conf(16, 3, 72, 24, False, "RE", 2, 1),
            conf(24, 5, 96, 40, True, "HS", 2, 1), conf(40, 5, 240, 40, True, "HS", 1, 1)]

    def small():
        return mobilenetv3.MobileNetV3(rows, 64, num_classes=7)

    by_torch("mobilenetv3_old", small, (3, 32, 32), 12)
    by_torch("mobilenetv3_dynamo", small, (3, 32, 32), 20, dynamo=True)
    conf = partial(efficientnet.MBConvConfig, width_mult=0.2, depth_mult=0.5)
    mb = [conf(1, 3, 1, 32, 16, 1), conf(6, 3, 2, 16, 24, 2), conf(6, 5, 2, 24, 40, 2),
          conf(6, 3, 2, 40, 80, 3)]

    def net():
        return efficientnet.EfficientNet(mb, 0.2, num_classes=7, last_channel=48)

    by_torch("efficientnet_old", net, (3, 32, 32), 11)
    by_torch("efficientnet_dynamo", net, (3, 32, 32), 20, dynamo=True)


def torch_nets():
    for opset in (7, 9, 11, 13, 15, 18, 20):
        by_torch(f"plain_{opset}", lambda: Plain(softmax=opset % 4 == 1), opset=opset)
    by_torch("plain_training", lambda: Plain(), opset=13, fold=False)
    by_torch("plain_fixed", lambda: Plain(), opset=14, dynamic=False)
    by_torch("plain_dynamo", lambda: Plain(softmax=True), opset=20, dynamo=True)
    by_torch("plain_dynamo_batch", lambda: Plain(), opset=21, dynamo=True,
             dynamic_shapes=({0: torch.export.Dim("batch")},))
    by_torch("external", lambda: Plain(channels=3), (3, 16, 16), 20, dynamo=True, external=True)
    by_torch("views_9", Views, (3, 16, 16), 9)
    by_torch("views_16", Views, (3, 16, 16), 16)
    by_torch("kinds", Kinds, (3, 16, 16), 13)
    by_torch("kinds_dynamo", Kinds, (3, 16, 16), 20, dynamo=True)
    by_torch("activations_10", Activations, (3, 8, 8), 10)
    by_torch("activations_17", Activations, (3, 8, 8), 17)
    by_torch("activations_dynamo", Activations, (3, 8, 8), 20, dynamo=True)
    by_torch("pools_10", Pools, (1, 19, 22), 10)
    by_torch("pools_18", Pools, (1, 19, 22), 18)
    by_torch("pools_dynamo", Pools, (1, 19, 22), 20, dynamo=True)
    by_torch("shuffle_11", Shuffle, (3, 16, 16), 11)
    by_torch("shuffle_dynamo", Shuffle, (3, 16, 16), 20, dynamo=True)
    by_torch("detector_9", Detector, (3, 16, 24), 9)
    by_torch("detector_dynamo", Detector, (3, 16, 24), 20, dynamo=True)
    by_torch("wide", Wide, (1, 8, 8), 13)
    by_torch("flat_norm", FlatNorm, (3, 8, 8), 13)
    by_torch("up_11", Up, (3, 16, 16), 11)
    by_torch("up_dynamo", Up, (3, 16, 16), 20, dynamo=True)
    by_torch("landmarks", Landmarks, (3, 16, 16), 13)
    narrow_torchvision()


# ---- made by hand: forms that today's exporters no longer write ----

class Graph:
    def __init__(self, name, opset, shape, ir=None):
        self.name, self.opset, self.ir = name, opset, ir
        self.nodes, self.weights, self.rng = [], [], np.random.default_rng(len(name))
        self.input = h.make_tensor_value_info("x", T.FLOAT, shape)
        self.n = 0

    def weight(self, *shape, scale=1.0, name=None):
        self.n += 1
        name = name or f"w{self.n}"
        value = (self.rng.standard_normal(shape) * scale).astype(np.float32)
        self.weights.append(nh.from_array(value, name))
        return name

    def const(self, value, dtype=np.float32):
        self.n += 1
        self.weights.append(nh.from_array(np.array(value, dtype), f"c{self.n}"))
        return f"c{self.n}"

    def __call__(self, op, *inputs, outputs=1, **attributes):
        self.n += 1
        out = [f"v{self.n}_{i}" for i in range(outputs)]
        self.nodes.append(h.make_node(op, list(inputs), out, name=f"n{self.n}", **attributes))
        return out[0] if outputs == 1 else out

    def done(self, *outputs, choose=None, also_inputs=False, change=None):
        outputs = [h.make_tensor_value_info(o, T.FLOAT, None) for o in outputs]
        inputs = [self.input]
        if also_inputs:
            inputs += [h.make_tensor_value_info(w.name, w.data_type, w.dims) for w in self.weights]
        g = h.make_graph(self.nodes, "g", inputs, outputs, self.weights)
        m = h.make_model(g, opset_imports=[h.make_opsetid("", self.opset)], producer_name="by hand")
        m.ir_version = self.ir or {7: 3, 8: 3, 28: 14}.get(self.opset, min(10, 3 + self.opset // 3))
        if change:
            change(m)
        onnx.save(m, os.path.join(OUT, self.name + ".onnx"))
        note(self.name, choose)


def hand_nets():
    g = Graph("ferplus", 7, [1, 1, 24, 24])  # CNTK: constants, minus mean, MatMul, Plus
    x = g("Div", g("Sub", "x", g.const(0.5)), g.const(0.25))
    x = g("Conv", x, g.weight(6, 1, 3, 3), auto_pad="SAME_UPPER", strides=[1, 1], dilations=[1, 1])
    x = g("Relu", g("Add", x, g.weight(6, 1, 1)))
    x = g("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], auto_pad="VALID")
    x, _ = g("Dropout", x, outputs=2, ratio=0.25)
    x = g("Reshape", x, g.const([1, 864], np.int64))
    w = g("Reshape", g.weight(6, 12, 12, 8, scale=0.05), g.const([864, 8], np.int64))
    g.done(g("Add", g("MatMul", x, w), g.weight(1, 8)), also_inputs=True)

    g = Graph("mean_image", 9, [1, 3, 8, 8])  # a mean per pixel, a scale per channel
    x = g("Sub", "x", g.weight(3, 8, 8))
    x = g("Mul", x, g.weight(1, 3, 1, 1))
    x = g("Conv", x, g.weight(4, 3, 3, 3), g.weight(4), pads=[0, 0, 2, 1], strides=[2, 2])
    x = g("Sub", g.const(0.5), g("Neg", g("Sum", x, x, g("Relu", x))))
    x = g("Clip", x, min=-0.5, max=1.5)
    x = g("Min", g("Max", x, g.const(-0.25)), g.const(1.25))
    x = g("GlobalMaxPool", x)
    g.done(g("Softmax", g("Squeeze", x, axes=[2, 3])))

    g = Graph("nhwc", 13, ["N", 10, 12, 3])  # tf2onnx: transposes around each operator
    x = g("Transpose", "x", perm=[0, 3, 1, 2])
    x = g("Conv", x, g.weight(5, 3, 3, 3), g.weight(5), auto_pad="SAME_UPPER", strides=[2, 2])
    x = g("Transpose", x, perm=[0, 2, 3, 1])
    x = g("Add", g("Mul", x, g.weight(5)), g.weight(1, 1, 1, 5))
    x = g("Relu", x)
    y = g("Transpose", g("AveragePool", g("Transpose", x, perm=[0, 3, 1, 2]), kernel_shape=[3, 3],
                         auto_pad="SAME_UPPER"), perm=[0, 2, 3, 1])
    x = g("Concat", x, y, axis=3)
    x = g("Pad", x, g.const([0, 1, 0, 0, 0, 0, 2, 0], np.int64))
    x = g("Reshape", x, g.const([-1, 6 * 8 * 10], np.int64))
    g.done(g("Add", g("MatMul", x, g.weight(480, 4, scale=0.1)), g.weight(4)))

    g = Graph("nhwc_mean", 15, ["N", 8, 8, 1])  # one channel: a reshape in place of a transposition
    x = g("Reshape", "x", g.const([-1, 1, 8, 8], np.int64))
    x = g("Conv", x, g.weight(6, 1, 3, 3), g.weight(6))
    x = g("Transpose", g("Relu", x), perm=[0, 2, 3, 1])
    x = g("ReduceMean", x, axes=[1, 2], keepdims=0)
    x = g("Gemm", x, g.weight(3, 6), g.weight(3), transB=1, alpha=0.5, beta=2.0)
    g.done(g("Softmax", x))

    g = Graph("channels_reduced", 18, [1, 3, 8, 8])  # CBAM's spatial part
    x = g("Conv", "x", g.weight(6, 3, 3, 3), pads=[1, 1, 1, 1])
    a = g("ReduceMean", x, g.const([1], np.int64), keepdims=1)
    b = g("ReduceMax", x, g.const([-3], np.int64), keepdims=1)
    s = g("Sigmoid", g("Conv", g("Concat", a, b, axis=1), g.weight(1, 2, 7, 7, scale=0.2), pads=[3, 3, 3, 3]))
    x = g("ReduceSum", g("Mul", s, x), g.const([2, 3], np.int64), keepdims=0)
    g.done(g("Mul", x, g.const(0.1)))

    g = Graph("parts", 13, [1, 4, 9, 9])  # slices, splits, a gather
    x = g("Conv", "x", g.weight(8, 4, 3, 3), pads=[1, 1, 1, 1])
    a, b = g("Split", x, g.const([3, 5], np.int64), outputs=2, axis=1)
    a = g("Slice", a, g.const([1, 2]  , np.int64), g.const([8, 9223372036854775807], np.int64), g.const([2, 3], np.int64))
    b = g("Slice", b, g.const([-7], np.int64), g.const([9], np.int64), g.const([-1], np.int64))
    b = g("Slice", b, g.const([2], np.int64), g.const([-0x7FFFFFFFFFFFFFFF + 0 if False else 9], np.int64), g.const([2], np.int64))
    x = g("Concat", a, b, axis=1)
    c = g("Gather", x, g.const(2, np.int64), axis=1)
    x = g("ReduceMean", x, axes=[2, 3], keepdims=0)
    c = g("ReduceMean", c, axes=[-1], keepdims=0)
    g.done(g("Concat", x, c, axis=1))

    g = Graph("old_bn", 8, [1, 2, 8, 8])  # mxnet's way: a batch normalisation of the image first
    bn = [g.weight(2), g.weight(2), g.weight(2), g.weight(2, name="var")]
    g.weights[-1] = nh.from_array(np.array([0.5, 1.5], np.float32), "var")
    x = g("BatchNormalization", "x", *bn, epsilon=2e-5, momentum=0.9)
    x = g("Conv", x, g.weight(6, 2, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2], kernel_shape=[3, 3])
    x = g("PRelu", x, g.weight(6, 1, 1))
    x = g("Flatten", x)
    x = g("Gemm", x, g.weight(9, 96), g.weight(9), transB=1)
    g.done(x, also_inputs=True)

    g = Graph("two_outputs", 12, [1, 3, 8, 8])
    x = g("Conv", "x", g.weight(4, 3, 3, 3))
    x = g("GlobalAveragePool", x)
    x = g("Reshape", x, g.const([0, -1], np.int64))
    age = g("Gemm", x, g.weight(4, 1), g.weight(1))
    sex = g("Softmax", g("Gemm", x, g.weight(4, 2), g.weight(2)), axis=1)
    g.done(age, sex, choose=sex)

    def floats(m):  # weights as lists of numbers and as halves, instead of bytes
        for i, w in enumerate(m.graph.initializer):
            value = nh.to_array(w)
            if value.dtype == np.float32 and i % 2 == 0:
                w.CopyFrom(h.make_tensor(w.name, T.FLOAT, value.shape, value.flatten().tolist()))
            elif value.dtype == np.float32 and i % 3 == 0:
                w.CopyFrom(nh.from_array(value.astype(np.float64).astype(np.float32), w.name))

    g = Graph("lists", 10, [1, 3, 8, 8])
    x = g("Conv", "x", g.weight(4, 3, 1, 1), g.weight(4))
    x = g("HardSigmoid", x)
    x = g("Resize", x, g.const([1, 1, 2, 2]), mode="nearest")
    x = g("Pad", x, pads=[0, 1, 1, 1, 0, 0, 0, 1], mode="constant")
    x = g("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)
    x = g("Transpose", x, perm=[0, 2, 3, 1])
    x = g("Reshape", x, g.const([1, -1], np.int64))
    g.done(g("MatMul", x, g.weight(450, 3, scale=0.1)), change=floats)

    for opset in (21, 23, 25, 28):
        g = Graph(f"newest_{opset}", opset, ["batch", 3, 8, 8], ir=14 if opset == 28 else 10)
        x = g("Conv", "x", g.weight(4, 3, 3, 3), g.weight(4), pads=[1, 1, 1, 1])
        x = g("HardSwish", x)
        shape = g("Concat", g("Shape", x, start=0, end=1), g.const([-1], np.int64), axis=0)
        x = g("Reshape", x, shape, allowzero=1)
        if opset > 21:
            x = g("Gelu", x)
        x = g("Gemm", x, g.weight(256, 3, scale=0.1), g.weight(3))
        g.done(g("Softmax", g("Cast", x, to=T.FLOAT), axis=-1))


    g = Graph("constants", 13, [1, 2, 6, 6])  # Constant nodes, halves and doubles cast to floats
    half = nh.from_array(np.random.default_rng(1).standard_normal((4, 2, 3, 3)).astype(np.float16), "h")
    w = g("Cast", g("Constant", value=half), to=T.FLOAT)
    x = g("Conv", "x", w, g("Constant", value_floats=[0.5, -0.25, 0.125, 1.0]))
    two = nh.from_array(np.array([2.0, 0.5, 1.5, 3.0], np.float64).reshape(1, 4, 1, 1), "d")
    x = g("Mul", x, g("Cast", g("Constant", value=two), to=T.FLOAT))
    x = g("Mul", x, g("Constant", value_float=0.75))
    x = g("Reshape", x, g("Concat", g("Constant", value_ints=[1]),
                          g("Unsqueeze", g("Constant", value_int=-1), g.const([0], np.int64)), axis=0))
    g.done(g("Selu", x))

    g = Graph("tokens", 14, [1, 3, 8, 8])  # a matrix for each pixel, a transposition that stays
    x = g("Conv", "x", g.weight(6, 3, 4, 4), g.weight(6), strides=[4, 4])
    x = g("Transpose", g("Reshape", x, g.const([1, 6, 4], np.int64)), perm=[0, 2, 1])
    x = g("Add", g("MatMul", x, g.weight(6, 5)), g.weight(5))
    x = g("Add", x, g.weight(1, 4, 5))
    y = g("Transpose", x, perm=[0, 2, 1])
    y = g("MatMul", y, g.weight(4, 3))
    g.done(g("Concat", g("Flatten", x), g("Flatten", y), axis=1))

    g = Graph("expand", 13, [1, 1, 5, 7])
    x = g("Expand", "x", g.const([1, 3, 5, 7], np.int64))
    x = g("Conv", x, g.weight(4, 3, 3, 3), auto_pad="SAME_LOWER", strides=[2, 2])
    x = g("Tile", x, g.const([1, 2, 1, 3], np.int64))
    x = g("PRelu", g("Flatten", x), g.weight(8 * 3 * 12))
    g.done(g("Div", x, g.const(0.3)))

    g = Graph("max_pads", 12, [1, 2, 10, 10])  # a maximum with padding of values below zero
    x = g("Conv", "x", g.weight(3, 2, 1, 1), g.const([-4.0, -5.0, -6.0]))
    x = g("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = g("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    g.done(g("Flatten", x))

def keras_nets():
    import tensorflow as tf
    import tf2onnx
    import keras

    keras.utils.set_random_seed(3)
    L = keras.layers

    def convert(name, model, shape, opset, **more):
        for w in model.weights:
            if "variance" in w.path or "mean" in w.path or "beta" in w.path:
                w.assign(np.random.default_rng(5).random(w.shape) + 0.1)
        spec = [tf.TensorSpec((None,) + shape, tf.float32, name="image")]
        f = tf.function(lambda x: model(x, training=False), input_signature=spec)
        tf2onnx.convert.from_function(f, spec, opset=opset, output_path=os.path.join(OUT, name + ".onnx"),
                                      **more)
        note(name)

    x = inputs = keras.Input((20, 20, 1))
    x = L.Conv2D(6, 3, padding="same", use_bias=False)(x)
    x = L.Activation("relu")(L.BatchNormalization()(x))
    y = L.Conv2D(8, 1, strides=2, padding="same")(x)
    x = L.SeparableConv2D(8, 3, padding="same")(x)
    x = L.MaxPooling2D(3, 2, padding="same")(x)
    x = L.Add()([L.BatchNormalization()(x), y])
    x = L.GlobalAveragePooling2D()(L.Conv2D(7, 3, padding="same")(x))
    net = keras.Model(inputs, L.Activation("softmax")(x))
    convert("tf_xception_9", net, (20, 20, 1), 9)
    convert("tf_xception_15", net, (20, 20, 1), 15)

    net = keras.Sequential([keras.Input((16, 16, 3)), L.Rescaling(1 / 0.5, -1), L.Conv2D(6, 5, strides=2),
                            L.LeakyReLU(), L.AveragePooling2D(2), L.Dropout(0.5), L.Flatten(),
                            L.Dense(8, activation="relu"), L.BatchNormalization(), L.Dense(5)])
    convert("tf_plain_13", net, (16, 16, 3), 13)
    convert("tf_plain_18", net, (16, 16, 3), 18)

    net = keras.applications.MobileNetV2((32, 32, 3), alpha=0.05, weights=None, classes=3)
    small = keras.Model(net.input, L.GlobalAveragePooling2D()(net.get_layer("block_6_expand_relu").output))
    convert("tf_mobilenetv2", small, (32, 32, 3), 15)

    x = inputs = keras.Input((12, 12, 3))
    x = L.Conv2D(8, 3, activation="swish", padding="same")(x)
    y = L.Dense(8, activation="hard_sigmoid")(L.Dense(2, activation="relu")(L.GlobalAveragePooling2D(keepdims=True)(x)))
    x = L.Multiply()([x, y])
    x = L.Conv2DTranspose(4, 2, strides=2)(x)
    x = L.UpSampling2D(2)(L.PReLU(shared_axes=[1, 2])(x))
    x = L.ZeroPadding2D(((1, 0), (0, 2)))(x)
    x = L.Reshape((49, 200))(L.DepthwiseConv2D(3, strides=2, padding="same", dilation_rate=1)(x)[:, :, :, :]) if False else L.DepthwiseConv2D(3, strides=2, padding="same")(x)
    net = keras.Model(inputs, L.Dense(1)(L.Flatten()(L.Cropping2D(2)(x))))
    convert("tf_mixed", net, (12, 12, 3), 15)


def main():
    os.makedirs(OUT, exist_ok=True)
    if not only or any(n.startswith("hand") for n in only):
        hand_nets()
    if "hand" not in only and "tf" not in only:
        torch_nets()
    if not only or "tf" in only:
        keras_nets()
    path = os.path.join(HERE, "onnx.safetensors")
    old = {}
    if only and os.path.exists(path):
        old = golden_io.load_safetensors(path)[0]
    old.update({k + "/y": v for k, v in made.items()})
    golden_io.save_safetensors(path, old, {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__,
                                "torch": torch.__version__})


if __name__ == "__main__":
    main()
