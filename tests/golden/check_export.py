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
import re
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
    wanted = predict(mien, model, names, list(flags) + list(options))
    x = (pixels * spec["scale"][0] - np.array(spec["mean"])) / np.array(spec["std"])
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
    config = os.path.join(folder, "run.yaml")
    with open(config, "w", encoding="utf-8") as out:
        out.write(f"model: {{file: {layers}}}\ndata: {{source: {folder}/data}}\n"
                  f"input: {{height: {shape[0]}, width: {shape[1]}, channels: {shape[2]}}}\n"
                  "train: {epochs: 1, batch: 7}\n")
    run(mien, "train", config, "--out", os.path.join(folder, name), "-q", "--threads", "1")
    return os.path.join(folder, name)


def layer_cases():
    """The networks of tests/unit/test_onnx_write.c, whose text is C."""
    text = open("tests/unit/test_onnx_write.c", encoding="utf-8").read()
    macros = {"CONV": "", "TWO": ""}
    for name in macros:
        found = re.search(r"#define %s\s((?:.*\\\n)*.*)\n" % name, text)
        macros[name] = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', found.group(1)))
    table = re.search(r"static const net nets\[\] = \{(.*?)\n\};", text, re.S).group(1)
    token = re.compile(r'\s*("(?:[^"\\]|\\.)*"|CONV|TWO)')

    def read(at):
        words = ""
        while (m := token.match(table, at)):
            words += macros.get(m.group(1)) if m.group(1) in macros else m.group(1)[1:-1]
            at = m.end()
        return words.replace("\\n", "\n").replace('\\"', '"'), at

    for m in re.finditer(r"AFTER\(|ACTIVATION\(|\{(?=\s*(?:\"|CONV|TWO))", table):
        words, at = read(m.end())
        if m.group().startswith("AFTER"):
            yield macros["CONV"].replace("\\n", "\n") + f"  - {words}\n", (9, 8, 3)
        elif m.group().startswith("ACT"):
            yield macros["CONV"].replace("\\n", "\n") + f"  - activation: {{activation: {words}}}\n", (6, 5, 2)
        else:
            yield words, tuple(int(n) for n in re.match(r"\s*,\s*(\d+), (\d+), (\d+)", table[at:]).groups())


def layer_models(mien, folder):
    for i, (layers, shape) in enumerate(layer_cases()):
        shape = shape[:2] + (3 if shape[2] == 2 else shape[2],)  # predict reads pictures
        path = os.path.join(folder, f"net{i}.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write("layers:\n" + layers + "  - flatten: {name: f_end}\n"
                      "  - dense: {units: classes, activation: softmax, name: d_end}\n")
        yield layers.strip().replace("\n", ";"), lambda p=path, s=shape, n=i: trained(mien, folder, p, s, f"run{n}"), []


def models(mien, part, folder):
    """Name, function that makes the model file, flags."""
    seven = "--classes", ",".join(f"c{i}" for i in range(CLASSES))
    if part == "shipped":
        yield "fer2013-small", lambda: "models/fer2013-small.h5", []
    if part == "recipes":
        for name in ("classic", "vgg", "seresnet", "small"):
            yield name, lambda n=name: trained(mien, folder, f"configs/models/{n}.yaml", (48, 48, 1), n), []
    if part == "layers":
        yield from layer_models(mien, folder)
    if part == "keras":
        for path in sorted(glob.glob("tests/golden/keras/*.gz")):
            name = os.path.basename(path)[:-3]
            if name.endswith(".json") or "weights" in name:
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
    del seven


def flags_for(mien, model, flags):
    """What the file does not say."""
    if flags is not None:
        return flags, []
    name = os.path.basename(model)
    output = ["--output", "v12_0"] if name == "two_outputs.onnx" else []
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


def main():
    mien, parts = os.path.abspath(sys.argv[1]), sys.argv[2:] or ["shipped", "recipes", "layers", "keras", "onnx"]
    bad = count = 0
    for part in parts:
        with tempfile.TemporaryDirectory() as folder:
            largest = 0
            here = 0
            for name, make, flags in models(mien, part, folder):
                count += 1
                here += 1
                try:
                    model = make()
                    more, output = flags_for(mien, model, flags)
                    off = compare(mien, model, folder, more, output)
                except Exception as error:  # of any library
                    print(f"{part} {name}: {error}", flush=True)
                    bad += 1
                    continue
                largest = max(largest, off)
                if not off <= TOLERANCE:
                    print(f"{part} {name}: off by {off:.2g}", flush=True)
                    bad += 1
            print(f"{part}: {here} models, largest difference {largest:.2g}", flush=True)
    print(f"{count - bad} of {count} right")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
