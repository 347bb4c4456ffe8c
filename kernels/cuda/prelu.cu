/* ReLU whose slope for negative inputs is a parameter. */
#include "kernels/body/rectify.h"

#include "kernels/cuda/sheet.cuh"

/* dy NULL: y = prelu(x); else y (+)= dy times the slope at x. */
template <typename T, int V>
static __global__ void prelu_kernel(cuda_tensor y, const T *dy, const T *x, const float *alpha,
                                    body_alpha shape, bool accumulate, size_t rows, position step) {
    const int c0 = sheet_channel<V>();
    if (c0 >= y.c) return;
    position p = position_of(sheet_row(), y.h, y.w);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const size_t at = row * (size_t)y.c + (size_t)c0;
        T *to = (T *)y.data + at;
        float value[V], other[V] = {0}, old[V] = {0};
        load_few<T, V>(value, x + at);
        if (dy) load_few<T, V>(other, dy + at);
        if (accumulate) load_few<T, V>(old, to);
#pragma unroll
        for (int v = 0; v < V; v++) {
            const float slope = alpha[body_alpha_at(shape, p.h, p.w, c0 + v)];
            value[v] =
                dy ? other[v] * body_prelu_slope(value[v], slope) : body_prelu(value[v], slope);
            value[v] = accumulate ? old[v] + value[v] : value[v];
        }
        store_few<T, V>(to, value);
        advance(&p, step, y.h, y.w);
    }
}

static int run(cuda_stream stream, cuda_tensor y, const void *dy, cuda_tensor x, const float *alpha,
               body_alpha shape, bool accumulate) {
    if (count_of(y) == 0) return 0;
    const size_t rows = count_of(y) / (size_t)y.c;
    const bool whole = has_packs(y) && has_packs(x) && is_aligned(dy);
    return with_width(y.number, whole, [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        const sheet s = sheet_of(rows, y.c / V);
        return launch(prelu_kernel<T, V>, s.grid, s.block, stream, y, (const T *)dy,
                      (const T *)x.data, alpha, shape, accumulate, rows, step_of(s, y.h, y.w));
    });
}

int cuda_prelu_forward(cuda_stream stream, cuda_tensor y, cuda_tensor x, const float *alpha,
                       body_alpha shape) {
    return run(stream, y, NULL, x, alpha, shape, false);
}

int cuda_prelu_backward(cuda_stream stream, cuda_tensor dx, cuda_tensor dy, cuda_tensor x,
                        const float *alpha, body_alpha shape, bool accumulate) {
    return run(stream, dx, dy.data, x, alpha, shape, accumulate);
}

/* ---- the gradient of alpha: a block has ACROSS slopes, with DOWN threads for each ---- */

enum {
    ACROSS = 32,
    DOWN = 8,
    PARTS = 64,
    RUN = 64 /* terms per thread before the terms are split into more parts */
};

/* Which elements share a slope: there are `count` slopes, each shared by `share` = n*h*w*c elements
 * of x. */
struct sharing {
    body_alpha shape;
    int h, w, c; /* 1 along axes that alpha has */
    size_t count, share;
};

static sharing sharing_of(cuda_tensor x, body_alpha shape) {
    sharing s;
    s.shape = shape;
    s.h = shape.h > 1 ? 1 : x.h;
    s.w = shape.w > 1 ? 1 : x.w;
    s.c = shape.c > 1 ? 1 : x.c;
    s.count = (size_t)shape.h * (size_t)shape.w * (size_t)shape.c;
    s.share = (size_t)x.n * (size_t)s.h * (size_t)s.w * (size_t)s.c;
    return s;
}

/* The index in x of the j-th element that shares slope a. */
static __device__ size_t term(const sharing &s, cuda_tensor x, size_t a, size_t j) {
    const size_t ac = a % (size_t)s.shape.c, pixel_a = a / (size_t)s.shape.c;
    const size_t c = j % (size_t)s.c, pixel = j / (size_t)s.c;
    const position own = position_of(pixel_a, s.shape.h, s.shape.w),
                   p = position_of(pixel, s.h, s.w);
    const size_t line = (size_t)p.n * (size_t)x.h + (size_t)(own.h + p.h);
    return (line * (size_t)x.w + (size_t)(own.w + p.w)) * (size_t)x.c + ac + c;
}

static __device__ void put_sum(float *dalpha, size_t a, double sum, bool accumulate) {
    dalpha[a] = accumulate ? dalpha[a] + (float)sum : (float)sum;
}

template <typename T>
static __global__ void prelu_sum_kernel(float *dalpha, double *partial, const T *dy, cuda_tensor x,
                                        sharing s, bool accumulate) {
    __shared__ double sums[DOWN][ACROSS];
    const size_t a = (size_t)blockIdx.x * ACROSS + threadIdx.x;
    double sum = 0;
    for (size_t j = (size_t)blockIdx.y * DOWN + threadIdx.y; a < s.count && j < s.share;
         j += (size_t)gridDim.y * DOWN) {
        const size_t at = term(s, x, a, j);
        sum += (double)(load(dy[at]) * body_prelu_share(load(((const T *)x.data)[at])));
    }
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y != 0 || a >= s.count) return;
    for (int i = 1; i < DOWN; i++)
        sum += sums[i][threadIdx.x];
    if (gridDim.y > 1)
        partial[(size_t)blockIdx.y * s.count + a] = sum;
    else
        put_sum(dalpha, a, sum, accumulate);
}

static __global__ void prelu_reduce_kernel(float *dalpha, const double *partial, size_t count,
                                           unsigned parts, bool accumulate) {
    const size_t a = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (a >= count) return;
    double sum = 0;
    for (unsigned p = 0; p < parts; p++)
        sum += partial[(size_t)p * count + a];
    put_sum(dalpha, a, sum, accumulate);
}

int cuda_prelu_filter(cuda_stream stream, float *dalpha, cuda_tensor dy, cuda_tensor x,
                      body_alpha shape, bool accumulate, cuda_workspace buffer) {
    const sharing s = sharing_of(x, shape);
    if (s.count == 0) return 0;
    const size_t fit = CUDA_WORKSPACE_BYTES / sizeof(double) / s.count;
    const unsigned wanted = blocks_for(s.share, DOWN * RUN, PARTS);
    const unsigned parts = fit < wanted ? (unsigned)fit : wanted;
    const dim3 grid((unsigned)((s.count + ACROSS - 1) / ACROSS), parts > 1 ? parts : 1);
    double *partial = (double *)buffer.data;
    TRY(with_number(x.number, [&](auto zero) {
        typedef decltype(zero) T;
        return launch(prelu_sum_kernel<T>, grid, dim3(ACROSS, DOWN), stream, dalpha, partial,
                      (const T *)dy.data, x, s, accumulate);
    }));
    if (grid.y == 1) return 0;
    return launch(prelu_reduce_kernel, blocks_for(s.count, BLOCK), BLOCK, stream, dalpha, partial,
                  s.count, grid.y, accumulate);
}
