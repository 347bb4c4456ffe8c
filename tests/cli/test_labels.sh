#!/usr/bin/env bash
# Votes as labels, merged sources, balanced sampling and classes by name, from the command line.
. tests/cli/lib.sh

faces 210 1 >faces.csv
faces 105 2 >more.csv
tiny_network >tiny.yaml
# votes FILE: ten votes for each row of faces.csv; every tenth image shows no face
votes() {
    awk -F, 'BEGIN { print "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF" }
        NR > 1 { printf "%s,x.png", $3; for (c = 0; c < 10; c++) printf ",%d", NR % 10 ? (c == $1) * 7 + (c == ($1 + 1) % 8) * 3 : (c == 9) * 10; print "" }' "$1"
}
votes faces.csv >votes.csv
head -100 votes.csv >short.csv

refuse 1 "votes of other data" "'short.csv'" "99 images" "210" -- train "${quick[@]}" --data faces.csv --set data.soft_labels=short.csv --out never
refuse 1 "votes without an order of rows" "data.soft_labels" "'sample'" -- train "${quick[@]}" --data sample --set data.soft_labels=votes.csv --out never
refuse 1 "votes that are not there" "none.csv" -- train "${quick[@]}" --data faces.csv --set data.soft_labels=none.csv --out never
refuse 2 "votes for two sources" "data.soft_labels" -- train "${quick[@]}" --set 'data.sources=[faces.csv, more.csv]' --set data.soft_labels=votes.csv --out never
refuse 2 "an unknown mode" "soft_mode" -- train "${quick[@]}" --set data.soft_mode=mean --out never
[ $have_h5 = 1 ] || { skip "training" "this build has no mien-h5" && finish; }

train() { "$mien" train "${quick[@]}" "$@"; }
says() { # PATTERN COMMAND…
    local pattern=$1
    shift
    "$@" >says.log 2>&1 && cat says.log && grep -qe "$pattern" says.log
}
for mode in majority probability distribution multi; do
    for memory in resident stream; do
        check "votes: $mode, $memory" train --data faces.csv --set data.soft_labels=votes.csv --set data.soft_mode=$mode --set data.memory=$memory --out $mode-$memory
    done
    check "votes: $mode is the same streamed" cmp $mode-resident/best.h5 $mode-stream/best.h5
done
check "votes: drawn ones are not the distribution" eval '! cmp -s probability-resident/best.h5 distribution-resident/best.h5'
check "evaluate finds the votes beside the data" says "21 without a face" "$mien" evaluate --model majority-resident --split all
cp votes.csv kept.csv && cp faces.csv faces-kept.csv
refuse 1 "predictions over the votes beside the data" "overwrite 'votes.csv'" -- evaluate -q --model majority-resident --split all --predictions votes.csv
refuse 1 "predictions over the votes named" "overwrite 'votes.csv'" -- evaluate -q --model majority-resident --split all --soft-labels votes.csv --predictions votes.csv
refuse 1 "predictions over data that the model names" "overwrite 'faces.csv'" -- evaluate -q --model majority-resident --split all --predictions faces.csv
refuse 1 "preview over the data" "overwrite 'faces.csv'" -- preview "${quick[@]}" --data faces.csv --out faces.csv
refuse 1 "preview over the votes" "overwrite 'votes.csv'" -- preview "${quick[@]}" --data faces.csv --set data.soft_labels=votes.csv --out votes.csv
check "both are whole" eval 'cmp votes.csv kept.csv && cmp faces.csv faces-kept.csv'
mv votes.csv elsewhere.csv
refuse 1 "evaluate without the votes" "'votes.csv'" "--soft-labels" -- evaluate --model majority-resident --split all
check "evaluate with votes from elsewhere" "$mien" evaluate --model majority-resident --split all --soft-labels elsewhere.csv
check "the origin of the labels is reported" eval '"$mien" evaluate --model majority-resident --split all --soft-labels elsewhere.csv --json 2>/dev/null | grep -q "\"labels\": *\"votes in elsewhere.csv, majority\""'
check "evaluate by the data's own labels, in another order of classes" says "happiness" "$mien" evaluate --model majority-resident --split all --soft-labels none

check "two sources" train --set 'data.sources=[faces.csv, more.csv]' --set data.memory=resident --out both
check "two sources, streamed" train --set 'data.sources=[faces.csv, more.csv]' --set data.memory=stream --out both-stream
check "two sources: the same model streamed" cmp both/best.h5 both-stream/best.h5
check "evaluate uses both sources" says "faces.csv + more.csv" "$mien" evaluate --model both
check "the run's config names both" grep -q "faces.csv.*more.csv" both/config.yaml

cp more.csv more-kept.csv
refuse 1 "predictions over the second source" "overwrite 'more.csv'" -- evaluate --model both --predictions more.csv
check "it is whole" cmp more.csv more-kept.csv

check "balanced" train --data faces.csv --set data.sampling=balanced --set data.memory=resident --out even
check "balanced, streamed" train --data faces.csv --set data.sampling=balanced --set data.memory=stream --out even-stream
check "balanced: the same model streamed" cmp even/best.h5 even-stream/best.h5
finish
