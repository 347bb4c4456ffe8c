#include "kernels/cuda/grid.cuh"
#include "tests/cuda/harness_kernels.h"

static __global__ void index_kernel(uint32_t *index, uint32_t *seen) {
    const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
    const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    const unsigned i = block * threads + thread;
    index[i] = i;
    atomicAdd(&seen[i], 1u);
}

int harness_indices(cuda_stream stream, uint32_t *index, uint32_t *seen, const unsigned grid[3],
                    const unsigned block[3]) {
    return launch(index_kernel, dim3(grid[0], grid[1], grid[2]), dim3(block[0], block[1], block[2]),
                  stream, index, seen);
}

static __global__ void reduce_kernel(float *sums, const float *x, bool wait) {
    __shared__ float part[HARNESS_BLOCK];
    const unsigned t = threadIdx.x;
    part[t] = x[blockIdx.x * HARNESS_BLOCK + t];
    if (wait) __syncthreads();
    for (unsigned far = HARNESS_BLOCK / 2; far > 0; far /= 2) {
        if (t < far) part[t] += part[t + far];
        __syncthreads();
    }
    if (t == 0) sums[blockIdx.x] = part[0];
}

int harness_reduce(cuda_stream stream, float *sums, const float *x, int blocks, bool wait) {
    return launch(reduce_kernel, (unsigned)blocks, HARNESS_BLOCK, stream, sums, x, wait);
}

static __global__ void scan_kernel(int *y, const int *x) {
    const unsigned i = blockIdx.x * WARP + threadIdx.x;
    int sum = x[i];
    for (unsigned far = 1; far < WARP; far *= 2) {
        const int before = __shfl_up_sync(ALL_LANES, sum, far);
        if (threadIdx.x >= far) sum += before;
    }
    y[i] = sum;
}

int harness_scan(cuda_stream stream, int *y, const int *x, int warps) {
    return launch(scan_kernel, (unsigned)warps, WARP, stream, y, x);
}

static __global__ void shuffles_kernel(int *y) {
    const int lane = (int)threadIdx.x;
    y[lane] = __shfl_xor_sync(ALL_LANES, lane, 5);
    y[32 + lane] = __shfl_down_sync(ALL_LANES, lane, 3u);
    y[64 + lane] = (int)__shfl_sync(ALL_LANES, (double)lane, 7);
    y[96 + lane] = (int)__shfl_down_sync(ALL_LANES, (unsigned long long)lane, 3u, 8);
    y[128 + lane] = (int)__shfl_xor_sync(ALL_LANES, (float)lane, 9, 8);
    y[160 + lane] = (int)__ballot_sync(ALL_LANES, lane % 3 == 0);
    y[192 + lane] = (int)warp_sum(lane);
}

int harness_shuffles(cuda_stream stream, int *y) {
    return launch(shuffles_kernel, 1, WARP, stream, y);
}

static __global__ void state_kernel(float *y, const float *x, float *shared) {
    __shared__ float left[HARNESS_BLOCK];
    const unsigned t = threadIdx.x, i = blockIdx.x * HARNESS_BLOCK + t;
    shared[i] = left[t];
    __syncthreads();
    left[t] = x[i];
    __syncthreads();
    y[i] = left[t] + 0.0f;
}

int harness_state(cuda_stream stream, float *y, const float *x, float *shared, int blocks) {
    return launch(state_kernel, (unsigned)blocks, HARNESS_BLOCK, stream, y, x, shared);
}

static __global__ void break_kernel(int *y, int misuse) {
    const unsigned t = threadIdx.x;
    if (misuse == LEAVES_BARRIER && t == 5) return;
    if (misuse == DIVERGES && t < 32) __syncthreads();
    if (misuse == SHUFFLES_PART && t % 2) y[t] = __shfl_xor_sync(0xaaaaaaaau, y[t], 2);
    if (misuse == MIXES)
        y[t] = t % 2 ? __shfl_xor_sync(ALL_LANES, 1, 1) : __shfl_down_sync(ALL_LANES, 1, 1u);
    __syncthreads();
    y[t] = 1;
}

int harness_break(cuda_stream stream, int *y, int misuse) {
    return launch(break_kernel, 1, 64, stream, y, misuse);
}

static __global__ void touch_kernel(int *y) {
    y[threadIdx.x] = 1;
}

int harness_touch(cuda_stream stream, int *y) {
    return launch(touch_kernel, 1, 1, stream, y);
}
