#!/usr/bin/env bash
# Invalid input of every kind: one clear message, the right exit status, no crash, and no existing file
# is changed.
. tests/cli/lib.sh

faces 70 1 >good.csv
tiny_network >tiny.yaml
head -1 good.csv >header
sed -n 2,36p good.csv >rows # all of them Training rows
train=(train "${quick[@]}")

# bad_csv NAME PATTERN…: bad.csv is refused, and the message names it.
bad_csv() {
    local name=$1
    shift
    refuse 1 "csv: $name" bad.csv "$@" -- "${train[@]}" --data bad.csv --out never
}
# with_row4 SED: bad.csv is good.csv with its row 4 changed.
with_row4() { sed "4{$1}" good.csv >bad.csv; }
trains() { "$mien" "${train[@]}" --data "$1" --out "runs/t$RANDOM$RANDOM" "${@:2}"; }
# accepts NAME DATA ARGUMENT…: a training run on the data succeeds.
accepts() {
    if [ $have_h5 = 1 ]; then check "$1" trains "${@:2}"; else skip "$1" "this build has no mien-h5"; fi
}

# ---- command line ----
refuse 2 "unknown command" "trian" "did you mean 'train'" -- trian
refuse 2 "unknown flag" "--dta" "did you mean '--data'" -- train --dta x
refuse 2 "flag without value" "--data needs a value" -- train --data
refuse 2 "flag twice" "--data is given twice" -- train --data a --data b
refuse 2 "switch with a value" "--force takes no value" -- train --force=yes
refuse 2 "argument too many" "'b.yaml'" "unexpected argument" -- train a.yaml b.yaml
refuse 2 "threads: none" "--threads" "'0'" -- train --threads 0
refuse 2 "threads: a word" "--threads" "'two'" -- devices --threads two
refuse 2 "unknown device" "'gpu'" -- train --device gpu
refuse 1 "the included model without its data" "--data SRC" -- evaluate -q
refuse 2 "unknown split" "--split" "'tset'" -- evaluate --model x.h5 --split tset
refuse 2 "unknown views" "--tta" "'flop'" -- evaluate --model x.h5 --tta flop
refuse 2 "batch of none" "--batch" "'0'" -- evaluate --model x.h5 --batch 0
refuse 2 "evaluate --on-bad" "skip:MAX" "'drop'" -- evaluate --model x.h5 --on-bad drop
refuse 2 "train --on-bad" "skip:MAX" "'skip:x'" -- train --on-bad skip:x
refuse 2 "seed: a word" "train.seed" "'one'" -- train --seed one
refuse 2 "seeds: none" "--seeds" "'0'" -- train --seeds 0
refuse 2 "--set without value" "key=value" "'train.epochs'" -- train --set train.epochs
refuse 2 "--set empty" "train.epochs" -- train --set train.epochs=
refuse 2 "--set typo" "'optimiser.lr'" "did you mean 'optimizer.learning_rate'" -- train --set optimiser.lr=1
refuse 1 "empty --out" "empty" -- "${train[@]}" --data good.csv --out ""

# ---- configs ----
config() { # NAME STATUS TEXT PATTERN…
    local name=$1 status=$2
    printf '%b' "$3" >bad.yaml
    shift 3
    refuse "$status" "config: $name" "bad.yaml" "$@" -- train bad.yaml --data good.csv --out never
}
config "unknown section" 2 'train: {epochs: 1}\noptimiser: {lr: 0.1}\n' ":2:" "'optimiser'" "'optimizer'"
config "unknown section in lines" 2 'train: {epochs: 1}\noptimiser:\n  lr: 0.1\n' ":2:" "'optimiser'"
config "unknown key" 2 'train:\n  epochs: 1\noptimizer:\n  lr: 0.1\n' ":4:" "'optimizer.lr'" "'optimizer.learning_rate'"
config "wrong type" 2 'train: {epochs: many}\n' ":1:" "train.epochs" "whole number" "'many'"
config "wrong range" 2 'optimizer:\n  beta_1: 1.5\n' ":2:" "optimizer.beta_1" "1.5"
config "wrong choice" 2 'optimizer: {name: adan}\n' "optimizer.name" "adam|adamw|sgd" "'adan'"
config "key as section" 2 'train: 3\n' "'train' is a section"
config "tab" 1 'train:\n\tepochs: 1\n' ":2:" "not YAML"
config "duplicate key" 1 'train: {epochs: 1}\ntrain: {epochs: 2}\n' ":2:" "'train'" "duplicate key"
config "alias" 1 'a: &x 1\ntrain: {epochs: *x}\n' "anchors"
config "cut" 1 'train: {epochs: 1\n' "not YAML"
config "empty" 1 '' "empty"
config "a list" 2 '- train\n' ":1:" "a list"
refuse 2 "config: groups of two sources" "data.groups" "2 sources" -- train --set 'data.sources=[a.csv, b.csv]' --set data.groups=g.csv --out never
refuse 1 "config: two sources, one of them not there" "a.csv" -- train -q --set 'data.sources=[a.csv, b.csv]' --out never
refuse 2 "config: shares" "data.split" "nothing to train on" -- train --set data.split.val=0.6 --set data.split.test=0.6
refuse 2 "config: steps" "schedule.steps" -- train --set schedule.name=step
refuse 1 "config: missing" "'absent.yaml'" -- train absent.yaml
refuse 1 "config: no such recipe" "'absent'" "fer2013-classic" -- train absent
refuse 1 "config: a folder" "regular file" -- train ./

# ---- networks ----
network() { # NAME TEXT PATTERN…
    local name=$1
    printf '%b' "$2" >bad.yaml
    shift 2
    refuse 1 "network: $name" "bad.yaml" "$@" -- "${train[@]}" --set model.file=bad.yaml --data good.csv --out never
}
end='  - flatten\n  - dense: {units: classes, activation: softmax}\n'
network "unknown layer" "layers:\n  - conv2: {filters: 4}\n$end" ":2:" "'conv2'" "did you mean 'conv2d'"
network "unknown key" "layers:\n  - conv2d: {filter: 4, kernel_size: 3}\n$end" ":2:" "'filter'" "did you mean 'filters'"
network "key missing" "layers:\n  - conv2d: {kernel_size: 3}\n$end" ":2:" "'filters'"
network "wrong range" "layers:\n  - dropout: {rate: 1.5}\n$end" ":2:" "rate"
network "shape error" "layers:\n  - max_pooling2d: {pool_size: 24}\n  - conv2d: {name: last, filters: 4, kernel_size: 3}\n$end" ":3:" "'last'" "3x3" "2x2"
network "unknown input" "layers:\n  - conv2d: {name: one, filters: 4, kernel_size: 3}\n  - flatten: {inputs: [oen]}\n$end" ":3:" "'oen'" "did you mean 'one'"
network "two of a name" "layers:\n  - conv2d: {name: a, filters: 4, kernel_size: 3}\n  - conv2d: {name: a, filters: 4, kernel_size: 3}\n$end" ":3:" "named 'a'"
network "unused layer" "layers:\n  - conv2d: {name: a, filters: 4, kernel_size: 3}\n  - flatten: {inputs: [input]}\n  - dense: {units: classes, activation: softmax}\n" "'a'"
network "no softmax" "layers:\n  - flatten\n  - dense: {units: classes}\n" "softmax"
network "other number of classes" "layers:\n  - flatten\n  - dense: {units: 5, activation: softmax}\n" "5 classes" "good.csv" "units: classes"
network "no layers" "name: x\n" "layers"
network "unknown top key" "layer:\n  - flatten\n" ":1:" "'layer'"
network "too large" "layers:\n  - conv2d: {filters: 65536, kernel_size: 3, padding: same}\n  - conv2d: {filters: 65536, kernel_size: 255, padding: same}\n$end" ":3:" "too large"
refuse 1 "network: missing" "'absent'" "seresnet" -- "${train[@]}" --set model.file=absent --data good.csv --out never
refuse 1 "network: unknown frozen layer" "model.freeze" "'cnov'" -- "${train[@]}" --data good.csv --out never --set 'model.freeze=[cnov]'

# ---- data ----
refuse 1 "data: missing" "'absent.csv'" -- "${train[@]}" --data absent.csv --out never
refuse 1 "data: unknown form" "'tiny.yaml'" ".csv" -- "${train[@]}" --data tiny.yaml --out never
mkdir -p photos/happy folder.csv
refuse 1 "data: a folder" "'photos'" "folder" -- "${train[@]}" --data photos --out never
refuse 1 "data: a folder named .csv" "'folder.csv'" "regular file" -- "${train[@]}" --data folder.csv --out never
mkfifo pipe.csv
refuse 1 "data: a pipe" "'pipe.csv'" "regular file" -- "${train[@]}" --data pipe.csv --out never
printf '\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x30\0\0\0\x30\x08\0\0\0\0' >bad.csv
bad_csv "a picture" "row 1" "'pixels'"
: >bad.csv
bad_csv "empty file" "empty"
cp header bad.csv
bad_csv "header only" "no usable image"
sed 1d good.csv >bad.csv
bad_csv "no header" "row 1" "emotion,pixels,Usage"
with_row4 's/ [0-9]*,T/,T/'
bad_csv "2303 numbers" "row 4" "2303 pixels instead of 2304"
with_row4 's/,T/ 7,T/'
bad_csv "2305 numbers" "row 4" "2305 pixels instead of 2304"
with_row4 's/ [0-9]*,T/ 256,T/'
bad_csv "256" "row 4" "above 255"
with_row4 's/ [0-9]*,T/ -1,T/'
bad_csv "-1" "row 4" "other than numbers from 0 to 255"
with_row4 's/ [0-9]*,T/ 1.5,T/'
bad_csv "a fraction" "row 4" "other than numbers from 0 to 255"
with_row4 's/ [0-9]*,T/ x,T/'
bad_csv "letters" "row 4" "other than numbers from 0 to 255"
with_row4 's/^[0-9]/8/'
bad_csv "label 8" "row 4" "emotion 8" "0 to 7"
with_row4 's/^[0-9]/-1/'
bad_csv "label -1" "row 4" "emotion -1"
with_row4 's/^[0-9]/happy/'
bad_csv "label in words" "row 4" "not a number"
with_row4 's/Training/Trainning/'
bad_csv "unknown usage" "row 4" "PublicTest"
with_row4 's/,.*//'
bad_csv "one column" "row 4" "1 columns"
head -c -4000 good.csv >bad.csv
bad_csv "cut tail" "row 71"
cut -d, -f2,3 good.csv >bad.csv
bad_csv "no emotion" "'emotion'" "not for training"
grep -E '^(emotion|3,)' good.csv >bad.csv
bad_csv "one class only" "'happy'" "two or more"
cat header rows >good2.csv
refuse 1 "csv: empty validation part" "good2.csv" "val part" "data.split" -- "${train[@]}" --data good2.csv \
    --set data.split.val=0.001 --out never
gzip -kc good.csv >whole.gz
head -c 20000 whole.gz >bad.csv.gz
refuse 1 "gz cut short" "bad.csv.gz" "cut short" -- "${train[@]}" --data bad.csv.gz --out never
{ head -c 3000 whole.gz && head -c 20000 /dev/zero | tr '\0' '\377' && tail -c +23001 whole.gz; } >bad.csv.gz
refuse 1 "gz damaged" "bad.csv.gz" "row" -- "${train[@]}" --data bad.csv.gz --out never
{ printf '\x1f\x8b' && head -c 3000 good.csv; } >bad.csv.gz
refuse 1 "gz garbage" "bad.csv.gz" -- "${train[@]}" --data bad.csv.gz --out never

# valid variants
sed 's/$/\r/' good.csv >form.csv
accepts "csv: CRLF" form.csv
{ printf '\xef\xbb\xbf' && cat good.csv; } >form.csv
accepts "csv: byte order mark" form.csv
sed '2,$s/,\(.*\),/,"\1",/' good.csv >form.csv
accepts "csv: quotes" form.csv
awk -F, 'NR == 1 { print "emotion, Usage, pixels"; next } { print $1 "," $3 "," $2 }' good.csv >form.csv
accepts "csv: icml header" form.csv
cut -d, -f1,2 good.csv >form.csv
accepts "csv: no usage" form.csv --set 'data.split.val=0.2'
[ $have_h5 = 0 ] || check "csv: no usage is split by class" grep -q '"counts": \[2, 2, 2, 2, 2, 2, 2\]\|"n": 14' runs/t*/metrics.json
mv whole.gz form.csv.gz
accepts "csv: gz" form.csv.gz

# ---- skipping bad rows ----
awk -F, 'NR == 3 || NR == 9 || NR == 12 { sub(/ /, " x ") } { print }' good.csv >skip.csv
"$mien" "${train[@]}" --data skip.csv --on-bad skip --out skipped 2>err.log >out.log
check "skip: counted" grep -q 'skip.csv: 3 bad rows or files were left out' err.log
check "skip: rows named" test "$(grep -cE 'row (3|9|12):' err.log)" -eq 3
accepts "skip:3" skip.csv --on-bad skip:3
refuse 1 "skip:2" "more than 2 bad rows" "row 12" -- "${train[@]}" --data skip.csv --on-bad skip:2 --out never

# ---- output ----
mkdir used && echo mine >used/notes
refuse 1 "used folder" "'used'" "--force" -- "${train[@]}" --data good.csv --out used
check "used folder is untouched" test "$(ls used)$(cat used/notes)" = notesmine
refuse 1 "output is a file" "'good.csv'" "folder" -- "${train[@]}" --data good.csv --out good.csv
refuse 1 "output below a file" "good.csv/x" -- "${train[@]}" --data good.csv --out good.csv/x
[ $have_h5 = 0 ] || refuse 1 "training diverges" "diverged" "optimizer.learning_rate" -- "${train[@]}" --data good.csv \
    --out diverged --set optimizer.name=sgd --set optimizer.learning_rate=100 --set train.epochs=20
if [ -c /dev/full ]; then
    "$mien" devices >/dev/full 2>err.log
    check "stdout is full" test $? -eq 1 -a "$(wc -l <err.log)" -eq 1
fi

# ---- GPU and modules ----
if ls "${mien%/*}"/mien-cuda.so >/dev/null 2>&1; then
    skip "no GPU module" "this build has one"
else
    refuse 1 "no GPU module" "mien-cuda.so" "--device cpu" -- "${train[@]}" --data good.csv --device cuda --out never
fi
if command -v "${CC:-gcc}" >/dev/null; then
    mkdir modules
    export MIEN_MODULES=$work/modules
    echo 'struct { int version; const char *name; } mien_module_table = {999, "cuda"};' >module.c
    "${CC:-gcc}" -shared -fPIC module.c -o modules/mien-cuda.so
    refuse 1 "module of another version" "version 999" "mien-cuda.so" -- "${train[@]}" --data good.csv --device cuda --out never
    accepts "auto takes the CPU then" good.csv --device auto
    # one that was built before a slot was added to ops.h, or after
    mkdir -p other/host/backend
    sed 's/MIEN_OPS_VERSION = /&9/' "$root/host/backend/ops.h" >other/host/backend/ops.h
    printf '#include "host/backend/cuda_module.h"\nmien_cuda_module mien_module_table = {{MIEN_CUDA_MODULE_VERSION, "cuda"}, 0, 0};\n' >module.c
    "${CC:-gcc}" -shared -fPIC -Iother -I"$root" module.c -o modules/mien-cuda.so
    refuse 1 "module with another ops.h" "has version" "install both from one build" -- "${train[@]}" --data good.csv --device cuda --out never
    echo 'int nothing;' >module.c
    "${CC:-gcc}" -shared -fPIC module.c -o modules/mien-cuda.so
    refuse 1 "module without a table" "not a module" -- "${train[@]}" --data good.csv --device cuda:0 --out never
    echo "no library" >modules/mien-cuda.so
    refuse 1 "module that is text" "cannot load" -- "${train[@]}" --data good.csv --device cuda --out never
    accepts "auto takes the CPU still" good.csv
    unset MIEN_MODULES
else
    skip "modules" "there is no C compiler"
fi

# ---- model files ----
if [ $have_h5 = 0 ]; then
    skip "model files" "this build has no mien-h5"
    finish
fi
"$mien" "${train[@]}" --data good.csv --out kept --seed 3 >/dev/null 2>&1
model=kept/best.h5
before=$(cat good.csv tiny.yaml kept/* used/* | sha256sum)
refuse 1 "model: missing" "'absent.h5'" -- inspect absent.h5
refuse 1 "model: folder without one" "'used'" "best.h5" -- evaluate --model used
refuse 1 "model: text" "'good.csv'" "nor HDF5" -- inspect good.csv
refuse 1 "model: a device" "'/dev/zero'" "regular file" -- inspect /dev/zero
: >empty.h5
refuse 1 "model: empty" "'empty.h5'" "it is empty" -- inspect empty.h5
size=$(stat -c %s $model)
for keep in 8 600 $((size / 2)) $((size - 1)); do
    head -c "$keep" $model >cut.h5
    refuse 1 "model: cut to $keep bytes" "cut.h5" -- inspect cut.h5
done
crashed=""
for at in 9 13 40 96 137 800 2048 3333 5000 7777 9999 $((size - 3000)) $((size - 40)); do
    cp $model flipped.h5
    printf '\xff' | dd of=flipped.h5 bs=1 seek="$at" conv=notrunc 2>/dev/null
    timeout 120 "$mien" inspect flipped.h5 >out.log 2>err.log
    status=$?
    [ $status = 0 ] || { [ $status = 1 ] && [ "$(wc -l <err.log)" = 1 ] && grep -q '^mien: .*flipped.h5' err.log; } ||
        crashed+=" $at:$status"
done
check "model: flipped bytes$crashed" test -z "$crashed"
LC_ALL=C sed 's/angry/angrz/' $model >other.h5
refuse 1 "model: other classes than the data" "'angry'" "the model" "good.csv" -- evaluate --model other.h5 --data good.csv
refuse 1 "model: another number of classes" "model.head is 9" "'good.csv'" -- "${train[@]}" --set model.file=other.h5 --set model.head=9 --data good.csv --out never
refuse 1 "model: other classes in an ensemble" "angrz" -- evaluate --model $model --model other.h5 --data good.csv
refuse 1 "evaluate: data missing" "'absent.csv'" -- evaluate --model $model --data absent.csv
refuse 1 "evaluate: no such part" "no test part" -- evaluate -q --model $model --data good2.csv --split test
cut -d, -f2 good.csv >unlabelled.csv
refuse 1 "evaluate: no labels" "unlabelled.csv" "'emotion'" -- evaluate --model $model --data unlabelled.csv
refuse 1 "evaluate: predictions cannot be written" "no/such.csv" -- evaluate --model $model --data good.csv --predictions no/such.csv

# ---- permissions ----
nobody=()
if [ "$(id -u)" -ne 0 ]; then
    nobody=(env)
elif command -v setpriv >/dev/null &&
    setpriv --reuid 65534 --clear-groups "$mien" devices 2>/dev/null | grep -q "^h5 *yes"; then # the user nobody can run it
    nobody=(setpriv --reuid 65534 --clear-groups)
fi
if [ ${#nobody[@]} -gt 0 ]; then
    cp good.csv locked.csv && cp $model locked.h5 && mkdir locked && chmod 000 locked.csv locked.h5 && chmod 555 locked
    wrap=("${nobody[@]}")
    refuse 1 "unreadable model" "'locked.h5'" "Permission denied" -- inspect locked.h5
    chmod 644 locked.h5
    refuse 1 "unreadable data" "'locked.csv'" "Permission denied" -- evaluate --model locked.h5 --data locked.csv
    refuse 1 "unwritable folder" "locked/run" "Permission denied" -- "${train[@]}" --data good.csv --out locked/run
    wrap=()
else
    skip "permissions" "root, and setpriv cannot switch to another user"
fi

# ---- a full disk ----
cat >full.sh <<'SH'
mount -t tmpfs -o size=160k none full || exit 99
cp kept/* full/
before=$(sha256sum <full/best.h5)
free=$(($(stat -f -c '%a * %S' full)))
head -c $((free - 16384)) /dev/zero >full/filler
"$@" >full.out 2>full.err
echo $? >full.status
[ "$(sha256sum <full/best.h5)" = "$before" ] && "$1" inspect full >/dev/null && echo same >full.same
ls full/*tmp* 2>/dev/null >full.left
SH
mkdir full
private=(unshare -m)
[ "$(id -u)" -eq 0 ] || private=(unshare -rm)
"${private[@]}" bash full.sh "$mien" train --resume full --resume-anyway --set train.epochs=9 --threads 1 -q 2>/dev/null
if [ -e full.status ]; then
    check "disk full: status 1" test "$(cat full.status)" = 1
    check "disk full: one message" grep -q '^mien: .*full/.*No space left' full.err
    check "disk full: the old model is whole" test -e full.same
    check "disk full: nothing left over" test ! -s full.left
else
    skip "disk full" "a small tmpfs cannot be mounted here"
fi

check "files are as they were" test "$(cat good.csv tiny.yaml kept/* used/* | sha256sum)" = "$before"
finish
