#!/usr/bin/env bash
# The GPU half as a user meets it, on the fake GPU: devices, training, scoring, faults and what a
# machine without driver or card says.
. tests/cli/lib.sh
export MIEN_MODULES=${mien%/*}/fake
if [ ! -e "$MIEN_MODULES/mien-cuda.so" ]; then
    fail gpu "there is no fake module in $MIEN_MODULES"
    finish
fi
gpu=(--device cuda)
small=(--set model.file="$root/configs/models/sample.yaml" --set train.epochs=1 --set train.batch_size=256)

check "devices lists the GPU" eval '"$mien" devices >d.log && grep -q "^cuda:0 *yes .*Fake" d.log'
check "devices lists two" eval 'FAKE_CUDA_DEVICES=2 "$mien" devices --json >d.json && grep -q "\"cuda:1\"" d.json'

# no card, no driver, an old one: a clear line, and the CPU where the choice is ours
FAKE_CUDA_DEVICES=0 refuse 1 "no device" "no NVIDIA GPU is visible" -- bench train sample --device cuda
FAKE_CUDA_DRIVER=none refuse 1 "no driver" "no NVIDIA driver" -- bench train sample --device cuda
FAKE_CUDA_DRIVER=old refuse 1 "old driver" "update the driver" -- bench train sample --device cuda
refuse 1 "a GPU that is not there" "no cuda:7" "1 GPU" -- bench train sample --device cuda:7
FAKE_CUDA_CAPABILITY=75 refuse 1 "no bf16 on an old card" "does not compute in bf16" "f16" -- \
    bench train sample --device cuda --dtype bf16
refuse 1 "no bf16 on the CPU" "CPU computes in f32" -- bench train sample --device cpu --dtype bf16
check "auto takes the CPU without a card" eval 'FAKE_CUDA_DEVICES=0 "$mien" bench op sample --device auto --batch 2 --seconds 0.05 >auto.log &&
    grep -q "cpu (" auto.log'
check "auto precision of an old card" eval 'FAKE_CUDA_CAPABILITY=75 "$mien" bench train sample "${gpu[@]}" --batch 4 --seconds 0.05 >old.log &&
    grep -q ", f16" old.log'
for call in cudnnCreate cublasLtCreate cudaStreamCreateWithFlags cudaMalloc:2 cudaMallocHost; do
    FAKE_CUDA_FAIL=$call refuse 1 "$call fails" "failed" -- bench train sample --device cuda --dtype f32
done

if [ "$have_h5" = 0 ]; then
    skip "training on a GPU" "this build has no mien-h5"
    finish
fi
check "train" "$mien" train sample "${gpu[@]}" "${small[@]}" --set train.dtype=f32 --out run -q
check "the run names device and engines" eval 'grep -q "cuda:0" run/run.json && grep -q "engine" run/config.yaml'
check "evaluate on the GPU" eval '"$mien" evaluate --model run "${gpu[@]}" --data sample --json >gpu.json'
check "evaluate on the CPU" eval '"$mien" evaluate --model run --device cpu --data sample --json >cpu.json'
field() { sed -n "s/.*\"$1\": \([0-9.e-]*\).*/\1/p" "$2" | head -1; }
check "both find the same" awk -v a="$(field accuracy gpu.json)" -v b="$(field accuracy cpu.json)" \
    -v c="$(field loss gpu.json)" -v d="$(field loss cpu.json)" 'BEGIN { exit !(a == b && (c - d) ^ 2 < 1e-8 && a > 0) }'

# a fault of the device in the second epoch: status 70, and the weights of the first are there
status=0
FAKE_CUDA_STICKY=cudaGraphLaunch:12 timeout 60 "$mien" train sample "${gpu[@]}" "${small[@]}" \
    --set train.epochs=9 --set train.dtype=f32 --out faulty -q >out.log 2>err.log || status=$?
if [ $status -eq 70 ] && grep -q 'last.h5' err.log && "$mien" inspect faulty/last.h5 >/dev/null; then
    pass "a fault of the device"
else
    fail "a fault of the device" "status $status" "$(tail -2 err.log)"
fi
FAKE_CUDA_STICKY=cudaLaunchKernel:40 refuse 70 "a fault at once" "failed" -- train sample --device cuda "${small[@]}" --out faulty2
FAKE_CUDA_MEMORY=60000000 refuse 1 "no memory for the batch" "batch" -- \
    train sample --device cuda --set train.batch_size=4096 --out never
finish
