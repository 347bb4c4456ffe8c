#!/usr/bin/env bash
# make bench-gpu: measures training and inference on this GPU and compares them with PyTorch, in under ten
# minutes. Writes gpu-<gpu>-<commit>.json and prints the tables.
cd "$(dirname "$0")/../.."
. bench/gpu/lib.sh

export MIEN_MODULES=$modules MIEN_LIBRARIES=$cuda_path
arguments=(--mien "$program" --out "$out/gpu-$result.json" --gpu "$gpu" --driver "$driver" --commit "$commit")
arguments+=(--budget "$(left)" --work "$work")
[ "$fake" != 1 ] || arguments+=(--fake)
for data in carry/fer2013.csv carry/fer2013.csv.gz carry/fer2013-folder.tar.xz; do
    if [ -f "$data" ]; then arguments+=(--data "$data") && break; fi
done
# keeps PyTorch's compiled code for the next run
export TORCHINDUCTOR_CACHE_DIR=${TORCHINDUCTOR_CACHE_DIR:-$PWD/build/inductor}
"$peers_python" bench/gpu/bench.py "${arguments[@]}" "$@"
