#!/usr/bin/env bash
# Writes generated faces as PNG files: bash datasets/faces.sh FOLDER [PEOPLE]
# FOLDER gets train/, val/ and test/, each with a folder per class; every person has seven expressions.
# They are the images of the data set `sample`. Needs a build (make) and a C compiler.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: bash datasets/faces.sh FOLDER [PEOPLE]" >&2; exit 2; }
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
build=${MIEN_BUILD:-$root/build/release}
program=$(mktemp)
trap 'rm -f "$program"' EXIT
# the libraries that this build of mien is linked with
libraries=$(readelf -d "$build/mien" | sed -nE 's/.*\(NEEDED\).*\[(lib.*)\]/-l:\1/p')
sanitizer=() # of a sanitizer build
[[ $libraries != *libasan* ]] || sanitizer+=(-fsanitize=address)
[[ $libraries != *libubsan* ]] || sanitizer+=(-fsanitize=undefined)
${CC:-cc} -std=c11 -D_GNU_SOURCE -O2 "${sanitizer[@]}" -I"$root" "$root/datasets/faces.c" "$build/libmien.a" \
    $libraries -fopenmp -o "$program"
"$program" "$1" "${2:-200}"
