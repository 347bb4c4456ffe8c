#!/usr/bin/env bash
# make bench-gpu: how fast this card trains and predicts, beside PyTorch on the same card; in under ten
# minutes. Writes gpu-<gpu>-<commit>.json; the table goes to stdout.
cd "$(dirname "$0")/../.."
. bench/gpu/lib.sh

export MIEN_MODULES=$modules MIEN_LIBRARIES=$cuda_path
arguments=(--mien "$program" --out "$out/gpu-$result.json" --gpu "$gpu" --driver "$driver" --commit "$commit")
arguments+=(--budget "$(left)" --work "$work")
[ "$fake" != 1 ] || arguments+=(--fake)
for data in carry/fer2013.csv carry/fer2013.csv.gz carry/fer2013-folder.tar.xz; do
    if [ -f "$data" ]; then arguments+=(--data "$data") && break; fi
done
# compiled code of the peers is kept for the next run on this machine
export TORCHINDUCTOR_CACHE_DIR=${TORCHINDUCTOR_CACHE_DIR:-$PWD/build/inductor}
"$peers_python" bench/gpu/bench.py "${arguments[@]}" "$@"
