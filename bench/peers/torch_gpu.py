"""PyTorch on a GPU: training steps, inference and the GPU's peak rates, for bench/gpu/bench.py.

Prints "ready", then answers each line of JSON on stdin with a line of JSON:
  {"task": "train"|"infer"|"ceilings", "net": "classic", "batch": 1024, "dtype": "bf16"|"tf32"|"f32",
   "mode": "eager"|"graph"|"compile"|"trees", "augment": true, "seconds": 0.5}
Networks are kept for later requests with the same parameters; "seconds" 0 only prepares one. If a
request fails, the answer is {"error": message}.

Settings: channels_last, cudnn.benchmark, f32 weights with autocast (bf16) or
TensorFloat-32 (tf32), fused Adam, data set and random numbers on the device. Modes:
  eager    one operation after the other
  graph    the same, the whole step captured once as a CUDA graph and replayed
  compile  inductor with max-autotune for network, loss and augmentation, the whole step captured
  trees    the same, but inductor captures parts of the step, without the optimizer
"""

import argparse
import contextlib
import json
import math
import os
import sys
import time

import contest
import nets

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: to test this file")
parser.add_argument("--images", type=int, default=contest.IMAGES, help="size of the data set")
args = parser.parse_args()
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # anything that libraries print goes to stderr

import torch
import torch.nn.functional as F

device = torch.device(args.device)
on_gpu = args.device == "cuda"
RADIANS = math.pi / 180
PIXELS = contest.HEIGHT * contest.WIDTH


def sync():
    if on_gpu:
        torch.cuda.synchronize()


def precision(dtype):
    """Sets tf32 or f32 for operations that autocast leaves in f32; returns the forward context."""
    torch.set_float32_matmul_precision("highest" if dtype == "f32" else "high")
    torch.backends.cudnn.allow_tf32 = dtype != "f32"
    torch.backends.cudnn.benchmark = True
    if dtype == "bf16":
        return torch.autocast(args.device, torch.bfloat16)
    return contextlib.nullcontext()


def compiled(function, mode):
    how = {"compile": "max-autotune-no-cudagraphs", "trees": "max-autotune"}
    return torch.compile(function, dynamic=False, mode=how[mode]) if mode in how else function


def captured(step, mode):
    """The step as one CUDA graph, after a warm-up, so that no lazy initialisation is captured."""
    if not on_gpu or mode not in ("graph", "compile"):
        return step
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


class Augmentation:
    """Normalised float [n,1,48,48] from a uint8 batch, augmented as in torch_train.py."""

    def __init__(self, batch):
        a = contest.AUGMENT
        low = [-1, -a["rotate"] * RADIANS, 1 - a["zoom"], -2 * a["shift"], -2 * a["shift"]]
        high = [1, a["rotate"] * RADIANS, 1 + a["zoom"], 2 * a["shift"], 2 * a["shift"]]
        low += [1 - a["contrast"], -a["brightness"] * 255]
        high += [1 + a["contrast"], a["brightness"] * 255]
        self.batch = batch
        self.low = torch.tensor(low, device=device).reshape(7, 1)
        self.span = torch.tensor(high, device=device).reshape(7, 1) - self.low
        self.across = torch.linspace(-1, 1, contest.WIDTH, device=device).reshape(1, 1, -1)
        self.down = torch.linspace(-1, 1, contest.HEIGHT, device=device).reshape(1, -1, 1)

    def __call__(self, images):
        draw = self.low + torch.rand(7, self.batch, device=device) * self.span
        flip, angle, zoom, dx, dy, gain, lift = draw.reshape(7, -1, 1, 1)
        s, c = torch.sin(angle) * zoom, torch.cos(angle) * zoom
        mirrored = self.across * torch.sign(flip)
        grid = torch.stack((c * mirrored - s * self.down + dx, s * mirrored + c * self.down + dy), 3)
        x = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=True)
        gain, lift = gain[:, None], lift[:, None]
        x = (x * gain + (127.5 - 127.5 * gain + lift)).clamp(0, 255)
        return x * contest.SCALE + contest.SHIFT


def plain(images):
    return images.float() * contest.SCALE + contest.SHIFT


def data_set():
    torch.manual_seed(1)
    shape = (args.images, 1, contest.HEIGHT, contest.WIDTH)
    x = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    return x, torch.randint(0, contest.CLASSES, (args.images,), device=device)


def trainer(r):
    """A training step: random batch, augmentation, dropout, loss, gradients, Adam."""
    x_all, y_all = data_set()
    net = nets.torch_net(r["net"], training=True).to(device, memory_format=torch.channels_last)
    rule = torch.optim.Adam(
        net.parameters(), 1e-3, eps=1e-7, fused=True, capturable=on_gpu and r["mode"] in ("graph", "compile")
    )
    context = precision(r["dtype"])
    prepare = Augmentation(r["batch"]) if r["augment"] else plain

    def loss_of(x, y):
        with context:
            return F.cross_entropy(net(x), y)

    prepare, loss_of = compiled(prepare, r["mode"]), compiled(loss_of, r["mode"])

    def step():
        at = torch.randint(args.images, (r["batch"],), device=device)
        with torch.no_grad():
            x = prepare(x_all[at]).contiguous(memory_format=torch.channels_last)
        rule.zero_grad(set_to_none=True)
        loss_of(x, y_all[at]).backward()
        rule.step()

    return captured(step, r["mode"])


def predictor(r):
    """From uint8 images in (pinned) host memory to probabilities there; batch norm folded."""
    precision(r["dtype"])
    number = torch.bfloat16 if r["dtype"] == "bf16" else torch.float32
    model = nets.torch_predictor(r["net"])
    body = model.body.to(device, number, memory_format=torch.channels_last)
    image = torch.randint(0, 256, (r["batch"], 1, contest.HEIGHT, contest.WIDTH), dtype=torch.uint8)
    answer = torch.empty(r["batch"], contest.CLASSES)
    if on_gpu:
        image, answer = image.pin_memory(), answer.pin_memory()
    inside = torch.empty_like(image, device=device)

    def probabilities(x):
        return torch.softmax(body(plain(x).to(number)).float(), 1)

    probabilities = compiled(probabilities, r["mode"])

    def predict():
        with torch.no_grad():
            inside.copy_(image, non_blocking=True)
            answer.copy_(probabilities(inside), non_blocking=True)

    run = captured(predict, r["mode"])

    def step():
        run()
        sync()

    return step


CHUNK_SECONDS = 0.1


def time_steps(step, seconds):
    """Device times of single steps, by events; steps are enqueued without waiting."""
    times = []
    start = time.perf_counter()
    while time.perf_counter() - start < seconds or not times:
        events = [torch.cuda.Event(enable_timing=True)]
        events[0].record()
        chunk = time.perf_counter()
        while time.perf_counter() - chunk < CHUNK_SECONDS and len(events) < 2000:
            step()
            events.append(torch.cuda.Event(enable_timing=True))
            events[-1].record()
        sync()
        times += [a.elapsed_time(b) / 1e3 for a, b in zip(events, events[1:])]
    return times


def time_calls(step, seconds):
    """Wall times of calls; each waits for its result."""
    return contest.measure(step, seconds)[0]


def summary(r, times):
    ordered = sorted(times)
    n = len(ordered)
    return {
        "peer": "torch_gpu",
        "version": f"torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}",
        **{k: r[k] for k in ("task", "mode", "net", "batch", "dtype", "augment")},
        "n": n,
        "min": ordered[0],
        "median": ordered[n // 2],
        "p90": ordered[min(n - 1, n * 9 // 10)],
        "p99": ordered[min(n - 1, n * 99 // 100)],
        "images_per_second": r["batch"] / ordered[n // 2],
        "images_per_second_mean": r["batch"] * n / sum(times),
    }


def ceilings():
    """The GPU's peak rates: copies on the device, and products of random matrices."""
    side = 8192 if on_gpu else 256
    found = {"copy_bandwidth": 0.0, "flops": {}}
    source = torch.empty(2**32 if on_gpu else 2**22, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = shortest(lambda: target.copy_(source))
    found["copy_bandwidth"] = 2 * source.numel() / best
    del source, target
    for dtype in ("bf16", "tf32", "f32"):
        precision(dtype)
        number = torch.bfloat16 if dtype == "bf16" else torch.float32
        a, b = (torch.randn(side, side, device=device).to(number) for _ in range(2))
        found["flops"][dtype] = 2 * side**3 / shortest(lambda: a @ b)
    return found


def shortest(work):
    """The shortest wall time of eight runs."""
    work()
    best = math.inf
    for _ in range(8):
        sync()
        start = time.perf_counter()
        work()
        sync()
        best = min(best, time.perf_counter() - start)
    return best


ready = {}


def answer(r):
    if r["task"] == "ceilings":
        return ceilings()
    make = {"train": trainer, "infer": predictor}[r["task"]]
    key = json.dumps([r[k] for k in ("task", "net", "batch", "dtype", "mode", "augment")])
    seconds = {}
    if key not in ready:
        torch._dynamo.reset()
        start = time.perf_counter()
        ready[key] = make(r)
        for _ in range(3):
            ready[key]()
        sync()
        seconds = {"setup_seconds": time.perf_counter() - start}
    if r["seconds"] == 0:
        return seconds
    precision(r["dtype"])  # eager steps read these global settings
    by_events = on_gpu and r["task"] == "train"
    for _ in range(3):
        ready[key]()
    sync()
    return summary(r, (time_steps if by_events else time_calls)(ready[key], r["seconds"]))


def main():
    if on_gpu and not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no GPU")
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        try:
            result = answer(json.loads(line))
        except Exception as error:  # a mode that this version lacks must not end the comparison
            first = (str(error).strip() or "?").splitlines()[0]
            result = {"error": f"{type(error).__name__}: {first}"}
        print(json.dumps(result), file=answers, flush=True)


main()
