/* The base of every .cu file: storage types, packs of 16 bytes, the launch function. The kernels
 * use only the subset of CUDA that tests/cuda/harness can emulate on a CPU: static __shared__
 * arrays, __syncthreads, __shfl_xor_sync and __shfl_down_sync over whole warps, atomic sums of
 * integers. */
#ifndef KERNELS_CUDA_GRID_CUH
#define KERNELS_CUDA_GRID_CUH

#include <cuda_runtime.h>

#include "kernels/body/cast.h"
#include "kernels/cuda/launch.h"

enum { WARP = 32, BLOCK = 256 };
static const unsigned ALL_LANES = 0xffffffffu;

/* Storage types. */
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

/* 16 bytes of numbers: one memory access of a thread. */
template <typename T> struct alignas(16) pack {
    enum { N = 16 / sizeof(T) };
    T at[N];
};

/* Calls `work` with a value of the tensor's storage type:
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

/* The same for two tensors that are stored alike, or of which the first is stored in floats, as
 * logits are. No other pair occurs in a run, and every pair is one more kernel to compile. */
template <typename F> static int with_numbers(int wide, int number, F work) {
    return with_number(number, [&](auto zero) {
        if (wide == number) return work(zero, zero);
        return wide == CUDA_F32 ? work(float(), zero) : (int)cudaErrorInvalidValue;
    });
}

static inline size_t count_of(cuda_tensor t) {
    return (size_t)t.n * (size_t)t.h * (size_t)t.w * (size_t)t.c;
}

static inline bool is_aligned(const void *p) {
    return ((uintptr_t)p & 15) == 0;
}

/* The number of blocks of `size` threads for `work` threads, at most `most`: kernels loop with a
 * grid stride. */
static inline unsigned blocks_for(size_t work, unsigned size, unsigned most = 1u << 20) {
    const size_t blocks = (work + size - 1) / size;
    return blocks < most ? (unsigned)blocks : most;
}

/* Launches a kernel; used everywhere instead of triple angle brackets. Returns a cudaError_t. */
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

/* The sum over a warp, in every lane, in a fixed order. */
template <typename T> static __device__ T warp_sum(T x) {
    for (int far = WARP / 2; far > 0; far /= 2)
        x += __shfl_xor_sync(ALL_LANES, x, far);
    return x;
}

/* Whether this block is the last of `blocks` that call it with this ticket: it then sees what the
 * others wrote to global memory before. Every thread of the block must call it. */
static __device__ inline bool is_last_block(unsigned *ticket, unsigned blocks) {
    __shared__ bool last[1];
    __threadfence(); /* the thread's own writes come before the ticket */
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) {
        last[0] = atomicAdd(ticket, 1u) == blocks - 1;
        if (last[0]) *ticket = 0; /* for the next kernel */
        __threadfence();
    }
    __syncthreads();
    return last[0];
}

#endif
