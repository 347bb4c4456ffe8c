#!/usr/bin/env bash
# The unit, gradient, parity, golden and GPU tests under AddressSanitizer and UndefinedBehaviorSanitizer.
# mien-h5 is built plain (its limits leave no room for shadow memory); leaks are checked too.
set -u
build=build/address,undefined
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! make -s -j"$(nproc)" SAN=address,undefined CUDA=0 programs tests >"$log" 2>&1; then
    tail -20 "$log"
    echo "not ok sanitizer build"
    exit 1
fi
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# libgomp's team and oneDNN's just-in-time code stay allocated at exit; they are not ours
export LSAN_OPTIONS=suppressions=$PWD/tests/support/lsan.supp:print_suppressions=0
export CMOCKA_MESSAGE_OUTPUT=TAP MIEN_H5=$build/mien-h5 MIEN_BUILD=$build
status=0
for test in "$build"/tests/{unit,grad,parity,golden,cuda}/test_*; do
    case $test in *.o | *.d) continue ;; esac
    if "$test" >"$log" 2>&1 </dev/null; then
        echo "ok sanitizers: ${test#"$build"/tests/}"
    else
        grep -E '^not ok|ERROR|runtime error|SUMMARY' "$log" | head -20 | sed 's/^/# /'
        echo "not ok sanitizers: ${test#"$build"/tests/}"
        status=1
    fi
done
for script in tests/cli/test_*.sh; do
    if MIEN_BUILD=$build bash "$script" >"$log" 2>&1 </dev/null; then
        echo "ok sanitizers: $script"
    else
        grep -E -A3 '^not ok' "$log" | head -20 | sed 's/^/# /; s/^# not ok/# failed:/'
        echo "not ok sanitizers: $script"
        status=1
    fi
done
exit $status
