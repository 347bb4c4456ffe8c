"""ONNX Runtime: inference from uint8 images to probabilities; int8 by its static quantisation."""

import tempfile
from pathlib import Path

import contest

args = contest.arguments(__doc__, dtypes=("f32", "int8"), modes=("sequential",))

import onnxruntime as ort

import nets

image = contest.images(args, args.batch)[0]


def quantised(path, folder):
    """QDQ, one scale per output channel, unsigned activations: required by MLAS's VNNI kernels."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.batches = iter(contest.calibration_batches(args))

        def get_next(self):
            batch = next(self.batches, None)
            return None if batch is None else {"image": batch}

    prepared, result = str(folder / "prepared.onnx"), str(folder / "int8.onnx")
    quant_pre_process(path, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        result,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "Gemm", "MatMul", "MaxPool", "Relu", "Reshape"],
    )
    return result


def session():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = nets.onnx_file(args.net, args.batch, folder / "net.onnx")
        if args.dtype == "int8":
            path = quantised(path, folder)
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.intra_op_num_threads = args.threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        # threads spin within a run and sleep between turns
        options.add_session_config_entry("session.force_spinning_stop", "0")
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def sequential():
    run = session()
    binding = run.io_binding()
    binding.bind_ortvalue_input("image", ort.OrtValue.ortvalue_from_numpy(image))
    out = ort.OrtValue.ortvalue_from_shape_and_type((args.batch, contest.CLASSES), "float32")
    binding.bind_ortvalue_output("probabilities", out)
    return lambda: run.run_with_iobinding(binding)


contest.serve(args, f"onnxruntime {ort.__version__}", {"sequential": sequential})
