#!/usr/bin/env bash
# The full sizes of tests/gate/test_faults.sh: 10,000 kills, 5,000 power losses, 1,000 signals, and
# every call failing in turn (MIEN_TIER=all; about half an hour on two cores).
. tests/cli/lib.sh
if [ "$have_h5" = 0 ]; then
    skip faults "this build has no mien-h5"
    finish
fi
cd "$root" || exit 1
export MIEN_TIER=all
faults() { python3 "tests/faults/$1.py" "${@:2}" || failed=1; }
faults kills
faults power_loss
faults calls io
faults calls memory
faults interrupts
faults repeats
finish
