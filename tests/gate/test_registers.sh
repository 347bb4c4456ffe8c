#!/usr/bin/env bash
# What nvcc makes of batch norm's backward kernels and of those that pool: with more than 64 registers
# fewer than four blocks of 256 threads fit on a multiprocessor, and spills would be memory traffic. The
# sums over windows of any size may take 80: three blocks.
set -u
nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
if [ ! -x "$nvcc" ]; then
    echo "ok registers # SKIP there is no nvcc"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
flags=(-std=c++17 -O3 -I. -fmad=false -ftz=true -prec-div=true -prec-sqrt=true) # as in the Makefile
failed=0
check() { # FILE KERNELS: a pattern; 36 instances of them
    "$nvcc" "${flags[@]}" -arch=sm_90 -Xptxas -v -cubin -o "$dir/cubin" "kernels/cuda/$1" 2>"$dir/said" || {
        cat "$dir/said"
        exit 1
    }
    awk '/Compiling entry function/ { kernel = $0; gsub(/.*function .|. for .*/, "", kernel) }
         /spill stores/ { split($0, word, /bytes stack frame, | bytes spill/); spilt = word[2] }
         /Used [0-9]+ registers/ { match($0, /Used [0-9]+/); print substr($0, RSTART + 5, RLENGTH - 5), spilt, kernel }' \
        "$dir/said" | grep -E "$2" >"$dir/kernels"
    local count
    count=$(wc -l <"$dir/kernels")
    if [ "$count" -ne 36 ]; then # with fewer, nothing is checked
        echo "not ok registers: nvcc names $count instances in $1, not 36"
        failed=1
    elif awk '$1 > ($3 ~ /maxpool_sums_kernel.*Li0EE/ ? 80 : 64) || $2 != 0 { print "# " $0; bad = 1 } END { exit bad }' \
        "$dir/kernels"; then
        echo "ok registers in $1: $(sort -n "$dir/kernels" | tail -1 | cut -d" " -f1) at most"
    else
        echo "not ok registers: these of $1 take too many or spill"
        failed=1
    fi
}
check batchnorm.cu 'batchnorm_(backward|gradient_sums)'    # 2 kernels, 3 types, 2 widths, 3 masks
check batchnorm_pool.cu 'maxpool_(forward|sums|backward)' # 3 kernels, 3 types, 2 widths, 2 windows
exit $failed
