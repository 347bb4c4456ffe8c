#!/usr/bin/env bash
# Writes hashes of a build's results: record.sh BUILD_FOLDER OUT_FILE [--speed]
# Two builds on one machine that should compute the same must give the same file: compare with diff.
# The hashes depend on the CPU and the oneDNN library, so no record is committed. --speed adds
# lines that begin with "speed"; these differ from run to run.
set -euo pipefail
build=$(cd "$1" && pwd) out=$(realpath -m "$2") speed=${3:-}
mien=$build/mien
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$PWD
MIEN_BUILD=$build
. "$root/tests/cli/lib.sh" # defines `faces` and changes to a new temporary folder
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache OMP_WAIT_POLICY=active # an empty cache: no tuned algorithms
ln -s "$root/configs" configs
: >"$out"
note() { echo "$*" >>"$out"; }
hash_of() { sha256sum | cut -c 1-64; }
# Removes times, versions and commits, which differ between builds that compute the same.
steady() { sed -E 's/"(seconds|images_per_second|commit|producer|started|finished)": *[^,}]*/"\1": 0/g'; }
# Prints the weights of an .h5 without its attributes: the data of the safetensors that mien-h5 converts it to.
weights() {
    "$build/mien-h5" read 3<"$1" 4>container
    tail -c +$((9 + $(head -c 8 container | od -An -tu8))) container
}

faces 1060 1 >faces.csv # 640 training images: five epochs have 50 steps of 64
common=(-q --threads 2 --data faces.csv --set train.batch_size=64 --set train.epochs=5)
for recipe in sample fer2013-classic fer2013-small; do
    "$mien" train $recipe "${common[@]}" --out run-$recipe
    note "weights $recipe $(weights run-$recipe/best.h5 | hash_of)"
    note "log $recipe $(cut -d, -f 1-6 run-$recipe/log.csv | hash_of)"
    note "config $recipe $("$mien" train $recipe --data faces.csv --print-config | hash_of)"
done
"$mien" train fer2013-small "${common[@]}" --set model.file=seresnet --set train.epochs=1 --out run-seresnet
note "weights seresnet $(weights run-seresnet/best.h5 | hash_of)"

for model in sample fer2013-small seresnet; do
    "$mien" evaluate --model run-$model --data faces.csv --tta flip --threads 2 --predictions p.csv --json >e.json 2>>errors.log
    note "evaluate csv $model $(hash_of <p.csv)"
    note "evaluate json $model $(steady <e.json | hash_of)"
done
shipped=$root/models/fer2013-small.h5
"$mien" predict "$root/datasets/photos" --model "$shipped" --threads 2 --csv photos.csv --json >photos.json 2>>errors.log
sed -i "s|$root/||g" photos.csv photos.json
note "predict csv $(hash_of <photos.csv)"
note "predict json $(hash_of <photos.json)"
"$mien" convert run-fer2013-classic int8.safetensors --calibrate faces.csv --threads 2 >/dev/null 2>>errors.log
note "int8 numbers $(tail -c +$((9 + $(head -c 8 int8.safetensors | od -An -tu8))) int8.safetensors | hash_of)"
"$mien" evaluate --model int8.safetensors --data faces.csv --threads 2 --predictions p.csv >/dev/null 2>>errors.log
note "int8 csv $(hash_of <p.csv)"

if [ "$speed" = --speed ]; then
    rate() { sed -nE 's/.*"images_per_second": *([0-9.]+).*/\1/p' | head -1; }
    note "speed train classic $("$mien" bench train classic --batch 64 --seconds 4 --json | rate) images/s"
    note "speed infer classic $("$mien" bench infer classic --batch 64 --seconds 3 --json | rate) images/s"
    begin=$EPOCHREALTIME
    for _ in {1..50}; do "$mien" --version >/dev/null; done
    note "speed start $(echo "$EPOCHREALTIME $begin" | awk '{ printf "%.2f", ($1 - $2) * 20 }') ms"
fi
