#!/usr/bin/env bash
# The recipe of `make demo` must reach 0.95 on the validation part, in under 90 seconds.
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
start=$SECONDS
"$MIEN_BUILD/mien" train sample --out "$dir/run" -q --json >"$dir/out" 2>"$dir/err" ||
    { cat "$dir/err"; echo "not ok sample trains"; exit 1; }
seconds=$((SECONDS - start))
accuracy=$(sed -n 's/.*"val_accuracy": \([0-9.]*\).*/\1/p' "$dir/out")
echo "# val_accuracy $accuracy in $seconds s"
awk -v a="$accuracy" 'BEGIN { exit !(a >= 0.95) }' && echo "ok sample reaches 0.95" ||
    { echo "not ok sample reaches 0.95"; exit 1; }
[ "$seconds" -lt 90 ] && echo "ok sample takes under 90 s" ||
    { echo "not ok sample takes under 90 s"; exit 1; }
