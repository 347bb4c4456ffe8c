/* Max pooling, in training fused with the ReLU before and the dropout after it, as in
 * kernels/cpu/max_pool.c: `index` stores the position of the maximum in its window, or that no
 * gradient goes back, so that backward needs neither values nor random numbers. I is its type. */
#include "kernels/cuda/max_pool.cuh"
#include "kernels/cuda/sums.cuh"

/* Calls `work` with a value of the type of the index's elements. */
template <typename F> static int with_index(cuda_window p, F work) {
    return body_pool_index_bytes(p.kernel_h, p.kernel_w) == 1 ? work(uint8_t()) : work(uint16_t());
}

/* The common case: adjacent 2x2 windows inside the image. */
static bool is_halving(cuda_window p, cuda_tensor x, cuda_tensor y) {
    return p.kernel_h == 2 && p.kernel_w == 2 && p.stride_h == 2 && p.stride_w == 2 &&
           p.pad_top == 0 && p.pad_left == 0 && 2 * y.h <= x.h && 2 * y.w <= x.w;
}

/* ---- forward ---- */

/* A 2x2 window, as four independent reads. `x` is its first element. */
template <typename T, int V>
static __device__ void best_of_four(winner<V> *win, const T *x, size_t right, size_t down) {
    float second[V], third[V], fourth[V];
    load_few<T, V>(win->best, x);
    load_few<T, V>(second, x + right);
    load_few<T, V>(third, x + down);
    load_few<T, V>(fourth, x + down + right);
    challenge<V>(win, second, 1);
    challenge<V>(win, third, 2);
    challenge<V>(win, fourth, 3);
}

template <typename T, int V>
static __device__ void best_of_window(winner<V> *win, const T *image, cuda_tensor x,
                                      body_window w) {
    load_few<T, V>(win->best, image + pixel_start(x, w.h0, w.w0));
    for (int h = w.h0; h < w.h1; h++)
        for (int i = w.w0; i < w.w1; i++) {
            float candidate[V];
            load_few<T, V>(candidate, image + pixel_start(x, h, i));
            challenge<V>(win, candidate, (h - w.h0) * (w.w1 - w.w0) + i - w.w0);
        }
}

/* d.state NULL: no dropout. */
template <typename T, typename I, int V, bool HALVING>
static __global__ void max_pool_kernel(cuda_tensor y, I *index, cuda_tensor x, cuda_window p,
                                       bool relu_mask, drawing d, size_t rows, position step) {
    const int c0 = sheet_channel<V>();
    if (c0 >= y.c) return;
    const uint32_t seed = d.state ? d.state->seed : 0;
    const uint64_t now = d.state ? d.state->step : 0;
    position at = position_of(sheet_row(), y.h, y.w);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const T *image = (const T *)x.data + image_start(x, at.n) + (size_t)c0;
        const size_t out = row * (size_t)y.c + (size_t)c0;
        winner<V> win = {};
        if (HALVING)
            best_of_four<T, V>(&win, image + pixel_start(x, 2 * at.h, 2 * at.w), (size_t)x.c,
                               (size_t)x.w * (size_t)x.c);
        else
            best_of_window<T, V>(&win, image, x, window_at(p, at.h, at.w, x));
        if (relu_mask) mask_winner<V>(&win);
        if (d.state) drop_winner<V>(&win, d, seed, now, d.first + out);
        store_winner<T, I, V>((T *)y.data + out, index + out, win);
        advance(&at, step, y.h, y.w);
    }
}

int cuda_max_pool_forward(cuda_stream stream, cuda_tensor y, void *index, cuda_tensor x,
                          cuda_window p, bool relu_mask, const cuda_mask *mask) {
    if (count_of(y) == 0) return 0;
    const size_t rows = count_of(y) / (size_t)y.c;
    const drawing d = mask ? drawing_of(*mask, y) : drawing{};
    const bool halving = is_halving(p, x, y);
    const bool whole = has_packs(y) && has_packs(x) && is_aligned(index);
    return with_width(y.number, whole, [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        const sheet s = sheet_of(rows, y.c / V);
        const position step = step_of(s, y.h, y.w);
        if (halving)
            return launch(max_pool_kernel<T, uint8_t, V, true>, s.grid, s.block, stream, y,
                          (uint8_t *)index, x, p, relu_mask, d, rows, step);
        return with_index(p, [&](auto small) {
            typedef decltype(small) I;
            return launch(max_pool_kernel<T, I, V, false>, s.grid, s.block, stream, y, (I *)index,
                          x, p, relu_mask, d, rows, step);
        });
    });
}

/* ---- backward ---- */

/* The arguments of the backward kernels. */
template <typename I> struct route {
    cuda_tensor dx, dy;
    const I *index;
    cuda_window p;
    float scale; /* of the fused dropout */
    bool accumulate;
};

/* A group of 2x2 elements of dx: the window at `at`, or elements that no window covers at the lower
 * and right border. The maximum gets dy, the others 0. Adds the gradient that goes back to `sum`.
 */
template <typename T, typename I, int V>
static __device__ void spread(const route<I> &r, position at, int c0, float (&sum)[V]) {
    const bool covered = at.h < r.dy.h && at.w < r.dy.w;
    if (!covered && r.accumulate) return;
    float dy[V] = {0};
    few<I, V> index = {};
    if (covered) {
        const size_t from = image_start(r.dy, at.n) + pixel_start(r.dy, at.h, at.w) + (size_t)c0;
        index = fetch<I, V>(r.index + from);
        load_few<T, V>(dy, (const T *)r.dy.data + from);
#pragma unroll
        for (int v = 0; v < V; v++) {
            dy[v] *= r.scale;
            sum[v] += is_nowhere(index.at[v]) ? 0 : dy[v];
        }
    }
    T *image = (T *)r.dx.data + image_start(r.dx, at.n) + (size_t)c0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int h = 2 * at.h + i / 2, w = 2 * at.w + i % 2;
        if (h >= r.dx.h || w >= r.dx.w) continue;
        T *to = image + pixel_start(r.dx, h, w);
        float share[V], old[V];
        if (r.accumulate) load_few<T, V>(old, to);
#pragma unroll
        for (int v = 0; v < V; v++) {
            share[v] = index.at[v] == i ? dy[v] : 0;
            if (r.accumulate) share[v] += old[v];
        }
        store_few<T, V>(to, share);
    }
}

/* One element of dx, gathered from the windows that contain it, in the order of the CPU's loops. */
template <typename T, typename I, int V>
static __device__ void collect(const route<I> &r, position at, int c0, float (&sum)[V]) {
    const body_window of = windows_of(r.p, at.h, at.w, r.dy);
    const size_t image = image_start(r.dy, at.n) + (size_t)c0;
    T *to = (T *)r.dx.data + image_start(r.dx, at.n) + pixel_start(r.dx, at.h, at.w) + (size_t)c0;
    float share[V] = {0};
    if (r.accumulate) load_few<T, V>(share, to);
    for (int oh = of.h0; oh < of.h1; oh++)
        for (int ow = of.w0; ow < of.w1; ow++) {
            const body_window win = window_at(r.p, oh, ow, r.dx);
            const int here = (at.h - win.h0) * (win.w1 - win.w0) + at.w - win.w0;
            const size_t from = image + pixel_start(r.dy, oh, ow);
            const few<I, V> index = fetch<I, V>(r.index + from);
            float dy[V];
            load_few<T, V>(dy, (const T *)r.dy.data + from);
#pragma unroll
            for (int v = 0; v < V; v++)
                if (index.at[v] == here) {
                    const float back = dy[v] * r.scale;
                    share[v] += back;
                    sum[v] += back;
                }
        }
    store_few<T, V>(to, share);
}

/* Where the gradient that goes back is summed per channel; dbias NULL: nowhere. */
struct route_sums {
    float *dbias, *partial;
    unsigned *tickets;
    bool accumulate;
};

/* A row is one of `high` x `wide` groups of 2x2 pixels of dx, or, unless HALVING, one pixel. */
template <typename T, typename I, int V, bool HALVING>
static __global__ void max_route_kernel(route<I> r, route_sums sums, size_t rows, int high,
                                        int wide, position step) {
    const int c0 = sheet_channel<V>();
    position at = position_of(sheet_row(), high, wide);
    float total[1][V] = {{0}};
    for (size_t row = sheet_row(); c0 < r.dx.c && row < rows;) {
        float sum[V] = {0};
        for (int i = 0; i < SUM_RUN && row < rows; i++, row += sheet_step()) {
            if (HALVING)
                spread<T, I, V>(r, at, c0, sum);
            else
                collect<T, I, V>(r, at, c0, sum);
            advance(&at, step, high, wide);
        }
#pragma unroll
        for (int v = 0; v < V; v++)
            total[0][v] += sum[v];
    }
    if (!sums.dbias) return;
    block_sums<V, 1>(sums.partial, total, c0, r.dx.c);
    finish_last<V>(sums.dbias, sums.partial, r.dx.c, sums.accumulate, sums.tickets);
}

int cuda_max_pool_backward(cuda_stream stream, cuda_tensor dx, float *dbias, cuda_tensor dy,
                           const void *index, cuda_window p, double rate, bool accumulate,
                           bool accumulate_dbias, cuda_workspace buffer) {
    if (count_of(dx) == 0) return 0;
    if (dbias && !sums_fit<1>(dx.c)) return cudaErrorInvalidValue;
    const float scale = (float)(1 / (1 - rate));
    const bool whole = has_packs(dx) && has_packs(dy) && is_aligned(index);
    /* without packs the CPU adds to the maxima only; adding 0 to the others would change -0 */
    const bool halving = whole && is_halving(p, dx, dy);
    const int high = halving ? (dx.h + 1) / 2 : dx.h, wide = halving ? (dx.w + 1) / 2 : dx.w;
    const size_t rows = (size_t)dx.n * (size_t)high * (size_t)wide;
    const route_sums sums = {dbias, (float *)buffer.data, buffer.tickets, accumulate_dbias};
    return with_width(dx.number, whole, [&](auto zero, auto few_of) {
        typedef decltype(zero) T;
        enum { V = decltype(few_of)::N };
        const sheet s = dbias ? sums_sheet<1>(rows, dx.c, dx.c / V) : sheet_of(rows, dx.c / V);
        const position step = step_of(s, high, wide);
        return with_index(p, [&](auto small) {
            typedef decltype(small) I;
            const route<I> r = {dx, dy, (const I *)index, p, scale, accumulate};
            if (halving && sizeof(I) == 1)
                return launch(max_route_kernel<T, I, V, sizeof(I) == 1>, s.grid, s.block, stream, r,
                              sums, rows, high, wide, step);
            return launch(max_route_kernel<T, I, V, false>, s.grid, s.block, stream, r, sums, rows,
                          high, wide, step);
        });
    });
}
