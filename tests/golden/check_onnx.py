"""Compares whole networks of torchvision, of random weights and exported in both ways, with ONNX Runtime:
check_onnx.py MIEN [NAME...]. Exits with 1 above 1e-4 of the largest output, or if one is refused."""

import json
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnxruntime
import torch
import torchvision.models as models
from PIL import Image

warnings.filterwarnings("ignore")
USUAL = ["resnet18", "resnet50", "resnext50_32x4d", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large",
         "efficientnet_b0", "shufflenet_v2_x1_0", "squeezenet1_1", "densenet121", "googlenet", "mnasnet1_0",
         "regnet_y_400mf", "inception_v3"]
SIDE = 128


def make(name):
    torch.manual_seed(0)
    more = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    net = getattr(models, name)(weights=None, **more).eval()
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.uniform_(-0.1, 0.1)
            m.running_var.uniform_(0.8, 1.2)
    return net


def difference(mien, path, pixels, picture):
    session = onnxruntime.InferenceSession(path)
    x = (pixels.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)[None]
    wanted = session.run(None, {session.get_inputs()[0].name: x})[0].reshape(-1)
    run = subprocess.run([mien, "predict", "--json", "--detector", "none", "--model", path, "--preprocess", "unit",
                          "--classes", "none", picture], capture_output=True, text=True)
    if run.returncode:
        return run.stderr.strip()
    got = np.array(json.loads(run.stdout)["faces"][0]["values"])
    return float(abs(got - wanted).max() / abs(wanted).max())


def main():
    mien, names = sys.argv[1], sys.argv[2:] or USUAL
    pixels = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        picture = os.path.join(folder, "x.png")
        Image.fromarray(pixels).save(picture)
        for name in names:
            for dynamo in (False, True):
                path = os.path.join(folder, f"{name}{dynamo}.onnx")
                more = {"verbose": False} if dynamo else {"opset_version": 17}
                torch.onnx.export(make(name), (torch.rand(1, 3, SIDE, SIDE),), path, dynamo=dynamo, **more)
                seen = difference(mien, path, pixels, picture)
                print(f"{name:20} {'dynamo' if dynamo else 'old':6} {seen}", flush=True)
                bad += not isinstance(seen, float) or seen > 1e-4
                for part in (path, path + ".data"):
                    if os.path.exists(part):
                        os.remove(part)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
