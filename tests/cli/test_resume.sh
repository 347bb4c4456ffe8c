#!/usr/bin/env bash
# Trainings that are stopped, killed and continued: exit statuses, messages, and the same model in the end.
# MIEN_KILLS: how many runs are killed (tests/faults/kills.py kills more).
. tests/cli/lib.sh
if [ "$have_h5" = 0 ]; then
    skip resume "this build has no mien-h5"
    finish
fi
cat >net.yaml <<'Y'
layers:
  - conv2d: {filters: 4, kernel_size: 5, strides: 4}
  - batch_normalization
  - relu
  - flatten
  - dropout: {rate: 0.2}
  - dense: {units: classes, activation: softmax}
Y
cat >tiny.yaml <<'Y'
model: {file: net.yaml}
data: {sources: [sample]}
optimizer: {ema: 0.99}
train: {epochs: 2, batch_size: 64}
checkpoint: {every_steps: 2}
Y
one=(--threads 1 -q)
weights() { # the tensors of a checkpoint, without its header
    local header
    header=$(od -An -tu8 -N8 "$1/last.safetensors")
    tail -c +$((header + 9)) "$1/last.safetensors" | sha256sum
}
check "a training" "$mien" train tiny.yaml --out whole "${one[@]}"
check "its checkpoints: the last two" eval '[ "$(ls whole/step-*.safetensors | wc -l)" = 2 ] && [ whole/last.safetensors -ef "$(ls -v whole/step-* | tail -1)" ]'
check "a finished one" eval '"$mien" train --resume whole >over.log 2>&1 && grep -q "finished, after 2 epochs" over.log'

# kill -9 at any moment, as often as asked, then to the end
kills=${MIEN_KILLS:-3} lost=0
for ((i = 0; i < kills; i++)); do
    if ((i % 3 == 0)); then rm -rf killed; fi
    "$mien" train tiny.yaml --resume killed "${one[@]}" >killed.log 2>&1 &
    victim=$!
    sleep "$(printf '0.%03d' $((RANDOM % 700 + 150)))"
    kill -9 $victim 2>/dev/null
    wait $victim 2>/dev/null
    ((i % 3 == 2)) || continue
    if ! "$mien" train tiny.yaml --resume killed "${one[@]}" >end.log 2>&1 || [ "$(weights killed)" != "$(weights whole)" ]; then
        lost=$((lost + 1))
        tail -3 end.log
    fi
done
check "kill -9, $kills times: the same weights" [ "$lost" = 0 ]
check "dead processes' files are removed" eval '! compgen -G "killed/.mien-*"'
check "the same log" cmp whole/log.csv killed/log.csv

# signals
for signal in TERM INT HUP USR1; do
    rm -rf stopped
    "$mien" train tiny.yaml --set train.epochs=100000 --out stopped "${one[@]}" >stopped.log 2>&1 &
    wait_until [ -e stopped/last.safetensors ]
    kill -$signal $!
    wait $!
    status=$?
    if [ $status -eq 75 ] && grep -q 'continue with: mien train --resume stopped' stopped.log &&
        grep -q '"status": "interrupted"' stopped/run.json; then
        pass "SIG$signal saves"
    else
        fail "SIG$signal saves" "status $status" "$(tail -2 stopped.log)"
    fi
done
refuse 1 "other settings" "train.epochs is 4, was 100000" "--resume-anyway" -- train --resume stopped --set train.epochs=4
check "other settings on purpose" "$mien" train --resume stopped --resume-anyway --set train.epochs=1 "${one[@]}"

# two at once
"$mien" train tiny.yaml --set train.epochs=100000 --out shared "${one[@]}" >first.log 2>&1 &
first=$!
wait_until [ -e shared/last.safetensors ]
refuse 1 "a folder in use" "another process is training in 'shared'" -- train tiny.yaml --out shared --force
refuse 1 "resuming what still runs" "another process is training in 'shared'" -- train --resume shared
kill $first
wait $first

# --force replaces all of an earlier run
check "--force" "$mien" train tiny.yaml --set train.epochs=1 --set checkpoint.every_steps=0 --out whole --force "${one[@]}"
check "nothing of the old run is left" eval '[ "$(wc -l <whole/log.csv)" = 2 ] && [ "$(ls whole/step-* | wc -l)" = 1 ]'

# bad input
refuse 2 "nothing to continue" "no checkpoint to continue from" "CONFIG" -- train --resume nowhere
refuse 2 "--resume and --out" "exclude each other" -- train --resume whole --out other
refuse 2 "--resume and --seeds" "--resume and --seeds exclude each other" -- train --resume whole --seeds 3
refuse 2 "--resume-anyway alone" "needs --resume" -- train --resume-anyway
printf 'x' >whole/step-99999.safetensors
check "a damaged checkpoint" eval '"$mien" train --resume whole >damaged.log 2>&1 && grep -q "^warning: .*step-99999.*trying an older one" damaged.log'
rm whole/step-*.safetensors && printf 'x' >whole/last.safetensors
refuse 1 "only damaged ones" "last.safetensors" "not a checkpoint" -- train --resume whole
mkfifo pipe.h5
faces 14 1 >few.csv
refuse 1 "a pipe without a reader" "pipe.h5" -- predict -q --data few.csv --csv pipe.h5
finish
