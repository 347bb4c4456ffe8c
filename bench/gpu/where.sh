# Sourced by day.sh. Where a training step spends its time: by layer, measured by the program itself, and by
# kernel with Nsight Compute, next to what each should need. The GPU's clocks are left as they are. What a
# step should need is carry/cost-NETWORK.json or bench/gpu/cost-NETWORK.json, if there is one: an array of
# {pass, kernel, launches, bytes, flops, floor_seconds}.
metrics=gpu__time_duration.sum,dram__bytes_read.sum,dram__bytes_write.sum

cost_of() { # NETWORK
    local file
    for file in "carry/cost-$1.json" "bench/gpu/cost-$1.json"; do
        if [ -f "$file" ]; then echo "$file" && break; fi
    done
}

# Steps are launched without a graph, so that each kernel is in the range of its pass. Several steps are
# profiled, and the last whole one counts. Caches are not flushed between kernels, as in training.
kernels() { # NETWORK BATCH ARGUMENTS...
    local net=$1 batch=$2 cost status=0 arguments
    shift 2
    cost=$(cost_of "$net")
    with_gpu 90 env MIEN_CUDA_GRAPHS=0 "$ncu" --clock-control none --cache-control none --nvtx \
        --nvtx-include "mien@step/" --print-kernel-base function --print-units base --metrics "$metrics" \
        --launch-count 300 --csv \
        "$program" bench train "$@" --device cuda --batch "$batch" --dtype bf16 --seconds 0.01 \
        >"$work/ncu.csv" 2>"$work/said" || status=$?
    arguments=("$work/ncu.csv" --out "$work/data.json")
    [ -z "$cost" ] || arguments+=(--cost "$cost")
    if ! timeout "$(within 30)" "$peers_python" bench/gpu/kernels.py "${arguments[@]}" >"$work/table" 2>&1; then
        rm -f "$work/data.json"
        echo "ncu: exit status $status"
        { cat "$work/said"; grep -v '^"' "$work/ncu.csv"; cat "$work/table"; } | tail -15
        return 1
    fi
    sed 's/^/# /' "$work/table"
    echo "ok kernels $net"
}

batch=1024
if [ "$fake" = 1 ]; then
    batch=4 classic=(sample --size 16) vgg=(sample --size 16) seconds=0.05
else
    classic=(classic) vgg=(vgg) seconds=1
fi
if ncu=$(tool ncu) && command -v "$peers_python" >/dev/null; then
    part 110 "kernels classic" kernels classic $batch "${classic[@]}"
    part 110 "kernels vgg" kernels vgg $batch "${vgg[@]}"
else
    part 60 "kernels" echo "ok kernels # SKIP ncu or Python is not there"
fi
part 60 "layers classic" measure 50 op "${classic[@]}" --batch $batch --dtype bf16 --seconds $seconds
part 60 "layers vgg" measure 50 op "${vgg[@]}" --batch $batch --dtype bf16 --seconds $seconds
