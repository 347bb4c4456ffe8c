#include "kernels/body/noise.h"
#include "kernels/cpu/draw.h"

/* Prefetches what will be read and written while the words are drawn. */
static void fetch(const real *x, const real *relu, const real *y, int count) {
    enum { LINE = 64 / sizeof(real) };
    for (int i = 0; i < count; i += LINE) {
        __builtin_prefetch(x + i);
        if (relu) __builtin_prefetch(relu + i);
        __builtin_prefetch(y + i, 1);
    }
}

/* `count` adjacent elements. */
static void drop(real *y, const real *x, const uint32_t *words, int count, uint32_t threshold,
                 real scale, bool accumulate) {
    if (accumulate) {
#pragma omp simd
        for (int i = 0; i < count; i++)
            y[i] += body_dropout(x[i], words[i], threshold, scale);
    } else {
#pragma omp simd
        for (int i = 0; i < count; i++)
            y[i] = body_dropout(x[i], words[i], threshold, scale);
    }
}

/* The same with the slope of a ReLU whose output was `relu`; NULL: none. */
static void drop_relu(real *y, const real *x, const real *relu, const uint32_t *words, int count,
                      uint32_t threshold, real scale, bool accumulate) {
    if (!relu) {
        drop(y, x, words, count, threshold, scale, accumulate);
    } else if (accumulate) {
#pragma omp simd
        for (int i = 0; i < count; i++)
            y[i] += body_dropout_relu(x[i], relu[i], words[i], threshold, scale);
    } else {
#pragma omp simd
        for (int i = 0; i < count; i++)
            y[i] = body_dropout_relu(x[i], relu[i], words[i], threshold, scale);
    }
}

static const real *from(const real *relu, size_t at) {
    return relu ? relu + at : NULL;
}

void CPU(dropout)(real *y, const real *x, const real *relu, cpu_dims d, const cpu_mask *m,
                  bool accumulate) {
    const uint32_t threshold = body_dropout_threshold(m->rate);
    const real scale = (real)(1 / (1 - m->rate));
    const int blocks = d.c / d.block, image = d.h * d.w;
    /* NHWC is one long run, whatever its channels; with blocks a task takes several pixels */
    const bool run = blocks == 1;
    const int step = run ? DRAW_WORDS - 4 : (DRAW_WORDS - 4) / d.block;
    const size_t all = (size_t)d.n * (size_t)image * (size_t)d.c;
    const int lines = (image + step - 1) / step;
    const size_t tasks =
        run ? (all + (size_t)step - 1) / (size_t)step : (size_t)(d.n * blocks) * (size_t)lines;
#pragma omp parallel for schedule(static)
    for (size_t task = 0; task < tasks; task++) {
        uint32_t buffer[DRAW_CAPACITY];
        if (run) {
            const size_t at = task * (size_t)step;
            const int count = all - at < (size_t)step ? (int)(all - at) : step;
            fetch(x + at, from(relu, at), y + at, count);
            const uint64_t first = m->first * (uint64_t)image * (uint64_t)d.c + at;
            drop_relu(y + at, x + at, from(relu, at), draw(buffer, m, first, count, 1, 1), count,
                      threshold, scale, accumulate);
            continue;
        }
        const size_t plane = task / (size_t)lines, b = plane % (size_t)blocks;
        const int start = (int)(task % (size_t)lines) * step;
        const int pixels = image - start < step ? image - start : step;
        const size_t at = (plane * (size_t)image + (size_t)start) * (size_t)d.block;
        fetch(x + at, from(relu, at), y + at, pixels * d.block);
        const uint64_t pixel =
            (m->first + plane / (size_t)blocks) * (uint64_t)image + (uint64_t)start;
        const uint32_t *words =
            draw(buffer, m, pixel * (uint64_t)d.c + b * (uint64_t)d.block, pixels, d.block, d.c);
        drop_relu(y + at, x + at, from(relu, at), words, pixels * d.block, threshold, scale,
                  accumulate);
    }
}

/* One word per channel of an image: its index counts the channels of all images. */
void CPU(dropout_channels)(real *y, const real *x, cpu_dims d, const cpu_mask *m, bool accumulate) {
    enum { FEW = 64 };
    const uint32_t threshold = body_dropout_threshold(m->rate);
    const real scale = (real)(1 / (1 - m->rate));
    const int groups = (d.block + FEW - 1) / FEW, blocks = d.c / d.block;
    const size_t image = (size_t)d.h * (size_t)d.w;
#pragma omp parallel for schedule(static)
    for (int task = 0; task < d.n * blocks * groups; task++) {
        const int plane = task / groups, k0 = task % groups * FEW;
        const int count = d.block - k0 < FEW ? d.block - k0 : FEW;
        const uint64_t first = (m->first + (uint64_t)(plane / blocks)) * (uint64_t)d.c +
                               (uint64_t)(plane % blocks * d.block + k0);
        uint32_t words[FEW];
        for (int k = 0; k < count; k++)
            words[k] = rng_word(m->seed, m->stream, m->step, first + (uint64_t)k);
        for (size_t p = 0; p < image; p++) {
            const size_t at = ((size_t)plane * image + p) * (size_t)d.block + (size_t)k0;
            drop(y + at, x + at, words, count, threshold, scale, accumulate);
        }
    }
}

void CPU(noise)(real *y, const real *x, cpu_dims d, const cpu_mask *m) {
    const real std = (real)m->rate;
    const size_t blocks = (size_t)(d.c / d.block), image = (size_t)d.h * (size_t)d.w;
    const size_t lines =
        (size_t)d.n * blocks * image; /* in NHWC one per pixel: more than an int can count */
#pragma omp parallel for schedule(static)
    for (size_t line = 0; line < lines; line++) {
        const size_t plane = line / image, offset = line % image;
        const uint64_t pixel = (m->first + plane / blocks) * image + offset;
        const uint64_t first = pixel * (uint64_t)d.c + plane % blocks * (uint64_t)d.block;
        const size_t at = line * (size_t)d.block;
        for (size_t k = 0; k < (size_t)d.block; k++)
            y[at + k] = M_FMA(body_normal(m->seed, m->stream, m->step, first + k), std, x[at + k]);
    }
}
