#!/usr/bin/env bash
# A million rows that are streamed: memory, exact continuation, the same metrics (tests/all/million.py).
. tests/cli/lib.sh
if [ "$have_h5" = 0 ]; then
    skip "a million rows" "this build has no mien-h5"
    finish
fi
cd "$root" || exit 1
python3 tests/all/million.py || failed=1
finish
