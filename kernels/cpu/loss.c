#include "kernels/cpu/cpu.h"

void CPU(softmax)(real *y, const real *x, int rows, int classes) {
#pragma omp parallel for schedule(static)
    for (int i = 0; i < rows; i++) {
        const size_t at = (size_t)i * (size_t)classes;
        body_softmax(y + at, x + at, classes);
    }
}

/* dx = y * (dy - sum(dy * y)) for each row. */
void CPU(softmax_backward)(real *dx, const real *dy, const real *y, int rows, int classes,
                           bool accumulate) {
#pragma omp parallel for schedule(static)
    for (int i = 0; i < rows; i++) {
        const size_t at = (size_t)i * (size_t)classes;
        real dot = 0;
        for (int k = 0; k < classes; k++)
            dot = M_FMA(dy[at + (size_t)k], y[at + (size_t)k], dot);
        for (int k = 0; k < classes; k++) {
            const size_t j = at + (size_t)k;
            dx[j] = (accumulate ? dx[j] : 0) + y[j] * (dy[j] - dot);
        }
    }
}

static int argmax(const real *row, int classes) {
    int best = 0;
    for (int k = 1; k < classes; k++)
        if (row[k] > row[best]) best = k;
    return best;
}

void CPU(softmax_xent)(real *dlogits, const real *logits, const real *targets,
                       const real *class_weight, int rows, int classes, int batch,
                       body_step *state) {
    /* few rows of few numbers: one thread, and the sum has one order */
    const real inverse_batch = 1 / (real)batch;
    double sum = 0;
    for (int i = 0; i < rows; i++) {
        const size_t at = (size_t)i * (size_t)classes;
        state->correct += argmax(logits + at, classes) == argmax(targets + at, classes);
        sum += body_softmax_xent(dlogits ? dlogits + at : NULL, logits + at, targets + at,
                                 class_weight, classes, inverse_batch);
    }
    state->loss_sum += sum;
    state->rows += (uint64_t)rows;
    if (!isfinite(sum)) state->bad = 1;
}
