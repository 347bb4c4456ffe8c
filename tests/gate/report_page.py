"""The pages of evaluate, compare and audit in a real browser: every figure is there, nothing is fetched, nothing is
complained about, text can be read, and no page is wider than its window.
    report_page.py [FOLDER_FOR_SCREENSHOTS]"""
import os, shutil, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from browser import Browser
from page_rules import AXE
from serve_lib import check, mien
import serve_lib

root = os.getcwd()
shots = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None
work = tempfile.mkdtemp()
os.chdir(work)


def run(*args):
    done = subprocess.run([mien, *args], capture_output=True, text=True)
    if done.returncode: sys.exit(f"mien {' '.join(args)}: {done.stderr[-500:]}")


def network(name, epochs):
    run("train", "folder", "-q", "--data", "faces", "--set", "model.file=sample", "--set", f"train.epochs={epochs}",
        "--set", f"train.seed={epochs}", "--out", name)


subprocess.run(["bash", os.path.join(root, "datasets/faces.sh"), "faces"], stdout=subprocess.DEVNULL, check=True,
               env={**os.environ, "MIEN_BUILD": os.path.dirname(mien)})
network("short", 2)
network("long", 12)
with open("groups.csv", "w") as f:
    f.write("file,age\n")
    for folder, _, names in sorted(os.walk("faces")):
        f.writelines(f"{os.path.relpath(folder, 'faces')}/{n},{'young' if i % 3 else 'old'}\n" for i, n in enumerate(sorted(names)))
run("evaluate", "-q", "--model", "long", "--groups", "groups.csv", "--report", "report")
run("compare", "-q", "short", "long", "--average", "--report", "versus")
run("audit", "-q", "--data", "faces", "--model", "short", "--report", "audit")
run("report", "--from", "report/predictions.csv", "--report", "scores")
pages = {
    "report": ("report/report.html", ["confusion matrix", "recall and precision by class", "ROC by class, with its area",
                                      "precision and recall by class, with average precision", "calibration",
                                      "how confident the answers are", "accuracy by epoch", "loss by epoch"], 7 * 8),
    "scores": ("scores/report.html", ["confusion matrix", "calibration", "ROC by class, with its area"], 0),
    "comparison": ("versus/comparison.html", ["recall by class, with 95 % intervals", "calibration",
                                              "validation accuracy by epoch"], 12),
    "audit": ("audit/audit.html", ["images by class"], 12)}
# charts whose drawing leaves their own frame
OUTSIDE = """return [...document.querySelectorAll('svg')].filter(s => { const f = s.getBoundingClientRect();
    return [...s.querySelectorAll('text,rect,circle')].some(e => { const r = e.getBoundingClientRect();
        return r.width && (r.left < f.left - 1 || r.right > f.right + 1 || r.top < f.top - 1 || r.bottom > f.bottom + 1); });
}).map(s => s.getAttribute('aria-label'))"""

for dark in (False, True):
    b = Browser(dark=dark)
    mode = "dark" if dark else "light"
    try:
        b.open("about:blank")
        b.requests()
        for name, (file, charts, pictures) in pages.items():
            for width, height in ((1280, 900), (390, 844)):
                b.size(width, height)
                b.open(f"file://{work}/{file}")
                where = f"{name}, {mode}, {width} pixels"
                shown = b.run("return [...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().width > 200)"
                              ".map(s => s.getAttribute('aria-label'))")
                check(f"{where}: every chart", set(charts) <= set(shown), shown)
                loaded = b.run("return [...document.querySelectorAll('img')].filter(i => i.complete && i.naturalWidth > 7).length")
                check(f"{where}: every picture", loaded >= pictures and loaded == b.run("return document.images.length"), loaded)
                outside = b.run(OUTSIDE)
                check(f"{where}: charts stay in their frames", not outside, outside)
                wrong = b.run(AXE)
                check(f"{where}: accessible", not wrong, *wrong[:10])
                asked = [a for a in b.requests() if not a.startswith((f"file://{work}/", "data:", "about:"))]
                check(f"{where}: nothing is fetched", not asked, asked[:3])
                complaints = b.complaints()
                check(f"{where}: no complaint", not complaints, *complaints[:3])
                if shots:
                    time.sleep(0.2)
                    b.screenshot(os.path.join(shots, f"{name}-{mode}-{width}.png"))
    finally:
        b.close()

os.chdir(root)
shutil.rmtree(work)
sys.exit(serve_lib.failed)
