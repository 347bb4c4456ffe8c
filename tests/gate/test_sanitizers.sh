#!/usr/bin/env bash
# The unit, gradient, parity, golden, GPU and command-line tests under AddressSanitizer and
# UndefinedBehaviorSanitizer. mien-h5 is built plain (its limits leave no space for shadow memory).
# Leaks are checked as well.
set -u
export build=build/address,undefined
export scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if ! make -s -j"$(nproc)" SAN=address,undefined CUDA=0 programs tests >"$scratch/log" 2>&1; then
    tail -20 "$scratch/log"
    echo "not ok sanitizer build"
    exit 1
fi
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# libgomp's team, oneDNN's just-in-time code and what SDL asks of D-Bus stay allocated at exit, which is not Mien's doing
export LSAN_OPTIONS=suppressions=$PWD/tests/support/lsan.supp:print_suppressions=0
export CMOCKA_MESSAGE_OUTPUT=TAP MIEN_H5=$build/mien-h5 MIEN_BUILD=$build
export OMP_WAIT_POLICY=passive # two tests at a time

one() { # test program or script
    local name=${1#"$build"/} command=("$1") log
    name=${name#tests/}
    log=$scratch/${name//\//-}
    case $1 in *.sh) command=(bash "$1") ;; esac
    if "${command[@]}" >"$log" 2>&1 </dev/null; then
        echo "ok sanitizers: $name"
    else
        { # written as one block
            grep -E -A3 '^not ok|ERROR|runtime error|SUMMARY' "$log" | head -20 |
                sed 's/^/# /; s/^# not ok/# failed:/'
            echo "not ok sanitizers: $name"
        } >"$log.said"
        cat "$log.said"
    fi
}
export -f one

# the long ones first
printf '%s\n' tests/cli/test_*.sh "$build"/tests/{cuda,unit,grad,parity,golden}/test_* |
    grep -v '\.[od]$' | xargs -P "$(nproc)" -I{} bash -c 'one {}' >"$scratch/said"
cat "$scratch/said"
! grep -q '^not ok' "$scratch/said"
