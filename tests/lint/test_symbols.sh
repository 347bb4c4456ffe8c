#!/usr/bin/env bash
# Who calls whom, read from the object files: a folder uses what is defined in itself and in those
# below it, however the declaration came into sight.
set -u
. tests/lint/layers.sh
if ! ls "$MIEN_BUILD"/host/*/*.o >/dev/null 2>&1; then
    echo "ok calls go downwards only # SKIP no build is here"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# One line a symbol: D or U, folder, symbol. Kernels are built once for each instruction set; the
# reference build in double is the tests'.
for folder in kernels/cpu host/*; do
    [ -d "$MIEN_BUILD/$folder" ] || continue
    [ "$folder" = host/h5 ] && continue
    for object in "$MIEN_BUILD/$folder"/*.o; do
        source=${object#"$MIEN_BUILD"/}
        source=${source%%.*}
        # not of a source that is gone
        [[ $object != *.f64.o ]] && ls "$source".c* >/dev/null 2>&1 && echo "$object"
    done | xargs nm -P --quiet |
        awk -v folder="$folder" '
            $2 ~ /^[TDBRVW]$/ { print "D", folder, $1 }
            $2 == "U" { print "U", folder, $1 }'
done | sort -u >"$work/symbols"
awk '$1 == "D" { print $3, $2 }' "$work/symbols" | sort >"$work/defined"
awk '$1 == "U" { print $3, $2 }' "$work/symbols" | sort >"$work/used"
# symbol, who uses it, where it is defined
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
