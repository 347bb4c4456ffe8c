#!/usr/bin/env bash
# The real cuDNN has engines for every graph of the convolutions; no GPU is needed for the query.
set -u
home=${CUDA_HOME:-/usr/local/cuda}
lib=$home/lib64
if [ ! -e "$home/include/cudnn.h" ] || [ ! -e "$lib/libcudnn_graph.so" ]; then
    echo "ok cudnn # SKIP there is no cuDNN in $home"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# runtime-compiled engines need a driver library; the toolkit's stub is enough for the query
ln -s "$lib/stubs/libcuda.so" "$dir/libcuda.so.1"
gcc -std=c11 -D_GNU_SOURCE -I. -isystem "$home/include" tests/gate/cudnn_graphs.c \
    host/backend/names.c -o "$dir/graphs" -L"$lib" -lcudnn_graph -lcudnn || exit 1

# an installation that lacks a part is reported, because cuDNN itself does not
cat >"$dir/whole.c" <<'C'
#include <stdarg.h>
#include <stdio.h>
#include "host/backend/cuda/cuda.h"
mien_status mien_fail(mien_status code, const char *file, int line, const char *format, ...) {
    va_list args;
    (void)file, (void)line;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    return code;
}
int main(void) { return mien_cuda_cudnn_whole() != MIEN_OK; }
C
gcc -std=c11 -D_GNU_SOURCE -I. -isystem "$home/include" "$dir/whole.c" host/backend/cuda/libraries.c \
    -o "$dir/whole" -L"$lib" -lcudnn -ldl || exit 1
loader=$(readelf -l "$dir/whole" | sed -nE 's/.*interpreter: (.*)\]/\1/p')
for part in none ops heuristic engines_precompiled engines_runtime_compiled; do
    mkdir "$dir/$part"
    for file in "$lib"/libcudnn*.so.9; do
        [[ $file = */libcudnn_$part.so.9 ]] || ln -s "$file" "$dir/$part/"
    done
    said=$("$loader" --inhibit-cache --library-path "$dir/$part:$lib/nowhere" "$dir/whole" 2>&1)
    status=$?
    if [ $part = none ] && [ $status = 0 ]; then echo "ok cuDNN as a whole"
    elif [ $part != none ] && [ $status = 1 ] && [[ $said = *"libcudnn_$part.so.9 is missing"* ]]; then
        echo "ok cuDNN without $part"
    else echo "not ok cuDNN without $part: status $status, $said"; fi
done
LD_LIBRARY_PATH=$dir:$lib CUDNN_LOGLEVEL_DBG=0 "$dir/graphs"
