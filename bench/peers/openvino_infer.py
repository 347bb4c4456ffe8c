"""OpenVINO: inference from uint8 images to probabilities; f32 by default, or bf16 or int8."""

import tempfile
from pathlib import Path

import contest

MODES = ("latency", "throughput")
args = contest.arguments(__doc__, dtypes=("f32", "bf16", "int8"), modes=MODES)

import openvino as ov

import nets

core = ov.Core()
image = ov.Tensor(contest.images(args, args.batch)[0])


def network():
    with tempfile.TemporaryDirectory() as folder:
        model = core.read_model(nets.onnx_file(args.net, args.batch, Path(folder) / "net.onnx"))
        if args.dtype != "int8":
            return model
        import nncf

        batches = list(contest.calibration_batches(args))
        return nncf.quantize(model, nncf.Dataset(batches), subset_size=len(batches))


def compiled(hint):
    # an explicit precision: by default OpenVINO uses bf16 if the CPU supports it
    return core.compile_model(
        network(),
        "CPU",
        {
            "PERFORMANCE_HINT": hint,
            "INFERENCE_PRECISION_HINT": "bf16" if args.dtype == "bf16" else "f32",
            "INFERENCE_NUM_THREADS": args.threads,
            "CPU_DENORMALS_OPTIMIZATION": True,
        },
    )


def latency():
    request = compiled("LATENCY").create_infer_request()
    request.set_input_tensor(image)
    return request.infer


def throughput():
    """As many requests in flight as OpenVINO chooses; a step submits one as soon as one is free."""
    queue = ov.AsyncInferQueue(compiled("THROUGHPUT"))
    for request in queue:
        request.set_input_tensor(image)
    return lambda: queue.start_async(), queue.wait_all


contest.serve(
    args,
    f"openvino {ov.__version__.split('-')[0]}",
    {"latency": latency, "throughput": throughput},
)
