#!/usr/bin/env bash
# A network of all layers without a kernel: training, .h5 round trip, conversion to int8, and the fake
# GPU.
. tests/cli/lib.sh

cat >net.yaml <<'YAML'
name: moved
layers:
  - normalization: {mean: 0.2, variance: [0.5]}
  - gaussian_noise: {stddev: 0.1}
  - resizing: {name: small, height: 24, width: 20}
  - conv2d: {name: a, filters: 16, kernel_size: 3, padding: same}
  - prelu: {name: pa, shared_axes: [1, 2]}
  - spatial_dropout2d: {name: sd, rate: 0.1}
  - conv2d: {name: b, inputs: [small], filters: 16, kernel_size: 3, padding: same}
  - leaky_relu: {name: lb, negative_slope: 0.125}
  - average: {name: av, inputs: [sd, lb]}
  - maximum: {name: mx, inputs: [sd, lb, av]}
  - concatenate: {name: cc, inputs: [av, mx, small], axis: 3}
  - zero_padding2d: {padding: [[1, 0], [2, 1]]}
  - cropping2d: {cropping: [[0, 1], 1]}
  - max_pooling2d
  - up_sampling2d: {size: [2, 1], interpolation: bilinear}
  - permute: {dims: [2, 1, 3]}
  - relu: {name: far, max_value: 1e20}
  - relu: {name: six, max_value: 6}
  - average_pooling2d: {pool_size: 4}
  - reshape: {target_shape: [-1]}
  - dense: {name: d1, units: 24}
  - prelu
  - elu: {name: e, alpha: 0.5}
  - dense: {name: d2, units: 24}
  - relu: {name: r, negative_slope: 0.1, threshold: 0.05, max_value: 2.5}
  - concatenate: {name: last, inputs: [e, r]}
  - reshape: {target_shape: [1, 1, 48]}
  - flatten
  - dense: {units: classes}
  - softmax
YAML
faces 140 1 >faces.csv
quick=(--data faces.csv --device cpu --threads 1 --set model.file=net.yaml --set train.batch_size=16)
train() { "$mien" train "${quick[@]}" "$@" >train.log 2>&1; }
loss() { sed -n 's/.*"loss": *\([0-9.e-]*\).*/\1/p' "$1" | head -1; }

if [ $have_h5 = 1 ]; then
    check "train" train --out run --set train.epochs=3 --set optimizer.learning_rate=0.01
    check "it learns" eval 'awk -F, "NR == 2 { first = \$4 } END { exit !(\$4 < first) }" run/log.csv'
    check "inspect" eval '"$mien" inspect run/best.h5 >inspect.log && grep -qE "^pa +PReLU +24x20x16 +16 " inspect.log && grep -qE "^normalization +Normalization +48x48x1 +3 " inspect.log && grep -qE "^six +ReLU" inspect.log'
    check "the file is what was trained" eval '"$mien" evaluate --model run/best.h5 --data faces.csv --split val --device cpu --json >val.json && awk -v a="$(loss val.json)" -v b="$(loss run/metrics.json)" "BEGIN { exit !(a > 0 && (a - b) ^ 2 < 1e-8) }"'
    check "training continues from the file" train --out on --set train.epochs=1 --set model.file=run/best.h5
    config() { "${mien%/*}/mien-h5" read 3<run/best.h5 4<>all.bin && tr -d '\\' <all.bin | grep -aq "$1"; }
    check "leaky_relu in a form that Keras 2 and 3 read" config '"alpha": 0.125'
    check "a limit beyond all integers" config '"name": "far".*"max_value": 1e+20,'
    check "the limit of relu" config '"ReLU", "name": "six".*"max_value": 6, .*"threshold": 0}'
    check "nested pairs" config '"padding": \[\[1, 0\], \[2, 1\]\]'
    check "the axes of prelu" config '"shared_axes": \[1, 2\]'
    check "convert" eval '"$mien" convert run/best.h5 bytes.safetensors --calibrate faces.csv --device cpu --threads 1 && "$mien" evaluate --model bytes.safetensors --data faces.csv --split val --device cpu --json >bytes.json && awk -v a="$(loss bytes.json)" -v b="$(loss val.json)" "BEGIN { exit !(a > 0 && (a - b) ^ 2 < 1e-3) }"'
else
    skip "training" "this build has no mien-h5"
fi

fake=${mien%/*}/fake
if [ -e "$fake/mien-cuda.so" ]; then
    export MIEN_MODULES=$fake
    for dtype in f32 bf16; do
        check "the GPU against the CPU: $dtype" eval '"$mien" parity --model net.yaml --batch 3 --size 48 --threads 1 --dtype $dtype >$dtype.log && grep -q "^every layer is within" $dtype.log'
    done
else
    skip "the fake GPU" "this build has none"
fi
finish
