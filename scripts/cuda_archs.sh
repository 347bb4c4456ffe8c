#!/usr/bin/env bash
# What nvcc compiles the GPU module for, as its options: cuda_archs.sh NVCC [CAPABILITY... | all]
# Without capabilities: those of this machine's cards, or, where there is no card, 8.0. The newest is
# also compiled to PTX, which the driver of a newer card turns into code for that card.
set -u
nvcc=$1
shift
every="75 80 86 89 90 100"
# Cards from 8.0 to 8.9 run this code as it is, newer ones its PTX; older ones lack bf16 and tf32.
usual=80

# The cards' capabilities, as far as this toolkit knows them: "90". For a card that is newer than the
# toolkit, the newest before it; one that is older than all is left out.
of_cards() {
    local known
    known=$("$nvcc" --list-gpu-arch 2>/dev/null | sed -nE 's/^compute_([0-9]+)$/\1/p' | tr '\n' ' ')
    timeout 30 nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null |
        sed -nE 's/^ *([0-9]+)\.([0-9]) *$/\1\2/p' |
        awk -v known="$known" 'BEGIN { count = split(known, arch, " ") }
            {
                best = count ? 0 : $1
                for (i = 1; i <= count; i++) if (arch[i] + 0 <= $1 && arch[i] + 0 > best) best = arch[i] + 0
                if (best) print best
            }'
}

archs=$*
[ "$archs" != all ] || archs=$every
[ -n "$archs" ] || archs=$(of_cards)
archs=$(printf '%s\n' ${archs:-$usual} | sort -nu)

# From C++ to PTX, 8.x and 9.0 are the same to our kernels: nvcc does that part once for all of them.
virtual() {
    case $1 in
    8[0-9] | 90) grep -m 1 -xE '8[0-9]|90' <<<"$archs" ;;
    *) echo "$1" ;;
    esac
}

options=()
for arch in $archs; do
    ptx=$(virtual "$arch")
    options+=("-gencode arch=compute_$ptx,code=sm_$arch")
done
echo "${options[*]} -gencode arch=compute_$ptx,code=compute_$ptx"
