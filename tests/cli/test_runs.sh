#!/usr/bin/env bash
# mien runs and mien sweep: tables of runs in every state; grids that are skipped, stopped, continued and fail.
. tests/cli/lib.sh

refuse 1 "runs: no folder" "there is no folder 'none'" -- runs none
mkdir empty
refuse 1 "runs: nothing there" "there is no run in 'empty'" -- runs empty
refuse 2 "runs: two things on stdout" "exclude each other" -- runs empty --json --csv -
grid=(--grid train.seed=1,2 --out never)
refuse 2 "sweep: nothing to train" "needs a CONFIG" "--data" -- sweep "${grid[@]}"
refuse 2 "sweep: no grid" "needs --grid" -- sweep sample --out never
refuse 2 "sweep: no folder" "needs --out" -- sweep sample --grid train.seed=1,2
refuse 2 "sweep: an unknown key" "unknown key 'train.epoch'; did you mean 'train.epochs'?" -- sweep sample "${grid[@]}" --grid train.epoch=1,2
refuse 2 "sweep: a wrong value" "'train.epochs' must be a whole number" -- sweep sample "${grid[@]}" --grid train.epochs=1,x
refuse 2 "sweep: no values" "needs KEY=VALUE" -- sweep sample --grid train.seed --out never
refuse 2 "sweep: an empty value" "has an empty value" -- sweep sample --grid train.seed=1,,2 --out never
refuse 2 "sweep: one value in two forms" "given twice" -- sweep sample --grid optimizer.learning_rate=0.001,1e-3 --out never
refuse 2 "sweep: a key twice" "give all its values at once" -- sweep sample "${grid[@]}" --grid train.seed=3
refuse 2 "sweep: seeds twice" "given twice" -- sweep sample "${grid[@]}" --seeds 2
refuse 2 "sweep: too many runs" "more than 10000 runs" -- sweep sample --grid "train.epochs=$(seq -s, 101)" --seeds 100 --out never
refuse 2 "sweep: a combination that contradicts itself" "data.split" -- sweep sample --grid data.split.val=0.1,0.8 --set data.split.test=0.8 --out never
refuse 1 "sweep: no such data" "nowhere.csv" -- sweep sample --data nowhere.csv "${grid[@]}"
dry() { "$mien" sweep sample --grid "$1" --out never --dry-run | awk '{ print $2 }' | tr '\n' ' '; }
check "dry run: lists in brackets are values" [ "$(dry 'data.drop_classes=[sad, fear],[happy]')" = "drop_classes=-sad-fear- drop_classes=-happy- " ]
check "dry run: paths by their last part, alike ones told apart" eval '[[ $(dry model.file=a/net.yaml,b/net.yaml,c.yaml) =~ ^file=net~[0-9a-f]{8}\ file=net~[0-9a-f]{8}\ file=c.yaml\ $ ]]'
check "dry run: writes nothing" [ ! -e never ]
if [ "$have_h5" = 0 ]; then
    skip "runs" "this build has no mien-h5"
    finish
fi

faces 140 1 >faces.csv
tiny_network >tiny.yaml
base=(--data faces.csv --set model.file=tiny.yaml --set train.batch_size=16 --set augment.flip=false --set train.epochs=1)
sweep=("$mien" sweep "${base[@]}" --threads 1 --out grid --jobs 2)
two=(--grid optimizer.learning_rate=0.01,0.001 --seeds 2)

check "a grid" eval '"${sweep[@]}" "${two[@]}" >table.txt 2>log.txt'
check "every combination has a folder with a model" [ "$(ls -d grid/learning_rate=0.01,seed=1/best.h5 grid/learning_rate=0.01,seed=2/best.h5 grid/learning_rate=0.001,seed=1/best.h5 grid/learning_rate=0.001,seed=2/best.h5 | wc -l)" = 4 ]
check "with its settings" eval 'grep -q "learning_rate: 0.001" grid/learning_rate=0.001,seed=2/config.yaml && grep -q "seed: 2" grid/learning_rate=0.001,seed=2/config.yaml'
check "the table is that of runs" eval '"$mien" runs grid | cmp - table.txt && [ "$(wc -l <table.txt)" = 5 ]'
check "its columns are what differs" grep -qE '^run +status +learning_rate +train.seed +epochs +best +val_accuracy' table.txt
check "the lock is gone" [ ! -e grid/.lock ]
digests() { sha256sum grid/*/best.h5; }
digests >before.txt
check "again: all is skipped" eval '"${sweep[@]}" "${two[@]}" >again.txt 2>log.txt && cmp table.txt again.txt && ! grep -q started log.txt && digests | cmp - before.txt'
check "a larger grid trains the rest" eval '"${sweep[@]}" --grid optimizer.learning_rate=0.001,0.01,0.1 --seeds 2 >/dev/null 2>log.txt && [ "$(grep -c started log.txt)" = 2 ]'
check "the same weights as without a sweep" eval '"$mien" train -q --threads 1 "${base[@]}" --set optimizer.learning_rate=0.1 --set train.seed=2 --out alone && cmp alone/log.csv grid/learning_rate=0.1,seed=2/log.csv'
refuse 1 "other settings in the same folder" "train.epochs is 2, was 1" "choose another --out" -- sweep "${base[@]}" --set train.epochs=2 --out grid "${two[@]}"

# figures and order
csv() { "$mien" runs grid --csv - "$@"; }
best=$(csv | awk -F, 'NR > 1 { print $7 }' | sort -rn | head -1)
column() { csv --sort "$1" | python3 -c 'import csv, sys; print(" ".join(r[sys.argv[1]] for r in csv.DictReader(sys.stdin)))' "$1"; }
ordered() { # COLUMN [-r]: sorted as numbers
    csv --sort "$1" | python3 -c '
import csv, sys
v = [float(r[sys.argv[1].lstrip("-")]) for r in csv.DictReader(sys.stdin)]
assert len(v) == 6 and v == sorted(v, reverse=sys.argv[2:] == ["-r"]), v' "$@"
}
check "sort: the best first" ordered val_accuracy -r
check "sort: the least loss first" ordered val_loss
check "sort: reversed" ordered -val_loss -r
check "sort: a config key" ordered optimizer.learning_rate
refuse 2 "sort: an unknown column" "no column 'val_acuracy'; did you mean 'val_accuracy'?" -- runs grid --sort val_acuracy
check "json says the same as metrics.json" eval '"$mien" runs grid --json | python3 -c "
import json, sys
for r in json.load(sys.stdin)[\"runs\"]:
    m = json.load(open(\"grid/\" + r[\"run\"] + \"/metrics.json\"))
    assert (r[\"val_accuracy\"], r[\"val_loss\"], r[\"val_macro_f1\"]) == (m[\"accuracy\"], m[\"loss\"], m[\"macro\"][\"f1\"])
    assert r[\"status\"] == \"finished\" and r[\"epochs\"] == r[\"of_epochs\"] == r[\"best_epoch\"] == 1 and r[\"seconds\"] > 0"'

# runs in every state
mkdir -p states/deep states/damaged states/odd states/notes
cp -r alone states/ok
cp -r alone states/deep/seed-1
cp -r alone states/killed && sed -i 's/"finished"/"running"/' states/killed/run.json
cp -r alone states/live && sed -i 's/"finished"/"running"/' states/live/run.json
cp -r alone states/noconfig && echo 'model: [' >states/noconfig/config.yaml
cp -r alone states/early && rm states/early/run.json states/early/*.safetensors states/early/*.csv
echo '{"status": ' >states/damaged/run.json
echo '{"status": "dancing"}' >states/odd/run.json
echo text >states/notes/run.txt
exec 9>states/live/.lock && flock 9
check "damaged runs are rows" eval '"$mien" runs states >states.txt'
state() { grep -qE "^$1 +$2( |\$)" states.txt; }
check "finished" state ok finished
check "in a folder of folders" state deep/seed-1 finished
check "killed: can be continued" state killed stopped
check "its lock is held: running" state live running
check "before the first step" state early stopped
check "run.json is cut" state damaged bad
check "a reason" eval 'grep -A1 "^damaged" states.txt | grep -q run.json && grep -A1 "^odd" states.txt | grep -q dancing && grep -A1 "^noconfig" states.txt | grep -q config.yaml'
check "no run, no row" eval '! grep -q notes states.txt'
exec 9>&-
"$mien" runs states >states.txt
check "the lock is free: stopped" state live stopped
check "a single run" eval '"$mien" runs alone | grep -q "^\. *finished"'

# a run that fails does not stop the others
fail=("$mien" sweep "${base[@]}" --set optimizer.name=sgd --set train.epochs=3 --threads 1 --grid optimizer.learning_rate=0.01,100,0.001 --out fails)
check "a failure: status 1" eval '"${fail[@]}" >table.txt 2>log.txt; [ $? = 1 ]'
check "is a row with the reason" eval 'grep -qE "^learning_rate=100 +failed" table.txt && grep -A1 "^learning_rate=100" table.txt | grep -qE "not finite|diverged"'
check "the others are trained" [ "$(grep -cE '^learning_rate=0.01? +finished|^learning_rate=0.001 +finished' table.txt)" = 2 ]
check "only the failure is tried again" eval '"${fail[@]}" >table.txt 2>log.txt; [ $? = 1 ] && [ "$(grep -cE "started|continued" log.txt)" = 1 ]'
bad=("$mien" sweep --data faces.csv --set model.file=tiny.yaml --threads 1 -q --grid "data.classes=[angry, contempt],[angry, happy]" --set train.epochs=1 --out nofolder)
check "one that fails before it has a folder" eval '"${bad[@]}" >table.txt 2>log.txt; [ $? = 1 ] && grep -q "^classes=-angry-contempt- *failed" table.txt && grep -q "contempt" table.txt && grep -q "^classes=-angry-happy- *finished" table.txt'

# signals are passed on, and the same command continues to the same weights
stop=("$mien" sweep "${base[@]}" --set train.epochs=4000 --set checkpoint.every_steps=2 --set checkpoint.every_epochs=0 --threads 1 --seeds 3 --out stop --jobs 2)
for signal in INT TERM; do
    "${stop[@]}" >table.txt 2>log.txt &
    sweeper=$!
    wait_until [ -e stop/seed=1/last.safetensors -a -e stop/seed=2/last.safetensors ]
    [ $signal = INT ] || sleep 0.3
    kill -$signal $sweeper
    wait $sweeper
    status=$?
    check "SIG$signal: 75, and the table" eval '[ $status = 75 ] && [ "$(grep -c stopped table.txt)" = 2 ] && grep -qE "seed=3 +waiting" table.txt'
    check "SIG$signal: no training is left" flock -n stop/seed=1/.lock true
done
check "what continues begins with its number of threads" eval 'grep -q "\"threads\": 1" stop/sweep.json && [ "$(grep -c continued log.txt)" = 2 ]'
"${stop[@]}" >table.txt 2>log.txt &
sweeper=$!
wait_until grep -q continued log.txt
sleep 0.3
refuse 1 "two sweeps in one folder" "stop" -- sweep "${base[@]}" --set train.epochs=4000 --set checkpoint.every_steps=2 --set checkpoint.every_epochs=0 --seeds 3 --out stop
kill -9 $sweeper
wait $sweeper 2>/dev/null
wait_until flock -n stop/seed=1/.lock flock -n stop/seed=2/.lock true
check "a killed sweep takes its trainings along, saved" eval 'flock -n stop/seed=1/.lock true && grep -q interrupted stop/seed=1/run.json'
finish
