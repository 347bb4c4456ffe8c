#!/usr/bin/env bash
# What a training step launches, moves and computes, and how long a card takes at least: counted, without
# a card, on the CPU emulation of CUDA (tests/cuda/fake/cost.h), from the launches of the real step of
# `mien bench train`.
#
#   cost.sh [OPTIONS] NETWORK BATCH DTYPE   cost.sh classic 1024 bf16
#     --table         markdown, a row a pass (the default)
#     --kernels       tab-separated, a line for each kernel of a pass
#     --json          the same as an array of {pass, kernel, launches, bytes, flops, floor_seconds}
#     --bandwidth B   bytes a second that the card reaches (default 4.3e12, an H200)
#     --flops F       FLOPs a second of its products (default 790e12, an H200 in bf16)
#   cost.sh --update|--check PAGE.md        tables between <!-- cost: NETWORK BATCH DTYPE --> and
#                                           <!-- end of cost -->; --check NETWORK looks at its tables alone
#
# Library calls are counted at the batch itself, from the tensors of their descriptors. The bytes of own
# kernels are seen while they run (tests/cuda/trace), in batches of 4 and 8, and go on as a line from
# there; a batch of 12 and the names of all launches must agree, or nothing is printed.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${MIEN_BUILD:-${BUILD:-build/release}}
bandwidth=4.3e12 flops=790e12 format=table mode=count only=
small=(4 8 12)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

die() {
    echo "cost.sh: $*" >&2
    exit 1
}
usage() {
    sed -n 's/^# \{0,1\}//; 6,13p' "$0" >&2
    exit 2
}

# Writes the launches of one step to FILE. Up to 4 GiB the yardstick of `bench`, which nobody wants here,
# is a small product.
launches() { # BATCH all|libraries FILE
    local memory=1000000000000
    [ "$2" = all ] || memory=4294967296
    MIEN_MODULES=$build/traced MIEN_CUDA_GRAPHS=0 XDG_CACHE_HOME=$3.cache FAKE_CUDA_MEMORY=$memory \
        FAKE_CUDA_DRY=$2 FAKE_CUDA_COST=$3 "$build/mien" bench train "$network" --device cuda \
        --dtype "$dtype" --batch "$1" --seconds 0.001 --threads 1 >"$3.log" 2>&1 ||
        die "$network, batch $1, $dtype: $(tail -1 "$3.log")"
}

# One line a launch: pass, kernel, bytes, FLOPs
model() {
    local batch jobs=() job
    launches "$size" all "$work/whole"
    for batch in "${small[@]}"; do
        launches "$batch" libraries "$work/$batch" &
        jobs+=($!)
    done
    for job in "${jobs[@]}"; do wait "$job" || exit 1; done
    paste "$work/whole" "${small[@]/#/$work/}" | awk -F'\t' -v OFS='\t' -v n="$size" -v small="${small[*]}" '
        function fail(why) { print "cost.sh: " $1 ", " $2 ": " why >"/dev/stderr"; bad = 1; exit 1 }
        BEGIN { split(small, b, " ") }
        {
            for (i = 1; i <= 3; i++)
                if ($(4 * i + 1) != $1 || $(4 * i + 2) != $2)
                    fail("a batch of " b[i] " launches " $(4 * i + 2) " of " $(4 * i + 1))
            image = ($11 - $7) / (b[2] - b[1])
            if ($15 != $11 + image * (b[3] - b[2])) fail("its bytes are not linear in the batch")
            bytes = $7 + image * (n - b[1])
            if ($3 != "-" && $3 != bytes) fail("its bytes are " $3 ", not " bytes)
            printf "%s\t%s\t%.0f\t%.0f\n", $1, $2, bytes, $4
        }'
}

# Adds up the launches of a pass that have one name: pass, kernel, launches, bytes, FLOPs, floor (s)
by_kernel() {
    awk -F'\t' -v bandwidth="$bandwidth" -v peak="$flops" '
        {
            sub(/<.*/, "", $2)
            key = $1 "\t" $2
            if (!(key in count)) order[++keys] = key
            count[key]++
            bytes[key] += $3
            flops[key] += $4
            floor[key] += $3 / bandwidth > $4 / peak ? $3 / bandwidth : $4 / peak
        }
        END {
            for (i = 1; i <= keys; i++) {
                key = order[i]
                printf "%s\t%d\t%.0f\t%.0f\t%.9f\n", key, count[key], bytes[key], flops[key], floor[key]
            }
        }'
}

as_json() {
    awk -F'\t' '
        {
            printf "%s  {\"pass\": \"%s\", \"kernel\": \"%s\", \"launches\": %d, \"bytes\": %s, \"flops\": %s, \"floor_seconds\": %s}",
                NR == 1 ? "[\n" : ",\n", $1, $2, $3, $4, $5, $6
        }
        END { print "\n]" }'
}

as_table() {
    awk -F'\t' '
        function row(name, kernels, launches, bytes, flops, floor) {
            printf "| %s | %s | %d | %.1f | %s | %.1f |\n", name, kernels, launches, bytes / 1e6,
                flops ? sprintf("%.1f", flops / 1e9) : "", 1e6 * floor
        }
        function finish() { if (pass) row("`" pass "`", kernels, launches, bytes, flops, floor) }
        BEGIN {
            print "| pass | kernels | launches | MB | GFLOP | floor, µs |"
            print "| --- | --- | --: | --: | --: | --: |"
        }
        {
            if ($1 != pass) {
                finish()
                pass = $1
                kernels = ""
                launches = bytes = flops = floor = 0
            }
            kernels = kernels (kernels ? ", " : "") $2 ($3 > 1 ? " ×" $3 : "")
            launches += $3; bytes += $4; flops += $5; floor += $6
            all[1] += $3; all[2] += $4; all[3] += $5; all[4] += $6
        }
        END {
            finish()
            row("all", "", all[1], all[2], all[3], all[4])
        }'
}

print_cost() { # NETWORK BATCH DTYPE
    network=$1 size=$2 dtype=$3
    model >"$work/launches"
    by_kernel <"$work/launches" >"$work/kernels"
    case $format in
    kernels) cat "$work/kernels" ;;
    json) as_json <"$work/kernels" ;;
    table) as_table <"$work/kernels" ;;
    esac
}

# Copies a page with fresh tables.
renew() { # PAGE
    local line inside=0
    while IFS= read -r line; do
        if [[ $line == '<!-- cost: '*' -->' ]]; then
            read -r _ _ network size dtype _ <<<"$line"
            printf '%s\n' "$line"
            if [ -z "$only" ] || [ "$only" = "$network" ]; then
                inside=1
                print_cost "$network" "$size" "$dtype"
            fi
            continue
        fi
        [ "$line" != '<!-- end of cost -->' ] || inside=0
        [ $inside = 1 ] || printf '%s\n' "$line"
    done <"$1"
    [ $inside = 0 ] || die "$1: a table without an end"
}

arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --table | --kernels | --json) format=${1#--} ;;
    --bandwidth | --flops)
        [ $# -gt 1 ] || usage
        [ "$1" = --flops ] && flops=$2 || bandwidth=$2
        shift
        ;;
    --update | --check) mode=${1#--} ;;
    -*) usage ;;
    *) arguments+=("$1") ;;
    esac
    shift
done
set -- "${arguments[@]}"
[ -f "$build/traced/mien-cuda.so" ] || die "there is no $build/traced/mien-cuda.so: make tests"
case $mode:$# in
count:3) print_cost "$@" ;;
update:1 | check:1 | check:2)
    [ $# = 1 ] || { only=$1 && shift; }
    renew "$1" >"$work/page"
    if [ "$mode" = update ]; then
        cat "$work/page" >"$1"
    else
        diff "$1" "$work/page" || die "$1 has other figures: bench/gpu/cost.sh --update $1"
    fi
    ;;
*) usage ;;
esac
