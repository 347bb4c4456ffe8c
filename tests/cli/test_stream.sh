#!/usr/bin/env bash
# Streamed training data: the same bits as from memory, and a clear error when the file changes.
. tests/cli/lib.sh

faces 210 1 >faces.csv
tiny_network >tiny.yaml
gzip -k faces.csv

refuse 1 "gzip cannot be streamed" "'faces.csv.gz'" "gunzip" -- train "${quick[@]}" --data faces.csv.gz --set data.memory=stream --out never
refuse 2 "--memory: a word" "--memory" "'disk'" -- evaluate --model x.h5 --memory disk
check "help: evaluate --memory" eval '"$mien" evaluate --help | grep -qe --memory'
[ $have_h5 = 1 ] || { skip "training" "this build has no mien-h5" && finish; }

train() { "$mien" train "${quick[@]}" --set train.epochs=3 --set augment.mixup=0.3 "$@"; }
for data in faces.csv sample; do
    check "$data: resident" train --data $data --out "whole-$data" --set data.memory=resident
    check "$data: streamed" train --data $data --out "stream-$data" --set data.memory=stream
    check "$data: the same model, bit for bit" cmp "whole-$data/best.h5" "stream-$data/best.h5"
done
score() { "$mien" evaluate --model whole-faces.csv --data faces.csv --tta flip --batch 16 --memory "$1" --predictions "$1.csv"; }
check "evaluate: resident" score resident
check "evaluate: streamed" score stream
check "evaluate: the same probabilities" cmp resident.csv stream.csv

# long NAME: starts an endless streamed training run in the background; returns in its second epoch.
long() {
    cp faces.csv "$1.csv"
    "$mien" train "${quick[@]}" --data "$1.csv" --set data.memory=stream --set train.epochs=1000000 --out "$1" >"$1.log" 2>&1 &
    wait_until eval '[ "$(wc -l <'"$1"'/log.csv)" -ge 2 ]'
}
ended() { # NAME STATUS PATTERN…: it ended by itself, with this status and one message
    local name=$1 want=$2 status
    shift 2
    wait_until eval '! kill -0 $!'
    kill -KILL $! 2>/dev/null
    wait $!
    status=$?
    echo "status $status: $(tail -1 "$name.log")"
    [ $status -eq "$want" ] || return 1
    while [ $# -gt 0 ]; do tail -1 "$name.log" | grep -q "$1" || return 1 && shift; done
}
long cut
truncate -s 100000 cut.csv
check "a file cut short ends training" ended cut 1 "^mien: 'cut.csv'" "row [0-9]"
long changed
cp faces.csv new.csv && mv new.csv changed.csv
check "a file replaced by another is still the old one" kill -0 $!
kill -TERM $!
check "SIGTERM ends a streamed run" ended changed 75 "^mien: "
long written
cat faces.csv >>written.csv
check "a file written to ends training" ended written 1 "^mien: 'written.csv' was changed" "row [0-9]"
finish
