# Sourced by day.sh. Training and inference compared with PyTorch on the same GPU, by bench.py; its
# document, with one entry for every task, becomes the part's data.
pytorch() {
    local arguments status=0
    find_data
    # among the results until the part is over, so that a step that is killed does not lose them
    arguments=(--mien "$program" --out "$report-tasks.json" --gpu "$gpu" --driver "$driver" --commit "$commit")
    arguments+=(--budget $(($(left) - 10)) --work "$work")
    [ "$fake" != 1 ] || arguments+=(--fake)
    [ -z "$data" ] || arguments+=(--data "$data")
    # keeps PyTorch's compiled code for the next run
    export TORCHINDUCTOR_CACHE_DIR=${TORCHINDUCTOR_CACHE_DIR:-$PWD/build/inductor}
    MIEN_MODULES=$modules MIEN_LIBRARIES=$cuda_path timeout -k 5 "$(left)" \
        "$peers_python" bench/gpu/bench.py "${arguments[@]}" >"$work/tables" 2>&1 || status=$?
    sed 's/^/# /' "$work/tables"
    [ ! -s "$report-tasks.json" ] || mv "$report-tasks.json" "$work/data.json"
    if [ $status -eq 0 ]; then echo "ok bench"; else echo "not ok bench: exit status $status"; fi
}

memory=$(mktemp -d -p /dev/shm 2>/dev/null) || memory=$work
if command -v "$peers_python" >/dev/null; then
    part "$budget" bench pytorch
else
    part 60 bench echo "ok bench # SKIP there is no $peers_python"
fi
