#!/usr/bin/env bash
# data.split.val=0: training without validation keeps the last epoch's weights and says so.
. tests/cli/lib.sh
[ $have_h5 = 1 ] || { skip "no validation" "this build has no mien-h5" && finish; }

tiny_network >tiny.yaml
faces 140 1 | cut -d, -f1,2 >faces.csv
none=("${quick[@]}" --data faces.csv --set data.split.val=0)
run() { "$mien" "$@" >out.txt 2>err.txt; }

check "a training without validation" run train "${none[@]}" --set train.epochs=3 --out plain
check "keeps the last epoch" grep -q "last epoch 3, without validation" out.txt
check "log.csv has no validation columns" [ "$(head -1 plain/log.csv)" = "epoch,accuracy,learning_rate,loss" ]
check "and as many fields in each row" eval '! grep -qvE "^[^,]+(,[^,]+){3}$" plain/log.csv && [ "$(wc -l <plain/log.csv)" = 4 ]'
check "run.json tells it" eval 'grep -q "\"best_epoch\": 3" plain/run.json && grep -q "\"kept\": \"last epoch, without validation\"" plain/run.json'
check "there are no metrics of a part that is not" [ ! -e plain/metrics.json ]
check "evaluate reads the test part" run evaluate --model plain --report page
check "the report draws the training curve alone" eval 'grep -q ">training<" page/report.html && ! grep -q ">validation<" page/report.html'
check "the saved weights are the last checkpoint's" eval '
    run evaluate --model plain --json && sed "/\"seconds\"\|per_second\|\"model\"/d" out.txt >best.json
    run evaluate --model plain/last.safetensors --json && sed "/\"seconds\"\|per_second\|\"model\"/d" out.txt | diff best.json -'
check "with --json" run train "${none[@]}" --json --out json
check "the result says it too" grep -qE '"kept": ?"last epoch, without validation"' out.txt
check "without -q" eval '"$mien" train "${none[@]:1}" --out loud >out.txt 2>err.txt'
check "one line says it, and epochs show no val_" eval '[ "$(grep -c "no validation part (data.split.val is 0): the last epoch" err.txt)" = 1 ] && ! grep -q val_ err.txt'
check "all images for training" run train "${none[@]}" --set data.split.test=0 --out all
check "are evaluated as a whole" eval 'run evaluate --model all --json && grep -q "\"n\": 140" out.txt'
check "several seeds" run train "${none[@]}" --seeds 2 --out seeds
check "have no accuracy" eval '! grep -q "over 2 seeds" out.txt && grep -q "\"mean\": null" seeds/summary.json'

# a training that is stopped goes on to the same bits
cp -r plain copy
check "half of a training" run train "${none[@]}" --set checkpoint.every_steps=1 --set train.epochs=2 --out half
check "its continuation" run train --threads 1 --resume half --resume-anyway --set train.epochs=3 --set checkpoint.every_steps=0
check "writes the same log" cmp plain/log.csv half/log.csv
check "continued with validation" run train --resume copy --resume-anyway --set data.split.val=0.2 --set train.epochs=4
check "the columns stay" eval '[ "$(wc -l <copy/log.csv)" = 5 ] && ! grep -qvE "^[^,]+(,[^,]+){3}$" copy/log.csv'

# what needs validation
refuse 1 "early stopping" "early_stopping needs validation results" "early_stopping.enabled=false" \
    -- train "${none[@]}" --set early_stopping.enabled=true --out never
refuse 1 "a plateau" "the schedule plateau needs validation results" "schedule.name" \
    -- train "${none[@]}" --set schedule.name=plateau --out never
faces 140 1 >parts.csv
check "a validation part that the data name is used" run train "${quick[@]}" --data parts.csv --set data.split.val=0 --out named
check "for the metrics" [ -e named/metrics.json ]
grep -v PublicTest parts.csv >less.csv
check "no validation part in the data" run train "${quick[@]}" --data less.csv --set data.split.val=0 --out less
check "none is set aside" grep -q "without validation" out.txt
head -8 faces.csv >few.csv
refuse 1 "a share that leaves no image" "leaves no sample for the val part" "val=0 trains without validation" \
    -- train "${quick[@]}" --data few.csv --set data.split.val=0.01 --out never

finish
