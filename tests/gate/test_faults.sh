#!/usr/bin/env bash
# Kills, power losses, signals, and calls that fail (tests/faults): the gate's share of each. The
# full sizes are tests/all/test_faults.sh.
. tests/cli/lib.sh
if [ "$have_h5" = 0 ]; then
    skip faults "this build has no mien-h5"
    finish
fi
cd "$root" || exit 1
faults() { python3 "tests/faults/$1.py" "${@:2}" || failed=1; }
faults kills
faults power_loss
faults calls io
faults calls memory
faults interrupts
faults repeats
finish
