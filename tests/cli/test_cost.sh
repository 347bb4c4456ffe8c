#!/usr/bin/env bash
# The model of a training step's cost (bench/gpu/cost.sh): what it counts, that no step got dearer than
# tests/cuda/cost.limits, and that docs/gpu.md shows it as it is. COST_NETWORKS: which networks; vgg takes
# longer, so tests/gate/test_cost.sh asks for it.
. tests/cli/lib.sh
networks=${COST_NETWORKS:-classic}
build=${mien%/*}
if [ ! -f "$build/traced/mien-cuda.so" ]; then
    case ${build##*/} in
    address* | undefined | thread) skip "the cost of a step" "a sanitizer's build has no traced kernels" ;;
    *) fail "there is no traced module in $build" ;;
    esac
    finish
fi
cost() { MIEN_BUILD=$build bash "$root"/bench/gpu/cost.sh "$@" 2>&1; }

# expect NAME WANTED GOT
expect() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "$3, not $2"; fi; }

# A network whose bytes a reader can add up: 16 channels of 48x48, in f32.
cat >small.yaml <<'Y'
layers:
  - conv2d: {name: a, filters: 16, kernel_size: 3, padding: same, activation: relu}
  - conv2d: {name: b, filters: 16, kernel_size: 3, padding: same}
  - max_pooling2d: {name: pool}
  - flatten
  - dense: {name: out, units: classes, activation: softmax}
Y
n=32 map=$((32 * 48 * 48 * 16 * 4)) weights=$((3 * 3 * 16 * 16 * 4))
if cost --kernels "$work/small.yaml" $n f32 >small.tsv; then
    # PASS KERNEL COLUMN; 4: bytes, 5: FLOPs
    cell() { awk -F'\t' -v p="$1" -v k="$2" -v c="$3" '$1 == p && index($2, k) == 1 { print $c }' small.tsv; }
    expect "a convolution reads x, weights and bias and writes y" $((2 * map + weights + 64)) "$(cell forward/b cudnn 4)"
    expect "FLOPs of a convolution" $((2 * n * 48 * 48 * 16 * 9 * 16)) "$(cell forward/b cudnn 5)"
    # y is a quarter of x, its index a byte per element
    expect "an own kernel's bytes" $((map + map / 4 + map / 16)) "$(cell forward/pool max_pool 4)"
    expect "a product reads both factors and the bias" $((n * 9216 * 4 + 7 * 9216 * 4 + n * 7 * 4 + 28)) \
        "$(cell forward/out cublaslt 4)"
    expect "FLOPs of a product" $((2 * n * 9216 * 7)) "$(cell forward/out cublaslt 5)"
else
    fail "a small network" "$(cat small.tsv)"
fi

grep -v '^#' "$root/tests/cuda/cost.limits" >limits
while read -r network batch dtype launches bytes; do
    [[ " $networks " == *" $network "* ]] || continue
    name="a step of $network, $batch, $dtype"
    if ! cost --kernels "$network" "$batch" "$dtype" >kernels; then
        fail "$name" "$(cat kernels)"
        continue
    fi
    said=$(awk -F'\t' -v launches="$launches" -v bytes="$bytes" '
        { l += $3; b += $4 }
        END {
            if (l > launches) printf "%d launches, more than %d. ", l, launches
            if (b > bytes) printf "%.0f bytes, more than %.0f. ", b, bytes
            if (l < launches || b < bytes) printf "lower the limit: %d %.0f", l, b
        }' kernels)
    if [ -z "$said" ]; then pass "$name"; else fail "$name" "$said" "tests/cuda/cost.limits"; fi
done <limits

cost --json "$work/small.yaml" 8 bf16 >small.json
check "JSON" eval '! command -v python3 >/dev/null || python3 -m json.tool small.json >/dev/null'
for network in $networks; do
    check "docs/gpu.md shows $network as it is" cost --check "$network" docs/gpu.md
done
finish
