#!/usr/bin/env bash
# The full sizes of tests/gate/test_faults.sh: 10,000 kills, 5,000 power losses, 1,000 signals, and
# every call failing in turn (about half an hour on two cores).
export MIEN_TIER=all
exec bash "$(dirname "$0")/../gate/test_faults.sh"
