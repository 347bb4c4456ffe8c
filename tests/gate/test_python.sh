#!/usr/bin/env bash
# pip installs the Python package in a venv, offline, and it works there with an installed library.
set -u
failed=0
skip() { # NAME REASON; CI installs all of it: there a skip would hide that nothing was tested
    if [ -z "${MIEN_CI:-}" ]; then echo "ok $1 # SKIP $2"; else failed=1 && echo "not ok $1: $2"; fi
}
python=/usr/bin/python3
if ! "$python" -c 'import ensurepip, numpy, setuptools, wheel' 2>/dev/null; then
    skip "pip install ./python" "python3-numpy, python3-pip, python3-setuptools or python3-venv is missing"
    exit $failed
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r python "$work/python" # pip builds in the source folder
{
    "$python" -m venv --system-site-packages "$work/venv" &&
        "$work/venv/bin/pip" install --no-index --no-build-isolation -q "$work/python"
} >"$work/log" 2>&1
if [ $? -eq 0 ]; then echo "ok pip install"; else failed=1 && echo "not ok pip install" && sed 's/^/# /' "$work/log"; fi
variant=${MIEN_BUILD##*build/}
env -u MAKEFLAGS -u MAKELEVEL make --no-print-directory -s VARIANT="$variant" CUDA=0 PREFIX="$work/venv" install-files >"$work/log" 2>&1
library=$(cd "$work" && "$work/venv/bin/python" -c 'import mien, pathlib; print(mien.library_path())
assert (pathlib.Path(mien.__file__).parent / "py.typed").exists()
import numpy; print(mien.Model().predict(numpy.zeros((2, 48, 48), numpy.uint8)).shape)' 2>&1)
if [ "$library" = "$work/venv/lib/libmien.so.0
(2, 7)" ]; then
    echo "ok the library of the same prefix is used, with its model"
else
    failed=1
    echo "not ok the library of the same prefix is used, with its model"
    sed 's/^/# /' <<<"$library"
fi
# eight callers share the CPUs as well as one has them; in turns, because the machine may be busy
MIEN_LIBRARY=$MIEN_BUILD/libmien.so PYTHONPATH=python PYTHONDONTWRITEBYTECODE=1 "$python" - <<'END' || failed=1
import statistics, sys, threading, time
import numpy, mien
model, images = mien.Model(device="cpu"), numpy.random.default_rng(1).integers(0, 256, (64, 48, 48), numpy.uint8)

def rate(callers, calls=32):
    threads = [threading.Thread(target=lambda: [model.predict(images) for _ in range(calls // callers)]) for _ in range(callers)]
    begin = time.perf_counter()
    [t.start() for t in threads], [t.join() for t in threads]
    return calls * 64 / (time.perf_counter() - begin)

rate(8)
rounds = [(rate(1), rate(8)) for _ in range(9)]
ratio = statistics.median(eight / one for one, eight in rounds)
print("#", *(f"{one:.0f}/{eight:.0f}" for one, eight in rounds), "images a second by one and by eight callers")
print("ok" if ratio >= 0.85 else "not ok", f"eight callers get {ratio:.2f} of what one gets")
sys.exit(ratio < 0.85)
END
exit $failed
