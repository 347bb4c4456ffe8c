/* Sums over the rows of a sheet, per channel: every thread adds up its rows, every block its
 * threads, and the block that is done last, or a second kernel, the blocks. No float is added
 * atomically and the partition depends on the shape only, so the order, and with it the result, is
 * always the same. */
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

/* out[c] (+)= the sums of all blocks that have these channels, added up by the last of them. Every
 * thread of the block must call it, after block_sums<V, 1>; `tickets`: one for each gridDim.x. */
template <int V>
static __device__ void finish_last(float *out, const float *partial, int c, bool accumulate,
                                   unsigned *tickets) {
    enum { W = V < 4 ? V : 4 }; /* channels of a thread, read in one access */
    __shared__ double shared[BLOCK][W];
    if (!is_last_block(&tickets[blockIdx.x], gridDim.y)) return;
    const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x, across = blockDim.x * (V / W),
                   down = BLOCK / across, first = thread / across;
    const int c0 = (int)(blockIdx.x * blockDim.x) * V + (int)(thread % across) * W;
    double sum[W] = {0};
    for (unsigned p = first; c0 < c && p < gridDim.y; p += down) {
        const few<float, W> part = fetch<float, W>(partial + (size_t)p * (size_t)c + (size_t)c0);
#pragma unroll
        for (int w = 0; w < W; w++)
            sum[w] += (double)part.at[w];
    }
    for (int w = 0; w < W; w++)
        shared[thread][w] = sum[w];
    __syncthreads();
    if (first > 0 || c0 >= c) return;
    for (int w = 0; w < W; w++) {
        for (unsigned i = 1; i < down; i++)
            sum[w] += shared[i * across + thread][w];
        float *to = &out[c0 + w];
        *to = accumulate ? *to + (float)sum[w] : (float)sum[w];
    }
}

#endif
