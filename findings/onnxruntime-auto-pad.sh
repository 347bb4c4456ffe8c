#!/usr/bin/env bash
# ONNX Runtime 1.32.0: auto_pad of a window that is smaller than its stride means something else in each
# operator.
#
# Expected: SAME_UPPER with a window of 1 and a stride of 3 on 9 numbers pads nothing (the formula's
#   (3 - 1) * 3 + 1 - 9 = -2 becomes 0), so that Conv, AveragePool and MaxPool all take numbers 0, 3 and 6,
#   as TensorFlow does, from which the words come.
# Seen: Conv takes 0, 3, 6. AveragePool takes 1, 4, 7: it cuts a number off at the beginning; with
#   SAME_LOWER it takes 0, 3, 6. MaxPool fails when it is run.
# Found by comparing random networks with ours. Needs python3 with venv. Fails if what is printed changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

venv/bin/python - <<'PY' 2>/dev/null | tee got
import numpy as np
import onnxruntime
from onnx import TensorProto as T, helper as h, numpy_helper

onnxruntime.set_default_logger_severity(4)
print("onnxruntime", onnxruntime.__version__)
x = np.arange(9, dtype=np.float32).reshape(1, 1, 1, 9)
for op in ("Conv", "AveragePool", "MaxPool"):
    weights = [numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "w")] if op == "Conv" else []
    for pad in ("SAME_UPPER", "SAME_LOWER"):
        node = h.make_node(op, ["x"] + ["w"] * len(weights), ["y"], kernel_shape=[1, 1], strides=[1, 3], auto_pad=pad)
        graph = h.make_graph([node], "g", [h.make_tensor_value_info("x", T.FLOAT, x.shape)],
                             [h.make_tensor_value_info("y", T.FLOAT, [1, 1, 1, 3])], weights)
        model = h.make_model(graph, opset_imports=[h.make_opsetid("", 19)], ir_version=9)
        try:
            seen = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0].ravel().tolist()
        except Exception as error:
            seen = str(error).split("Status Message: ")[-1]
        print(op, pad, seen)
PY

diff got - <<'SEEN'
onnxruntime 1.32.0
Conv SAME_UPPER [0.0, 3.0, 6.0]
Conv SAME_LOWER [0.0, 3.0, 6.0]
AveragePool SAME_UPPER [1.0, 4.0, 7.0]
AveragePool SAME_LOWER [0.0, 3.0, 6.0]
MaxPool SAME_UPPER padding values must be non-negative
MaxPool SAME_LOWER padding values must be non-negative
SEEN
