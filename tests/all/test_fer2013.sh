#!/usr/bin/env bash
# Full size: the classic recipe on FER2013 reaches 0.64 on PublicTest within 45 minutes and 400 MB.
set -u
data=$MIEN_DATA/fer2013/fer2013.csv.gz
if [ ! -e "$data" ]; then
    echo "ok fer2013 # SKIP there is no $data"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
start=$SECONDS
"$MIEN_BUILD/mien" train fer2013-classic --data "$data" --out "$dir/run" -q --json >"$dir/out" 2>"$dir/err" ||
    { cat "$dir/err"; echo "not ok fer2013 trains"; exit 1; }
minutes=$(((SECONDS - start) / 60))
accuracy=$(sed -n 's/.*"val_accuracy": \([0-9.]*\).*/\1/p' "$dir/out")
memory=$(sed -n 's/.*"peak_memory_mb": \([0-9]*\).*/\1/p' "$dir/run/run.json")
echo "# PublicTest $accuracy in $minutes min, $memory MB"
report() { [ "$1" = 1 ] && echo "ok $2" || echo "not ok $2"; }
report "$(awk -v a="$accuracy" 'BEGIN { print a >= 0.64 }')" "fer2013 classic reaches 0.64"
report $((minutes < 45)) "fer2013 classic takes under 45 minutes"
report $((memory <= 400)) "fer2013 classic stays under 400 MB"
