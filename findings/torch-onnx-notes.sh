#!/usr/bin/env bash
# PyTorch 2.15.0: torch.onnx.export (its default exporter) writes more about the program than about the network.
#
# Expected: an .onnx file of a small network is about as large as its weights, and says nothing of the
#   computer that it was made on, as with the old exporter (dynamo=False).
# Seen: five notes (metadata_props) on each node, among them pkg.torch.onnx.stack_trace: the path and the
#   text of the source lines of the caller's program, once per node and inlined function. Of a network of 20
#   convolutions with 4 KB of weights they are three quarters of the file, and the home folder's
#   name is in a model that is handed on. Nothing removes them but
#   ClearField("metadata_props") on every node.
# Needs python3 with venv and 4 GB of disk. Fails if what is printed changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check torch==2.15.0 onnx==1.23.2 onnxscript==0.7.2 numpy==2.4.6
mkdir secret-project

cat >secret-project/net.py <<'PY'
import os
import warnings

import onnx
import torch

warnings.filterwarnings("ignore")


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList([torch.nn.Conv2d(2, 2, 3, padding=1) for _ in range(20)])

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


for dynamo in (False, True):
    more = {"verbose": False} if dynamo else {}
    torch.onnx.export(Net().eval(), (torch.rand(1, 2, 8, 8),), "net.onnx", dynamo=dynamo, external_data=False, **more)
    whole = os.path.getsize("net.onnx")
    named = open("net.onnx", "rb").read().count(b"secret-project/net.py") > 0
    model = onnx.load("net.onnx")
    for entry in (model.graph, *model.graph.node, *model.graph.value_info):
        entry.ClearField("metadata_props")
    share = 100 * (whole - model.ByteSize()) / whole
    print("dynamo" if dynamo else "old", "notes are more than half of the file:", share > 50,
          "source path in the file:", named)
PY
venv/bin/python secret-project/net.py 2>/dev/null | grep notes | tee got

diff got - <<'SEEN'
old notes are more than half of the file: False source path in the file: False
dynamo notes are more than half of the file: True source path in the file: True
SEEN
