#!/usr/bin/env bash
# `mien preview`: the picture of a training step.
. tests/cli/lib.sh

faces 140 1 >faces.csv
tiny_network >tiny.yaml
preview() { "$mien" preview --threads 1 --set model.file=tiny.yaml --set train.batch_size=16 --data faces.csv "$@"; }
# png FILE: checks signature and end of a PNG; prints width and height
png() {
    [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] || return 1
    [ "$(tail -c 8 "$1" | head -c 4)" = IEND ] || return 1
    od -An -tu4 --endian=big -j16 -N8 "$1"
}

check "the sample's third step" "$mien" preview sample --threads 1 --step 3 --out x.png
check "it is a PNG of 64 faces" eval 'size=($(png x.png)) && [ ${size[0]} -ge 960 ] && [ ${size[1]} -ge 640 ]'
check "preview.png by default, of step 1" eval 'preview >say.log && [ -n "$(png preview.png)" ] && grep -q "step 1 of .*16 images: preview.png" say.log'
check "the same step, the same bytes" eval 'preview --step 2 --out a.png && preview --step 2 --out b.png && cmp a.png b.png'
check "another step, another picture" eval 'preview --step 3 --out b.png && ! cmp -s a.png b.png'
check "another seed, another picture" eval 'preview --step 2 --seed 5 --out b.png && ! cmp -s a.png b.png'
check "streamed, the same bytes" eval 'preview --step 2 --set data.memory=stream --out b.png && cmp a.png b.png'
check "over a picture that is there" eval 'cp x.png b.png && preview --step 2 --out b.png && cmp a.png b.png'
# 84 training images: the sixth step has the last four
check "--json, of the last batch" eval 'preview --json --step 6 --out b.png 2>/dev/null >json.log && grep -q "\"step\":6,.*\"epoch\":1,\"images\":4}" json.log'

config=(-q --set model.file=tiny.yaml --data faces.csv --threads 1)
refuse 2 "step 0" "--step" "from 1" -- preview "${config[@]}" --step 0 --out never
refuse 2 "a step that is not a number" "--step" "'two'" -- preview "${config[@]}" --step two --out never
refuse 1 "a step after the last" "no step 999999" -- preview "${config[@]}" --step 999999 --out never
refuse 1 "data that are not there" "none.csv" -- preview --data none.csv --out never
refuse 1 "a config that is not there" "none.yaml" -- preview none.yaml --out never
printf 'train: {epochs: 1}\n' >own.yaml && cp own.yaml kept.yaml
refuse 1 "over the config" "overwrite 'own.yaml'" -- preview own.yaml "${config[@]}" --out own.yaml
check "it is whole" cmp own.yaml kept.yaml
refuse 1 "--out in a folder that is not there" "'missing/x.png'" "no folder" -- preview "${config[@]}" --out missing/x.png
mkdir folder
refuse 1 "--out is a folder" "'folder'" -- preview "${config[@]}" --out folder
check "the folder is untouched" eval '[ -d folder ] && [ -z "$(ls -A folder)" ]'
if [ "$(id -u)" -ne 0 ]; then
    closed=()
else
    closed=(setpriv --reuid 65534 --regid 65534 --clear-groups)
fi
mkdir locked && chmod 555 locked && chmod 644 faces.csv tiny.yaml
if "${closed[@]}" test -x "$mien" 2>/dev/null; then
    wrap=("${closed[@]}")
    refuse 1 "unwritable --out" "'locked/x.png'" "Permission denied" -- preview "${config[@]}" --out locked/x.png
    wrap=()
else
    skip "unwritable --out" "no other user can run the program"
fi
finish
