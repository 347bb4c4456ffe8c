#!/usr/bin/env bash
# What nvcc makes of batch norm's backward kernels: with more than 64 registers fewer than four blocks
# of 256 threads fit on a multiprocessor, and spills would be memory traffic.
set -u
nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
if [ ! -x "$nvcc" ]; then
    echo "ok registers # SKIP there is no nvcc"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
flags=(-std=c++17 -O3 -I. -fmad=false -ftz=true -prec-div=true -prec-sqrt=true) # as in the Makefile
"$nvcc" "${flags[@]}" -arch=sm_90 -Xptxas -v -cubin -o "$dir/cubin" kernels/cuda/batchnorm.cu 2>"$dir/said" || {
    cat "$dir/said"
    exit 1
}
awk '/Compiling entry function/ { kernel = $0; gsub(/.*function .|. for .*/, "", kernel) }
     /spill stores/ { split($0, word, /bytes stack frame, | bytes spill/); spilt = word[2] }
     /Used [0-9]+ registers/ { match($0, /Used [0-9]+/); print substr($0, RSTART + 5, RLENGTH - 5), spilt, kernel }' \
    "$dir/said" | grep -E 'batchnorm_(backward|gradient_sums)' >"$dir/kernels"
count=$(wc -l <"$dir/kernels")
if [ "$count" -ne 36 ]; then # 2 kernels, 3 types, 2 widths, 3 masks; with fewer nothing is checked
    echo "not ok registers: nvcc names $count instances, not 36"
    exit 1
fi
awk '$1 > 64 || $2 != 0 { print "# " $0; bad = 1 } END { exit bad }' "$dir/kernels" &&
    echo "ok registers of batch norm's backward kernels: $(sort -n "$dir/kernels" | tail -1 | cut -d" " -f1) at most" ||
    { echo "not ok registers: these take more than 64 or spill"; exit 1; }
