#!/usr/bin/env bash
# Compares the shim's enumerators and constants (tests/cuda/shim) with NVIDIA's headers.
# Needs the toolkit with cuDNN.
set -u
nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
include=${nvcc%/bin/nvcc}/include
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
for header in cuda_runtime_api.h cudnn.h cublasLt.h; do
    shim=tests/cuda/shim/$header
    if [ ! -e "$include/$header" ]; then
        echo "ok the values of $header # SKIP there is no $include/$header"
        continue
    fi
    # every "NAME = value" of an enum, and every numeric macro
    gcc -fpreprocessed -dD -E -P "$shim" >"$work/bare" # without comments
    grep -oE '(^|[ ,{])[A-Za-z_][A-Za-z0-9_]* = -?(0x[0-9a-fA-F]+|[0-9]+)' "$work/bare" |
        sed -E 's/^[ ,{]*//' >"$work/values"
    sed -nE 's/^#define ([A-Za-z0-9_]+) +(0x[0-9a-fA-F]+|[0-9]+)$/\1 = \2/p' "$work/bare" |
        grep -vE '_VERSION|_MAJOR|_MINOR|_PATCHLEVEL' >>"$work/values"
    {
        echo "#include <$header>"
        sed -E 's/^(.*) = (.*)$/_Static_assert((long long)(\1) == (\2), "\1 = \2");/' "$work/values"
    } >"$work/check.c"
    if [ ! -s "$work/values" ]; then
        failed=1
        echo "not ok the values of $header: the shim has none"
    elif gcc -std=c11 -isystem "$include" -fsyntax-only "$work/check.c" 2>"$work/log"; then
        echo "ok $(wc -l <"$work/values") values of $header are NVIDIA's"
    else
        failed=1
        echo "not ok the values of $header"
        grep error "$work/log" | head -20 | sed 's/^/# /'
    fi
done
exit $failed
