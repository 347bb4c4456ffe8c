/* Dense layers of any size: for products that cuBLASLt does not support, and for layers with so few
 * outputs that a matrix product would be followed by small kernels. Everything else of the pass
 * (bias, activation, ReLU mask, gradient of the bias) is part of the same kernel. Sums are in float
 * and in an order that depends on the shape only. */
#include "kernels/body/activation.h"
#include "kernels/cuda/sheet.cuh"

/* SUMS: sums that a thread keeps in registers, one for each lane of its warp. GRID_HIGH: most
 * blocks of a grid in y. */
enum { SUMS = WARP, WARPS = BLOCK / WARP, GRID_HIGH = 65535 };

/* Calls `work` with the number of outputs that a thread handles at a time, as a type. */
template <typename F> static int with_outputs(int outputs, F work) {
    if (outputs <= 8) return work(width<8>());
    if (outputs <= 16) return work(width<16>());
    return work(width<32>());
}

static inline unsigned chunks_of(int size, int chunk) {
    return (unsigned)((size + chunk - 1) / chunk);
}

/* The weights from one input to OUTS outputs; zeros after the last output. */
template <typename T, int OUTS>
static __device__ void load_weights(float (&to)[OUTS], const T *w, int outputs) {
#pragma unroll
    for (int k = 0; k < OUTS; k++)
        to[k] = k < outputs ? load(w[k]) : 0.0f;
}

/* ---- forward ---- */

/* Sum number l over the warp's lanes, in lane l. Each step halves the sums of a lane, so that all
 * SUMS of them take as many exchanges as there are lanes. */
static __device__ float sum_of_lane(float (&sum)[SUMS], int lane) {
#pragma unroll
    for (int far = WARP / 2; far > 0; far /= 2) {
        const bool upper = lane & far;
#pragma unroll
        for (int i = 0; i < far; i++) {
            const float given = upper ? sum[i] : sum[i + far];
            const float kept = upper ? sum[i + far] : sum[i];
            sum[i] = kept + __shfl_xor_sync(ALL_LANES, given, far);
        }
    }
    return sum[0];
}

/* A block computes OUTS outputs of a few rows; its threads share the inputs. */
template <typename Y, typename T, int OUTS>
static __global__ void __launch_bounds__(BLOCK)
    dense_forward_kernel(Y *y, const T *x, const T *w, const T *bias, int rows, int in, int out,
                         int act, float alpha) {
    enum { ROWS = SUMS / OUTS };
    __shared__ float of_warp[WARPS][SUMS];
    const int thread = (int)threadIdx.x, lane = thread % WARP;
    const int row = (int)blockIdx.x * ROWS, first = (int)blockIdx.y * OUTS;
    float sum[SUMS] = {0};
    for (int i = thread; i < in; i += BLOCK) {
        float weight[OUTS];
        load_weights(weight, w + (size_t)i * (size_t)out + (size_t)first, out - first);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const float value =
                row + r < rows ? load(x[(size_t)(row + r) * (size_t)in + (size_t)i]) : 0.0f;
#pragma unroll
            for (int k = 0; k < OUTS; k++)
                sum[r * OUTS + k] = fmaf(value, weight[k], sum[r * OUTS + k]);
        }
    }
    of_warp[thread / WARP][lane] = sum_of_lane(sum, lane);
    __syncthreads();
    const int r = row + thread / OUTS, k = first + thread % OUTS;
    if (thread >= SUMS || r >= rows || k >= out) return;
    float total = bias ? load(bias[k]) : 0.0f;
    for (int warp = 0; warp < WARPS; warp++)
        total += of_warp[warp][thread];
    store(y + (size_t)r * (size_t)out + (size_t)k, body_activate(total, act, alpha));
}

int cuda_dense_forward(cuda_stream stream, cuda_tensor y, cuda_tensor x, const void *w,
                       const void *bias, int act, float alpha) {
    if (count_of(y) == 0) return 0;
    return with_number(x.number, [&](auto zero) {
        typedef decltype(zero) T;
        return with_outputs(y.c, [&](auto wide) {
            enum { OUTS = decltype(wide)::N };
            const dim3 grid(chunks_of(y.n, SUMS / OUTS), chunks_of(y.c, OUTS));
            if (grid.y > GRID_HIGH) return (int)cudaErrorInvalidValue;
            if (y.number == x.number)
                return launch(dense_forward_kernel<T, T, OUTS>, grid, BLOCK, stream, (T *)y.data,
                              (const T *)x.data, (const T *)w, (const T *)bias, y.n, x.c, y.c, act,
                              alpha);
            return launch(dense_forward_kernel<float, T, OUTS>, grid, BLOCK, stream,
                          (float *)y.data, (const T *)x.data, (const T *)w, (const T *)bias, y.n,
                          x.c, y.c, act, alpha);
        });
    });
}

/* ---- gradient of the input ---- */

/* A thread computes one input of DATA_ROWS rows at a time, DATA_OUTS terms of its sums at a time.
 * Its neighbours in the warp have the next inputs and so read the same numbers of dy. */
enum { DATA_ROWS = 4, DATA_OUTS = 8 };

template <typename T>
static __global__ void dense_data_kernel(T *dx, const T *dy, const T *w, const T *relu_mask,
                                         size_t rows, int in, int out, bool accumulate) {
    const int i = sheet_channel<1>();
    if (i >= in) return;
    for (size_t row = sheet_row() * DATA_ROWS; row < rows; row += sheet_step() * DATA_ROWS) {
        const int count = rows - row < DATA_ROWS ? (int)(rows - row) : DATA_ROWS;
        float sum[DATA_ROWS] = {0};
        for (int first = 0; first < out; first += DATA_OUTS) {
            float weight[DATA_OUTS];
            load_weights(weight, w + (size_t)i * (size_t)out + (size_t)first, out - first);
            const T *from = dy + row * (size_t)out + (size_t)first;
#pragma unroll
            for (int r = 0; r < DATA_ROWS; r++)
#pragma unroll
                for (int k = 0; k < DATA_OUTS; k++)
                    if (r < count && first + k < out)
                        sum[r] = fmaf(load(from[(size_t)r * (size_t)out + (size_t)k]), weight[k],
                                      sum[r]);
        }
#pragma unroll
        for (int r = 0; r < DATA_ROWS; r++) {
            const size_t here = (row + (size_t)r) * (size_t)in + (size_t)i;
            if (r >= count) continue;
            const float value = sum[r] + (accumulate ? load(dx[here]) : 0.0f);
            store(dx + here, relu_mask && !(load(relu_mask[here]) > 0) ? 0.0f : value);
        }
    }
}

int cuda_dense_data(cuda_stream stream, cuda_tensor dx, cuda_tensor dy, const void *w,
                    const void *relu_mask, bool accumulate) {
    if (count_of(dx) == 0) return 0;
    const sheet s = sheet_of(chunks_of(dx.n, DATA_ROWS), dx.c);
    return with_number(dx.number, [&](auto zero) {
        typedef decltype(zero) T;
        return launch(dense_data_kernel<T>, s.grid, s.block, stream, (T *)dx.data,
                      (const T *)dy.data, (const T *)w, (const T *)relu_mask, (size_t)dx.n, dx.c,
                      dy.c, accumulate);
    });
}

/* ---- gradient of weights and bias ----
 * The bias is the weight of an input that is always 1 and comes after the others. A block computes
 * the weights from WARP inputs to OUTS outputs; its rows of threads share the rows of the batch.
 * Large batches are split into parts, which a second kernel adds. */

enum { DOWN = BLOCK / WARP, FILTER_BLOCKS = 1056, PARTS = 64, PART_ROWS = 256 };

/* Where a gradient goes: [part][in][out] and [part][out], `size` numbers from part to part. */
struct dense_gradient {
    float *dw, *db; /* db NULL: skip */
    size_t size;
};

template <typename T, int OUTS>
static __global__ void __launch_bounds__(BLOCK)
    dense_filter_kernel(dense_gradient to, const T *dy, const T *x, size_t rows, int in, int out,
                        bool accumulate) {
    __shared__ float of_row[DOWN][OUTS][WARP];
    const int i = (int)(blockIdx.x * WARP + threadIdx.x), first = (int)blockIdx.y * OUTS;
    const size_t step = (size_t)gridDim.z * DOWN;
    float sum[OUTS] = {0};
    for (size_t row = (size_t)blockIdx.z * DOWN + threadIdx.y; i <= in && row < rows; row += step) {
        const float value = i < in ? load(x[row * (size_t)in + (size_t)i]) : 1.0f;
        const T *from = dy + row * (size_t)out + (size_t)first;
#pragma unroll
        for (int k = 0; k < OUTS; k++)
            if (first + k < out) sum[k] = fmaf(value, load(from[k]), sum[k]);
    }
#pragma unroll
    for (int k = 0; k < OUTS; k++)
        of_row[threadIdx.y][k][threadIdx.x] = sum[k];
    __syncthreads();
    if (i > in || (i == in && !to.db)) return;
    float *at = (i < in ? to.dw + (size_t)i * (size_t)out : to.db) + (size_t)blockIdx.z * to.size;
    for (int k = (int)threadIdx.y; k < OUTS && first + k < out; k += DOWN) {
        float total = 0;
        for (int down = 0; down < DOWN; down++)
            total += of_row[down][k][threadIdx.x];
        at[first + k] = accumulate ? at[first + k] + total : total;
    }
}

/* Adds the parts; `weights`: numbers of dw, which come first in a part. */
static __global__ void dense_filter_reduce_kernel(dense_gradient to, const float *parts, int count,
                                                  size_t weights, bool accumulate) {
    const size_t stride = (size_t)gridDim.x * BLOCK;
    for (size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x; i < to.size; i += stride) {
        float *at = i < weights ? to.dw + i : to.db + (i - weights);
        float sum = accumulate ? *at : 0.0f;
        for (int part = 0; part < count; part++)
            sum += parts[(size_t)part * to.size + i];
        *at = sum;
    }
}

/* The number of parts; 1: the first kernel writes the gradient itself. */
static unsigned parts_of(size_t rows, size_t blocks, size_t size) {
    const size_t capacity = CUDA_WORKSPACE_BYTES / sizeof(float) / size;
    size_t parts = (FILTER_BLOCKS + blocks - 1) / blocks;
    if (parts > PARTS) parts = PARTS;
    if (parts > (rows + PART_ROWS - 1) / PART_ROWS) parts = (rows + PART_ROWS - 1) / PART_ROWS;
    if (parts > capacity) parts = capacity;
    return parts > 1 ? (unsigned)parts : 1;
}

int cuda_dense_filter(cuda_stream stream, float *dw, float *db, cuda_tensor dy, cuda_tensor x,
                      bool accumulate, cuda_workspace buffer) {
    if (count_of(dy) == 0) return 0;
    const int inputs = x.c + (db ? 1 : 0), in = x.c, out = dy.c;
    const size_t weights = (size_t)in * (size_t)out, size = (size_t)inputs * (size_t)out;
    float *const partial = (float *)buffer.data;
    const dense_gradient to = {dw, db, size};
    return with_outputs(out, [&](auto wide) {
        enum { OUTS = decltype(wide)::N };
        dim3 grid(chunks_of(inputs, WARP), chunks_of(out, OUTS));
        if (grid.y > GRID_HIGH) return (int)cudaErrorInvalidValue;
        const unsigned parts = grid.z =
            parts_of((size_t)dy.n, (size_t)grid.x * (size_t)grid.y, size);
        const dense_gradient part = {partial, db ? partial + weights : NULL, size};
        TRY(with_number(dy.number, [&](auto zero) {
            typedef decltype(zero) T;
            return launch(dense_filter_kernel<T, OUTS>, grid, dim3(WARP, DOWN), stream,
                          parts > 1 ? part : to, (const T *)dy.data, (const T *)x.data,
                          (size_t)dy.n, in, out, parts == 1 && accumulate);
        }));
        if (parts == 1) return 0;
        return launch(dense_filter_reduce_kernel, blocks_for(size, BLOCK), BLOCK, stream, to,
                      (const float *)partial, (int)parts, weights, accumulate);
    });
}
