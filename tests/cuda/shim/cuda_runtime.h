/* The CUDA C++ that Mien's kernels use, for a C++17 compiler: qualifiers, which mean nothing on a
 * CPU, and device functions, implemented by tests/cuda/harness. */
#ifndef TESTS_CUDA_SHIM_CUDA_RUNTIME_H
#define TESTS_CUDA_SHIM_CUDA_RUNTIME_H

#include <cuda_runtime_api.h>

#include <string.h>

#include <tuple>
#include <type_traits>

#define __host__
#define __device__
#define __global__
#define __constant__    static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
/* One copy is enough, since blocks run one after another. The harness fills it with NaN before a
 * block starts. */
#define __shared__ static

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

#include "tests/cuda/harness/harness.h"

#define threadIdx harness_thread
#define blockIdx  harness_block
#define blockDim  harness_block_size
#define gridDim   harness_grid_size

static inline void __syncthreads() {
    harness_sync_block();
}
static inline void __syncwarp(unsigned mask = 0xffffffffu) {
    harness_collect(mask, HARNESS_SYNC, 0);
}
static inline void __threadfence() {}

/* Exchanges the values of all lanes of the warp; returns that of `lane`. */
template <typename T>
static inline T harness_shuffle(unsigned mask, T value, unsigned lane, int kind) {
    static_assert(std::is_arithmetic<T>::value && sizeof(T) <= 8, "what a shuffle can carry");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    const uint64_t *lanes = harness_collect(mask, kind, bits);
    memcpy(&value, &lanes[lane], sizeof value);
    return value;
}
template <typename T>
static inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
    const unsigned self = harness_lane(), base = self & ~(unsigned)(width - 1);
    return harness_shuffle(mask, value, base + ((unsigned)lane & (unsigned)(width - 1)),
                           HARNESS_SHUFFLE);
}
template <typename T>
static inline T __shfl_xor_sync(unsigned mask, T value, int far, int width = 32) {
    const unsigned self = harness_lane(), other = self ^ (unsigned)far;
    const bool inside = (other & ~(unsigned)(width - 1)) <= (self & ~(unsigned)(width - 1));
    return harness_shuffle(mask, value, inside ? other : self, HARNESS_XOR);
}
template <typename T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned far, int width = 32) {
    const unsigned self = harness_lane(), position = self & (unsigned)(width - 1);
    return harness_shuffle(mask, value, position + far < (unsigned)width ? self + far : self,
                           HARNESS_DOWN);
}
template <typename T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned far, int width = 32) {
    const unsigned self = harness_lane(), position = self & (unsigned)(width - 1);
    return harness_shuffle(mask, value, position >= far ? self - far : self, HARNESS_UP);
}

static inline unsigned __ballot_sync(unsigned mask, int predicate) {
    const uint64_t *lanes = harness_collect(mask, HARNESS_BALLOT, predicate != 0);
    unsigned ballot = 0;
    for (unsigned lane = 0; lane < 32; lane++)
        ballot |= (unsigned)lanes[lane] << lane;
    return ballot;
}
static inline int __any_sync(unsigned mask, int predicate) {
    return __ballot_sync(mask, predicate) != 0;
}
static inline int __all_sync(unsigned mask, int predicate) {
    return __ballot_sync(mask, predicate) == 0xffffffffu;
}

/* Threads of the harness take turns, so a plain sum is atomic. */
template <typename T> static inline T atomicAdd(T *to, T value) {
    static_assert(std::is_integral<T>::value, "sums of floats in any order are not repeatable");
    const T before = *to;
    *to = before + value;
    return before;
}

static inline unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static inline float __uint_as_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static inline int __float_as_int(float x) {
    return (int)__float_as_uint(x);
}
static inline float __int_as_float(int bits) {
    return __uint_as_float((unsigned)bits);
}
static inline int min(int a, int b) {
    return b < a ? b : a;
}
static inline int max(int a, int b) {
    return a < b ? b : a;
}
static inline unsigned min(unsigned a, unsigned b) {
    return b < a ? b : a;
}
static inline unsigned max(unsigned a, unsigned b) {
    return a < b ? b : a;
}

/* A launch as one block of bytes that can be stored and replayed. */
template <typename... P> struct harness_call {
    void (*kernel)(P...);
    dim3 grid, block;
    std::tuple<P...> args;

    static void one_thread(void *context) {
        const harness_call *call = (const harness_call *)context;
        std::apply(call->kernel, call->args);
    }
    static void all(void *context) {
        const harness_call *call = (const harness_call *)context;
        harness_run((const void *)call->kernel, call->grid, call->block, one_thread, context);
    }
};

template <typename P> static inline void harness_check(const void *kernel, int i, const P &value) {
    if constexpr (std::is_pointer<P>::value) harness_check_pointer(kernel, i, (const void *)value);
}

template <typename... P, size_t... I>
static cudaError_t harness_launch(void (*kernel)(P...), dim3 grid, dim3 block, void **args,
                                  size_t shared, cudaStream_t stream, std::index_sequence<I...>) {
    static_assert((std::is_trivially_copyable<P>::value && ...), "arguments are copied as bytes");
    harness_call<P...> call = {kernel, grid, block, std::tuple<P...>(*(P *)args[I]...)};
    (harness_check((const void *)kernel, (int)I, std::get<I>(call.args)), ...);
    return harness_submit((const void *)kernel, grid, block, shared, stream,
                          harness_call<P...>::all, &call, sizeof call);
}

template <typename... P>
static inline cudaError_t cudaLaunchKernel(void (*kernel)(P...), dim3 grid, dim3 block, void **args,
                                           size_t shared, cudaStream_t stream) {
    return harness_launch(kernel, grid, block, args, shared, stream,
                          std::index_sequence_for<P...>());
}

#endif
