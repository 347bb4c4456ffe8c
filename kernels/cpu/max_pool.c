/* Max pooling; in training fused with a ReLU before it and a dropout after it, where no gradient
 * goes back through elements that either of them set to 0. `index` stores which position of a
 * window won, or that nothing goes back, so that backward needs neither values nor random numbers.
 * Its type is that of body_pool_index_bytes; functions for both types are inlined, so that
 * `is_wide` is a constant. */
#include <string.h>

#include "kernels/cpu/draw.h"
#include "kernels/cpu/vec.h"

#define INLINE static inline __attribute__((always_inline))

static bool has_wide_index(cpu_window p) {
    return body_pool_index_bytes(p.kernel_h, p.kernel_w) == sizeof(uint16_t);
}

INLINE int nowhere(bool is_wide) {
    return is_wide ? UINT16_MAX : UINT8_MAX;
}

INLINE int get_position(const void *index, size_t i, bool is_wide) {
    return is_wide ? ((const uint16_t *)index)[i] : ((const uint8_t *)index)[i];
}

INLINE void set_position(void *index, size_t i, int position, bool is_wide) {
    if (is_wide)
        ((uint16_t *)index)[i] = (uint16_t)position;
    else
        ((uint8_t *)index)[i] = (uint8_t)position;
}

/* The index from element i on. */
static void *index_at(const void *index, size_t i, bool is_wide) {
    return (char *)index + i * (is_wide ? sizeof(uint16_t) : sizeof(uint8_t));
}

static body_window window(cpu_window p, int oh, int ow, cpu_dims xd) {
    return body_pool_window(oh, ow, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w, p.pad_top,
                            p.pad_left, xd.h, xd.w);
}

/* The common case: adjacent whole windows of 2x2, channels in whole vectors. */
static bool is_halving(cpu_window p, cpu_dims xd, cpu_dims yd) {
    return p.kernel_h == 2 && p.kernel_w == 2 && p.stride_h == 2 && p.stride_w == 2 &&
           p.pad_top == 0 && p.pad_left == 0 && 2 * yd.h <= xd.h && 2 * yd.w <= xd.w &&
           xd.block % LANES == 0;
}

/* body_pool_beats for a vector: a NaN wins and stays. */
static vec_mask beats(vec candidate, vec best) {
    return (candidate > best) | ((candidate != candidate) & (best == best));
}

static vec choose(vec_mask first, vec a, vec b) {
    return (vec)(((vec_mask)a & first) | ((vec_mask)b & ~first));
}

static void halve(real *y, uint8_t *index, const real *x, size_t down, size_t right,
                  bool relu_mask) {
    __builtin_prefetch(x + 2 * down); /* the next line: too far for the hardware prefetcher */
    __builtin_prefetch(x + 2 * down + right);
    __builtin_prefetch(x + 3 * down);
    __builtin_prefetch(x + 3 * down + right);
    const vec in[4] = {vec_load(x), vec_load(x + right), vec_load(x + down),
                       vec_load(x + down + right)};
    vec best = in[0];
    vec_mask winner = {0};
    for (int i = 1; i < 4; i++) {
        const vec_mask wins = beats(in[i], best);
        best = choose(wins, in[i], best);
        winner = (winner & ~wins) | (wins & i);
    }
    if (relu_mask) winner |= ~(best > (vec){0}) & UINT8_MAX;
    vec_store(y, best);
    vec_store_bytes(index, winner);
}

/* One window of a channel block in whole vectors. */
static void max_vectors(real *y, uint8_t *index, const real *x, body_window win, size_t width,
                        size_t block, bool relu_mask) {
    const int columns = win.w1 - win.w0;
    for (size_t k = 0; k < block; k += LANES) {
        const real *line = x + ((size_t)win.h0 * width + (size_t)win.w0) * block + k;
        vec best = vec_load(line);
        vec_mask winner = {0};
        for (int h = 0; h < win.h1 - win.h0; h++, line += width * block)
            for (int w = 0; w < columns; w++) {
                const vec candidate = vec_load(line + (size_t)w * block);
                const vec_mask wins = beats(candidate, best);
                best = choose(wins, candidate, best);
                winner = (winner & ~wins) | (wins & (h * columns + w));
            }
        if (relu_mask) winner |= ~(best > (vec){0}) & UINT8_MAX;
        vec_store(y + k, best);
        vec_store_bytes(index + k, winner);
    }
}

/* One window of one channel block. */
INLINE void max_window(real *restrict y, void *restrict index, const real *x, body_window win,
                       int width, int block, bool relu_mask, bool is_wide) {
    for (int k = 0; k < block; k++) {
        y[k] = x[((size_t)win.h0 * (size_t)width + (size_t)win.w0) * (size_t)block + (size_t)k];
        set_position(index, (size_t)k, 0, is_wide);
    }
    const int columns = win.w1 - win.w0;
    for (int h = win.h0; h < win.h1; h++)
        for (int w = win.w0; w < win.w1; w++) {
            const real *at = x + ((size_t)h * (size_t)width + (size_t)w) * (size_t)block;
            const int position = (h - win.h0) * columns + (w - win.w0);
            for (int k = 0; k < block; k++) {
                const int wins = body_pool_beats(at[k], y[k]);
                y[k] = wins ? at[k] : y[k];
                const int before = get_position(index, (size_t)k, is_wide);
                set_position(index, (size_t)k, wins ? position : before, is_wide);
            }
        }
    for (int k = 0; relu_mask && k < block; k++)
        if (!(y[k] > 0)) set_position(index, (size_t)k, nowhere(is_wide), is_wide);
}

INLINE void pool_line(real *y, void *index, const real *image, int oh, cpu_dims xd, cpu_dims yd,
                      cpu_window p, bool relu_mask, bool is_wide) {
    const size_t block = (size_t)xd.block, down = (size_t)xd.w * block;
    if (!is_wide && is_halving(p, xd, yd)) {
        uint8_t *bytes = index;
        const real *line = image + 2 * (size_t)oh * down;
        for (size_t ow = 0; ow < (size_t)yd.w; ow++)
            for (size_t k = 0; k < block; k += LANES)
                halve(y + ow * block + k, bytes + ow * block + k, line + 2 * ow * block + k, down,
                      block, relu_mask);
        return;
    }
    if (!is_wide && block % LANES == 0) {
        for (int ow = 0; ow < yd.w; ow++)
            max_vectors(y + (size_t)ow * block, (uint8_t *)index + (size_t)ow * block, image,
                        window(p, oh, ow, xd), (size_t)xd.w, block, relu_mask);
        return;
    }
    for (int ow = 0; ow < yd.w; ow++)
        max_window(y + (size_t)ow * block, index_at(index, (size_t)ow * block, is_wide), image,
                   window(p, oh, ow, xd), xd.w, xd.block, relu_mask, is_wide);
}

INLINE void drop_line(real *restrict y, void *restrict index, const cpu_mask *m, uint64_t first,
                      cpu_dims yd, bool is_wide) {
    const uint32_t threshold = body_dropout_threshold(m->rate);
    const real scale = (real)(1 / (1 - m->rate));
    const int most = (DRAW_WORDS - 4) / yd.block;
    uint32_t buffer[DRAW_CAPACITY];
    for (int start = 0; start < yd.w; start += most) {
        const int pixels = yd.w - start < most ? yd.w - start : most;
        const size_t at = (size_t)start * (size_t)yd.block;
        const uint32_t *words =
            draw(buffer, m, first + (uint64_t)start * (uint64_t)yd.c, pixels, yd.block, yd.c);
#pragma omp simd
        for (int i = 0; i < pixels * yd.block; i++) {
            const size_t e = at + (size_t)i;
            y[e] = body_dropout(y[e], words[i], threshold, scale);
            const int position = get_position(index, e, is_wide);
            set_position(index, e, words[i] >= threshold ? position : nowhere(is_wide), is_wide);
        }
    }
}

INLINE void forward(real *y, void *index, const real *x, cpu_dims xd, cpu_dims yd, cpu_window p,
                    bool relu_mask, const cpu_mask *mask, bool is_wide) {
    const int blocks = xd.c / xd.block;
#pragma omp parallel for schedule(static)
    for (int row = 0; row < yd.n * blocks * yd.h; row++) {
        const int oh = row % yd.h, plane = row / yd.h, n = plane / blocks, b = plane % blocks;
        const size_t out = (size_t)row * (size_t)yd.w * (size_t)yd.block;
        void *line_index = index_at(index, out, is_wide);
        pool_line(y + out, line_index, x + (size_t)plane * (size_t)(xd.h * xd.w) * (size_t)xd.block,
                  oh, xd, yd, p, relu_mask, is_wide);
        if (!mask) continue;
        const uint64_t line =
            ((mask->first + (uint64_t)n) * (uint64_t)yd.h + (uint64_t)oh) * (uint64_t)yd.w;
        drop_line(y + out, line_index, mask,
                  line * (uint64_t)yd.c + (uint64_t)b * (uint64_t)yd.block, yd, is_wide);
    }
}

void CPU(max_pool_forward)(real *y, void *index, const real *x, cpu_dims xd, cpu_dims yd,
                           cpu_window p, bool relu_mask, const cpu_mask *mask) {
    if (has_wide_index(p))
        forward(y, index, x, xd, yd, p, relu_mask, mask, true);
    else
        forward(y, index, x, xd, yd, p, relu_mask, mask, false);
}

/* The four inputs of a window: the winner gets dy, the others nothing. */
static void spread(real *dx, vec dy, const uint8_t *index, size_t down, size_t right,
                   bool accumulate) {
    const vec_mask winner = vec_load_bytes(index);
    const size_t at[4] = {0, right, down, down + right};
    for (int i = 0; i < 4; i++) {
        vec share = (vec)((vec_mask)dy & (winner == i));
        if (accumulate) share += vec_load(dx + at[i]);
        vec_store(dx + at[i], share);
    }
}

static void spread_plane(real *image, const real *dy, const uint8_t *index, cpu_dims xd,
                         cpu_dims yd, real scale, bool accumulate) {
    const size_t block = (size_t)xd.block, down = (size_t)xd.w * block;
    const vec factor = vec_all(scale);
    const bool rest = !accumulate && (xd.h % 2 || xd.w % 2); /* no window covers the last line */
    if (rest) memset(image, 0, sizeof(real) * (size_t)(xd.h * xd.w) * block);
    for (size_t oh = 0; oh < (size_t)yd.h; oh++)
        for (size_t ow = 0; ow < (size_t)yd.w; ow++)
            for (size_t k = 0; k < block; k += LANES) {
                const size_t at = (oh * (size_t)yd.w + ow) * block + k;
                spread(image + 2 * oh * down + 2 * ow * block + k, vec_load(dy + at) * factor,
                       index + at, down, block, accumulate);
            }
}

INLINE void scatter_plane(real *image, const real *dy, const void *index, cpu_dims xd, cpu_dims yd,
                          cpu_window p, real scale, bool accumulate, bool is_wide) {
    if (!accumulate) memset(image, 0, sizeof(real) * (size_t)(xd.h * xd.w) * (size_t)xd.block);
    for (int oh = 0; oh < yd.h; oh++)
        for (int ow = 0; ow < yd.w; ow++) {
            const body_window win = window(p, oh, ow, xd);
            const int columns = win.w1 - win.w0;
            const size_t at = ((size_t)oh * (size_t)yd.w + (size_t)ow) * (size_t)yd.block;
            for (int k = 0; k < yd.block; k++) {
                const int winner = get_position(index, at + (size_t)k, is_wide);
                if (winner == nowhere(is_wide)) continue;
                const int h = win.h0 + winner / columns, w = win.w0 + winner % columns;
                image[((size_t)h * (size_t)xd.w + (size_t)w) * (size_t)xd.block + (size_t)k] +=
                    dy[at + (size_t)k] * scale;
            }
        }
}

INLINE void backward(real *dx, const real *dy, const void *index, cpu_dims xd, cpu_dims yd,
                     cpu_window p, double rate, bool accumulate, bool is_wide) {
    const int planes = xd.n * (xd.c / xd.block);
    const size_t in = (size_t)(xd.h * xd.w) * (size_t)xd.block;
    const size_t out = (size_t)(yd.h * yd.w) * (size_t)yd.block;
    const real scale = (real)(1 / (1 - rate));
    const bool halving = !is_wide && is_halving(p, xd, yd);
#pragma omp parallel for schedule(static)
    for (int plane = 0; plane < planes; plane++) {
        real *image = dx + (size_t)plane * in;
        const size_t from = (size_t)plane * out;
        const void *plane_index = index_at(index, from, is_wide);
        if (halving)
            spread_plane(image, dy + from, plane_index, xd, yd, scale, accumulate);
        else
            scatter_plane(image, dy + from, plane_index, xd, yd, p, scale, accumulate, is_wide);
    }
}

void CPU(max_pool_backward)(real *dx, const real *dy, const void *index, cpu_dims xd, cpu_dims yd,
                            cpu_window p, double rate, bool accumulate) {
    if (has_wide_index(p))
        backward(dx, dy, index, xd, yd, p, rate, accumulate, true);
    else
        backward(dx, dy, index, xd, yd, p, rate, accumulate, false);
}
