"""The Python package against the command line; test_python.sh runs it in a folder with faces.csv and tiny.yaml.
Prints TAP."""
import csv, json, os, subprocess, sys, threading, time, traceback
from pathlib import Path

import numpy as np
import mien

MIEN, ROOT, FAULTS = sys.argv[1], Path(sys.argv[2]), 0
PORTRAIT = str(ROOT / "datasets/photos/astronaut.png")
HAVE_VISION, HAVE_VIDEO = (os.path.exists(os.path.join(os.path.dirname(MIEN), f"mien-{m}.so")) for m in ("vision", "video"))


def case(name, skip=None):
    def run(function):
        global FAULTS
        if skip:
            print(f"ok {name} # SKIP {skip}")
            return
        try:
            function()
            print(f"ok {name}")
        except BaseException:
            FAULTS += 1
            print(f"not ok {name}")
            print("".join("# " + line + "\n" for line in traceback.format_exc().splitlines()[-6:]), end="")
    return run


def command(*words):
    result = subprocess.run([MIEN, *map(str, words)], capture_output=True, text=True)
    return result.stdout, result.stderr, result.returncode


def refused(status, message, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except mien.Error as error:
        assert message in str(error) and error.status == status, (str(error), error.status)
        return str(error)
    raise AssertionError("it was not refused")


with open("faces.csv") as file:
    ROWS = list(csv.DictReader(file))
IMAGES = np.array([np.array(row["pixels"].split(), np.uint8).reshape(48, 48) for row in ROWS])
SET = {"model.file": "tiny.yaml", "train.epochs": 2, "train.batch_size": 16, "optimizer.learning_rate": 0.01,
       "augment.flip": False}


@case("train: the weights and metrics of mien train, with progress")
def _():
    seen = []
    run = mien.train(data="faces.csv", out="run", set=SET, threads=1, callback=lambda p: seen.append(p))
    flags = [word for key, value in SET.items() for word in ("--set", f"{key}={json.dumps(value) if not isinstance(value, str) else value}")]
    command("train", "-q", "--threads", 1, "--data", "faces.csv", "--out", "cli", *flags)
    assert run.folder == "run" and [p.epoch for p in seen if p.ended] == [1, 2], seen
    assert seen[0].total == 42 and seen[0].epochs == 2 and seen[0].val_loss is None, seen[0]
    assert seen[-1].val_accuracy is not None
    want = json.loads(Path("cli/metrics.json").read_text())
    assert run.metrics["accuracy"] == want["accuracy"] and run.metrics["loss"] == want["loss"]
    a, b = (mien.Model(f, threads=1).predict(IMAGES) for f in ("run", "cli"))
    assert np.array_equal(a, b)


@case("train: keys as a dict, and a callback that stops")
def _():
    keys = {"model": {"file": "tiny.yaml"}, "train": {"epochs": 5, "batch_size": 16}}
    refused("interrupted", "", mien.train, keys, data="faces.csv", out="stopped", threads=1,
            callback=lambda p: p.ended)
    assert list(Path("stopped").glob("step-*.safetensors"))


@case("train: an exception of the callback arrives")
def _():
    def fail(_):
        raise KeyboardInterrupt
    try:
        mien.train(data="faces.csv", out="raised", set=SET, callback=fail)
    except KeyboardInterrupt:
        return
    raise AssertionError("it was lost")


@case("predict: bit for bit the numbers of mien predict --data")
def _():
    out, _, _ = command("predict", "-q", "--threads", 1, "--model", "run", "--data", "faces.csv", "--csv", "scores.csv")
    with open("scores.csv") as file:
        rows = list(csv.DictReader(file))
    model = mien.Model("run", threads=1)
    p = model.predict(IMAGES)
    assert p.dtype == np.float32 and p.shape == (len(ROWS), len(model.classes))
    for row, scores in zip(rows, p):
        want = [np.float32(row[next(k for k in (f"p_{name}", f"score_{name}", name) if k in row)]) for name in model.classes]
        assert want == list(scores), (want, scores)
    assert len(rows) == len(p)
    assert np.array_equal(p, model.predict(list(IMAGES))) and np.array_equal(p, model.predict(IMAGES[..., None]))
    assert np.array_equal(p, model.predict(IMAGES[:, ::-1][:, ::-1])), "an array that is not contiguous"
    assert model.predict(IMAGES[:0]).shape == (0, len(model.classes))


@case("predict: eight threads get the numbers of one")
def _():
    for workers in (1, 3):
        with mien.Model("run", threads=1, workers=workers, batch=16) as model:
            want, wrong = model.predict(IMAGES), []
            def call(seed):
                order = np.random.default_rng(seed).permutation(len(IMAGES))
                for _ in range(10):
                    if not np.array_equal(model.predict(IMAGES[order]), want[order]):
                        wrong.append(seed)
            threads = [threading.Thread(target=call, args=(i,)) for i in range(8)]
            [t.start() for t in threads], [t.join() for t in threads]
            assert not wrong and len(model._all) <= workers, (wrong, len(model._all))
    refused("invalid argument", "closed", model.predict, IMAGES)


@case("a model's last reference may go away in its own thread; after a fork it is refused")
def _():
    for _ in range(20):
        mien.Model("run", threads=1).predict(IMAGES[:1])
    model = mien.Model("run", threads=1)
    model._pool.submit(int).result()
    threads = list(model._pool._threads)
    assert threads
    model._pool.submit(time.sleep, 0.1)
    model._pool.submit(lambda owner: None, model)
    del model
    [t.join(20) for t in threads]
    assert not any(t.is_alive() for t in threads)
    model = mien.Model("run", threads=1)
    child = os.fork()
    if not child:
        try:
            model.predict(IMAGES)
        except mien.Error as error:
            os._exit("load it again" not in str(error))
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@case("predict: what is no image is refused in one sentence")
def _():
    model = mien.Model("run", threads=1)
    refused("invalid argument", "uint8 from 0 to 255, not of float64", model.predict, IMAGES / 255)
    refused("invalid argument", "(n, 48, 48, 1) or (n, 48, 48), not (70, 24, 48)", model.predict, IMAGES[:, ::2])
    refused("invalid argument", "(n, 48, 48, 1)", model.predict, IMAGES[0])
    refused("invalid argument", "", model.predict, [IMAGES[0], IMAGES[0][:5]])


@case("errors are those of the command line")
def _():
    Path("bad.h5").write_bytes(b"none")
    for path, status in (("none.h5", "not found"), ("bad.h5", "wrong format")):
        _, said, _ = command("inspect", path)
        assert said == "mien: " + refused(status, path, mien.Model, path) + "\n", said
    refused("no such device", "", mien.Model, "run", device="cuda:99")
    refused("invalid argument", "not empty", mien.train, data="faces.csv", out="run", set=SET)
    refused("invalid argument", "split must be train, val, test or all, not 'half'", mien.evaluate, "run", split="half")
    refused("not found", "none.csv", mien.evaluate, "run", "none.csv")


@case("an error belongs to the thread that made it")
def _():
    wrong = []
    def call(path):
        for _ in range(30):
            try:
                mien.Model(path)
            except mien.Error as error:
                if path not in str(error):
                    wrong.append(str(error))
    threads = [threading.Thread(target=call, args=(f"none{i}.h5",)) for i in range(8)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert not wrong, wrong


@case("evaluate: the dict of mien evaluate --json")
def _():
    want = json.loads(command("evaluate", "--threads", 1, "--model", "run", "--split", "all", "--tta", "flip", "--json")[0])
    got = mien.evaluate(mien.Model("run"), split="all", tta="flip", threads=1)
    for d in (want, got):
        for key in [k for k in d if "second" in k]:
            del d[key]
    assert got == want, (got, want)
    assert mien.evaluate(["run", "cli"], "faces.csv", threads=1)["n"] > 0


@case("photo: the boxes and scores of mien predict", None if HAVE_VISION else "this build has no OpenCV")
def _():
    want = json.loads(command("predict", "-q", "--threads", 1, "--json", PORTRAIT)[0].splitlines()[0])["faces"]
    with mien.Model(threads=1) as model:
        faces = model.photo(PORTRAIT)
        assert len(faces) == len(want) == 1
        for face, w in zip(faces, want):
            box = w["box"]
            assert list(face.box) == (list(box.values()) if isinstance(box, dict) else box), (face, box)
            assert face.label == w["label"] and abs(face.confidence - w["confidence"]) < 1e-6
            assert abs(face.score - w["detection_score"]) < 1e-6
        x, y, width, height = faces[0].box
        gray = np.full((200, 200), 128, np.uint8)
        assert model.photo(gray) == []
        whole = model.photo(gray, detector="none")
        assert whole[0].box == (0, 0, 200, 200) and whole[0].score is None
        colour = np.repeat(gray[..., None], 3, 2)
        assert np.array_equal(model.photo(colour, detector="none")[0].probabilities, whole[0].probabilities)
        refused("not found", "none.png", model.photo, "none.png")
        refused("invalid argument", "1 or 3 channels", model.photo, np.zeros((50, 50, 4), np.uint8))
        refused("invalid argument", "uint8", model.photo, np.zeros((50, 50)))
        refused("invalid argument", "haar", model.photo, PORTRAIT, detector="cat")


@case("video: frames in order, ended early, and errors", None if HAVE_VISION and HAVE_VIDEO else "this build has no OpenCV or FFmpeg")
def _():
    clips = sorted((ROOT / "tests/golden/video").glob("*.*"))
    clip = next(str(p) for p in clips if p.suffix in (".mp4", ".mkv", ".webm", ".avi"))
    rows = [json.loads(line) for line in command("video", "-q", "--threads", 1, clip, "--jsonl", "-", "--detector", "none")[0].splitlines()]
    with mien.Model(threads=1) as model:
        frames = list(model.video(clip, detector="none"))
        assert len(frames) == len(rows) > 2 and [f.index for f in frames] == list(range(len(rows)))
        assert all(abs(f.time - r["time_s"]) < 1e-6 for f, r in zip(frames, rows))
        assert [f.faces[0].label for f in frames] == [r["faces"][0]["smoothed"]["label"] for r in rows]
        portrait = str(ROOT / "datasets/photos/astronaut.mp4")
        rows = [json.loads(line) for line in command("video", "-q", "--threads", 1, portrait, "--jsonl", "-")[0].splitlines()]
        frames = list(model.video(portrait))
        assert any(f.faces for f in frames) and len(frames) == len(rows)
        for f, r in zip(frames, rows):
            assert [(face.id, face.label) for face in f.faces] == [(w["id"], w["smoothed"]["label"]) for w in r["faces"]]
        before = threading.active_count()
        for frame in model.video(clip):
            break
        assert threading.active_count() == before
        refused("not found", "none.mp4", list, model.video("none.mp4"))


sys.exit(FAULTS > 0)
