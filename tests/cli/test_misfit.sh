#!/usr/bin/env bash
# predict warns when pixels are scaled in another way than the model's first layers expect, and only then.
. tests/cli/lib.sh

if [ $have_h5 = 0 ]; then
    skip "pixels on a wrong scale" "this build has no mien-h5"
    finish
fi
cp "$root/tests/cli/portrait.jpg" .
unpack() { gunzip -c "$root/tests/golden/keras/$1.gz" >"$1"; }
names() { seq -s, 1 "$1" | sed 's/[0-9]*/c&/g'; }
# said FILE PREPROCESS CLASSES FLAGS…: what predict writes to stderr
said() {
    "$mien" predict portrait.jpg --detector none --model "$1" --preprocess "$2" --classes "$(names "$3")" \
        "${@:4}" 2>&1 >/dev/null || echo failed
}
fires() { said "$@" | grep -q "look nothing like those that '$1' was trained on.*--preprocess"; }
silent() { [ -z "$(said "$@" | grep -E 'look nothing|failed')" ]; }

for model in k3_residual.h5:7 k3_residual.keras:7 k2_sequential.h5:7 k3_mobilenet.h5:5; do
    file=${model%:*}
    unpack "$file"
    check "$file: x/255 is right" silent "$file" unit "${model#*:}"
    check "$file: x/127.5-1 is near enough" silent "$file" tf "${model#*:}"
    check "$file: raw pixels are too much" fires "$file" none "${model#*:}"
done
# they scale pixels themselves, by layers that look like statistics, or have no statistics
for model in k2_transfer.h5:4 k2_operators_vgg16.h5:4 k3_lambda_unit.keras:3; do
    unpack "${model%:*}"
    check "${model%:*}: silent" silent "${model%:*}" none "${model#*:}"
done
check "without pixels of any contrast nothing is said" eval '
    { printf "P5 64 64 255\n"; head -c 4096 /dev/zero | tr "\0" "\200"; } >flat.pgm
    [ -z "$("$mien" predict flat.pgm --detector none --model k3_residual.h5 --preprocess none --classes "$(names 7)" 2>&1 >/dev/null)" ]'
check "the included model: silent" eval '
    ! "$mien" predict portrait.jpg --detector none 2>&1 | grep "look nothing"'

data=${MIEN_DATA:-$root/../shared/data}/keras
if [ -f "$data/mini_XCEPTION.102-0.66.hdf5" ]; then
    cp "$data"/ferapi.h5 "$data"/ssrnet_mobilenet* "$data"/mini_XCEPTION* .
    own=mini_XCEPTION.102-0.66.hdf5
    check "$own: x/127.5-1 is right" silent $own tf 7
    check "$own: raw pixels are too much" fires $own none 7
    check "ferapi.h5: x/255 is right" silent ferapi.h5 unit 8
    check "ferapi.h5: raw pixels are too much" fires ferapi.h5 none 8
    check "raw pixels are right" eval '! "$mien" predict portrait.jpg --detector none \
        --model ssrnet_mobilenet_weights.h5 --preprocess none --classes none 2>&1 | grep "look nothing"'
    check "x/255 is too little" eval '"$mien" predict portrait.jpg --detector none \
        --model ssrnet_mobilenet_weights.h5 --preprocess unit --classes none 2>&1 | grep -q "times as little"'
else
    skip "published models" "there is no $data"
fi
finish
