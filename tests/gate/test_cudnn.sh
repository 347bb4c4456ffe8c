#!/usr/bin/env bash
# The real cuDNN knows engines for every graph that convolutions ask for, asked without a GPU.
set -u
home=${CUDA_HOME:-/usr/local/cuda}
lib=$home/lib64
if [ ! -e "$home/include/cudnn.h" ] || [ ! -e "$lib/libcudnn_graph.so" ]; then
    echo "ok cudnn # SKIP there is no cuDNN in $home"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# engines that compile want a driver's library to be there; the toolkit's stub is enough to ask
ln -s "$lib/stubs/libcuda.so" "$dir/libcuda.so.1"
gcc -std=c11 -D_GNU_SOURCE -I. -isystem "$home/include" tests/gate/cudnn_graphs.c \
    host/backend/cuda/dnn_graph.c host/backend/names.c -o "$dir/graphs" -L"$lib" -lcudnn_graph -lcudnn || exit 1
LD_LIBRARY_PATH=$dir:$lib CUDNN_LOGLEVEL_DBG=0 "$dir/graphs"
