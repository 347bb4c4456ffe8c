/* Batch normalisation as in kernels/cpu/batchnorm.c: statistics are taken around an estimate of
 * each channel's mean, in float over short runs and in double at the end; backward recomputes the
 * ReLU mask instead of reading y, unless a residual was added. */
#include "kernels/body/activation.h"

#include "kernels/cuda/batchnorm.cuh"

/* ---- forward ---- */

/* An estimate of a channel's mean from a few samples: around it the squares stay small. */
template <typename T>
static __device__ float centre_of(const T *x, size_t rows, int c, int channel) {
    enum { SAMPLES = 4 };
    float sum = 0;
#pragma unroll
    for (int j = 0; j < SAMPLES; j++)
        sum += load(x[rows * (size_t)(2 * j + 1) / (2 * SAMPLES) * (size_t)c + (size_t)channel]) *
               (1.0f / SAMPLES);
    return sum;
}

template <typename T, int V>
static __global__ void batchnorm_statistics_kernel(float *partial, const T *x, size_t rows, int c) {
    const int c0 = sheet_channel<V>();
    const size_t step = sheet_step();
    float total[2][V] = {{0}}, centre[V];
#pragma unroll
    for (int v = 0; v < V; v++)
        centre[v] = c0 < c ? centre_of(x, rows, c, c0 + v) : 0;
    for (size_t row = sheet_row(); c0 < c && row < rows;) {
        float sum[2][V] = {{0}};
        for (int i = 0; i < SUM_RUN && row < rows; i += SUM_AHEAD, row += SUM_AHEAD * step) {
            few<T, V> value[SUM_AHEAD];
#pragma unroll
            for (size_t a = 0; a < SUM_AHEAD; a++)
                if (row + a * step < rows)
                    value[a] = fetch<T, V>(x + (row + a * step) * (size_t)c + (size_t)c0);
#pragma unroll
            for (size_t a = 0; a < SUM_AHEAD; a++) {
                if (row + a * step >= rows) break;
#pragma unroll
                for (int v = 0; v < V; v++) {
                    const float centred = load(value[a].at[v]) - centre[v];
                    sum[0][v] += centred;
                    sum[1][v] = fmaf(centred, centred, sum[1][v]);
                }
            }
        }
#pragma unroll
        for (int v = 0; v < V; v++) {
            total[0][v] += sum[0][v];
            total[1][v] += sum[1][v];
        }
    }
    block_sums<V, 2>(partial, total, c0, c);
}

template <typename T>
static __global__ void batchnorm_statistics_reduce_kernel(cuda_batchnorm b, const float *partial,
                                                          unsigned parts, const T *x, size_t rows,
                                                          int c) {
    double total[2];
    finish_sums<2>(total, partial, parts, c);
    const int k = (int)(blockIdx.x * FINISH_ACROSS + threadIdx.x);
    if (threadIdx.y != 0 || k >= c) return;
    const double shift = total[0] / (double)rows;
    const float m = (float)((double)centre_of(x, rows, c, k) + shift);
    const float v = (float)(total[1] / (double)rows - shift * shift);
    b.mean[k] = m;
    b.inverse_std[k] = body_inverse_std(v > 0 ? v : 0, b.epsilon);
    if (m - m != 0 || v - v != 0) return; /* a batch with NaN or infinity changes nothing */
    const float momentum = b.warm ? (float)body_warm_decay(b.momentum, b.warm->step) : b.momentum;
    b.running_mean[k] = body_running(b.running_mean[k], m, momentum);
    b.running_variance[k] = body_running(b.running_variance[k], v, momentum);
}

template <typename T, int V, int ACT>
static __global__ void batchnorm_forward_kernel(T *y, const T *x, const T *residual, normaliser k,
                                                size_t rows, int c) {
    const int c0 = sheet_channel<V>();
    if (c0 >= c) return;
    const affine<V> l = affine_of<V>(k, c0);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const size_t at = row * (size_t)c + (size_t)c0;
        float value[V], other[V];
        load_few<T, V>(value, x + at);
        if (residual) load_few<T, V>(other, residual + at);
#pragma unroll
        for (int v = 0; v < V; v++) {
            const float normal = residual
                                     ? body_bn_apply_add(value[v], l.scale[v], l.shift[v], other[v])
                                     : body_bn_apply(value[v], l.scale[v], l.shift[v]);
            value[v] = body_activate(normal, ACT, 0);
        }
        store_few<T, V>(y + at, value);
    }
}

static int normalise(cuda_stream stream, cuda_tensor y, cuda_tensor x, const cuda_batchnorm *b,
                     bool frozen) {
    if (count_of(x) == 0) return 0;
    const size_t rows = count_of(x) / (size_t)x.c;
    const normaliser k = norm_of(b, frozen);
    const bool whole = has_packs(x) && has_packs(y) && is_aligned(b->residual.data);
    return with_width(x.number, whole, [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        const sheet s = sheet_of(rows, x.c / V);
        T *to = (T *)y.data;
        const T *from = (const T *)x.data, *residual = (const T *)b->residual.data;
        if (b->act == BODY_RELU)
            return launch(batchnorm_forward_kernel<T, V, BODY_RELU>, s.grid, s.block, stream, to,
                          from, residual, k, rows, x.c);
        return launch(batchnorm_forward_kernel<T, V, BODY_LINEAR>, s.grid, s.block, stream, to,
                      from, residual, k, rows, x.c);
    });
}

int cuda_batchnorm_statistics(cuda_stream stream, cuda_tensor x, const cuda_batchnorm *b,
                              cuda_workspace buffer) {
    if (count_of(x) == 0) return 0;
    if (!sums_fit<2>(x.c)) return cudaErrorInvalidValue;
    const size_t rows = count_of(x) / (size_t)x.c;
    float *partial = (float *)buffer.data;
    return with_width(x.number, has_packs(x), [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        const sheet s = sums_sheet<2>(rows, x.c, x.c / V);
        const T *from = (const T *)x.data;
        TRY(launch(batchnorm_statistics_kernel<T, V>, s.grid, s.block, stream, partial, from, rows,
                   x.c));
        return launch(batchnorm_statistics_reduce_kernel<T>, finish_grid(x.c), finish_block(),
                      stream, *b, (const float *)partial, s.grid.y, from, rows, x.c);
    });
}

int cuda_batchnorm_train(cuda_stream stream, cuda_tensor y, cuda_tensor x, const cuda_batchnorm *b,
                         cuda_workspace buffer) {
    TRY(cuda_batchnorm_statistics(stream, x, b, buffer));
    return normalise(stream, y, x, b, false);
}

int cuda_batchnorm_infer(cuda_stream stream, cuda_tensor y, cuda_tensor x,
                         const cuda_batchnorm *b) {
    return normalise(stream, y, x, b, true);
}

/* ---- backward ---- */

/* Where the mask of the fused ReLU comes from: there is none, recomputed from x, read from y. */
enum relu_mask { UNMASKED, BY_X, BY_Y };

/* dy before the fused ReLU; y is used by BY_Y only. */
template <int MASK>
static __device__ float masked(float dy, float x, float y, float scale, float shift) {
    if (MASK == UNMASKED) return dy;
    if (MASK == BY_X) y = body_activate(body_bn_apply(x, scale, shift), BODY_RELU, 0);
    return dy * body_activation_slope(0, y, BODY_RELU, 0);
}

/* The tensors of the backward pass. */
template <typename T> struct slopes {
    const T *dy, *x, *y;     /* y: for BY_Y */
    T *dx, *dresidual;       /* NULL: not needed */
    bool adds_x, adds_other; /* accumulate dx, dresidual */
};

/* Partial sums of the gradient and of its product with x - mean. */
template <typename T, int V, int MASK>
static __global__ void batchnorm_gradient_sums_kernel(float *partial, slopes<T> s, normaliser k,
                                                      size_t rows, int c) {
    enum { PAIR = SUM_AHEAD / 2 };
    const int c0 = sheet_channel<V>();
    const size_t step = sheet_step();
    float total[2][V] = {{0}}, mean[V];
    affine<V> l = {};
    if (c0 < c) l = affine_of<V>(k, c0);
#pragma unroll
    for (int v = 0; v < V; v++)
        mean[v] = c0 < c ? k.mean[c0 + v] : 0;
    for (size_t row = sheet_row(); c0 < c && row < rows;) {
        float sum[2][V] = {{0}};
        for (int i = 0; i < SUM_RUN && row < rows; i += PAIR, row += PAIR * step) {
            few<T, V> value[PAIR], slope[PAIR], result[PAIR] = {};
#pragma unroll
            for (size_t a = 0; a < PAIR; a++) {
                const size_t at = (row + a * step) * (size_t)c + (size_t)c0;
                if (row + a * step >= rows) break;
                value[a] = fetch<T, V>(s.x + at);
                slope[a] = fetch<T, V>(s.dy + at);
                if (MASK == BY_Y) result[a] = fetch<T, V>(s.y + at);
            }
#pragma unroll
            for (size_t a = 0; a < PAIR; a++) {
                if (row + a * step >= rows) break;
#pragma unroll
                for (int v = 0; v < V; v++) {
                    const float here = load(value[a].at[v]);
                    const float g = masked<MASK>(load(slope[a].at[v]), here, load(result[a].at[v]),
                                                 l.scale[v], l.shift[v]);
                    sum[0][v] += g;
                    sum[1][v] = fmaf(g, here - mean[v], sum[1][v]);
                }
            }
        }
#pragma unroll
        for (int v = 0; v < V; v++) {
            total[0][v] += sum[0][v];
            total[1][v] += sum[1][v];
        }
    }
    block_sums<V, 2>(partial, total, c0, c);
}

/* means NULL: the statistics do not depend on x. */
template <typename T, int V, int MASK>
static __global__ void batchnorm_backward_kernel(slopes<T> s, normaliser k, const float *means,
                                                 size_t rows, int c) {
    const int c0 = sheet_channel<V>();
    if (c0 >= c) return;
    const affine<V> l = affine_of<V>(k, c0);
    float mean[V], inverse[V], mean_dy[V], mean_dot[V];
#pragma unroll
    for (int v = 0; v < V; v++) {
        mean[v] = k.mean[c0 + v];
        inverse[v] = inverse_of(k, c0 + v);
        mean_dy[v] = means ? means[c0 + v] : 0;
        mean_dot[v] = means ? means[c + c0 + v] : 0;
    }
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const size_t at = row * (size_t)c + (size_t)c0;
        float value[V], slope[V], result[V] = {}, old[V] = {}, other[V] = {};
        load_few<T, V>(value, s.x + at);
        load_few<T, V>(slope, s.dy + at);
        if (MASK == BY_Y) load_few<T, V>(result, s.y + at);
        if (s.adds_x) load_few<T, V>(old, s.dx + at);
        if (s.adds_other) load_few<T, V>(other, s.dresidual + at);
#pragma unroll
        for (int v = 0; v < V; v++) {
            const float g = masked<MASK>(slope[v], value[v], result[v], l.scale[v], l.shift[v]);
            const float xhat = (value[v] - mean[v]) * inverse[v];
            const float d = body_bn_dx(g, xhat, l.scale[v], mean_dy[v], mean_dot[v]);
            value[v] = s.adds_x ? old[v] + d : d;
            other[v] = s.adds_other ? other[v] + g : g;
        }
        if (s.dx) store_few<T, V>(s.dx + at, value);
        if (s.dresidual) store_few<T, V>(s.dresidual + at, other);
    }
}

template <typename T, int V, int MASK>
static int backward(cuda_stream stream, slopes<T> from, size_t rows, int c, const cuda_batchnorm *b,
                    bool frozen, cuda_workspace buffer) {
    const normaliser k = norm_of(b, frozen);
    float *partial = (float *)buffer.data, *means = NULL;
    if (!frozen || b->dgamma || b->dbeta) {
        const sheet s = sums_sheet<2>(rows, c, c / V, BACKWARD_BLOCKS);
        float *reduced = partial + (size_t)s.grid.y * 2 * (size_t)c;
        TRY(launch(batchnorm_gradient_sums_kernel<T, V, MASK>, s.grid, s.block, stream, partial,
                   from, k, rows, c));
        TRY(launch(batchnorm_gradient_reduce_kernel, finish_grid(c), finish_block(), stream, *b, k,
                   reduced, (const float *)partial, s.grid.y, rows, c));
        if (!frozen) means = reduced;
    }
    if (!from.dx && !from.dresidual) return 0;
    const sheet s = sheet_of(rows, c / V);
    return launch(batchnorm_backward_kernel<T, V, MASK>, s.grid, s.block, stream, from, k,
                  (const float *)means, rows, c);
}

int cuda_batchnorm_backward(cuda_stream stream, cuda_tensor dx, cuda_tensor dy, cuda_tensor x,
                            const cuda_batchnorm *b, bool frozen, bool accumulate,
                            cuda_workspace buffer) {
    if (count_of(x) == 0) return 0;
    if (!sums_fit<2>(x.c)) return cudaErrorInvalidValue;
    const size_t rows = count_of(x) / (size_t)x.c;
    const bool whole = has_packs(x) && has_packs(dy) && is_aligned(dx.data) &&
                       is_aligned(b->y.data) && is_aligned(b->dresidual.data);
    return with_width(x.number, whole, [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = channels_of(decltype(wide)::N) };
        const slopes<T> s = {(const T *)dy.data,
                             (const T *)x.data,
                             (const T *)b->y.data,
                             (T *)dx.data,
                             (T *)b->dresidual.data,
                             dx.data && accumulate,
                             b->dresidual.data && b->accumulate_dresidual};
        if (b->act == BODY_LINEAR)
            return backward<T, V, UNMASKED>(stream, s, rows, x.c, b, frozen, buffer);
        return b->y.data ? backward<T, V, BY_Y>(stream, s, rows, x.c, b, frozen, buffer)
                         : backward<T, V, BY_X>(stream, s, rows, x.c, b, frozen, buffer);
    });
}
