#!/usr/bin/env bash
# Runs the kernels with other orders of blocks and threads than `make check`: a result that depends on
# the order is a race.
set -u
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
for test in "$MIEN_BUILD"/tests/cuda/test_*; do
    [ -f "$test" ] && [ -x "$test" ] || continue
    for order in reverse 5; do
        name="${test##*/}, order $order"
        if FAKE_CUDA_ORDER=$order MIEN_MODULES=$MIEN_BUILD/fake timeout 300 "$test" >"$log" 2>&1; then
            echo "ok $name"
        else
            failed=1
            echo "not ok $name"
            grep -E '^not ok|ERROR' "$log" | head -5 | sed 's/^/# /'
        fi
    done
done
exit $failed
