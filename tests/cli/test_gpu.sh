#!/usr/bin/env bash
# GPU support from a user's view, on the fake GPU: devices, training, evaluation, faults, and messages
# on machines without driver or GPU.
. tests/cli/lib.sh
export MIEN_MODULES=${mien%/*}/fake
if [ ! -e "$MIEN_MODULES/mien-cuda.so" ]; then
    fail gpu "there is no fake module in $MIEN_MODULES"
    finish
fi
gpu=(--device cuda)
# few images, since the fake GPU computes in plain loops
awk 'BEGIN { srand(7); print "emotion,pixels,Usage"
    for (i = 0; i < 40; i++) {
        line = i % 4 ","
        for (k = 0; k < 2304; k++) line = line (k ? " " : "") int(64 * (i % 4) + 60 * rand())
        print line "," (i < 24 ? "Training" : i < 32 ? "PublicTest" : "PrivateTest") } }' >faces.csv
cat >tiny.yaml <<'Y'
layers:
  - conv2d: {filters: 8, kernel_size: 3, strides: 2, activation: relu}
  - conv2d: {filters: 8, kernel_size: 3, padding: same, activation: relu}
  - max_pooling2d: {pool_size: 4}
  - dropout: {rate: 0.1}
  - flatten
  - dense: {units: classes, activation: softmax}
Y
cat >tiny-train.yaml <<'Y'
model: {file: tiny.yaml}
data: {sources: [faces.csv], split: {by: usage}}
train: {epochs: 1, batch_size: 8, dtype: f32}
Y
export XDG_CACHE_HOME=$work/cache

check "devices lists the GPU" eval '"$mien" devices >d.log && grep -q "^cuda:0 *yes .*Fake" d.log'
check "devices lists two" eval 'FAKE_CUDA_DEVICES=2 "$mien" devices --json >d.json && grep -q "\"cuda:1\"" d.json'

# no GPU, no driver, an old driver: a clear message, or the CPU with --device auto
FAKE_CUDA_DEVICES=0 refuse 1 "no device" "no NVIDIA GPU is visible" -- bench train tiny.yaml --device cuda
FAKE_CUDA_DRIVER=none refuse 1 "no driver" "no NVIDIA driver" -- bench train tiny.yaml --device cuda
FAKE_CUDA_DRIVER=old refuse 1 "old driver" "update the driver" -- bench train tiny.yaml --device cuda
refuse 1 "a GPU that is not there" "no cuda:7" "1 GPU" -- bench train tiny.yaml --device cuda:7
FAKE_CUDA_CAPABILITY=75 refuse 1 "no bf16 on an old card" "does not support bf16" "f16" -- \
    bench train tiny.yaml --device cuda --dtype bf16
refuse 1 "no bf16 on the CPU" "CPU computes in f32" -- bench train tiny.yaml --device cpu --dtype bf16
FAKE_CUDA_CAPABILITY=75 FAKE_CUDA_FAIL=cudaFuncGetAttributes refuse 1 "a module for other cards" \
    "no kernel image" "make CUDA_ARCHS=75" -- bench train tiny.yaml --device cuda
check "auto takes the CPU where the module is for other cards" eval 'FAKE_CUDA_FAIL=cudaFuncGetAttributes \
    "$mien" bench op tiny.yaml --device auto --batch 2 --seconds 0.05 >auto.log && grep -q "cpu (" auto.log'
check "auto takes the CPU without a card" eval 'FAKE_CUDA_DEVICES=0 "$mien" bench op tiny.yaml --device auto --batch 2 --seconds 0.05 >auto.log &&
    grep -q "cpu (" auto.log'
check "auto precision of an old card" eval 'FAKE_CUDA_CAPABILITY=75 "$mien" bench train tiny.yaml "${gpu[@]}" --batch 4 --seconds 0.05 >old.log &&
    grep -q ", f16" old.log'
for call in cudnnCreate cublasLtCreate cudaStreamCreateWithFlags cudaMallocHost; do
    FAKE_CUDA_FAIL=$call refuse 1 "$call fails" "failed" -- bench train tiny.yaml --device cuda --dtype f32
done
FAKE_CUDA_FAIL=cudaMalloc:2 refuse 1 "cudaMalloc fails" "no memory for" -- bench train tiny.yaml --device cuda

if [ "$have_h5" = 0 ]; then
    skip "training on a GPU" "this build has no mien-h5"
    finish
fi
check "train" "$mien" train tiny-train.yaml "${gpu[@]}" --set train.epochs=3 --out run -q
check "the run names device and engines" eval 'grep -q "cuda:0" run/run.json && grep -q "engine" run/config.yaml'
check "evaluate on the GPU" eval '"$mien" evaluate --model run "${gpu[@]}" --data faces.csv --json >gpu.json'
check "evaluate on the CPU" eval '"$mien" evaluate --model run --device cpu --data faces.csv --json >cpu.json'
field() { sed -n "s/.*\"$1\": \([0-9.e-]*\).*/\1/p" "$2" | head -1; }
check "both find the same" awk -v a="$(field accuracy gpu.json)" -v b="$(field accuracy cpu.json)" \
    -v c="$(field loss gpu.json)" -v d="$(field loss cpu.json)" 'BEGIN { exit !(a == b && (c - d) ^ 2 < 1e-8 && a > 0) }'

# a streamed set, whatever the order in which upload and computation run concurrently
stream() { # STREAMS OUT
    FAKE_CUDA_STREAMS=$1 "$mien" train tiny-train.yaml "${gpu[@]}" --set train.epochs=3 --set data.memory=stream --out "$2" -q
}
check "stream" stream now streamed
check "a streamed set is a resident one" cmp <(cut -d, -f 1-6 run/log.csv) <(cut -d, -f 1-6 streamed/log.csv)
for streams in late late,now now,late; do
    check "stream with streams that run $streams" stream $streams "$streams"
    check "$streams computes the same" cmp <(cut -d, -f 1-6 streamed/log.csv) <(cut -d, -f 1-6 $streams/log.csv)
done

# a device fault in the second epoch: status 70, and a checkpoint of the first epoch is left
status=0
FAKE_CUDA_STICKY=cudaGraphLaunch:5 timeout 60 "$mien" train tiny-train.yaml "${gpu[@]}" \
    --set train.epochs=9 --set checkpoint.every_steps=1 --out faulty -q >out.log 2>err.log || status=$?
if [ $status -eq 70 ] && grep -q 'is saved in last.safetensors' err.log && "$mien" inspect faulty/last.safetensors >/dev/null; then
    pass "a fault of the device"
else
    fail "a fault of the device" "status $status" "$(tail -2 err.log)"
fi
FAKE_CUDA_STICKY=cudaLaunchKernel:10 refuse 70 "a fault at once" "failed" -- train tiny-train.yaml --device cuda -q --out faulty2
# two GPUs with different memory: a network that fits only one of them
two() { FAKE_CUDA_DEVICES=2 FAKE_CUDA_MEMORY=1000000000,45000000 "$mien" bench train tiny.yaml --batch 8 --seconds 0.05 --device "$1"; }
check "the first of two GPUs" two cuda:0
check "the other of two GPUs is too small" eval '! two cuda:1 >two.log 2>&1 && grep -q "MiB are free" two.log'
FAKE_CUDA_MEMORY=8000000000 refuse 1 "more memory than the card has" "needs about 15 GB" "has 8 GB" -- \
    bench train vgg --device cuda --batch 4096
FAKE_CUDA_MEMORY=60000000 refuse 1 "no memory for the batch" "batch" -- \
    bench train classic --device cuda --batch 1024
finish
