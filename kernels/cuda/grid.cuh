/* What every .cu stands on: storage types, packs of 16 bytes, the one launch function. Only the
 * subset of CUDA is used that tests/cuda/harness can run on a CPU: static __shared__ arrays,
 * __syncthreads, __shfl_xor_sync and __shfl_down_sync over whole warps, no atomics on floats. */
#ifndef KERNELS_CUDA_GRID_CUH
#define KERNELS_CUDA_GRID_CUH

#include <cuda_runtime.h>

#include "kernels/body/cast.h"
#include "kernels/cuda/launch.h"

enum { WARP = 32, BLOCK = 256 };
static const unsigned ALL_LANES = 0xffffffffu;

/* Numbers as they are stored. */
struct bf16 {
    uint16_t bits;
};
struct f16 {
    uint16_t bits;
};

static inline __host__ __device__ float load(float x) {
    return x;
}
static inline __host__ __device__ float load(bf16 x) {
    return body_from_bf16(x.bits);
}
static inline __host__ __device__ float load(f16 x) {
    return body_from_f16(x.bits);
}
static inline __host__ __device__ void store(float *to, float x) {
    *to = x;
}
static inline __host__ __device__ void store(bf16 *to, float x) {
    to->bits = body_to_bf16(x);
}
static inline __host__ __device__ void store(f16 *to, float x) {
    to->bits = body_to_f16(x);
}

/* 16 bytes of numbers: what one thread reads or writes at a time. */
template <typename T> struct alignas(16) pack {
    enum { N = 16 / sizeof(T) };
    T at[N];
};

/* Calls `work` with the storage type of a tensor as a value of that type:
 *     return with_number(x.number, [&](auto zero) { typedef decltype(zero) T; ... return code; });
 */
template <typename F> static int with_number(int number, F work) {
    switch (number) {
    case CUDA_F32:
        return work(float());
    case CUDA_BF16:
        return work(bf16());
    default:
        return work(f16());
    }
}

static inline size_t count_of(cuda_tensor t) {
    return (size_t)t.n * (size_t)t.h * (size_t)t.w * (size_t)t.c;
}

static inline bool is_aligned(const void *p) {
    return ((uintptr_t)p & 15) == 0;
}

/* Blocks of `size` that cover `work` threads; kernels loop with a grid stride beyond the most. */
static inline unsigned blocks_for(size_t work, unsigned size, unsigned most = 1u << 20) {
    const size_t blocks = (work + size - 1) / size;
    return blocks < most ? (unsigned)blocks : most;
}

/* The only launch: no bare triple brackets. Returns a cudaError_t. */
template <typename... P, typename... A>
static int launch(void (*kernel)(P...), dim3 grid, dim3 block, cuda_stream stream, A... args) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return 0;
    return [&](P... exact) {
        void *list[] = {(void *)&exact...};
        return (int)cudaLaunchKernel(kernel, grid, block, list, 0, stream);
    }(args...);
}

#define TRY(call)                                                                                  \
    do {                                                                                           \
        const int try_code = (call);                                                               \
        if (try_code) return try_code;                                                             \
    } while (0)

/* Sum over a warp in every lane, in one fixed order. */
template <typename T> static __device__ T warp_sum(T x) {
    for (int far = WARP / 2; far > 0; far /= 2)
        x += __shfl_xor_sync(ALL_LANES, x, far);
    return x;
}

#endif
