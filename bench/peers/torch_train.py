"""PyTorch: training step with random batch, augmentation and Adam; f32, channels_last."""

import math

import contest

MODES = ("eager", "eager-fused-adam", "compile", "compile-autotune")
args = contest.arguments(__doc__, modes=MODES)

import torch
import torch.nn.functional as F

import nets

torch.set_num_threads(args.threads)
torch.set_flush_denormal(True)
x_all, y_all = map(torch.from_numpy, contest.images(args))
x_all = x_all.reshape(-1, 1, contest.HEIGHT, contest.WIDTH)
# output pixel coordinates in grid_sample's units: -1 to 1 from the first pixel centre to the last
across = torch.linspace(-1, 1, contest.WIDTH).reshape(1, 1, -1)
down = torch.linspace(-1, 1, contest.HEIGHT).reshape(1, -1, 1)
RADIANS = math.pi / 180
# per sample: flip, angle, zoom, shift x, shift y (2 units = width), contrast, brightness
A = contest.AUGMENT
LOW = torch.tensor([-1, -A["rotate"] * RADIANS, 1 - A["zoom"], -2 * A["shift"], -2 * A["shift"],
                    1 - A["contrast"], -A["brightness"] * 255]).reshape(7, 1)  # fmt: skip
HIGH = torch.tensor([1, A["rotate"] * RADIANS, 1 + A["zoom"], 2 * A["shift"], 2 * A["shift"],
                     1 + A["contrast"], A["brightness"] * 255]).reshape(7, 1)  # fmt: skip


def augment(bytes_):
    """Normalised float [n,1,48,48] from a uint8 batch: one warp, one pass over the values."""
    draw = LOW + torch.rand(7, args.batch) * (HIGH - LOW)
    flip, angle, zoom, dx, dy, gain, lift = draw.reshape(7, -1, 1, 1)
    s, c = torch.sin(angle) * zoom, torch.cos(angle) * zoom
    mirrored = across * torch.sign(flip)
    grid = torch.stack((c * mirrored - s * down + dx, s * mirrored + c * down + dy), 3)
    x = F.grid_sample(bytes_.float(), grid, padding_mode="border", align_corners=True)
    gain, lift = gain[:, None], lift[:, None]
    return (x * gain + (127.5 - 127.5 * gain + lift)).clamp(0, 255) * contest.SCALE + contest.SHIFT


def batch():
    at = torch.randint(len(x_all), (args.batch,))
    return x_all[at], y_all[at]


def trainer(compiled, **adam):
    net = nets.torch_net(args.net, training=True)

    def loss_of(x, y):
        return F.cross_entropy(net(x), y)

    rule = torch.optim.Adam(net.parameters(), 1e-3, eps=1e-7, **adam)
    prepare, loss = (compiled(augment), compiled(loss_of)) if compiled else (augment, loss_of)

    def step():
        x, y = batch()
        with torch.no_grad():
            x = prepare(x)
        rule.zero_grad(set_to_none=True)
        loss(x, y).backward()
        rule.step()

    return step


def inductor(**options):
    options = {"fallback_random": True} | options
    torch._dynamo.reset()
    return lambda function: torch.compile(function, dynamic=False, options=options)


contest.serve(
    args,
    f"torch {torch.__version__}",
    {
        "eager": lambda: trainer(None, foreach=True),
        "eager-fused-adam": lambda: trainer(None, fused=True),
        "compile": lambda: trainer(inductor(), fused=True),
        "compile-autotune": lambda: trainer(inductor(max_autotune=True), fused=True),
    },
)
