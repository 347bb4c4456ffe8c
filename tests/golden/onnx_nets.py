"""The PyTorch networks of make_onnx.py."""

import torch
from torch import nn


class Plain(nn.Module):
    """Convolutions of several kinds, batch normalisation, a flatten of NCHW."""

    def __init__(self, classes=7, channels=1, softmax=False):
        super().__init__()
        self.a = nn.Conv2d(channels, 8, 3, padding=1)
        self.b = nn.BatchNorm2d(8)
        self.c = nn.Conv2d(8, 12, 3, stride=2, padding=1, bias=False)
        self.d = nn.Linear(12 * 4 * 4, 16)
        self.e = nn.Linear(16, classes)
        self.softmax = softmax

    def forward(self, x):
        x = torch.relu(self.b(self.a(x)))
        x = torch.max_pool2d(x, 2)
        x = torch.relu(self.c(x))
        x = torch.relu(self.d(torch.flatten(x, 1)))
        x = self.e(x)
        return torch.softmax(x, 1) if self.softmax else x


class Views(nn.Module):
    """x.view(x.size(0), -1), as people write it: Shape, Gather, Unsqueeze, Concat, Reshape."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 6, 5, padding=2)
        self.d = nn.Linear(6 * 8 * 8, 5)

    def forward(self, x):
        x = torch.max_pool2d(nn.functional.leaky_relu(self.a(x), 0.1), 2)
        return torch.softmax(self.d(x.view(x.size(0), -1)), dim=-1)


class Kinds(nn.Module):
    """Groups, dilation, asymmetric kernels and strides, a transposed convolution."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, (3, 5), padding=(1, 2))
        self.b = nn.Conv2d(8, 8, 3, groups=8, padding=1)
        self.c = nn.Conv2d(8, 12, 1, groups=4)
        self.d = nn.Conv2d(12, 8, 3, dilation=2, padding=2)
        self.e = nn.Conv2d(8, 16, 3, groups=8, stride=2, padding=1)
        self.f = nn.ConvTranspose2d(16, 6, 3, stride=2, padding=1, output_padding=1)
        self.g = nn.Conv2d(6, 4, 5, stride=(2, 1), padding=(2, 0))

    def forward(self, x):
        x = nn.functional.elu(self.a(x))
        x = self.c(torch.relu(self.b(x)))
        x = torch.tanh(self.d(x))
        x = torch.sigmoid(self.e(x))
        x = self.g(self.f(x))
        return torch.mean(x, dim=(2, 3))


class Activations(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3 if i == 0 else 4, 4, 3, padding=1) for i in range(11)])
        self.acts = nn.ModuleList([nn.ReLU6(), nn.Hardswish(), nn.Hardsigmoid(), nn.SiLU(),
                                   nn.PReLU(4), nn.SELU(), nn.ELU(0.7), nn.GELU(), nn.LeakyReLU(0.2),
                                   nn.Hardtanh(-0.3, 0.8), nn.PReLU()])

    def forward(self, x):
        for c, a in zip(self.convs, self.acts):
            if not isinstance(a, nn.GELU):
                x = a(c(x)) * 1.5 + 0.1
        return torch.log_softmax(x.mean((2, 3)), 1)


class Pools(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, x):
        f = nn.functional
        x = self.a(x)
        x = f.max_pool2d(x, 3, 2, 1)                                        # below zero too
        x = f.avg_pool2d(x, 3, 1, 1) + f.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        x = f.max_pool2d(torch.relu(x), 3, 2, 1) - f.avg_pool2d(x, 3, 2, 1, ceil_mode=False)
        x = f.pad(x, (1, 2, 0, 1))
        x = f.avg_pool2d(x, 2, 2, ceil_mode=True)
        y = f.adaptive_max_pool2d(x, 1) + f.adaptive_avg_pool2d(x, 1)
        return torch.cat([y.flatten(1), torch.amax(x, (2, 3))], 1)


class Shuffle(nn.Module):
    """ShuffleNet's unit: split, channel shuffle; an SE block; a spatial gate."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 12, 3, stride=2, padding=1)
        self.b = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.s = nn.Conv2d(12, 3, 1)
        self.t = nn.Conv2d(3, 12, 1)
        self.u = nn.Conv2d(12, 1, 3, padding=1)
        self.v = nn.Linear(12, 6)

    def forward(self, x):
        x = torch.relu(self.a(x))
        p, q = x.chunk(2, dim=1)
        x = torch.cat([p, self.b(q)], 1)
        n, c, hh, w = x.shape
        x = x.view(n, 2, c // 2, hh, w).transpose(1, 2).contiguous().view(n, c, hh, w)
        x = x * torch.sigmoid(self.t(torch.relu(self.s(x.mean((2, 3), keepdim=True)))))
        x = x * torch.sigmoid(self.u(x))
        x = torch.relu(x) + x.mean((2, 3), keepdim=True)
        return self.v(x.mean(3).mean(2))


class Detector(nn.Module):
    """Heads of two scales, as in SSD."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.b = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.p, self.q = nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.a(x))
        y = torch.relu(self.b(x))
        heads = [c(v).permute(0, 2, 3, 1).contiguous().view(x.size(0), -1, 2)
                 for c, v in ((self.p, x), (self.q, y))]
        return torch.softmax(torch.cat(heads, 1), 2)


class Wide(nn.Module):
    """DenseNet: many inputs of one concatenation; a batch normalisation before the convolution."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4 + 2 * i) for i in range(9)])
        self.convs = nn.ModuleList([nn.Conv2d(4 + 2 * i, 2, 3, padding=1, bias=False) for i in range(9)])
        self.end = nn.BatchNorm1d(22)
        self.fc = nn.Linear(22, 3)

    def forward(self, x):
        all = [self.first(x)]
        for n, c in zip(self.norms, self.convs):
            all.append(c(torch.relu(n(torch.cat(all, 1)))))
        x = nn.functional.adaptive_avg_pool2d(torch.cat(all, 1), 1).squeeze(3).squeeze(2)
        return torch.sigmoid(self.fc(self.end(x)))


class FlatNorm(nn.Module):
    """Operators on the flattened image before its dense layer."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 5, 3)
        self.b = nn.BatchNorm1d(5 * 6 * 6)
        self.d = nn.Linear(5 * 6 * 6, 1)

    def forward(self, x):
        x = self.b(torch.flatten(self.a(x), 1))
        return self.d(torch.relu(x) * 0.5 - 0.25)


class Up(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.b = nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, x):
        f = nn.functional
        y = self.a(x)
        z = f.interpolate(y, scale_factor=2, mode="nearest")
        z = z + f.interpolate(y, size=(16, 16), mode="bilinear", align_corners=False)
        return torch.clamp(self.b(z), min=0.0)


class Landmarks(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.d = nn.Linear(8 * 8 * 8, 10)

    def forward(self, x):
        x = nn.functional.hardtanh(self.a((x - 0.5) / 0.25))
        return self.d(x.reshape(-1, 512)).reshape(-1, 5, 2)
