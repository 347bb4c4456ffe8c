#!/usr/bin/env bash
# Tests and measures Mien on a machine with a GPU: day.sh STEP...
#   smoke       does it run, and how fast roughly: devices, training, latency (4 minutes at most)
#   check       results compared with the CPU's, repeated runs, graphs against launches (8)
#   bench       speed compared with PyTorch, FER2013 to the CPU's accuracy (10)
#   where       time and memory traffic of each kernel of a training step (4)
#   sanitizers  our own kernels under compute-sanitizer (4)
# Every step is unattended, runs its most important parts first, limits the time of each and writes
# day-STEP-<gpu>-<commit>.json and .txt to $OUT after every part. The machine needs the driver, CUDA's
# libraries and an archive of `make dist CARRY=1` in carry/ (docs/gpu.md); lib.sh lists the variables.
cd "$(dirname "$0")/../.."
steps='smoke|check|bench|where|sanitizers'
if [ $# -eq 0 ] || ! [[ $1 =~ ^($steps)$ ]]; then
    echo "usage: bench/gpu/day.sh ${steps//|/ | }" >&2
    exit 2
fi
if [ $# -gt 1 ]; then
    status=0
    for step; do bash bench/gpu/day.sh "$step" || status=$?; done
    exit $status
fi
step=$1
# seconds; together under half an hour, each under ten minutes
declare -A budgets=([smoke]=220 [check]=450 [bench]=570 [where]=220 [sanitizers]=240)
budget=${BUDGET:-${budgets[$step]}}
. bench/gpu/lib.sh
. bench/gpu/report.sh
start_report
. "bench/gpu/$step.sh"
end_report
