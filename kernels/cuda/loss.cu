/* Softmax over the channels of every pixel, and the loss. With few classes a thread computes a
 * whole row with the body, on a tile of rows in shared memory. With many, a block works on one row:
 * its threads share the logarithms and exponentials, but the sums still run over the classes in
 * ascending order, so that both ways and the CPU give the same bits. */
#include "kernels/body/softmax_xent.h"

#include "kernels/cuda/grid.cuh"

enum {
    FEW = 32,       /* up to so many classes, a thread computes a row */
    ROWS = 64,      /* of a tile, and threads of its block */
    PITCH = FEW + 1 /* floats from row to row; odd, to avoid bank conflicts */
};

/* One block's contribution to the state. */
struct loss_part {
    double loss;
    uint64_t correct;
};
enum { PARTS = CUDA_WORKSPACE_BYTES / sizeof(loss_part) };

/* Where the loss goes: parts of all blocks, which the last of them adds to the state. */
struct loss_sums {
    body_step *state;
    loss_part *part;
    unsigned *ticket;
};

/* Adds all parts to the state, in an order that depends on their number only. Every thread of the
 * block must call it, thread 0 having written the block's part. */
static __device__ void add_parts(const loss_sums &to, size_t rows) {
    __shared__ loss_part of_thread[BLOCK];
    if (!is_last_block(to.ticket, gridDim.x)) return;
    loss_part sum = {0, 0};
    for (unsigned i = threadIdx.x; i < gridDim.x; i += blockDim.x) {
        sum.loss += to.part[i].loss;
        sum.correct += to.part[i].correct;
    }
    of_thread[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x > 0) return;
    for (unsigned i = 1; i < gridDim.x && i < blockDim.x; i++) { /* the others have zeros */
        sum.loss += of_thread[i].loss;
        sum.correct += of_thread[i].correct;
    }
    body_step_loss(to.state, sum.loss, sum.correct, rows);
}

/* ---- tiles of rows of few classes ---- */

template <typename T>
static __device__ void load_tile(float *tile, const T *from, int rows, int classes) {
    for (int i = (int)threadIdx.x; i < rows * classes; i += ROWS)
        tile[i / classes * PITCH + i % classes] = load(from[i]);
}

template <typename T>
static __device__ void store_tile(T *to, const float *tile, int rows, int classes) {
    for (int i = (int)threadIdx.x; i < rows * classes; i += ROWS)
        store(&to[i], tile[i / classes * PITCH + i % classes]);
}

/* The number of rows of the tile that starts at row `first`. */
static __device__ int rows_of(size_t rows, size_t first) {
    return rows - first < ROWS ? (int)(rows - first) : ROWS;
}

template <typename D, typename T>
static __global__ void softmax_few(D *y, const T *x, size_t rows, int classes) {
    __shared__ float tile[ROWS * PITCH];
    for (size_t first = (size_t)blockIdx.x * ROWS; first < rows;
         first += (size_t)gridDim.x * ROWS) {
        const int mine = rows_of(rows, first);
        const size_t at = first * (size_t)classes;
        float *row = tile + threadIdx.x * PITCH;
        load_tile(tile, x + at, mine, classes);
        __syncthreads();
        if ((int)threadIdx.x < mine) body_softmax(row, row, classes);
        __syncthreads();
        store_tile(y + at, tile, mine, classes);
        __syncthreads();
    }
}

template <typename T>
static __global__ void softmax_backward_few(T *dx, const T *dy, const T *y, size_t rows,
                                            int classes, bool accumulate) {
    __shared__ float slope[ROWS * PITCH], value[ROWS * PITCH], dot[ROWS];
    for (size_t first = (size_t)blockIdx.x * ROWS; first < rows;
         first += (size_t)gridDim.x * ROWS) {
        const int mine = rows_of(rows, first);
        const size_t at = first * (size_t)classes;
        load_tile(slope, dy + at, mine, classes);
        load_tile(value, y + at, mine, classes);
        __syncthreads();
        if ((int)threadIdx.x < mine) {
            const float *d = slope + threadIdx.x * PITCH, *p = value + threadIdx.x * PITCH;
            float sum = 0;
            for (int k = 0; k < classes; k++)
                sum = fmaf(d[k], p[k], sum);
            dot[threadIdx.x] = sum;
        }
        __syncthreads();
        for (int i = (int)threadIdx.x; i < mine * classes; i += ROWS) {
            const int row = i / classes, in = row * PITCH + i % classes;
            const float x = body_softmax_slope(value[in], slope[in], dot[row]);
            store(&dx[at + (size_t)i], (accumulate ? load(dx[at + (size_t)i]) : 0) + x);
        }
        __syncthreads();
    }
}

/* Writes the sums of a block of ROWS threads. */
static __device__ void finish_part(loss_part *to, double loss, unsigned correct) {
    __shared__ double losses[ROWS / WARP];
    __shared__ unsigned hits[ROWS / WARP];
    loss = warp_sum(loss);
    correct = warp_sum(correct);
    if (threadIdx.x % WARP == 0) {
        losses[threadIdx.x / WARP] = loss;
        hits[threadIdx.x / WARP] = correct;
    }
    __syncthreads();
    if (threadIdx.x > 0) return;
    loss_part sum = {0, 0};
    for (int i = 0; i < ROWS / WARP; i++) {
        sum.loss += losses[i];
        sum.correct += hits[i];
    }
    *to = sum;
}

template <typename D, typename T>
static __global__ void xent_few(D *dlogits, const T *logits, const float *targets,
                                const float *class_weight, size_t rows, int classes, int batch,
                                loss_sums to) {
    __shared__ float z[ROWS * PITCH], t[ROWS * PITCH];
    const float inverse_batch = (float)body_loss_scale(to.state) / (float)batch;
    double loss = 0;
    unsigned correct = 0;
    for (size_t first = (size_t)blockIdx.x * ROWS; first < rows;
         first += (size_t)gridDim.x * ROWS) {
        const int mine = rows_of(rows, first);
        const size_t at = first * (size_t)classes;
        load_tile(z, logits + at, mine, classes);
        load_tile(t, targets + at, mine, classes);
        __syncthreads();
        if ((int)threadIdx.x < mine) {
            float *row = z + threadIdx.x * PITCH;
            const float *want = t + threadIdx.x * PITCH;
            correct += body_argmax(row, classes) == body_argmax(want, classes);
            loss += body_softmax_xent(dlogits ? row : NULL, row, want, class_weight, classes,
                                      inverse_batch);
        }
        __syncthreads();
        if (dlogits) store_tile(dlogits + at, z, mine, classes);
        __syncthreads();
    }
    finish_part(&to.part[blockIdx.x], loss, correct);
    add_parts(to, rows);
}

/* ---- a block for a row of many classes ---- */

/* Shared memory through which the threads of a block exchange values. */
struct wide_workspace {
    float a[BLOCK], b[BLOCK];
    int position[BLOCK];
};

/* sum = fma(a(k), b(k), sum) for all k in ascending order, in every thread. */
template <typename A, typename B>
static __device__ float ordered_dot(wide_workspace *buffer, int classes, A a, B b) {
    float sum = 0;
    for (int first = 0; first < classes; first += BLOCK) {
        const int k = first + (int)threadIdx.x;
        buffer->a[threadIdx.x] = k < classes ? a(k) : 0;
        buffer->b[threadIdx.x] = k < classes ? b(k) : 0;
        __syncthreads();
        const int end = min(BLOCK, classes - first);
#pragma unroll 8
        for (int i = 0; i < end; i++)
            sum = fmaf(buffer->a[i], buffer->b[i], sum);
        __syncthreads();
    }
    return sum;
}

/* The largest value, NaN if there is one, in every thread. */
template <typename F>
static __device__ float wide_top(wide_workspace *buffer, int classes, F value) {
    float top = value(0);
    for (int k = (int)threadIdx.x; k < classes; k += BLOCK)
        top = body_softmax_top(top, value(k));
    buffer->a[threadIdx.x] = top;
    __syncthreads();
    for (int i = 0; i < BLOCK; i++)
        top = body_softmax_top(top, buffer->a[i]);
    __syncthreads();
    return top;
}

/* body_argmax of a row, in every thread: the first of the largest values; a NaN counts only at
 * index 0. */
template <typename F>
static __device__ int wide_argmax(wide_workspace *buffer, int classes, F value) {
    int best = 0;
    float most = value(0);
    for (int k = (int)threadIdx.x; k < classes; k += BLOCK)
        if (value(k) > most) {
            most = value(k);
            best = k;
        }
    buffer->a[threadIdx.x] = most;
    buffer->position[threadIdx.x] = best;
    __syncthreads();
    for (int i = 0; i < BLOCK; i++) {
        const float z = buffer->a[i];
        const int position = buffer->position[i];
        if (z > most || (z == most && position < best)) {
            most = z;
            best = position;
        }
    }
    __syncthreads();
    return best;
}

template <typename D, typename T>
static __global__ void softmax_wide(D *y, const T *x, size_t rows, int classes) {
    __shared__ wide_workspace buffer;
    for (size_t i = blockIdx.x; i < rows; i += gridDim.x) {
        const T *from = x + i * (size_t)classes;
        D *to = y + i * (size_t)classes;
        const auto z = [&](int k) { return load(from[k]); };
        const float top = wide_top(&buffer, classes, z);
        const auto power = [&](int k) { return body_softmax_power(z(k), top); };
        const float sum = ordered_dot(&buffer, classes, power, [](int) { return 1.0f; });
        for (int k = (int)threadIdx.x; k < classes; k += BLOCK)
            store(&to[k], power(k) / sum);
    }
}

template <typename T>
static __global__ void softmax_backward_wide(T *dx, const T *dy, const T *y, size_t rows,
                                             int classes, bool accumulate) {
    __shared__ wide_workspace buffer;
    for (size_t i = blockIdx.x; i < rows; i += gridDim.x) {
        const size_t at = i * (size_t)classes;
        const auto d = [&](int k) { return load(dy[at + (size_t)k]); };
        const auto p = [&](int k) { return load(y[at + (size_t)k]); };
        const float dot = ordered_dot(&buffer, classes, d, p);
        for (int k = (int)threadIdx.x; k < classes; k += BLOCK) {
            T *to = &dx[at + (size_t)k];
            store(to, (accumulate ? load(*to) : 0) + body_softmax_slope(p(k), d(k), dot));
        }
    }
}

/* body_softmax_xent with its loops spread over a block. */
template <typename D, typename T>
static __device__ loss_part xent_row(wide_workspace *buffer, D *dz, const T *from,
                                     const float *want, const float *class_weight, int classes,
                                     float inverse_batch) {
    const auto z = [&](int k) { return load(from[k]); };
    const auto t = [&](int k) { return want[k]; };
    const int label = wide_argmax(buffer, classes, t);
    const bool hit = wide_argmax(buffer, classes, z) == label;
    const float top = wide_top(buffer, classes, z);
    const float sum = ordered_dot(
        buffer, classes, [&](int k) { return body_softmax_power(z(k), top); },
        [](int) { return 1.0f; });
    const float dot = ordered_dot(buffer, classes, t, [&](int k) { return z(k) - top; });
    const float log_sum = m_log(sum), weight = class_weight ? class_weight[label] : 1;
    for (int k = (int)threadIdx.x; dz && k < classes; k += BLOCK)
        store(&dz[k], body_xent_slope(z(k), top, log_sum, t(k), weight, inverse_batch));
    const loss_part part = {weight * (log_sum - dot), hit};
    return part;
}

template <typename D, typename T>
static __global__ void xent_wide(D *dlogits, const T *logits, const float *targets,
                                 const float *class_weight, size_t rows, int classes, int batch,
                                 loss_sums to) {
    __shared__ wide_workspace buffer;
    const float inverse_batch = (float)body_loss_scale(to.state) / (float)batch;
    loss_part sum = {0, 0};
    for (size_t i = blockIdx.x; i < rows; i += gridDim.x) {
        const size_t at = i * (size_t)classes;
        const loss_part row = xent_row(&buffer, dlogits ? dlogits + at : NULL, logits + at,
                                       targets + at, class_weight, classes, inverse_batch);
        sum.loss += row.loss;
        sum.correct += row.correct;
    }
    if (threadIdx.x == 0) to.part[blockIdx.x] = sum;
    add_parts(to, rows);
}

/* ---- launchers ---- */

static size_t pixels_of(cuda_tensor t) {
    return (size_t)t.n * (size_t)t.h * (size_t)t.w;
}

int cuda_softmax(cuda_stream stream, cuda_tensor y, cuda_tensor x) {
    const size_t rows = pixels_of(x);
    if (count_of(x) == 0) return 0;
    return with_numbers(y.number, x.number, [&](auto wide, auto zero) {
        typedef decltype(wide) D;
        typedef decltype(zero) T;
        if (x.c <= FEW)
            return launch(softmax_few<D, T>, blocks_for(rows, ROWS), ROWS, stream, (D *)y.data,
                          (const T *)x.data, rows, x.c);
        return launch(softmax_wide<D, T>, blocks_for(rows, 1), BLOCK, stream, (D *)y.data,
                      (const T *)x.data, rows, x.c);
    });
}

int cuda_softmax_backward(cuda_stream stream, cuda_tensor dx, cuda_tensor dy, cuda_tensor y,
                          bool accumulate) {
    const size_t rows = pixels_of(y);
    if (count_of(y) == 0) return 0;
    if (dx.number != y.number || dy.number != y.number) return (int)cudaErrorInvalidValue;
    return with_number(y.number, [&](auto zero) {
        typedef decltype(zero) T;
        if (y.c <= FEW)
            return launch(softmax_backward_few<T>, blocks_for(rows, ROWS), ROWS, stream,
                          (T *)dx.data, (const T *)dy.data, (const T *)y.data, rows, y.c,
                          accumulate);
        return launch(softmax_backward_wide<T>, blocks_for(rows, 1), BLOCK, stream, (T *)dx.data,
                      (const T *)dy.data, (const T *)y.data, rows, y.c, accumulate);
    });
}

int cuda_softmax_xent(cuda_stream stream, cuda_tensor dlogits, cuda_tensor logits,
                      const float *targets, const float *class_weight, int batch, body_step *state,
                      cuda_workspace buffer) {
    const size_t rows = (size_t)logits.n;
    const int classes = logits.c;
    const loss_sums to = {state, (loss_part *)buffer.data, buffer.tickets};
    if (count_of(logits) == 0) return 0;
    const bool few = classes <= FEW;
    const unsigned parts = blocks_for(rows, few ? (unsigned)ROWS : 1u, PARTS);
    const int number = dlogits.data ? dlogits.number : logits.number;
    return with_numbers(logits.number, number, [&](auto wide, auto zero) {
        typedef decltype(wide) T;
        typedef decltype(zero) D;
        return launch(few ? xent_few<D, T> : xent_wide<D, T>, parts,
                      few ? (unsigned)ROWS : (unsigned)BLOCK, stream, (D *)dlogits.data,
                      (const T *)logits.data, targets, class_weight, rows, classes, batch, to);
    });
}
