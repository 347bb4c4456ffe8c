#!/usr/bin/env bash
# onnx 1.23.2: its reference evaluator averages other pixels than ONNX Runtime where the last window of an
# AveragePool in ceil_mode reaches beyond the image.
#
# Expected: the reference that the standard's package contains agrees with ONNX Runtime and PyTorch: of
#   the numbers 1 to 49 in a square of 7, windows of 3 at stride 3 average 1 2 3 / 8 9 10 / 15 16 17 = 9,
#   then 12, and the last column, of which one pixel in three is there, 14.
# Seen: the first window is 5, the mean of 1, 2, 8 and 9, although it lies in the image as a whole: windows are moved by
#   one pixel towards the upper left, as if there were padding. The maximum of the same windows is right.
# Needs python3 with venv. Fails if what is printed changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

venv/bin/python - <<'PY' 2>/dev/null | tee got
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T, helper as h
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
print("onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
x = np.arange(1, 50, dtype=np.float32).reshape(1, 1, 7, 7)
for op in ("AveragePool", "MaxPool"):
    node = h.make_node(op, ["x"], ["y"], kernel_shape=[3, 3], strides=[3, 3], ceil_mode=1)
    graph = h.make_graph([node], "g", [h.make_tensor_value_info("x", T.FLOAT, x.shape)],
                         [h.make_tensor_value_info("y", T.FLOAT, [1, 1, 3, 3])])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    for name, run in (("runtime", onnxruntime.InferenceSession(model.SerializeToString())),
                      ("reference", ReferenceEvaluator(model))):
        print(op, name, run.run(None, {"x": x})[0].ravel().tolist())
PY

diff got - <<'SEEN'
onnx 1.23.2 onnxruntime 1.32.0
AveragePool runtime [9.0, 12.0, 14.0, 30.0, 33.0, 35.0, 44.0, 47.0, 49.0]
AveragePool reference [5.0, 7.5, 9.5, 22.5, 25.0, 27.0, 36.5, 39.0, 41.0]
MaxPool runtime [17.0, 20.0, 21.0, 38.0, 41.0, 42.0, 45.0, 48.0, 49.0]
MaxPool reference [17.0, 20.0, 21.0, 38.0, 41.0, 42.0, 45.0, 48.0, 49.0]
SEEN
