#!/usr/bin/env bash
# mien parity from the command line, with the fake GPU where this build has it.
. tests/cli/lib.sh

fake=${mien%/*}/fake
parity() { "$mien" parity --threads 1 "$@" 2>err.log; }
has() { # FILE PATTERN…: a file with a line for every pattern
    local file=$1 pattern
    shift
    for pattern in "$@"; do grep -qEe "$pattern" "$file" || { echo "no $pattern" && return 1; }; done
}
# layers of every kind, a sum of two branches, and two layers fused into others
cat >net.yaml <<'YAML'
name: net
layers:
  - conv2d: {filters: 8, kernel_size: 3, activation: relu}
  - max_pooling2d
  - dropout: {rate: 0.25}
  - batch_normalization: {name: before}
  - conv2d: {filters: 8, kernel_size: 3, padding: same, use_bias: false}
  - batch_normalization: {name: after}
  - add: {inputs: [after, before]}
  - activation: {activation: relu}
  - average_pooling2d
  - flatten
  - dense: {units: 33, activation: tanh}
  - dropout: {rate: 0.5}
  - dense: {units: classes, activation: softmax}
YAML
cat >large.yaml <<'YAML'
name: large
layers:
  - conv2d: {filters: 4, kernel_size: 3}
  - rescaling: {scale: 1000000}
  - flatten
  - dense: {units: classes, activation: softmax}
YAML
net=(--model net.yaml --batch 3 --size 17)

check "help" eval '"$mien" parity --help >help.log && has help.log --model --data --dtype --batch --size --device --json examples:'
check "the CPU with itself" eval 'parity "${net[@]}" --device cpu >cpu.log && has cpu.log "^net.yaml, batch 3: cpu .* against cpu" "every layer is within"'
faces 70 1 >good.csv
check "images of a file" eval 'parity --model net.yaml --device cpu --data good.csv --size 48 --batch 5 >data.log && has data.log "batch 5:"'
check "fewer images than asked for" eval 'parity --model net.yaml --device cpu --data good.csv --size 48 --batch 100 >few.log && has few.log "batch 70:"'
if [ $have_h5 = 1 ]; then
    tiny_network >tiny.yaml
    "$mien" train --data good.csv "${quick[@]}" --out run >/dev/null 2>&1
    check "a run directory" eval 'parity --model run --device cpu --batch 2 >run.log && has run.log "^run, batch 2"'
else
    skip "a run directory" "this build has no mien-h5"
fi

export MIEN_MODULES=$work
mkdir bare && cp "$mien" bare/ # a program without a module next to it
mien=$PWD/bare/mien refuse 1 "no GPU module" "mien-cuda.so" "--device cpu" -- parity "${net[@]}"
if [ -e "$fake/mien-cuda.so" ]; then
    export MIEN_MODULES=$fake
    for dtype in f32 tf32 bf16 f16; do
        check "$dtype" eval 'parity "${net[@]}" --dtype $dtype >$dtype.log && has $dtype.log "^net.yaml, batch 3: cuda:0 .*, $dtype" "^  conv2d .*Conv2D +15x15x8 +value .* ok$" \
            "^  conv2d_1 .* input gradient .* ok$" "^  conv2d_1 .* weight gradient .* ok$" "^  after .* input gradient .* ok$" "^  dense_1 +Dense +7 +value" "^  loss .* ok$" && ! grep FAIL $dtype.log'
    done
    check "--json" eval 'parity "${net[@]}" --json >net.json && has net.json "\"schema\": 1," "\"ok\": true" "\"name\": \"after\"" "\"weight_gradient\"" "\"dtype\": \"f32\""'
    if command -v python3 >/dev/null; then check "JSON" python3 -m json.tool net.json; else skip "JSON" "no python3"; fi
    for act in leaky_relu tanh; do
        sed "s/activation: softmax/activation: $act/" large.yaml | sed '/rescaling/d' >logits.yaml
        echo '  - softmax' >>logits.yaml
        for dtype in bf16 f16; do
            check "$act before the softmax, $dtype" eval 'parity --model logits.yaml --size 9 --batch 5 --dtype $dtype >logits.log; has logits.log "^every layer is within"'
        done
    done
    sed 's/1000000/0.0001/; s/activation: softmax}/name: fine}/' large.yaml >fine.yaml
    echo '  - softmax' >>fine.yaml
    check "numbers below f16" eval 'parity --model fine.yaml --size 9 --batch 2 --dtype f16 >fine.log && has fine.log "^  rescaling .* value .* ok$"'
    check "numbers beyond f16" eval 'parity --model large.yaml --size 9 --batch 2 --dtype f16 >large.log; [ $? -eq 1 ] && has large.log "^  rescaling .* value .* FAIL$" "^  conv2d .* value .* ok$" "exceeds its bound" && [ ! -s err.log ]'
    check "the same in bf16" eval 'parity --model large.yaml --size 9 --batch 2 --dtype bf16 >large.log'
    export FAKE_CUDA_DEVICES=0
    refuse 1 "no GPU" "GPU" -- parity "${net[@]}"
    unset FAKE_CUDA_DEVICES
    export FAKE_CUDA_FAIL=cublasLtMatmul:2
    refuse 70 "a fault of the device" "cuBLASLt" -- parity "${net[@]}"
    unset FAKE_CUDA_FAIL
    refuse 1 "a GPU that is not there" "cuda:1" -- parity "${net[@]}" --device cuda:1
else
    skip "the fake GPU" "this build has none"
fi

refuse 2 "no model" "--model" -- parity
refuse 2 "unknown dtype" "'f31'" "did you mean 'f32'" -- parity "${net[@]}" --dtype f31
refuse 2 "batch of none" "--batch" "'0'" -- parity --model net.yaml --batch 0
refuse 2 "no side" "--size" "'0'" -- parity --model net.yaml --size 0
refuse 2 "an argument" "'x'" -- parity x "${net[@]}"
refuse 1 "no such model" "'absent.h5'" -- parity --model absent.h5 --device cpu
refuse 1 "no such network" "'absent'" -- parity --model absent --device cpu
refuse 1 "no such data" "'absent.csv'" -- parity --model net.yaml --device cpu --data absent.csv
finish
