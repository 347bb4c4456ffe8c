#!/usr/bin/env bash
# A training computes the same weights with any number of threads, beside programs that keep the
# CPUs busy, and when it goes on with another number of threads.
. tests/cli/lib.sh
# our own loops and the library's, layers with and without statistics of the whole batch, a last
# batch and a last slice that are smaller; two parts of a dense layer
cat >own.yaml <<'Y'
layers:
  - conv2d: {filters: 16, kernel_size: 3, strides: 2, activation: relu}
  - conv2d: {filters: 32, kernel_size: 3, activation: relu}
  - max_pooling2d
  - prelu
  - depthwise_conv2d: {kernel_size: 3, padding: same, activation: relu}
  - conv2d: {filters: 24, kernel_size: 1, activation: elu}
  - conv2d_transpose: {filters: 8, kernel_size: 2, strides: 2}
  - conv2d: {filters: 16, kernel_size: 3, strides: 2, activation: relu}
  - flatten
  - dense: {units: 136, activation: relu}
  - dropout: {rate: 0.3}
  - dense: {units: classes, activation: softmax}
Y
cat >norm.yaml <<'Y'
layers:
  - conv2d: {filters: 16, kernel_size: 3, strides: 4, use_bias: false}
  - batch_normalization
  - relu
  - conv2d: {filters: 32, kernel_size: 3, padding: same}
  - batch_normalization
  - relu
  - conv2d: {filters: 20, kernel_size: 1, activation: relu}
  - global_average_pooling2d
  - dense: {units: classes, activation: softmax}
Y
faces 420 1 >faces.csv # 252 to train on
common=(--data faces.csv -q --set train.epochs=2 --set train.batch_size=92 --set optimizer.clip_norm=1 --set augment.mixup=0.2)
train() { # folder, threads, options
    local out=$1 threads=$2
    shift 2
    "$mien" train --out "$out" --threads "$threads" "${common[@]}" "$@"
}
weights() { # the tensors of a checkpoint, without its header
    local header
    header=$(od -An -tu8 -N8 "$1/last.safetensors")
    tail -c +$((header + 9)) "$1/last.safetensors" | sha256sum
}
for net in own norm; do
    check "$net: one thread" train $net-1 1 --set model.file=$net.yaml
    for threads in 2 3 8; do
        check "$net: $threads threads" train $net-$threads $threads --set model.file=$net.yaml
        check "$net: the weights of $threads threads" [ "$(weights $net-$threads)" = "$(weights $net-1)" ]
        check "$net: and its validation" cmp $net-$threads/log.csv $net-1/log.csv
    done
done
check "another micro-batch" train micro 2 --set model.file=own.yaml --set train.micro_batch=48
check "its weights" [ "$(weights micro)" = "$(weights own-1)" ]

spinners=()
for _ in 1 2 3 4; do
    (while :; do :; done) &
    spinners+=($!)
done
check "beside busy programs" train busy 2 --set model.file=own.yaml
kill "${spinners[@]}"
wait "${spinners[@]}" 2>/dev/null
check "its weights" [ "$(weights busy)" = "$(weights own-1)" ]

# --pin gives each thread a CPU, and nothing else does
cpus() { # FLAG…: those of the caller's thread
    local pid
    "$mien" bench train own.yaml --seconds 60 "$@" >bench.log 2>&1 &
    pid=$!
    wait_until eval '[ "$(ls /proc/'$pid'/task | wc -l)" -ge 2 ]'
    sleep 0.2
    sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/$pid/status
    kill $pid
    wait $pid
}
own=$(sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/self/status)
check "threads are not pinned" [ "$(cpus)" = "$own" ]
if [ "$(nproc)" -gt 1 ] && [ -z "${OMP_PROC_BIND:-}${OMP_PLACES:-}${GOMP_CPU_AFFINITY:-}${OMP_NUM_THREADS:-}" ]; then
    check "--pin: one CPU" grep -qx '[0-9]*' <<<"$(cpus --pin --threads "$(nproc)")"
else
    skip "--pin" "one CPU, or OpenMP places its threads"
fi

# stopped with two threads, continued with three
check "a whole training" train whole 1 --set model.file=own.yaml --set train.epochs=12 --set checkpoint.every_steps=1
"$mien" train --out cut --threads 2 "${common[@]}" --set model.file=own.yaml --set train.epochs=12 \
    --set checkpoint.every_steps=1 >cut.log 2>&1 &
wait_until [ -e cut/last.safetensors ]
kill -TERM $!
wait $!
check "it was stopped" [ $? = 75 ]
check "it goes on with three threads" "$mien" train --resume cut --threads 3 -q
check "the same weights" [ "$(weights cut)" = "$(weights whole)" ]
finish
