#!/usr/bin/env bash
# A collapsed or diverged model is called so by training, evaluate and the report.
. tests/cli/lib.sh

faces 140 1 >faces.csv
tiny_network >tiny.yaml
[ $have_h5 = 1 ] || { skip "collapsed models" "this build has no mien-h5" && finish; }

run() { "$mien" "$@" >out.txt 2>err.txt; }
collapse=(train "${quick[@]}" --data faces.csv --set optimizer.learning_rate=1e-9 --set train.warm_averages=false)
check "a model that has not learned" run "${collapse[@]}" --set input.scale=1e-9 --set input.std=1 --set input.mean=1000 --out flat
check "training calls it collapsed" grep -q "the model has collapsed; try a smaller optimizer.learning_rate" err.txt
check "and so do its metrics" grep -q "the model has collapsed; try a smaller" flat/metrics.json
check "with --json" run "${collapse[@]}" --set input.scale=1e-9 --set input.std=1 --set input.mean=1000 --json --out json
check "and so does the result" grep -q '"warnings": *\["nearly all answers for the validation part are .*the model has collapsed' out.txt
check "evaluate" run evaluate --model flat --split all --report page
check "calls it collapsed" grep -q "nearly all answers are '[a-z]*', but the images are not" err.txt
check "and so does the report" grep -q "the model has collapsed" page/report.html
check "predict" run predict --data faces.csv --model flat
check "says that all answers are one" grep -q "140 of 140 faces are '[a-z]*': if they are not all alike" err.txt
check "a model that has learned" run train "${quick[@]}" --data faces.csv --set train.epochs=30 --set train.batch_size=8 --out good
check "is not called so" eval '! grep -q collapsed err.txt good/metrics.json'
check "predict with it" run predict --data faces.csv --model good
check "says nothing" eval '! grep -q "all alike" err.txt'
refuse 1 "a loss beyond reason" "beyond reason" "optimizer.learning_rate" -- train "${quick[@]}" --data faces.csv --set optimizer.learning_rate=100 --set optimizer.clip_norm=0 --out wild

finish
