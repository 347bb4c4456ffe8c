"""Both networks in PyTorch and in Keras, from one table that mirrors configs/models/*.yaml."""

import math

from contest import CLASSES, HEIGHT, SCALE, SHIFT, WIDTH

CLASSIC = [
    ("conv", 32), ("relu",), ("conv", 64), ("relu",), ("pool",), ("dropout", 0.25),
    ("conv", 128), ("relu",), ("pool",), ("conv", 128), ("relu",), ("pool",), ("dropout", 0.25),
    ("flatten",), ("dense", 1024), ("relu",), ("dropout", 0.5), ("dense", CLASSES),
]  # fmt: skip
VGG = [
    layer
    for filters in (64, 128, 256, 512)
    for layer in [("conv_same", filters), ("norm",), ("relu",)] * 2 + [("pool",)]
] + [
    ("flatten",), ("dense", 4096), ("relu",), ("dropout", 0.2),
    ("dense", 4096), ("relu",), ("dropout", 0.2), ("dense", CLASSES),
]  # fmt: skip
NETS = {"classic": CLASSIC, "vgg": VGG}
#: Trainable parameters; vgg also has 3,840 moving averages.
PARAMETERS = {"classic": 2345607, "vgg": 40376519}


def table(name, training):
    """The layers. In training, ReLU is moved after max pooling: same values and gradients for a
    quarter of the work. Inference engines fuse ReLU into the convolution instead.
    """
    layers = list(NETS[name])
    for i in range(len(layers) - 1) if training else ():
        if (layers[i], layers[i + 1]) == (("relu",), ("pool",)):
            layers[i], layers[i + 1] = layers[i + 1], layers[i]
    return layers


def torch_net(name, training):
    """Logits from [n,1,48,48] float; weights initialised as in Keras (Glorot uniform, biases 0)."""
    import torch
    from torch import nn

    class Flatten(nn.Module):
        """Flattens in Keras's order, which for channels_last memory is a view, not a copy."""

        def forward(self, x):
            return x.permute(0, 2, 3, 1).flatten(1)

    layers, channels, side = [], 1, HEIGHT
    for kind, *value in table(name, training):
        if kind in ("conv", "conv_same"):
            layers.append(nn.Conv2d(channels, value[0], 3, padding=int(kind == "conv_same")))
            channels, side = value[0], side if kind == "conv_same" else side - 2
        elif kind == "norm":
            layers.append(nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01))
        elif kind == "relu":
            layers.append(nn.ReLU(inplace=True))
        elif kind == "pool":
            layers.append(nn.MaxPool2d(2))
            side //= 2
        elif kind == "dropout":
            layers.append(nn.Dropout(value[0]))
        elif kind == "flatten":
            layers.append(Flatten())
            channels *= side * side
        elif kind == "dense":
            layers.append(nn.Linear(channels, value[0]))
            channels = value[0]
    net = nn.Sequential(*layers)
    torch.manual_seed(1)
    for layer in net:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    check(name, sum(p.numel() for p in net.parameters()))
    return net.to(memory_format=torch.channels_last).train(training)


def torch_predictor(name):
    """Probabilities [n,7] from uint8 [n,48,48,1], batch normalisation folded."""
    import torch
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    class Predictor(nn.Module):
        def __init__(self, body):
            super().__init__()
            self.body = body

        def forward(self, x):
            # one channel: the view is channels_last already
            x = x.reshape(-1, 1, HEIGHT, WIDTH).float() * SCALE + SHIFT
            return torch.softmax(self.body(x), 1)

    body = []
    for layer in torch_net(name, training=False):
        if isinstance(layer, nn.BatchNorm2d):
            body[-1] = fuse_conv_bn_eval(body[-1], layer)
        elif not isinstance(layer, nn.Dropout):
            body.append(layer)
    net = nn.Sequential(*body).to(memory_format=torch.channels_last)
    return Predictor(net).eval().requires_grad_(False)


def onnx_file(name, batch, path):
    """Writes the predictor for one batch size: input `image` (uint8), output `probabilities`."""
    import torch

    torch.onnx.export(
        torch_predictor(name),
        (torch.zeros((batch, HEIGHT, WIDTH, 1), dtype=torch.uint8),),
        str(path),
        input_names=["image"],
        output_names=["probabilities"],
        external_data=False,
        verbose=False,
        dynamo=True,
    )
    return str(path)


def keras_net(name):
    """Logits from [n,48,48,1] float."""
    from keras import Sequential, layers

    make = {
        "conv": lambda filters: layers.Conv2D(filters, 3),
        "conv_same": lambda filters: layers.Conv2D(filters, 3, padding="same"),
        "norm": layers.BatchNormalization,
        "relu": layers.ReLU,
        "pool": layers.MaxPooling2D,
        "dropout": layers.Dropout,
        "flatten": layers.Flatten,
        "dense": layers.Dense,
    }
    rows = table(name, training=True)
    net = Sequential([layers.Input((HEIGHT, WIDTH, 1))] + [make[k](*v) for k, *v in rows])
    check(name, sum(math.prod(v.shape) for v in net.trainable_variables))
    return net


def check(name, parameters):
    if parameters != PARAMETERS[name]:
        raise SystemExit(f"{name} has {parameters} trainable parameters, not {PARAMETERS[name]}")
