#!/usr/bin/env bash
# mien identify: small networks trained with several scalings and class orders, without the attribute
# that would say them.
. tests/cli/lib.sh

refuse 2 "no data" "identify needs MODEL and --data" -- identify x.h5
refuse 2 "an unknown part" "--split must be train, val, test or all" -- identify x.h5 --data sample --split dev
refuse 2 "a limit that is none" "--limit" -- identify x.h5 --data sample --limit 0

if [ $have_h5 = 0 ]; then
    skip "identify" "this build has no mien-h5"
    finish
fi

faces 700 1 >easy.csv
# every fourth label is drawn by lot: no network is right about all, as with real faces
awk -F, 'NR > 1 && NR % 4 == 0 { s = (s * 16807 + 7) % 2147483647; $1 = int(s / 1000) % 7 } { print $1 "," $2 "," $3 }' easy.csv >faces.csv
tiny_network >plain.yaml
sed 's/  - max_pooling2d/  - batch_normalization: {momentum: 0.8}\n  - max_pooling2d/' plain.yaml >norm.yaml
# model NAME NETWORK ORDER SCALE MEAN STD: NAME.h5, whose attribute is hidden under another name
model() {
    "$mien" train "${quick[@]}" --set "model.file=$2" --set train.epochs="${7:-12}" --set "data.classes=[$3]" \
        --set "input.scale=$4" --set "input.mean=$5" --set "input.std=$6" --data "${8:-faces.csv}" --out "run-$1" &&
        LC_ALL=C sed 's/mien\x00/nobo\x00/' "run-$1/best.h5" >"$1.h5"
}
fer=angry,disgust,fear,happy,sad,surprise,neutral
sorted=angry,disgust,fear,happy,neutral,sad,surprise
odd=neutral,surprise,happy,sad,angry,fear,disgust
check "train: x/255" model unit plain.yaml $sorted 0.00392156862745098 0 1
check "train: x/127.5-1" model tf norm.yaml $odd 0.00784313725490196 1 1
check "train: raw pixels" model raw norm.yaml $fer 1 0 1
refuse 1 "the attribute is gone" "does not say which classes" -- evaluate --model unit.h5 --data faces.csv

# finds NAME SCALING ORDER KIND
finds() {
    "$mien" identify "$1.h5" --data faces.csv --split all --threads 1 >"$1.log" || { cat "$1.log" && return 1; }
    grep -qF "scaling  $2: " "$1.log" && grep -qF "classes  $3 ($4 order)" "$1.log" || { cat "$1.log" && return 1; }
}
check "x/255, alphabetical" finds unit unit $sorted alphabetical
check "x/127.5-1, another order" finds tf x/127.5-1 $odd other
check "raw pixels, FER2013's order" finds raw none $fer FER2013
check "one line per candidate" eval '[ "$(grep -cE "^(unit|x/127.5-1|none|standardised|per-image) .* %" unit.log)" -eq 5 ]'
check "what decided" grep -q "batch normalisation fits no other" tf.log

# ---- it is stored ----
check "--write" "$mien" identify tf.h5 --data faces.csv --split val --write known.h5
check "as good as before" eval '"$mien" evaluate --model run-tf --data faces.csv --split test --json >a.json &&
    "$mien" evaluate --model known.h5 --data faces.csv --split test --json >b.json &&
    [ "$(grep "\"accuracy\"" a.json)" = "$(grep "\"accuracy\"" b.json)" ]'
check "--json" eval '"$mien" identify raw.h5 --data faces.csv --json >r.json && grep -q "\"preprocess\": \"none\"" r.json &&
    grep -q "\"sure\": true" r.json && grep -q "\"order\": \"FER2013\"" r.json && [ "$(grep -c calibrated_loss r.json)" -eq 5 ]'
check "--limit: rare classes have more than their part" eval '"$mien" identify raw.h5 --data faces.csv --split all --limit 100 | grep -qE " (9[0-9]|100) images of 7 classes"'
check "classes are known: only the scaling" eval '"$mien" identify unit.h5 --data faces.csv --split all --classes $sorted >c.log && grep -q "(as stored)" c.log && grep -q "scaling  unit" c.log'
check "scaling is known: only the classes" eval '"$mien" identify unit.h5 --data faces.csv --split all --preprocess unit >p.log && grep -q "scaling  as stored" p.log && grep -q "alphabetical order" p.log'

# ---- doubt ----
refuse 1 "too few images" "are too few: give at least 5 of each class" "nothing is written" -- \
    identify unit.h5 --data faces.csv --limit 21 --write x.h5
mkdir kept && check "nothing is written" eval '! "$mien" identify unit.h5 --data faces.csv --limit 21 --write kept/x.h5 2>/dev/null && [ -z "$(ls kept)" ]'
check "train: images that are too easy" model easy plain.yaml $sorted 0.00392156862745098 0 1 12 easy.csv
refuse 1 "nearly all answers are right" "both answer nearly all images right" "not trained on" -- identify easy.h5 --data easy.csv
awk -F, 'NR == 1 { print; next } { seed = (seed * 16807 + 7) % 2147483647; print int(seed / 1000) % 7 "," $2 "," $3 }' faces.csv >mixed.csv
refuse 1 "labels that have nothing to do with the images" "have anything to do with the labels" -- \
    identify unit.h5 --data mixed.csv --split all

# ---- what cannot be identified ----
refuse 1 "all is known" "says itself" -- identify run-unit --data faces.csv
for k in a b c; do mkdir -p few/$k && { printf 'P5 8 8 255\n'; printf '%064d' 0; } >few/$k/1.pgm; done
refuse 1 "other classes" "has 7 outputs, but 'few' has 3 classes" -- identify unit.h5 --data few
refuse 1 "the model itself" "--write would overwrite" -- identify unit.h5 --data faces.csv --write unit.h5
refuse 1 "a suffix that none has" "must end in" -- identify unit.h5 --data faces.csv --write x.txt
refuse 1 "no model" "there is no model file" -- identify nothing.h5 --data faces.csv
refuse 1 "no data there" "nothing.csv" -- identify unit.h5 --data nothing.csv
finish
