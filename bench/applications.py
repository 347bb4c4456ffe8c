#!/usr/bin/env python3
"""Measures VGG16, ResNet50 and MobileNetV2 of keras.applications in Mien, Keras and ONNX Runtime in turn; writes JSON.

  VENV/bin/python bench/applications.py [--mien build/mien] [--batch 1,32] [--threads 2] [--rounds 5] [--seconds 2]

The networks have random weights. Keras runs its own model in a tf.function, Mien the same .h5 file, ONNX Runtime the .onnx
that Mien converts it to. In every round each is measured for --seconds, in the reverse order every other round; ratios are
computed within a round, so that other load on the machine affects all. Needs tensorflow-cpu==2.21, tf_keras==2.21,
onnxruntime==1.32.0 and NumPy."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine

sys.path.pop(0)  # TensorFlow would import python.py, which is beside this file
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
NETS = {"vgg16": "VGG16", "resnet50": "ResNet50", "mobilenet_v2": "MobileNetV2"}
PLAIN = ["--preprocess", "none", "--classes", ",".join(f"c{i}" for i in range(1000))]


def rate(run, batch, seconds):
    """Images a second."""
    run()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        run()
        count += 1
    return batch * count / (time.perf_counter() - start)


def contestants(args, name, batch, folder):
    import numpy as np
    import onnxruntime
    import tensorflow as tf
    import tf_keras
    h5, onnx = folder / f"{name}.h5", folder / f"{name}.onnx"
    if not onnx.exists():
        getattr(tf_keras.applications, NETS[name])(weights=None).save(h5)
        subprocess.run([args.mien, "convert", h5, onnx, *PLAIN], check=True, stdout=subprocess.DEVNULL)
    model = tf_keras.models.load_model(h5, compile=False)
    x = np.random.default_rng(1).random((batch, 224, 224, 3), dtype=np.float32)
    call, fixed = tf.function(lambda v: model(v, training=False)), tf.constant(x)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x}
    difference = float(abs(call(fixed).numpy() - session.run(None, feed)[0]).max())
    assert difference < 1e-4, difference

    def mien():
        line = [args.mien, "bench", "infer", h5, "--batch", str(batch), "--threads", str(args.threads), "--seconds",
                str(args.seconds), "--json", *PLAIN]
        return json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)["images_per_second"]
    return {"mien": mien, "keras": lambda: rate(lambda: call(fixed).numpy(), batch, args.seconds),
            "onnxruntime": lambda: rate(lambda: session.run(None, feed), batch, args.seconds)}


def measure(args, name, batch, folder):
    runs, own = contestants(args, name, batch, folder), []
    for i in range(args.rounds):
        order = list(runs)[::-1] if i % 2 else list(runs)
        own.append({who: runs[who]() for who in order})
    row = {"net": name, "batch": batch, "rounds": own}
    for who in runs:
        row[who] = statistics.median(r[who] for r in own)
        row[f"mien_to_{who}"] = statistics.median(r["mien"] / r[who] for r in own)
    del row["mien_to_mien"]
    print(f"{name:13} batch {batch:2}: " + ", ".join(f"{who} {row[who]:.1f}/s" for who in runs) + "; Mien is "
          + " and ".join(f"{row[f'mien_to_{who}']:.2f} times {who}" for who in list(runs)[1:]), flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mien", default="build/mien")
    parser.add_argument("--net", default=",".join(NETS))
    parser.add_argument("--batch", default="1,32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    import onnxruntime
    import tensorflow as tf
    import tf_keras
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    result = {**machine.head(), "threads": args.threads,
              "versions": {"tensorflow": tf.__version__, "tf_keras": tf_keras.__version__,
                           "onnxruntime": onnxruntime.__version__}, "rows": []}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.net.split(","):
            for batch in args.batch.split(","):
                result["rows"].append(measure(args, name, int(batch), Path(folder)))
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
