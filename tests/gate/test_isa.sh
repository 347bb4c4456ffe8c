#!/usr/bin/env bash
# Runs the tests that depend on the instruction set as on lesser CPUs: limited to x86-64-v2, v3 and v4
# without VNNI and bf16, and with int8 switched off. Levels that this CPU lacks count as skipped. The
# results of int8 have the same bits with each of them, and with all that the CPU has.
set -u
log=$(mktemp)
trap 'rm -f "$log" "$log".*' EXIT
export OMP_WAIT_POLICY=passive # two tests at a time
export log
one() { # SETTING TEST
    local name=${2#"$MIEN_BUILD"/} command=("$2") out
    case $2 in *.sh) command=(bash "$2") ;; esac
    out=$(mktemp)
    if env "$1" timeout 300 "${command[@]}" >"$out" 2>&1 </dev/null; then
        sed -nE "s,^(not )?ok (.*# SKIP),ok $1: ${name##*/}: \\2,p" "$out"
        echo "ok $1: ${name#tests/}"
    else
        { grep -E '^not ok|ERROR' "$out" | head -5 | sed 's/^/# /' && echo "not ok $1: ${name#tests/}"; } | cat
    fi
    sed -n "s/^# int8 results /$1 /p" "$out" >>"$log.int8"
    rm -f "$out"
}
export -f one
tests=("$MIEN_BUILD"/tests/parity/test_parity "$MIEN_BUILD"/tests/golden/test_{golden,onnx}
    "$MIEN_BUILD"/tests/unit/test_{int8,int8_model,bf16,bench,fold,predictor,convolutions,tuning}
    tests/cli/test_convert.sh tests/cli/test_bench.sh)
for setting in MIEN_ISA=v2 MIEN_ISA=v3 MIEN_ISA=v4 MIEN_INT8=0; do
    if ! env $setting "$MIEN_BUILD"/mien devices --device cpu >/dev/null 2>&1; then
        echo "ok $setting # SKIP this CPU does not have it"
        continue
    fi
    for test in "${tests[@]}"; do printf '%s\n%s\n' $setting "$test"; done
done >"$log.all"
grep '^ok' "$log.all"
grep -v '^ok' "$log.all" | xargs -P "$(nproc)" -n 2 bash -c 'one "$@"' - >"$log"
one MIEN_ISA= "$MIEN_BUILD"/tests/unit/test_int8 >>"$log"
if [ "$(cut -d' ' -f2 "$log.int8" | sort -u | wc -l)" -eq 1 ] && [ "$(wc -l <"$log.int8")" -ge 2 ]; then
    echo "ok int8: the same bits $(cut -d' ' -f1 "$log.int8" | sort | tr '\n' ' ')" >>"$log"
else
    { sed 's/^/# /' "$log.int8" && echo "not ok int8: the same bits"; } >>"$log"
fi
cat "$log"
! grep -q '^not ok' "$log"
