#!/usr/bin/env bash
# Checks calls in the object files: a folder may use only symbols that are defined in itself or in the
# folders below it, however they were declared.
set -u
. tests/lint/layers.sh
if ! ls "$MIEN_BUILD"/host/*/*.o >/dev/null 2>&1; then
    echo "ok calls go downwards only # SKIP no build is here"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# One line per symbol: D or U, folder, symbol. Kernels are built once for each instruction set; the
# reference build in double belongs to the tests.
for folder in kernels/cpu host/*; do
    [ -d "$MIEN_BUILD/$folder" ] || continue
    [ "$folder" = host/h5 ] && continue
    for object in "$MIEN_BUILD/$folder"/*.o; do
        source=${object#"$MIEN_BUILD"/}
        source=${source%%.*}
        # skip objects of deleted sources
        [[ $object != *.f64.o ]] && ls "$source".c* >/dev/null 2>&1 && echo "$object"
    done | xargs nm -P --quiet |
        awk -v folder="$folder" '
            $2 ~ /^[TDBRVW]$/ { print "D", folder, $1 }
            $2 == "U" { print "U", folder, $1 }'
done | sort -u >"$work/symbols"
awk '$1 == "D" { print $3, $2 }' "$work/symbols" | sort >"$work/defined"
awk '$1 == "U" { print $3, $2 }' "$work/symbols" | sort >"$work/used"
# symbol, folder that uses it, folder that defines it
join "$work/used" "$work/defined" | awk '$2 != $3' | sort -k 2,3 >"$work/calls"
failed=0
while read -r symbol from to; do
    [[ " $(reach "$from" | tr '\n' ' ') " == *" $to "* ]] || echo "$from calls $symbol of $to"
done <"$work/calls" >"$work/wrong"
if [ -s "$work/wrong" ]; then
    failed=1
    echo "not ok calls go downwards only"
    head -20 "$work/wrong" | sed 's/^/# /'
elif [ "$(wc -l <"$work/calls")" -lt 100 ]; then
    failed=1
    echo "not ok calls go downwards only"
    echo "# only $(wc -l <"$work/calls") calls were found: nm shows too little"
else
    echo "ok calls go downwards only"
fi
exit $failed
