#!/usr/bin/env bash
# cuDNN 9.19.1 (nvidia-cudnn-cu13 9.19.1.2 from PyPI): an installation that lacks one of its parts is
# not noticed by the heuristics.
#
# Expected: without libcudnn_engines_precompiled.so.9 or libcudnn_heuristic.so.9, asking the heuristics
#   for engines fails, as cuDNN has statuses for it (CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED,
#   CUDNN_STATUS_NOT_SUPPORTED_SUBLIBRARY_UNAVAILABLE).
# Seen: every call returns CUDNN_STATUS_SUCCESS, and mode A names 4 engines instead of 38, all of them
#   compiled at run time. A program that takes the first engine waits for a compiler instead of
#   reporting what is missing.
# The graph is a 3x3 convolution in bf16, asked for an H100 by its description; no GPU is needed.
# Needs: gcc, python3 with venv. Fails if what is printed changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check --no-deps nvidia-cudnn-cu13==9.19.1.2 \
    nvidia-cuda-runtime==13.0.96 nvidia-cuda-nvrtc==13.0.88 nvidia-cublas==13.1.0.3
nvidia=$(echo venv/lib/python3*/site-packages/nvidia)

cat >ask.c <<'C'
#include <cudnn.h>
#include <stdio.h>

static const char h100[] =
    "{\"deviceName\": \"NVIDIA H100 80GB HBM3\", \"deviceVer\": 900, \"driverVer\": 13000, "
    "\"cudaDeviceId\": 0, \"pciDeviceId\": 0, \"isTccDriver\": 0, \"supportCoopLaunch\": 1, "
    "\"multiProcessorCount\": 132, \"warpSize\": 32, \"maxThreadsPerBlock\": 1024, "
    "\"maxThreadsPerSM\": 2048, \"maxCtasPerSM\": 32, \"maxBlockSize\": [1024, 1024, 64], "
    "\"maxGridSize\": [2147483647, 65535, 65535], \"regsPerBlock\": 65536, "
    "\"maxRegistersPerSM\": 65536, \"maxSharedMemoryPerBlock\": 49152, "
    "\"maxSharedMemoryPerBlockOptin\": 232448, \"reservedSharedMemoryPerBlock\": 1024, "
    "\"totalGlobalMem\": 85899345920, \"l2CacheSize\": 52428800, \"smClockRateKHz\": 1980000, "
    "\"memClockRateKHz\": 2619000}";
static cudnnStatus_t worst;

static void seen(cudnnStatus_t status) {
    if (status != CUDNN_STATUS_SUCCESS) worst = status;
}
static cudnnBackendDescriptor_t make(cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t d = NULL;
    seen(cudnnBackendCreateDescriptor(type, &d));
    return d;
}
static void set(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *value) {
    seen(cudnnBackendSetAttribute(d, name, type, count, value));
}
static cudnnBackendDescriptor_t tensor(int64_t id, int64_t n, int64_t c, int64_t h, int64_t w) {
    const int64_t dims[] = {n, c, h, w}, strides[] = {h * w * c, 1, w * c, c}, align = 16;
    const cudnnDataType_t bf16 = CUDNN_DATA_BFLOAT16;
    cudnnBackendDescriptor_t t = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(t, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &bf16);
    set(t, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    set(t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    set(t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    set(t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align);
    seen(cudnnBackendFinalize(t));
    return t;
}
static int compiled(cudnnBackendDescriptor_t config) {
    cudnnBackendDescriptor_t engine = make(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    cudnnBackendBehaviorNote_t notes[16];
    int64_t one, count = 0;
    seen(cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                  1, &one, &engine));
    seen(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                                  16, &count, notes));
    for (int64_t i = 0; i < count; i++)
        if (notes[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) return 1;
    return 0;
}

int main(void) {
    enum { MOST = 64 };
    cudnnBackendDescriptor_t card = make(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR), configs[MOST];
    set(card, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, sizeof h100, h100);
    seen(cudnnBackendFinalize(card));
    cudnnBackendDescriptor_t x = tensor(1, 64, 64, 24, 24), w = tensor(2, 128, 64, 3, 3),
                             y = tensor(3, 64, 128, 24, 24);
    const int64_t two = 2, ones[] = {1, 1};
    const cudnnDataType_t f32 = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const float alpha = 1, beta = 0;
    cudnnBackendDescriptor_t conv = make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(conv, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &two);
    set(conv, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &f32);
    set(conv, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, ones);
    set(conv, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, ones);
    set(conv, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, ones);
    set(conv, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, ones);
    seen(cudnnBackendFinalize(conv));
    cudnnBackendDescriptor_t op = make(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    set(op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x);
    set(op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &w);
    set(op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y);
    set(op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
        &conv);
    set(op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &alpha);
    set(op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &beta);
    seen(cudnnBackendFinalize(op));
    cudnnBackendDescriptor_t graph = make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &op);
    seen(cudnnBackendFinalize(graph));
    cudnnBackendDescriptor_t asked = make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    const cudnnBackendHeurMode_t a = CUDNN_HEUR_MODE_A;
    int64_t count = 0, at_run_time = 0;
    for (int i = 0; i < MOST; i++)
        configs[i] = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    set(asked, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
    set(asked, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &a);
    set(asked, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &card);
    seen(cudnnBackendFinalize(asked));
    seen(cudnnBackendGetAttribute(asked, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                  MOST, &count, configs));
    for (int64_t i = 0; i < count; i++)
        at_run_time += compiled(configs[i]);
    printf("%zu: %s, %d engines, %d of them compiled at run time\n", cudnnGetVersion(),
           cudnnGetErrorString(worst), (int)count, (int)at_run_time);
    return 0;
}
C
# the driver's library must be there to be linked; no function of it is called
grep -aohE '\bcu[A-Z][A-Za-z0-9_]{3,40}\b' "$nvidia"/cudnn/lib/libcudnn_{engines_runtime_compiled,ops,graph}.so.9 | sort -u |
    sed 's/.*/int &(void) { return 999; }/' | gcc -w -shared -fPIC -x c - -o libcuda.so.1
ln -s "$work/$nvidia/cudnn/lib/libcudnn.so.9" libcudnn.so
ln -s "$work/$nvidia/cudnn/lib/libcudnn_graph.so.9" libcudnn_graph.so
gcc -I"$nvidia/cudnn/include" -I"$nvidia/cu13/include" ask.c -o ask -L. -lcudnn_graph -lcudnn \
    -Wl,--allow-shlib-undefined

ask() { LD_LIBRARY_PATH=$work:$work/$nvidia/cudnn/lib:$work/$nvidia/cu13/lib ./ask; }
{
    echo "whole: $(ask)"
    for part in engines_precompiled heuristic; do
        mv "$nvidia/cudnn/lib/libcudnn_$part.so.9" away
        echo "without libcudnn_$part: $(ask)"
        mv away "$nvidia/cudnn/lib/libcudnn_$part.so.9"
    done
} 2>&1 | tee got

diff got - <<'SEEN'
whole: 91901: CUDNN_STATUS_SUCCESS, 38 engines, 0 of them compiled at run time
without libcudnn_engines_precompiled: 91901: CUDNN_STATUS_SUCCESS, 4 engines, 4 of them compiled at run time
without libcudnn_heuristic: 91901: CUDNN_STATUS_SUCCESS, 4 engines, 4 of them compiled at run time
SEEN
