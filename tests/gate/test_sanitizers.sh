#!/usr/bin/env bash
# The unit, gradient, parity and golden tests under AddressSanitizer and UndefinedBehaviorSanitizer.
# mien-h5 is built plain (its limits leave no room for shadow memory); leaks are checked too.
set -u
build=build/address,undefined
if ! make -s SAN=address,undefined tests >/tmp/mien-san.log 2>&1; then
    tail -20 /tmp/mien-san.log
    echo "not ok sanitizer build"
    exit 1
fi
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# libgomp's team and oneDNN's just-in-time code stay allocated at exit; they are not ours
export LSAN_OPTIONS=suppressions=tests/support/lsan.supp:print_suppressions=0
export CMOCKA_MESSAGE_OUTPUT=TAP MIEN_H5=$(dirname "$MIEN_BUILD")/release/mien-h5
status=0
for test in "$build"/tests/{unit,grad,parity,golden}/test_*; do
    case $test in *.o | *.d) continue ;; esac
    if "$test" >/tmp/mien-san.log 2>&1 </dev/null; then
        echo "ok sanitizers: ${test#"$build"/tests/}"
    else
        grep -E '^not ok|ERROR|runtime error|SUMMARY' /tmp/mien-san.log | head -20 | sed 's/^/# /'
        echo "not ok sanitizers: ${test#"$build"/tests/}"
        status=1
    fi
done
rm -f /tmp/mien-san.log
exit $status
