#!/usr/bin/env bash
# Training, evaluating and inspecting models from the command line, on small generated faces.
. tests/cli/lib.sh

# ---- the command line itself ----
for flag in --resume --resume-anyway; do
    refuse 2 "later: $flag" "$flag is not in this version" -- evaluate $flag x
done
helps() { # COMMAND FLAG…: all of them in --help
    local command=$1 flag
    shift
    "$mien" "$command" --help >help.log || return 1
    for flag in "$@" --device --threads --deterministic --json -v -q --help --version examples:; do
        grep -qe "$flag" help.log || { echo "no $flag" && return 1; }
    done
}
check "help: train" helps train --data --out --set --seed --seeds --force --print-config --on-bad --drop-classes
check "help: -h and help COMMAND say the same" eval '"$mien" train --help >h1 && "$mien" train -h | cmp - h1 && "$mien" help train | cmp - h1'
refuse 1 "a recipe by a wrong name" "did you mean 'sample'" "fer2013-vgg16, ferplus" -- train sampel --out never
refuse 1 "a network by a wrong name" "did you mean 'small'" "seresnet" -- train sample -q --set model.file=smal --out never
refuse 1 "a recipe without its data" "recipe 'fer2013-small' reads 'fer2013.csv', which is missing" "--data" -- train fer2013-small --out never
check "names after -- are not flags" eval '! "$mien" evaluate -- --x 2>e.txt && grep -q "unexpected argument" e.txt'
check "help: sweep" helps sweep --grid --seeds --out --jobs --data --set --on-bad --drop-classes --dry-run
check "help: audit" helps audit --data --model --votes --out --report --strict --on-bad
check "help: compare" helps compare --data --split --tta --average --report --dtype
check "help: report" helps report --from --report
check "help: runs" helps runs --sort --csv
check "help: prepare" helps prepare --data --out --model --detector --min-face --min-score --faces --every --size --channels --on-bad --force
check "help: realtime" helps realtime --camera --model --detector --min-face --min-score --every --jsonl --csv --annotate --out --no-window --no-smooth --allow-url --drop-classes
check "help: video" helps video --model --detector --min-face --min-score --every --jsonl --csv --annotate --timeline --show --no-smooth --allow-url --drop-classes
check "help: evaluate" helps evaluate --model --data --split --tta --predictions --batch
check "help: convert" helps convert --calibrate --images --split --on-bad
check "help: identify" helps identify --data --split --limit --write --on-bad --preprocess --classes
check "help: inspect" helps inspect
check "help: bench" helps bench --batch --dtype --seconds --size --rows
check "help: devices" helps devices
check "help: overview" eval '"$mien" --help | grep -q "evaluate" && "$mien" help | grep -q devices'
check "version" eval '[[ $("$mien" --version) == mien\ [0-9]*.[0-9]*.[0-9]*\ \(*\) ]]'
check "version after a command" eval '[[ $("$mien" train --version) == "$("$mien" --version)" ]]'
"$mien" >out.log 2>&1
check "no command: help and status 2" eval "[ $? -eq 2 ] && grep -q usage: out.log"

case $MIEN_BUILD in
*address* | *undefined* | *thread*) skip "start" "a sanitizer build" ;;
*)
    best=1000000
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        from=$EPOCHREALTIME
        "$mien" --version >/dev/null
        to=$EPOCHREALTIME
        took=$((${to/[.,]/} - ${from/[.,]/}))
        [ $took -lt $best ] && best=$took
    done
    check "start takes at most 30 ms (${best} us)" test $best -le 30000
    if [ -x /usr/bin/time ]; then
        /usr/bin/time -f %M "$mien" --version >/dev/null 2>rss.log
        check "start takes at most 40 MB ($(cat rss.log) KB)" test "$(cat rss.log)" -le 40960
    else
        skip "start: memory" "there is no /usr/bin/time"
    fi
    ;;
esac

if [ $have_h5 = 0 ]; then
    skip "training" "this build has no mien-h5"
    finish
fi

# ---- one run ----
faces 140 1 >faces.csv
tiny_network >tiny.yaml
train() { "$mien" train --data faces.csv "${quick[@]}" "$@" >train.log 2>&1; }
# column FILE NAME: that column of a csv, one value a line
column() { awk -F, -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next } { print $c }' "$1"; }
keys() { # FILE KEY…: a JSON file that has every key, at any depth, and parses
    local file=$1 key
    shift
    for key in "$@"; do grep -q "\"$key\": " "$file" || { echo "no $key" && return 1; }; done
    grep -qiE '[ [](nan|-?inf)' "$file" && return 1
    if command -v python3 >/dev/null; then python3 -m json.tool "$file" >/dev/null; fi
}

check "train" train --out run --set train.epochs=5
check "train: files" test "$(ls run | sed 's/step-[0-9]*/step-N/' | tr '\n' ' ')" = "best.h5 config.yaml last.safetensors log.csv metrics.json run.json step-N.safetensors "
check "train: it learns" eval 'tail -1 run/log.csv | awk -F, "{ exit !(\$5 > 0.6) }"'
check "log.csv: columns of Keras's CSVLogger" test "$(head -1 run/log.csv)" = "epoch,accuracy,learning_rate,loss,val_accuracy,val_loss,val_macro_f1"
check "log.csv: epochs" test "$(column run/log.csv epoch | tr '\n' ' ')" = "0 1 2 3 4 "
check "run.json" keys run/run.json schema command version commit device seed status started updated epochs best_epoch steps seconds images_per_second peak_memory_mb
check "run.json: finished" grep -q '"status": "finished"' run/run.json
metric_keys=(schema model data split n loss accuracy top2 balanced_accuracy ece macro weighted precision recall f1
    classes name support roc_auc average_precision confusion fingerprint counts sha256 warnings seconds images_per_second)
check "metrics.json" keys run/metrics.json "${metric_keys[@]}"
check "metrics.json: the best epoch of log.csv" eval '[ "$(column run/log.csv val_accuracy | sort -g | tail -1)" = "$(sed -n "s/^  \"accuracy\": \(.*\),/\1/p" run/metrics.json)" ]'
mkdir -p elsewhere
check "config.yaml reads back from anywhere" eval 'diff <(cd elsewhere && "$mien" train ../run/config.yaml --print-config) <(sed "/^#/d" run/config.yaml)'
check "config.yaml trains the same" eval '(cd elsewhere && "$mien" train ../run/config.yaml -q --threads 1 --out ../again) && diff run/log.csv again/log.csv'
check "train --json" eval '"$mien" train --data faces.csv "${quick[@]}" --out json --json 2>/dev/null >json.log && keys json.log schema run best_epoch val_accuracy val_loss val_macro_f1 seconds images_per_second'
check "folders are numbered" eval 'train && train && [ -e runs/run-1/best.h5 ] && [ -e runs/run-2/best.h5 ]'
check "config paths are relative to the config" eval 'mkdir -p sub && cp tiny.yaml sub && echo "{model: {file: ./tiny.yaml}, data: {sources: [../faces.csv]}, train: {epochs: 1}}" >sub/mine.yaml && "$mien" train sub/mine.yaml -q --threads 1 && [ -e runs/mine-1/best.h5 ]'
check "--set and --print-config" eval '"$mien" train --set train.epochs=7 --set "schedule.steps=[2, 3.5]" --seed 4 --print-config >print.log && grep -q "^  epochs: 7" print.log && grep -q "steps: \[2, 3.5\]" print.log && grep -q "^  seed: 4" print.log && "$mien" train print.log --print-config | diff - print.log'

# ---- repeatability ----
check "same seed, identical file" eval 'train --out a --seed 7 && train --out b --seed 7 && cmp a/best.h5 b/best.h5'
check "another seed, another file" eval 'train --out c --seed 8 && ! cmp -s a/best.h5 c/best.h5'
check "two threads" eval '"$mien" train --data faces.csv "${quick[@]:0:1}" --threads 2 "${quick[@]:3}" --out d >/dev/null 2>&1'
check "two seeds" eval 'train --out seeds --seed 7 --seeds 2 && cmp seeds/seed-7/best.h5 a/best.h5 && [ -e seeds/seed-8/log.csv ] && keys seeds/summary.json schema val_accuracy mean sd'

# ---- evaluate ----
evaluate() { "$mien" evaluate -q --threads 1 "$@"; }
check "evaluate --json" eval 'evaluate --model run --json >eval.json && keys eval.json "${metric_keys[@]}"'
check "evaluate: test part by default" grep -q '"split": "test"' eval.json
check "evaluate: whole part" grep -q '"n": 28,' eval.json
check "evaluate: validation as in training" eval 'evaluate --model run --split val --json >val.json && diff <(grep -E "accuracy|sha256|macro" val.json) <(grep -E "accuracy|sha256|macro" run/metrics.json)'
sed '/PrivateTest/d' faces.csv >noprivate.csv
check "evaluate: else the validation part" eval 'evaluate --model run --data noprivate.csv --json | grep -q "\"split\": \"val\""'
cut -d, -f1,2 faces.csv >nousage.csv
check "evaluate: else all" eval 'evaluate --model run --data nousage.csv --json >all.json && grep -q "\"split\": \"all\"" all.json && grep -q "\"n\": 140," all.json'
check "evaluate: a drawn split is drawn again" eval '"$mien" train "${quick[@]}" --data nousage.csv --out drawn >/dev/null && evaluate --model drawn --split val --json | grep -q "$(grep sha256 drawn/metrics.json)" && evaluate --model drawn --json | grep -q "\"n\": 14,"'
check "evaluate: training data are flagged" eval 'evaluate --model run --split train 2>&1 >/dev/null | grep -q "warning: these are the data that the model was trained on" && evaluate --model run --split train --json 2>/dev/null | grep -q "the model was trained on"'
check "evaluate: the test part is not" eval 'evaluate --model run 2>&1 >/dev/null | grep -c warning | grep -qx 0'
check "evaluate: rows of the matrix sum up" eval 'evaluate --model run | awk "/^confusion/ { on = 1; getline; next } on && NF == 9 { s = 0; for (i = 2; i <= 8; i++) s += \$i; rows++; bad += s != \$9 || s != 4 } END { exit !(rows == 7 && !bad) }"'
check "evaluate: batch size does not matter" eval 'evaluate --model run --batch 5 --json | grep -E "accuracy|\"loss" | diff - <(grep -E "accuracy|\"loss" eval.json)'
check "predictions: columns" eval 'evaluate --model run --predictions p.csv >/dev/null && [ "$(head -1 p.csv)" = row,label,prediction,angry,disgust,fear,happy,sad,surprise,neutral ]'
check "predictions: rows" eval 'awk -F, "NR > 1 { s = 0; best = 4; for (i = 4; i <= 10; i++) { s += \$i; if (\$i > \$best) best = i }; if (s < 0.99999 || s > 1.00001 || \$3 != name[best]) exit 1 } NR == 1 { for (i = 4; i <= 10; i++) name[i] = \$i } END { exit NR != 29 }" p.csv'
for views in flip tencrop; do
    check "--tta $views" eval "evaluate --model run --tta $views --predictions $views.csv >/dev/null && paste -d, p.csv $views.csv | awk -F, 'NR > 1 { for (i = 4; i <= 10; i++) { d = \$i - \$(i + 10); if (d < 0) d = -d; if (d > most) most = d } } END { exit !(most > 1e-5) }'"
done
check "several models are averaged" eval 'evaluate --model c --predictions q.csv >/dev/null && evaluate --model run --model c --predictions both.csv >/dev/null && paste -d, p.csv q.csv both.csv | awk -F, "NR > 1 { for (i = 4; i <= 10; i++) { d = (\$i + \$(i + 10)) / 2 - \$(i + 20); if (d < -1e-6 || d > 1e-6) exit 1 } }"'
check "several models print one result" eval '[ "$(evaluate --model run --model c --json | grep -c schema)" = 1 ]'

# ---- inspect, devices ----
check "inspect" eval '"$mien" inspect run | grep -qE "^total +747 " && "$mien" inspect run/best.h5 | grep -q "angry, disgust, fear, happy, sad, surprise, neutral"'
check "inspect --json" eval '"$mien" inspect run --json >inspect.json && keys inspect.json schema format producer layers name class output_shape params flops trainable input height width channels preprocessing classes && grep -q "\"params\": 747," inspect.json'
check "devices" eval '"$mien" devices | grep -q "^cpu  *yes" && "$mien" devices --json >devices.json && keys devices.json schema version commit compiler flags devices name usable description hdf5 video'

# ---- recipes' keys ----
variant() { # NAME --set…
    local name=$1
    shift
    check "train: $name" train --out "v-${name//[^a-z]/-}" "$@"
}
variant "mixup, smoothing, balanced weights" --set augment.mixup=0.4 --set loss.label_smoothing=0.1 --set loss.class_weight=balanced
variant "every augmentation" --set augment.flip=true --set augment.erase=0.5 --set augment.crop=0.1 --set augment.off_last=0.5
variant "ema" --set optimizer.ema=0.9
variant "adamw" --set optimizer.name=adamw --set optimizer.weight_decay=0.01 --set optimizer.clip_norm=1
variant "sgd" --set optimizer.name=sgd --set train.on_nan=skip
variant "three channels of another size" --set input.channels=3 --set input.height=40 --set input.width=44
variant "deterministic" --deterministic
variant "views in validation" --set evaluate.tta=flip
check "train: batch larger than the data" eval 'train --out big --set train.batch_size=1000 && grep -q "warning: train.batch_size 1000 is larger than the 84" train.log && grep -q "\"steps\": 1," big/run.json'
sed 's/  - max/  - batch_normalization\n  - max/' tiny.yaml >norm.yaml
check "train: a last batch of one" eval 'train --out one --set train.batch_size=83 --set model.file=norm.yaml && grep -q "\"steps\": 2," one/run.json && evaluate --model one >/dev/null'
check "train: micro-batches" eval 'train --out micro --set train.micro_batch=4'

attribute() { # RUN: the JSON text of the attribute mien of its best model
    grep -aoE '"provenance": ?\{[^}]*\}' "$1/best.h5"
}
check "averages are warmed up from scratch" eval 'attribute one | grep -q "\"warm_averages\": *true"'
check "plain averages by a key" eval 'train --out plain --set train.batch_size=83 --set model.file=norm.yaml --set train.warm_averages=false && attribute plain | grep -q "\"warm_averages\": *false" && ! diff -q one/log.csv plain/log.csv >/dev/null'
check "a loaded model keeps its averages" eval 'train --out more --set model.file=one/best.h5 && attribute more | grep -q "\"warm_averages\": *false"'

rates() { column "$1/log.csv" learning_rate | tr '\n' ' '; }
check "schedule: cosine with warm-up" eval 'train --out cos --set schedule.name=cosine --set schedule.warmup_epochs=1 --set train.epochs=4 && rates cos | awk "{ exit !(\$1 == 0.01 && \$2 < \$1 && \$3 < \$2 && \$4 < 0.001 && \$4 > 0) }"'
check "schedule: step" eval 'train --out step --set schedule.name=step --set "schedule.steps=[1, 2]" --set train.epochs=3 && [ "$(rates step)" = "0.01 0.001 0.0001 " ]'
still=(--set optimizer.learning_rate=1e-30) # the weights do not move: val_loss is constant
check "schedule: plateau" eval 'train --out plateau "${still[@]}" --set schedule.name=plateau --set schedule.patience=2 --set schedule.factor=0.5 --set train.epochs=6 && [ "$(rates plateau)" = "1e-30 1e-30 1e-30 5e-31 5e-31 2.5e-31 " ]'
check "early stopping" eval 'train --out early "${still[@]}" --set early_stopping.enabled=true --set early_stopping.patience=2 --set train.epochs=50 && [ "$(column early/log.csv epoch | wc -l)" = 3 ] && grep -q "\"best_epoch\": 1," early/run.json'
check "early stopping: warning with cosine" eval 'train --out early2 --set early_stopping.enabled=true --set schedule.name=cosine && grep -q "^warning: early_stopping" train.log'

# ---- training on from a model ----
weight() { # MODEL NAME: fingerprint of a weight in a .h5, read through the HDF5 helper
    local start from to
    "${mien%/*}/mien-h5" read 3<"$1/best.h5" 4<>weights.bin || return 1
    start=$(($(od -An -tu8 -N8 weights.bin) + 8))
    read -r from to < <(head -c $start weights.bin | tail -c +9 | grep -o "$2:0\": *{[^}]*}" | sed 's/.*data_offsets": *\[\([0-9]*\), *\([0-9]*\)\].*/\1 \2/')
    tail -c +$((start + from + 1)) weights.bin | head -c $((to - from)) | sha256sum
    rm -f weights.bin
}
check "model.file: training continues from a .h5" eval 'train --out on --set model.file=run/best.h5 && awk "BEGIN { exit !($(column on/log.csv loss) < $(column run/log.csv loss | head -1)) }"'
cp run/best.h5 model.bin
cp run/best.h5 model.yaml
echo "no layers here" >notes.txt
mkdir -p in && cp run/best.h5 in/weights
check "model.file: content decides, not the name" train --out bin --set model.file=model.bin
check "model.file: a path of any name" train --out path --set model.file=./in/weights
check "model.file: a model that is called .yaml" train --out named --set model.file=model.yaml
check "model.file: a run folder" train --out folder --set model.file=./run
check "the same training by any name" eval '[ "$(for k in on bin path named folder; do weight $k dense/kernel; done | sort | uniq -c | tr -s " " | cut -d " " -f 2)" = 5 ]'
refuse 1 "model.file: text of another kind" "notes.txt" -- train "${quick[@]}" --data faces.csv --set model.file=notes.txt --out never
check "model.freeze" eval 'train --out half --set model.file=run/best.h5 --set "model.freeze=[conv2d]" && [ "$(weight run conv2d/kernel)$(weight run conv2d/bias)" = "$(weight half conv2d/kernel)$(weight half conv2d/bias)" ] && [ "$(weight run dense/kernel)" != "$(weight half dense/kernel)" ] && [ "$(weight run conv2d/kernel)" != "$(weight on conv2d/kernel)" ]'
sed 's/  - max/  - separable_conv2d: {name: sep, filters: 5, kernel_size: 3, padding: same, activation: relu}\n  - max/' tiny.yaml >sep.yaml
parts() { weight "$1" sep/depthwise_kernel && weight "$1" sep/pointwise_kernel && weight "$1" sep/bias; }
check "model.freeze: both parts of a layer" eval 'train --out sep --set model.file=sep.yaml && train --out held --set model.file=sep/best.h5 --set "model.freeze=[sep]" && parts sep >sep.sums && parts held | cmp - sep.sums && [ "$(weight sep dense/kernel)" != "$(weight held dense/kernel)" ]'
check "model.freeze is stored" eval '"$mien" inspect half --json | grep -q "\"trainable\": 707,"'
refuse 1 "model.freeze: nothing is left" "every layer is frozen" -- train --data faces.csv "${quick[@]}" --out none --set 'model.freeze=[conv2d, dense]'

# ---- memory and signals ----
check "classic network: at most 400 MB" eval 'train --out classic --set model.file=classic --set train.batch_size=64 && awk -F"[:,]" "/peak_memory_mb/ { exit !(\$2 > 1 && \$2 <= 400) }" classic/run.json'

interrupt() { # SIGNAL LINES: a run is stopped when log.csv has so many lines
    local out=stop-$1 from took status
    rm -rf "$out"
    "$mien" train --data faces.csv "${quick[@]}" --set train.epochs=100000 --set model.file=run/best.h5 --out "$out" >stop.log 2>&1 &
    wait_until eval '[ -e "$out/run.json" ] && [ "$(wc -l <"$out/log.csv")" -ge '"$2"' ]'
    from=$EPOCHREALTIME
    kill -"$1" $!
    wait $!
    status=$?
    took=$((${EPOCHREALTIME/[.,]/} - ${from/[.,]/}))
    echo "status $status, $took us, $(tail -1 stop.log)"
    [ $status -eq 75 ] && [ $took -lt 2500000 ] && grep -q "^mien: .*mien train --resume $out" stop.log &&
        "$mien" inspect "$out" && "$mien" inspect "$out/last.safetensors" && grep -q '"status": "interrupted"' "$out/run.json" &&
        ! ls "$out" | grep tmp
}
check "SIGINT saves and ends with 75" interrupt INT 3
check "SIGTERM in the first epoch, too" interrupt TERM 1
finish
