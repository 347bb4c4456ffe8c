#!/usr/bin/env bash
# Measures training and inference of classic and vgg on this machine and prints a table (make bench).
#   bench/run.sh [FLAG…]      FLAGs are passed to every `mien bench`: --seconds 2, --threads 1, …
set -u
mien=${MIEN:-build/release/mien}
json=$(mktemp)
trap 'rm -f "$json"' EXIT

# field NAME: a number at the top level of the document, 0 if it is null
field() { sed -n "s/^  \"$1\": \([0-9][^,]*\),\{0,1\}$/\1/p" "$json" | grep . || echo 0; }
text() { sed -n "s/^  \"$1\": \"\(.*\)\",\{0,1\}$/\1/p" "$json"; }

first=1
while read -r mode model batch; do
    "$mien" bench "$mode" "$model" --batch "$batch" --json "$@" >"$json" || exit 1
    if [ $first = 1 ]; then
        echo "$(text cpu), $(text device), commit $(text commit)"
        printf '%-6s %-8s %5s %10s %11s %11s %9s %7s %10s\n' mode model batch images/s 'median ms' 'p99 ms' GFLOP/s peak 'memory MB'
        first=0
    fi
    awk -v mode="$mode" -v model="$model" -v batch="$batch" -v rate="$(field images_per_second)" \
        -v median="$(field median)" -v p99="$(field p99)" -v flops="$(field flops_per_second)" \
        -v peak="$(field fraction_of_peak)" -v memory="$(field peak_memory)" 'BEGIN {
            printf "%-6s %-8s %5d %10.1f %11.3f %11.3f %9.1f %5.0f %% %10.0f\n", mode, model, batch, rate,
                median * 1e3, p99 * 1e3, flops / 1e9, peak * 100, memory / 1e6
        }'
done <<'ROWS'
train classic 64
infer classic 64
infer classic 1
train vgg 64
infer vgg 64
infer vgg 1
ROWS
