/* Sums over the rows of a sheet, per channel: every thread adds up its rows, every block its
 * threads, a second kernel the blocks. There are no atomics and the partition depends on the shape
 * only, so the order, and with it the result, is always the same. */
#ifndef KERNELS_CUDA_SUMS_CUH
#define KERNELS_CUDA_SUMS_CUH

#include "kernels/cuda/sheet.cuh"

/* SUM_RUN: rows that a thread adds up before it adds their sum to its total; the float error then
 * grows with the longer of the two sums, not with the number of rows. SUM_BLOCKS: at most three
 * blocks on each of 132 multiprocessors, as many as their registers allow. SUM_AHEAD: rows read
 * ahead; it divides SUM_RUN. */
enum { SUM_RUN = 32, SUM_BLOCKS = 396, SUM_AHEAD = 4 };

/* The workspace holds [blocks][Q][c] floats, then [Q][c] for the results of the second kernel. */
template <int Q>
static sheet sums_sheet(size_t rows, int c, int units, unsigned most = SUM_BLOCKS) {
    const size_t capacity = CUDA_WORKSPACE_BYTES / sizeof(float) / Q / (size_t)c;
    sheet s = sheet_of(rows, units, most);
    if (s.grid.y + 1 > capacity) s.grid.y = capacity > 2 ? (unsigned)capacity - 1 : 1;
    return s;
}

/* Does the workspace hold the sums of c channels at all? */
template <int Q> static bool sums_fit(int c) {
    return (size_t)c * 2 * Q * sizeof(float) <= CUDA_WORKSPACE_BYTES;
}

/* Adds up sum[q][v] over the threads of a block that own the same channels, and writes the results.
 * Every thread of the block must call it; `c0` is its first channel. */
template <int V, int Q>
static __device__ void block_sums(float *partial, const float (&sum)[Q][V], int c0, int c) {
    __shared__ float shared[BLOCK * V];
    const unsigned across = blockDim.x;
    float *mine = shared + (threadIdx.y * across + threadIdx.x) * V;
#pragma unroll
    for (int q = 0; q < Q; q++) {
        for (int v = 0; v < V; v++)
            mine[v] = sum[q][v];
        for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
            __syncthreads();
            if (threadIdx.y < half)
                for (int v = 0; v < V; v++)
                    mine[v] += mine[v + (int)(half * across) * V];
        }
        if (threadIdx.y == 0 && c0 < c)
            for (int v = 0; v < V; v++)
                partial[((size_t)blockIdx.y * Q + (size_t)q) * (size_t)c + (size_t)(c0 + v)] =
                    mine[v];
        __syncthreads();
    }
}

/* A block of the second kernel: 32 channels, times 16 threads that share their partial sums. */
enum { FINISH_ACROSS = 32, FINISH_DOWN = 16 };

static inline dim3 finish_grid(int c) {
    return dim3(((unsigned)c + FINISH_ACROSS - 1) / FINISH_ACROSS);
}
static inline dim3 finish_block() {
    return dim3(FINISH_ACROSS, FINISH_DOWN);
}

/* total[q] of the thread's channel, in double, valid where threadIdx.y is 0. Every thread of the
 * block must call it. */
template <int Q>
static __device__ void finish_sums(double (&total)[Q], const float *partial, unsigned parts,
                                   int c) {
    __shared__ double shared[FINISH_DOWN][FINISH_ACROSS];
    const unsigned at = blockIdx.x * FINISH_ACROSS + threadIdx.x;
    for (int q = 0; q < Q; q++) {
        double sum = 0;
        if (at < (unsigned)c)
            for (unsigned p = threadIdx.y; p < parts; p += FINISH_DOWN)
                sum += (double)partial[((size_t)p * Q + (size_t)q) * (size_t)c + at];
        shared[threadIdx.y][threadIdx.x] = sum;
        __syncthreads();
        total[q] = 0;
        for (int i = 0; threadIdx.y == 0 && i < FINISH_DOWN; i++)
            total[q] += shared[i][threadIdx.x];
        __syncthreads();
    }
}

static __global__ void finish_kernel(float *out, const float *partial, unsigned parts, int c,
                                     bool accumulate) {
    double total[1];
    finish_sums<1>(total, partial, parts, c);
    const unsigned at = blockIdx.x * FINISH_ACROSS + threadIdx.x;
    if (threadIdx.y != 0 || at >= (unsigned)c) return;
    out[at] = accumulate ? out[at] + (float)total[0] : (float)total[0];
}

/* out[c] (+)= sum of the `parts` blocks' sums. */
static inline int finish(cuda_stream stream, float *out, const float *partial, unsigned parts,
                         int c, bool accumulate) {
    return launch(finish_kernel, finish_grid(c), finish_block(), stream, out, partial, parts, c,
                  accumulate);
}

#endif
