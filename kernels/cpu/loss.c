#include "kernels/cpu/cpu.h"

/* Index of class k of a row: pixel p of image n. */
static size_t class_at(cpu_dims d, int n, int p, int k) {
    return cpu_plane(d, n, k / d.block) + (size_t)p * (size_t)d.block + (size_t)(k % d.block);
}

/* body_softmax for classes in channel blocks. */
static void blocked_softmax(real *y, const real *x, cpu_dims d, int n, int p) {
    real top = x[class_at(d, n, p, 0)], sum = 0;
    for (int k = 1; k < d.c; k++)
        top = body_softmax_top(top, x[class_at(d, n, p, k)]);
    for (int k = 0; k < d.c; k++) {
        const size_t at = class_at(d, n, p, k);
        y[at] = body_softmax_power(x[at], top);
        sum += y[at];
    }
    for (int k = 0; k < d.c; k++)
        y[class_at(d, n, p, k)] /= sum;
}

void CPU(softmax)(real *y, const real *x, cpu_dims d) {
    const int pixels = d.h * d.w;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < d.n * pixels; i++) {
        const size_t at = (size_t)i * (size_t)d.c;
        if (d.block == d.c)
            body_softmax(y + at, x + at, d.c);
        else
            blocked_softmax(y, x, d, i / pixels, i % pixels);
    }
}

void CPU(softmax_backward)(real *dx, const real *dy, const real *y, cpu_dims d, bool accumulate) {
    const int pixels = d.h * d.w;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < d.n * pixels; i++) {
        const int n = i / pixels, p = i % pixels;
        real dot = 0;
        for (int k = 0; k < d.c; k++) {
            const size_t at = class_at(d, n, p, k);
            dot = M_FMA(dy[at], y[at], dot);
        }
        for (int k = 0; k < d.c; k++) {
            const size_t at = class_at(d, n, p, k);
            dx[at] = (accumulate ? dx[at] : 0) + body_softmax_slope(y[at], dy[at], dot);
        }
    }
}

void CPU(softmax_xent)(real *dlogits, const real *logits, const real *targets,
                       const real *class_weight, int rows, int classes, int batch,
                       body_step *state) {
    /* few rows of few numbers: one thread, so the order of summation is fixed */
    const real inverse_batch = (real)body_loss_scale(state) / (real)batch;
    double sum = 0;
    uint64_t correct = 0;
    for (int i = 0; i < rows; i++) {
        const size_t at = (size_t)i * (size_t)classes;
        correct += body_argmax(logits + at, classes) == body_argmax(targets + at, classes);
        sum += body_softmax_xent(dlogits ? dlogits + at : NULL, logits + at, targets + at,
                                 class_weight, classes, inverse_batch);
    }
    body_step_loss(state, sum, correct, (uint64_t)rows);
}
