/* Batch normalisation, ReLU and max pooling in one pass, for adjacent windows inside the image: the
 * normalised image is never stored. Forward gives the bits of the separate passes. Its index says
 * where each window's gradient goes, so backward needs neither the ReLU nor the dropout: g below is
 * the pooled gradient at the maximum and 0 elsewhere. Both backward kernels read whole windows of
 * x, because the maxima of neighbouring channels are spread over all of their memory transactions.
 */
#include "kernels/body/activation.h"

#include "kernels/cuda/batchnorm.cuh"
#include "kernels/cuda/max_pool.cuh"

/* K: height and width of the window if it is K x K, 0: any. */
template <int K> static __device__ int high(cuda_window p) {
    return K ? K : p.kernel_h;
}
template <int K> static __device__ int wide(cuda_window p) {
    return K ? K : p.kernel_w;
}

static bool is_2x2(cuda_window p) {
    return p.kernel_h == 2 && p.kernel_w == 2;
}

/* ---- forward ---- */

/* A number as the separate pass would have stored it. */
template <typename T> static __device__ float rounded(float x) {
    T stored;
    store(&stored, x);
    return load(stored);
}

/* The normalised image's maximum in a window; `x` is the window's first element. */
template <typename T, int V, int K>
static __device__ winner<V> best_normalised(const T *x, const affine<V> &l, cuda_window p,
                                            bool relu, size_t right, size_t down) {
    winner<V> win = {};
    for (int h = 0; h < high<K>(p); h++)
        for (int w = 0; w < wide<K>(p); w++) {
            float value[V];
            load_few<T, V>(value, x + (size_t)h * down + (size_t)w * right);
#pragma unroll
            for (int v = 0; v < V; v++) {
                const float normal = body_bn_apply(value[v], l.scale[v], l.shift[v]);
                value[v] = rounded<T>(relu ? body_activate(normal, BODY_RELU, 0) : normal);
                if (h + w == 0) win.best[v] = value[v];
            }
            challenge<V>(&win, value, h * wide<K>(p) + w);
        }
    return win;
}

/* d.state NULL: no dropout. */
template <typename T, int V, int K>
static __global__ void batchnorm_relu_maxpool_forward_kernel(cuda_tensor y, uint8_t *index,
                                                             cuda_tensor x, normaliser k,
                                                             cuda_window p, bool relu, drawing d,
                                                             size_t rows, position step) {
    const int c0 = sheet_channel<V>();
    if (c0 >= y.c) return;
    const uint32_t seed = d.state ? d.state->seed : 0;
    const uint64_t now = d.state ? d.state->step : 0;
    const affine<V> l = affine_of<V>(k, c0);
    position at = position_of(sheet_row(), y.h, y.w);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const T *from = (const T *)x.data + image_start(x, at.n) +
                        pixel_start(x, high<K>(p) * at.h, wide<K>(p) * at.w) + (size_t)c0;
        const size_t out = row * (size_t)y.c + (size_t)c0;
        winner<V> win =
            best_normalised<T, V, K>(from, l, p, relu, (size_t)x.c, (size_t)x.w * (size_t)x.c);
        if (relu) mask_winner<V>(&win);
        if (d.state) drop_winner<V>(&win, d, seed, now, d.first + out);
        store_winner<T, uint8_t, V>((T *)y.data + out, index + out, win);
        advance(&at, step, y.h, y.w);
    }
}

int cuda_batchnorm_pool_forward(cuda_stream stream, cuda_tensor y, uint8_t *index, cuda_tensor x,
                                const cuda_batchnorm *b, cuda_window p, const cuda_mask *mask,
                                bool frozen) {
    if (count_of(y) == 0) return 0;
    const size_t rows = count_of(y) / (size_t)y.c;
    const normaliser k = norm_of(b, frozen);
    const drawing d = mask ? drawing_of(*mask, y) : drawing{};
    const bool relu = b->act == BODY_RELU,
               whole = has_packs(y) && has_packs(x) && is_aligned(index);
    return with_width(y.number, whole, [&](auto zero, auto few_of) {
        typedef decltype(zero) T;
        enum { V = channels_of(decltype(few_of)::N) };
        const sheet s = sheet_of(rows, y.c / V);
        const position step = step_of(s, y.h, y.w);
        return launch(is_2x2(p) ? batchnorm_relu_maxpool_forward_kernel<T, V, 2>
                                : batchnorm_relu_maxpool_forward_kernel<T, V, 0>,
                      s.grid, s.block, stream, y, index, x, k, p, relu, d, rows, step);
    });
}

/* ---- backward ---- */

/* The arguments of the backward kernels. */
struct pooled_slopes {
    cuda_tensor dx, dy, x;
    const uint8_t *index;
    cuda_window p;
    float scale; /* of the dropout */
    bool accumulate;
};

/* The gradient that goes back from V elements of dy, and where to in their window. */
template <int V> struct pooled_gradient {
    float g[V];
    few<uint8_t, V> to;
};

template <typename T, int V>
static __device__ pooled_gradient<V> gradient_at(const pooled_slopes &s, position at, int c0) {
    const size_t from = image_start(s.dy, at.n) + pixel_start(s.dy, at.h, at.w) + (size_t)c0;
    pooled_gradient<V> back;
    back.to = fetch<uint8_t, V>(s.index + from);
    load_few<T, V>(back.g, (const T *)s.dy.data + from);
#pragma unroll
    for (int v = 0; v < V; v++)
        back.g[v] = is_nowhere(back.to.at[v]) ? 0 : back.g[v] * s.scale;
    return back;
}

/* Blocks of the sums that a multiprocessor holds: with loops over any window, four would spill. */
static constexpr unsigned sums_resident(int k) {
    return k ? 4 : 3;
}

/* Partial sums of the gradient and of its product with x - mean. A row is a window. */
template <typename T, int V, int K>
static __global__ void __launch_bounds__(BLOCK, sums_resident(K))
    batchnorm_relu_maxpool_sums_kernel(float *partial, pooled_slopes s, normaliser k, size_t rows,
                                       position step) {
    const int c = s.x.c, c0 = sheet_channel<V>();
    float total[2][V] = {{0}}, mean[V];
#pragma unroll
    for (int v = 0; v < V; v++)
        mean[v] = c0 < c ? k.mean[c0 + v] : 0;
    position at = position_of(sheet_row(), s.dy.h, s.dy.w);
    for (size_t row = sheet_row(); c0 < c && row < rows;) {
        float sum[2][V] = {{0}};
        for (int i = 0; i < SUM_RUN && row < rows; i++, row += sheet_step()) {
            const pooled_gradient<V> back = gradient_at<T, V>(s, at, c0);
            const T *image = (const T *)s.x.data + image_start(s.x, at.n) + (size_t)c0;
            float best[V] = {0};
            for (int h = 0; h < high<K>(s.p); h++)
                for (int w = 0; w < wide<K>(s.p); w++) {
                    float value[V];
                    load_few<T, V>(value, image + pixel_start(s.x, high<K>(s.p) * at.h + h,
                                                              wide<K>(s.p) * at.w + w));
#pragma unroll
                    for (int v = 0; v < V; v++)
                        best[v] = back.to.at[v] == h * wide<K>(s.p) + w ? value[v] : best[v];
                }
#pragma unroll
            for (int v = 0; v < V; v++) {
                sum[0][v] += back.g[v];
                sum[1][v] = fmaf(back.g[v], best[v] - mean[v], sum[1][v]);
            }
            advance(&at, step, s.dy.h, s.dy.w);
        }
#pragma unroll
        for (int v = 0; v < V; v++) {
            total[0][v] += sum[0][v];
            total[1][v] += sum[1][v];
        }
    }
    block_sums<V, 2>(partial, total, c0, c);
}

/* Every element of dx, since the means reach them all. A row is a window, or the elements at the
 * lower and right border that no window covers: one of `down` x `across`, in the image or not. */
template <typename T, int V, int K>
static __global__ void batchnorm_relu_maxpool_backward_kernel(pooled_slopes s, normaliser k,
                                                              const float *means, size_t rows,
                                                              int down, int across, position step) {
    const int c = s.x.c, c0 = sheet_channel<V>();
    if (c0 >= c) return;
    const affine<V> l = affine_of<V>(k, c0);
    float mean[V], inverse[V], mean_dy[V], mean_dot[V];
#pragma unroll
    for (int v = 0; v < V; v++) {
        mean[v] = k.mean[c0 + v];
        inverse[v] = inverse_of(k, c0 + v);
        mean_dy[v] = means[c0 + v];
        mean_dot[v] = means[c + c0 + v];
    }
    position at = position_of(sheet_row(), down, across);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        pooled_gradient<V> back = {};
        if (at.h < s.dy.h && at.w < s.dy.w) back = gradient_at<T, V>(s, at, c0);
        for (int i = 0; i < high<K>(s.p) * wide<K>(s.p); i++) {
            const int h = high<K>(s.p) * at.h + i / wide<K>(s.p);
            const int w = wide<K>(s.p) * at.w + i % wide<K>(s.p);
            if (h >= s.x.h || w >= s.x.w) continue;
            const size_t here = image_start(s.x, at.n) + pixel_start(s.x, h, w) + (size_t)c0;
            float value[V], old[V] = {};
            load_few<T, V>(value, (const T *)s.x.data + here);
            if (s.accumulate) load_few<T, V>(old, (const T *)s.dx.data + here);
#pragma unroll
            for (int v = 0; v < V; v++) {
                const float g = back.to.at[v] == i ? back.g[v] : 0;
                const float xhat = (value[v] - mean[v]) * inverse[v];
                const float dx = body_bn_dx(g, xhat, l.scale[v], mean_dy[v], mean_dot[v]);
                value[v] = s.accumulate ? old[v] + dx : dx;
            }
            store_few<T, V>((T *)s.dx.data + here, value);
        }
        advance(&at, step, down, across);
    }
}

template <typename T, int V, int K>
static int backward(cuda_stream stream, const pooled_slopes &s, const cuda_batchnorm *b,
                    cuda_workspace buffer) {
    const normaliser k = norm_of(b, false);
    const int c = s.x.c;
    const size_t pooled = count_of(s.dy) / (size_t)c, pixels = count_of(s.x) / (size_t)c;
    const sheet sums = sums_sheet<2>(pooled, c, c / V, sums_resident(K) * 132);
    float *partial = (float *)buffer.data, *means = partial + (size_t)sums.grid.y * 2 * (size_t)c;
    TRY(launch(batchnorm_relu_maxpool_sums_kernel<T, V, K>, sums.grid, sums.block, stream, partial,
               s, k, pooled, step_of(sums, s.dy.h, s.dy.w)));
    TRY(launch(batchnorm_gradient_reduce_kernel, finish_grid(c), finish_block(), stream, *b, k,
               means, (const float *)partial, sums.grid.y, pixels, c));
    if (!s.dx.data) return 0;
    const int down = (s.x.h + s.p.kernel_h - 1) / s.p.kernel_h;
    const int across = (s.x.w + s.p.kernel_w - 1) / s.p.kernel_w;
    const size_t rows = (size_t)s.x.n * (size_t)down * (size_t)across;
    const sheet all = sheet_of(rows, c / V);
    return launch(batchnorm_relu_maxpool_backward_kernel<T, V, K>, all.grid, all.block, stream, s,
                  k, (const float *)means, rows, down, across, step_of(all, down, across));
}

int cuda_batchnorm_pool_backward(cuda_stream stream, cuda_tensor dx, cuda_tensor dy,
                                 const uint8_t *index, cuda_tensor x, const cuda_batchnorm *b,
                                 cuda_window p, double rate, bool accumulate,
                                 cuda_workspace buffer) {
    if (count_of(x) == 0) return 0;
    if (!sums_fit<2>(x.c)) return cudaErrorInvalidValue;
    const bool whole = has_packs(x) && has_packs(dy) && is_aligned(dx.data) && is_aligned(index);
    const pooled_slopes s = {dx, dy, x, index, p, (float)(1 / (1 - rate)), dx.data && accumulate};
    return with_width(x.number, whole, [&](auto zero, auto few_of) {
        typedef decltype(zero) T;
        enum { V = channels_of(decltype(few_of)::N) };
        return is_2x2(p) ? backward<T, V, 2>(stream, s, b, buffer)
                         : backward<T, V, 0>(stream, s, b, buffer);
    });
}
