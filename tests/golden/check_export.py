"""Compares models that Mien writes as .onnx with ONNX Runtime: check_export.py MIEN [PART...].

Each file must pass onnx's checker; the outputs of ONNX Runtime must be those that Mien computes from the model that it
was made from, to 1e-5 of the largest output, for batches of 1 and 3, with the preprocessing outside and inside.
PARTs are shipped, recipes, layers, keras and onnx; without one all are checked. Run it in the root of the source tree.
Exits with 1 if one differs or is refused.
"""

import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

TOLERANCE = 1e-5
CLASSES = 7


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "failed").splitlines()[-1])
    return done.stdout


def picture(path, pixels):
    h, w, c = pixels.shape
    with open(path, "wb") as out:
        out.write(b"P%d\n%d %d\n255\n" % (6 if c == 3 else 5, w, h) + pixels.tobytes())


def predict(mien, model, pictures, flags):
    lines = run(mien, "predict", "--json", "--detector", "none", "--threads", "1", "--model", model, *flags, *pictures)
    answers = []
    for line in lines.splitlines():
        face = json.loads(line)["faces"][0]
        answers.append(face["values"] if "values" in face else list(face["scores"].values()))
    return np.array(answers, np.float64)


def settings(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    return {p.key: p.value for p in model.metadata_props}


def infer(path, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    whole = session.run(None, {name: x})[0].reshape(len(x), -1)
    single = session.run(None, {name: x[:1]})[0].reshape(1, -1)
    return whole, float(abs(single - whole[:1]).max())


def infer_foreign(path, x):
    """The file of another program, whose images may be NCHW and whose batch may be fixed."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    first = session.get_inputs()[0]
    if list(first.shape[1:]) != list(x.shape[1:]):
        x = x.transpose(0, 3, 1, 2)
    return np.concatenate([session.run(None, {first.name: one[None]})[0].reshape(1, -1) for one in x])


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def compare(mien, model, folder, flags, options=()):
    """The largest difference of both forms."""
    plain, inside = os.path.join(folder, "plain.onnx"), os.path.join(folder, "inside.onnx")
    again = os.path.join(folder, "again.onnx")
    run(mien, "convert", model, plain, *flags, *options)
    run(mien, "convert", model, inside, *flags, *options, "--with-preprocessing")
    run(mien, "convert", plain, again)
    meta = json.loads(settings(plain)["mien"])
    settings(inside), settings(again)
    spec, head, temperature = meta["input"], meta.get("head", "softmax"), meta["temperature"]
    shape = (spec["height"], spec["width"], spec["channels"])
    pixels = np.random.default_rng(7).integers(0, 256, (3,) + shape, dtype=np.uint8)
    names = [os.path.join(folder, f"{i}.ppm") for i in range(3)]
    for name, p in zip(names, pixels):
        picture(name, p)
    x = (pixels * spec["scale"][0] - np.array(spec["mean"])) / np.array(spec["std"])
    try:
        wanted = predict(mien, model, names, list(flags) + list(options))
    except RuntimeError:
        if not model.endswith(".onnx"):
            raise
        wanted = infer_foreign(model, x.astype(np.float32))  # pictures have 1 or 3 channels
    worst = 0
    for path, data in ((plain, x), (again, x), (inside, pixels)):
        got, apart = infer(path, data.astype(np.float32))
        target = wanted
        if head == "softmax" and path is not inside and temperature != 1:
            got = softmax(np.log(np.maximum(got, 1e-37)) / temperature)
        if head == "logits" and path is inside:
            target = softmax(wanted / temperature)
        size = max(float(abs(target).max()), 1e-30)
        worst = max(worst, float(abs(got - target).max()) / size, apart / size)
    return worst


# ---- models ----

def trained(mien, folder, layers, shape, name):
    """A network of random weights, as an .h5."""
    images = np.random.default_rng(1).integers(0, 256, (2 * CLASSES,) + shape, dtype=np.uint8)
    for i, image in enumerate(images):
        for part in ("train", "val"):
            place = os.path.join(folder, "data", part, f"c{i % CLASSES}")
            os.makedirs(place, exist_ok=True)
            picture(os.path.join(place, f"{i}.ppm"), image)
    keys = {"model.file": layers, "input.height": shape[0], "input.width": shape[1], "input.channels": shape[2],
            "train.epochs": 1, "train.batch_size": 7}
    run(mien, "train", "-q", "--threads", "1", *(word for k, v in keys.items() for word in ("--set", f"{k}={v}")),
        "--data", os.path.join(folder, "data"), "--out", os.path.join(folder, name))
    return os.path.join(folder, name)


def compare_layers(mien, folder):
    """The networks of tests/unit/test_onnx_write.c, one of each layer and setting, of random weights: the test leaves
    the files with its pixels and Mien's answers. Yields the name and the largest difference."""
    test = os.path.join(os.path.dirname(mien), "tests/unit/test_onnx_write")
    done = subprocess.run([test], capture_output=True, text=True, env={**os.environ, "MIEN_EXPORT": folder})
    if done.returncode:
        raise RuntimeError("test_onnx_write fails")
    for path in sorted(glob.glob(os.path.join(folder, "*.onnx"))):
        said = settings(path)
        meta = json.loads(said["mien"])
        spec = meta["input"]
        shape = (3, spec["height"], spec["width"], spec["channels"])
        with open(path[:-5] + ".raw", "rb") as file:
            raw = file.read()
        split = len(raw) - int(np.prod(shape))
        wanted = np.frombuffer(raw[:split], np.float32).reshape(3, -1)
        pixels = np.frombuffer(raw[split:], np.uint8).reshape(shape)
        x = (pixels * spec["scale"][0] - np.array(spec["mean"])) / np.array(spec["std"])
        got, apart = infer(path, x.astype(np.float32))
        size = float(abs(wanted).max())
        yield os.path.basename(path), max(float(abs(got - wanted).max()), apart) / size


def models(mien, part, folder):
    """Name, function that makes the model file, flags."""
    if part == "shipped":
        yield "fer2013-small", lambda: "models/fer2013-small.h5", []
    if part == "recipes":
        for name in ("classic", "vgg", "seresnet", "small"):
            yield name, lambda n=name: trained(mien, folder, f"configs/models/{n}.yaml", (48, 48, 1), n), []
    if part == "keras":
        for path in sorted(glob.glob("tests/golden/keras/*.gz")):
            name = os.path.basename(path)[:-3]
            if name.endswith(".json") or "weights" in name or name == "other_names.h5":  # weights alone
                continue
            target = os.path.join(folder, name)

            def unpack(source=path, to=target):
                with gzip.open(source) as file, open(to, "wb") as out:
                    out.write(file.read())
                return to
            yield name, unpack, None
    if part == "onnx":
        for path in sorted(glob.glob("tests/golden/onnx/*.onnx")):
            name = os.path.basename(path)
            yield name, lambda p=path: p, None


def flags_for(mien, model, flags):
    """What the file does not say."""
    if flags is not None:
        return flags, []
    name = os.path.basename(model)
    output = {"two_outputs.onnx": ["--output", "v12_0"], "k3_two.h5": ["--output", "emotion"]}.get(name, [])
    said = json.loads(run(mien, "inspect", model, "--json", *output))
    unknown = said.get("unknown") or []
    more = []
    if "preprocessing" in unknown:
        more += ["--preprocess", "unit"]
    if "classes" in unknown:
        head = said.get("head", "softmax")
        count = said.get("outputs") or len(said["classes"])
        more += ["--classes", "none" if head == "values" else ",".join(f"c{i}" for i in range(count))]
    return more, output


def compare_models(mien, part, folder):
    for name, make, flags in models(mien, part, folder):
        try:
            model = make()
            more, output = flags_for(mien, model, flags)
            yield name, compare(mien, model, folder, more, output)
        except Exception as error:  # of any library
            yield name, str(error)


def main():
    mien, parts = os.path.abspath(sys.argv[1]), sys.argv[2:] or ["shipped", "recipes", "layers", "keras", "onnx"]
    bad = count = 0
    for part in parts:
        with tempfile.TemporaryDirectory() as folder:
            seen = []
            results = compare_layers(mien, folder) if part == "layers" else compare_models(mien, part, folder)
            for name, off in results:
                seen.append(off)
                if isinstance(off, str) or not off <= TOLERANCE:
                    print(f"{part} {name}: {off}", flush=True)
                    bad += 1
            count += len(seen)
            largest = max((off for off in seen if not isinstance(off, str)), default=0)
            print(f"{part}: {len(seen)} models, largest difference {largest:.2g}", flush=True)
    print(f"{count - bad} of {count} right")
    return bad > 0 or count == 0


if __name__ == "__main__":
    sys.exit(main())
