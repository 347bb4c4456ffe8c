#!/usr/bin/env bash
# Keras's callbacks as keys: what they write, and what is refused.
. tests/cli/lib.sh
if [ "$have_h5" = 0 ]; then
    skip callbacks "this build has no mien-h5"
    finish
fi
tiny_network >tiny.yaml
faces 280 3 >faces.csv
train=(train --data faces.csv "${quick[@]}" --set train.epochs=3)

check "a training with all of them" "$mien" "${train[@]}" --out all --set tensorboard.enabled=true \
    --set tensorboard.histogram_freq=1 --set 'csv_logger.separator=";"' \
    --set 'checkpoint.file="models/m-{epoch:02d}-{val_accuracy:.4f}.keras"' --set early_stopping.enabled=true
for epoch in 1 2 3; do
    accuracy=$(sed -n $((epoch + 1))p all/log.csv | cut -d';' -f5)
    check "the model of epoch $epoch" "$mien" inspect "$(printf 'all/models/m-%02d-%.4f.keras' $epoch "$accuracy")"
done
check "the columns of log.csv" grep -qx 'epoch;accuracy;learning_rate;loss;val_accuracy;val_loss;val_macro_f1' all/log.csv
check "the report reads them" eval '"$mien" evaluate --model all --data faces.csv --report page -q && ! grep -q "no learning curves" page/*.html'
check "the events" eval '[ "$(grep -ac confusion_matrix all/validation/events.out.tfevents.mien)" -ge 1 ] &&
    grep -aq "dense/kernel/histogram" all/events.out.tfevents.mien'

check "only the best" "$mien" "${train[@]}" --out best --set checkpoint.save_best_only=true \
    --set 'checkpoint.file="m-{epoch}.h5"' --set checkpoint.monitor=loss --set checkpoint.mode=max
check "by a rising loss: the first" eval '[ "$(echo best/m-*.h5)" = best/m-1.h5 ]'
check "no worse than a threshold" "$mien" "${train[@]}" --out none --set checkpoint.save_best_only=true \
    --set 'checkpoint.file="m-{epoch}.h5"' --set checkpoint.monitor=loss --set checkpoint.initial_value_threshold=0.001
check "and so none" eval '! ls none/m-*'
check "training metrics need no validation" "$mien" "${train[@]}" --out part --set data.split.by=stratified \
    --set data.split.val=0 --set data.split.test=0 --set early_stopping.enabled=true --set early_stopping.monitor=loss \
    --set 'checkpoint.file="m-{loss:.2f}.h5"'
# A file of the user's with a name that the template could have given is none of the run's.
cp all/models/m-01-*.keras all/models/m-99-0.5000.keras
check "the run lists its models" eval '[ "$(wc -l <all/model-files.txt)" = 3 ] && (cd all && ls $(cat model-files.txt))'
check "--force leaves no events" eval '"$mien" "${train[@]}" --out all --force && [ ! -e all/events.out.tfevents.mien ] &&
    [ ! -e all/validation/events.out.tfevents.mien ]'
check "--force removes the old run's models, and only these" eval '[ "$(ls all/models)" = m-99-0.5000.keras ] && [ ! -e all/model-files.txt ]'
check "and their folder, if nothing else is in it" eval '"$mien" "${train[@]}" --out own --set "checkpoint.file=\"a/b/m-{epoch}.h5\"" &&
    [ -e own/a/b/m-3.h5 ] && "$mien" "${train[@]}" --out own --force && [ ! -e own/a ]'
check "the last epoch's model, too" eval '"$mien" "${train[@]}" --out last --set early_stopping.enabled=true \
    --set early_stopping.restore_best_weights=false && [ -e last/last.h5 ] && "$mien" "${train[@]}" --out last --force && [ ! -e last/last.h5 ]'
mkdir -p kept && cp faces.csv kept.h5 && "$mien" "${train[@]}" --out list --set 'checkpoint.file="m-{epoch}.h5"' -q &&
    printf '../kept.h5\n%s\n' "$PWD/kept.h5" >>list/model-files.txt
check "a list that leads outside removes nothing there" eval '"$mien" "${train[@]}" --out list --force && [ -e kept.h5 ] && [ ! -e list/m-1.h5 ]'

{ cat faces.csv; echo "1,12 7,Training"; echo "9,3,Training"; } >dirty.csv
check "bad rows are left out" "$mien" train --data dirty.csv "${quick[@]}" --on-bad skip:2 --out dirty
check "and listed" eval '[ "$(wc -l <dirty/left-out.txt)" = 2 ] && [ "$(grep -c "dirty.csv.*row 28[23]" dirty/left-out.txt)" = 2 ] &&
    grep -q "\"left_out\": 2" dirty/run.json'
check "a clean run has no list" eval '[ ! -e best/left-out.txt ] && ! grep -q left_out best/run.json'

bad() { refuse "$1" "$2" "$3" -- "${train[@]}" --out never --set "$4" "${@:5}"; }
bad 2 "an unknown field" "there is no {val_acc}" 'checkpoint.file="m-{val_acc}.h5"'
bad 2 "an unknown format of a number" "'05x' is no format of {epoch}" 'checkpoint.file="m-{epoch:05x}.h5"'
bad 2 "a single brace" "single brace" 'checkpoint.file="m-{epoch.h5"'
bad 2 "a suffix that is not written" "models are written as" 'checkpoint.file="m-{epoch}.pt"'
bad 2 "outside of the run folder" "a name in the run folder" 'checkpoint.file="../m-{epoch}.h5"'
bad 2 "a separator of numbers" "csv_logger.separator" 'csv_logger.separator="."'
bad 2 "two characters" "csv_logger.separator" 'csv_logger.separator=";;"'
novalidation=(--set data.split.by=stratified --set data.split.val=0 --set data.split.test=0)
bad 1 "a field without validation" "names {val_loss}, but data.split.val is 0" 'checkpoint.file="m-{val_loss}.h5"' "${novalidation[@]}"
bad 1 "the best without validation" "checkpoint.save_best_only needs" 'checkpoint.file="m-{epoch}.h5"' "${novalidation[@]}" \
    --set checkpoint.save_best_only=true
finish
