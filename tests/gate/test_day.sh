#!/usr/bin/env bash
# bench/gpu/day.sh on the CPU emulation of CUDA, as on the machine that it is for: a copy of the checkout
# and an archive of the program; no make, pkg-config, apt, git or xz. NVIDIA's tools are stand-ins.
set -u
build=$(realpath "$MIEN_BUILD")
root=$PWD
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
pass() { echo "ok $*"; }
fail() {
    failed=1
    echo "not ok $1"
    printf '%s\n' "${@:2}" | sed 's/^/# /'
}
expect() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >"$dir/said" 2>&1; then pass "$name"; else fail "$name" "$*" "$(tail -qn 12 "$dir/said" "$dir/day.log")"; fi
}

# ---- the machine ----------------------------------------------------------------------------------
mkdir -p "$dir/bin" "$dir/tools" "$dir/tree" "$dir/mien-carry"/{bin,lib/mien,tests/cuda,share/mien}
cp -r bench "$dir/tree/"
for command in bash sh awk sed grep tar timeout nproc realpath ldd tee cmp paste xargs sort head tail cat cp mv \
    mkdir mktemp rm sleep stat tr cut date df uname wc env dirname basename ls chmod; do
    ln -s "$(command -v $command)" "$dir/bin/$command"
done
python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null)
[ -z "$python" ] || ln -s "$python" "$dir/bin/python3"

cd "$dir/mien-carry" || exit 1
cp "$build/mien" bin/
cp "$build/fake/mien-cuda.so" lib/mien/
[ ! -x "$build/mien-h5" ] || cp "$build/mien-h5" lib/mien/
cp "$build/tests/cuda/"test_{dropout,loss} tests/cuda/
cp -r "$root/configs" share/mien/
echo 0123456789ab >COMMIT
pack() { # NAME: an archive of the machine's program
    if [ -n "$python" ] && command -v xz >/dev/null; then
        tar -C "$dir" -cf - mien-carry | xz -0 >"$dir/$1"
    else
        tar -C "$dir" -cf "$dir/$1" mien-carry
    fi
}
pack day.tar.xz
cd "$dir/tree" || exit 1

day() { # ARCHIVE STEP...
    local archive=$1
    shift
    env -i PATH="$dir/bin" HOME="$dir" FAKE=1 FAKE_TOOLS="$dir/tools" ARCHIVE="$dir/$archive" OUT="$dir/results" \
        CACHE="$dir/cache" OMP_WAIT_POLICY=passive BUDGET="${BUDGET:-110}" bash bench/gpu/day.sh "$@" \
        >"$dir/day.log" 2>&1
}
# Does a Python expression hold for the report of a step? Without Python the report's counts must do.
holds() { # STEP EXPRESSION
    local file
    file=$(ls "$dir/results/day-$1-fake-"*.json) || return
    if [ -z "$python" ]; then
        grep -q '"complete": true' "$file"
        return
    fi
    "$python" - "$file" "$2" <<'PY'
import json, sys
report = json.load(open(sys.argv[1]))
part = {p["name"]: p for p in report["parts"]}
if not eval(f"({sys.argv[2]})"):
    sys.exit(f"not so: {sys.argv[2]}\n" + json.dumps(report, indent=1)[-3000:])
PY
}

# ---- smoke, check ---------------------------------------------------------------------------------
expect "smoke" day day.tar.xz smoke
holds=(holds smoke)
expect "its report" "${holds[@]}" 'report["step"] == "smoke" and report["complete"] and report["failed"] == 0'
expect "graphs and launches were measured" "${holds[@]}" 'all(part[n]["data"]["median"] > 0 and
    part[n]["data"]["dtype"] == "bf16" for n in ("train classic bf16", "train classic bf16, no graph"))'
expect "only graphs have a host time" "${holds[@]}" '"host" in part["train classic bf16"]["notes"][0]
    and "host" not in part["train classic bf16, no graph"]["notes"][0]'
expect "latency was measured" "${holds[@]}" 'part["infer classic, batch 1"]["data"]["batch"] == 1'
expect "a machine without make" "${holds[@]}" '"make: not there" in part["versions"]["notes"]'
expect "engines come back" test -s "$dir/results/engines.json"
expect "check" day day.tar.xz check
expect "its report" holds check 'report["complete"] and report["failed"] == 0 and report["passed"] >= 15'
expect "parity at the batch that trains comes first" holds check 'report["parts"][0]["data"]["batch"] == 4
    and report["parts"][0]["data"]["ok"] and report["parts"][0]["data"]["dtype"] == "bf16"'
expect "gradients were compared" holds check '"weight_gradient" in report["parts"][0]["data"]["layers"][0]'
expect "all parts" holds check '{"repeat", "graphs", "curve", "learns bf16", "test_loss"} <= set(part)'
expect "engines of smoke, whose batch of 5 is its own, are kept" grep -q 'bf16 x 5 ' "$dir/results/engines.json"

# ---- where, sanitizers ----------------------------------------------------------------------------
cat >"$dir/tools/ncu" <<END
#!/bin/sh
echo "\$@" >>"$dir/ncu.log"
cat "$root/tests/gate/day/ncu.csv"
END
cat >"$dir/tools/compute-sanitizer" <<END
#!/bin/bash
echo "\$2 \${5##*/}" >>"$dir/sanitizer.log"
[ "\$2" != memcheck ] || { echo "===== Invalid write"; exit 99; }
exec "\$5"
END
chmod +x "$dir/tools/"*
mkdir -p carry
cp "$root/tests/gate/day/cost.json" carry/cost-classic.json
if [ -n "$python" ]; then
    expect "where" day day.tar.xz where
    expect "clocks are left alone" grep -q -- '--clock-control none' "$dir/ncu.log"
    expect "the last whole step" holds where 'part["kernels vgg"]["data"]["whole_step"] and
        part["kernels vgg"]["data"]["total"]["launches"] == 10 and
        abs(part["kernels vgg"]["data"]["total"]["seconds"] - 231e-6) < 1e-9 and
        abs(part["kernels vgg"]["data"]["total"]["bytes"] - 444132344) < 1'
    expect "what it should need" holds where '[(r["kernel"], round(r["times_floor"], 2)) for r in
        part["kernels classic"]["data"]["rows"] if r["pass"] == "forward/conv2d_1"] ==
        [("bias_relu_kernel", 0.5), ("(library)", 2.0)]'
    expect "what the model does not know" holds where '[r["kernel"] for r in
        part["kernels classic"]["data"]["rows"] if "cost" not in r] == ["softmax_xent_kernel"]'
    expect "what was not seen" holds where '[r["kernel"] for r in
        part["kernels classic"]["data"]["missing"]] == ["average_kernel"]'
    expect "no model" holds where '"cost" not in part["kernels vgg"]["data"]["total"]'
    expect "time by layer" holds where 'len(part["layers vgg"]["data"]["layers"]) > 3'
else
    pass "where # SKIP there is no Python"
fi
for name in batchnorm dropout loss; do # in place of the programs
    printf '#!/bin/sh\necho "ok 1 - %s"\n' $name >"$dir/mien-carry/tests/cuda/test_$name"
    chmod +x "$dir/mien-carry/tests/cuda/test_$name"
done
pack stubs.tar.xz
day stubs.tar.xz sanitizers
expect "a fault is found, and ends nothing" holds sanitizers 'part["memcheck"]["failed"] == 3 and
    [part[n]["passed"] for n in ("racecheck", "racecheck, other kernels", "synccheck", "initcheck")] == [2, 1, 3, 3]'
expect "races of kernels that share memory come first" eval \
    '[ "$(head -2 "$dir/sanitizer.log" | sort | tr "\n" " ")" = "racecheck test_batchnorm racecheck test_loss " ]'

# ---- faults ---------------------------------------------------------------------------------------
mv "$dir/mien-carry/bin/mien" "$dir/mien-carry/bin/real"
cat >"$dir/mien-carry/bin/mien" <<'END'
#!/bin/bash
case "$*" in
*"--batch 4"*--dtype\ bf16*) trap '' TERM; while :; do sleep 1; done ;;
*"infer"*) echo "mien: a \"fault\"" >&2; exit 70 ;;
esac
[ "$1" != devices ] || echo "cuda:0  yes  a stand-in"
if [ "$1" = --version ]; then echo "mien 0 (0123456789ab)"; else echo '{}'; fi
END
chmod +x "$dir/mien-carry/bin/mien"
pack faults.tar.xz
rm -f "$dir/results/"*
start=$SECONDS
BUDGET=20 day faults.tar.xz smoke && fail "a hanging part fails" "$(cat "$dir/day.log")"
expect "a hanging part ends in time" test $((SECONDS - start)) -lt 40
expect "the report is whole" holds smoke 'report["complete"] and report["failed"] >= 1 and
    any("stopped after" in n for n in part["train classic bf16"]["notes"])'
expect "what had no time is named" holds smoke 'any("no time left" in n for n in part["train classic tf32"]["notes"])'
sed -i 's/.*--dtype.*/x) ;;/' "$dir/mien-carry/bin/mien"
pack faults.tar.xz
day faults.tar.xz smoke && fail "a failing part fails the step" "$(cat "$dir/day.log")"
expect "a failing part ends nothing" holds smoke 'report["failed"] == 1 and
    part["infer classic, batch 1"]["failed"] == 1 and part["train classic tf32"]["passed"] == 1'
cat >bench/gpu/where.sh <<'END' # in the copy
part 3 stuck sleep 60
part 3 next echo "ok next"
END
day day.tar.xz where && fail "a process that cannot be killed" "$(cat "$dir/day.log")"
expect "a process that cannot be killed is left behind" holds where 'part["stuck"]["failed"] == 1 and
    part["stuck"]["seconds"] < 15 and part["next"]["passed"] == 1'
expect "an unknown step" eval '! day day.tar.xz nothing && grep -q usage: "$dir/day.log"'
exit $failed
