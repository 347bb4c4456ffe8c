#!/usr/bin/env bash
# Training that starts from a trained model: heads, frozen layers, the shipped model.
. tests/cli/lib.sh

faces 140 1 >faces.csv
tiny_network >tiny.yaml
refuse 2 "--from: no name" "--from needs a name" -- train --data faces.csv --from "" --out never
refuse 1 "--from: a file that is not there" "'absent.h5'" "--from" -- train -q --data faces.csv --from absent.h5 --out never
refuse 2 "model.head: half a class" "whole number" -- train -q --data faces.csv --set model.head=4.5 --out never
refuse 2 "model.head: a word" "auto|fresh" -- train -q --data faces.csv --set model.head=seven --out never
for option in model.head=7 model.preprocess=unit 'model.classes=[a, b]' model.architecture=vgg16 model.output=x; do
    refuse 1 "$option: a network without weights" "${option%%=*} is for a trained model" "tiny.yaml" -- train -q --data faces.csv --set model.file=tiny.yaml --set "$option" --out never
done
if [ $have_h5 = 0 ]; then
    skip "transfer learning" "this build has no mien-h5"
    finish
fi

short=(-q --threads 1 --set train.epochs=2 --set train.batch_size=16)
train() { "$mien" train --threads 1 --set train.epochs=2 --set train.batch_size=16 "$@" >train.log 2>&1; }
says() { grep -qF -- "$1" train.log || { tail -5 train.log && return 1; }; }
fingerprint() { # RUN NAME…: of the weights of these layers
    local run=$1 start from to name
    shift
    "${mien%/*}/mien-h5" read 3<"$run/best.h5" 4<>weights.bin || return 1
    start=$(($(od -An -tu8 -N8 weights.bin) + 8))
    for name in "$@"; do
        read -r from to < <(head -c $start weights.bin | tail -c +9 | grep -o "$name:0\": *{[^}]*}" | sed 's/.*data_offsets": *\[\([0-9]*\), *\([0-9]*\)\].*/\1 \2/')
        tail -c +$((start + from + 1)) weights.bin | head -c $((to - from)) | sha256sum
    done
    rm -f weights.bin
}
cat >net.yaml <<'YAML'
name: net
layers:
  - conv2d: {name: block1_conv, filters: 4, kernel_size: 3, strides: 2, use_bias: false}
  - batch_normalization: {name: block1_norm}
  - relu
  - conv2d: {name: block2_conv, filters: 8, kernel_size: 3, strides: 2, activation: relu}
  - flatten
  - dense: {name: top, units: classes, activation: softmax}
YAML
check "a model to start from" train --data faces.csv --set model.file=net.yaml --out base
check "few images: --from default is suggested" says "--from default starts from the shipped model"
check "a run from a network names no model" eval '! grep -q started_from base/run.json'

# ---- the head ----
check "--from: a run, its head stays" eval 'train --data faces.csv --from base --out on && says "starting from '\''base/best.h5'\'', with its 7 classes"'
check "run.json names the model" grep -q '"started_from": "base/best.h5"' on/run.json
check "--from is model.file" eval 'train --data faces.csv --set model.file=base --out same && [ "$(fingerprint on top/kernel)" = "$(fingerprint same top/kernel)" ]'
check "fewer classes: the head stays" eval 'train --data faces.csv --drop-classes angry,fear --from base --out less && "$mien" inspect less | grep -q "angry, disgust"'
check "another class: a new head" eval 'train --data faces.csv --set "data.merge={grumpy: [angry, disgust]}" --from base --out new && says "a new head of 6 classes, 5 of which keep its weights" && "$mien" inspect new | grep -q grumpy'
check "a new head's name" eval '"$mien" inspect new | grep -q "^head .*Dense *6"'
check "evaluate with the new classes" "$mien" evaluate --model new --data faces.csv --threads 1 -q
check "model.head: fresh" eval 'train --data faces.csv --set model.head=fresh --from base --out fresh && says "with a new head of 7 classes: angry"'
check "model.head: the number of classes" eval 'train --data faces.csv --set model.head=7 --from base --out seven && says "a new head of 7 classes, 7 of which"'
refuse 1 "model.head: another number" "model.head is 5, but the data 'faces.csv' have 7 classes" "angry" -- train "${short[@]}" --data faces.csv --set model.head=5 --from base --out never

# ---- frozen layers ----
layers=(block1_conv/kernel block1_norm/gamma block1_norm/beta block1_norm/moving_mean block1_norm/moving_variance block2_conv/kernel block2_conv/bias)
check "model.freeze: base" eval 'train --data faces.csv --from base --set model.freeze=base --set optimizer.weight_decay=0.1 --set optimizer.ema=0.9 --out held && says "3 of 4 layers with weights are frozen" && fingerprint base "${layers[@]}" >base.sums && fingerprint held "${layers[@]}" | cmp - base.sums && [ "$(fingerprint base top/kernel)" != "$(fingerprint held top/kernel)" ]'
check "model.freeze: a pattern" eval 'train --data faces.csv --from base --set "model.freeze=[\"block1_*\"]" --out part && [ "$(fingerprint base "${layers[@]:0:5}")" = "$(fingerprint part "${layers[@]:0:5}")" ] && [ "$(fingerprint base block2_conv/kernel)" != "$(fingerprint part block2_conv/kernel)" ]'
trainable() { # RUN: trainable weights
    "$mien" inspect "$1" --json | sed -n 's/.*"trainable": *\([0-9]*\).*/\1/p'
}
check "the file keeps what is frozen" test "$(trainable held)" -lt "$(trainable part)"
check "frozen layers stay frozen" eval 'train --data faces.csv --from held --out still && says "as in the file" && [ "$(trainable still)" = "$(trainable held)" ]'
check "model.freeze: !* trains all" eval 'train --data faces.csv --from held --set "model.freeze=[\"!*\"]" --out thawed && [ "$(trainable thawed)" = "$(trainable base)" ]'
refuse 1 "model.freeze: a name that is not there" "'block1_cnov'" "did you mean 'block1_conv'" "block1_norm, block2_conv, top" -- train "${short[@]}" --data faces.csv --from base --set 'model.freeze=[block1_cnov]' --out never
refuse 1 "model.freeze: nothing is left" "every layer is frozen" -- train "${short[@]}" --data faces.csv --from base --set 'model.freeze=["*"]' --out never

# ---- resume ----
long=(--data faces.csv --from base --set model.head=fresh --set model.freeze=base --set train.epochs=6 --set checkpoint.every_steps=5 --set checkpoint.keep=8)
check "a run with frozen layers" train "${long[@]}" --out whole
cp -r whole cut && rm cut/last.safetensors cut/step-{25,30,35,36}.safetensors # as if stopped at step 20
check "resumed, it ends in the same way" eval '"$mien" train -q --threads 1 --resume cut && fingerprint whole head/kernel head/bias "${layers[@]}" >whole.sums && fingerprint cut head/kernel head/bias "${layers[@]}" | cmp - whole.sums && cmp whole/log.csv cut/log.csv'
refuse 1 "resume: other frozen layers" "model.freeze" "base" -- train -q --threads 1 --resume whole --set 'model.freeze=[]'
refuse 1 "resume: another model" "model.file" "was" -- train -q --threads 1 --resume whole --from new

# ---- the shipped model ----
check "--from default" eval 'train --data faces.csv --from default --out shipped --set train.epochs=1 && says "models/fer2013-small.h5"'
check "recipe folder: few images start from the shipped model" eval 'train folder --data faces.csv --out few --set train.epochs=1 && says "starting from" && says "fer2013-small.h5" && grep -q started_from few/run.json'
check "recipe folder: another input takes the network small" eval 'train folder --data faces.csv --out sized --set train.epochs=1 --set input.height=40 --set input.width=40 && ! grep -q started_from sized/run.json'
check "recipe folder: model.file decides" eval 'train folder --data faces.csv --set model.file=tiny.yaml --out own && ! grep -q started_from own/run.json'

# ---- models of other programs ----
root_keras=$root/tests/golden/keras
gunzip -c "$root_keras/k3_frozen.h5.gz" >foreign.h5
refuse 1 "a foreign model without its scaling" "'foreign.h5' does not say how pixels are scaled" "--preprocess" -- train "${short[@]}" --data faces.csv --from foreign.h5 --out never
refuse 2 "a scaling that does not exist" "--preprocess must be one of" -- train --data faces.csv --from foreign.h5 --preprocess half --out never
check "a foreign model gets a head for the data" eval 'train --data faces.csv --from foreign.h5 --preprocess tf --out foreign && says "with a new head of 7 classes"'
check "its scaling comes along" eval '"$mien" inspect foreign | grep -q "0.00784314"'
finish
