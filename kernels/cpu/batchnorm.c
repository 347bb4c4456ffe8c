/* A thread owns whole channel blocks, so sums do not depend on the number of threads. */
#include "kernels/cpu/cpu.h"

enum { LANES = 64 }; /* channels summed side by side: wider blocks are taken in parts */

/* Calls for each part of a block: first channel c0, `lanes` channels at `offset` in each block. */
#define FOR_PARTS(d) for (int part = 0; part < (d).c; part += cpu_part((d), part))

static int cpu_part(cpu_dims d, int at) {
    const int rest = d.block - at % d.block;
    return rest < LANES ? rest : LANES;
}

/* Sums over n, h and w of x and, around `centre`, of squares. Double sums: the result does not
 * depend on the order to the precision of a float. */
static void moments(double *sum, double *squares, const real *x, cpu_dims d, int c, int lanes,
                    const double *centre) {
    const int places = d.h * d.w;
    for (int k = 0; k < lanes; k++)
        sum[k] = squares[k] = 0;
    for (int n = 0; n < d.n; n++) {
        const real *plane = x + cpu_plane(d, n, c / d.block) + c % d.block;
        for (int p = 0; p < places; p++) {
            const real *at = plane + (size_t)p * (size_t)d.block;
            for (int k = 0; k < lanes; k++) {
                const double v = at[k] - (centre ? centre[k] : 0);
                sum[k] += v;
                squares[k] += v * v;
            }
        }
    }
}

static int count_parts(cpu_dims d) {
    int parts = 0;
    FOR_PARTS(d) parts++;
    return parts;
}

/* First channel of part number `index`. */
static int part_start(cpu_dims d, int index) {
    int c = 0;
    for (int i = 0; i < index; i++)
        c += cpu_part(d, c);
    return c;
}

void CPU(batchnorm_statistics)(real *mean, real *inverse_deviation, real *running_mean,
                               real *running_variance, const real *x, cpu_dims d, real momentum,
                               real epsilon) {
    const int parts = count_parts(d);
    const double count = (double)d.n * d.h * d.w;
#pragma omp parallel for schedule(static)
    for (int part = 0; part < parts; part++) {
        const int c = part_start(d, part), lanes = cpu_part(d, c);
        double sum[LANES], squares[LANES], centre[LANES];
        for (int k = 0; k < lanes; k++) /* any value of the channel: keeps the squares small */
            centre[k] = x[cpu_plane(d, 0, c / d.block) + (size_t)(c % d.block + k)];
        moments(sum, squares, x, d, c, lanes, centre);
        for (int k = 0; k < lanes; k++) {
            const double shift = sum[k] / count;
            const real m = (real)(centre[k] + shift);
            const real variance = (real)(squares[k] / count - shift * shift);
            mean[c + k] = m;
            inverse_deviation[c + k] = body_inverse_deviation(variance > 0 ? variance : 0, epsilon);
            if (!isfinite(m) || !isfinite(variance)) continue; /* a bad batch leaves no trace */
            running_mean[c + k] = body_running(running_mean[c + k], m, momentum);
            running_variance[c + k] = body_running(running_variance[c + k], variance, momentum);
        }
    }
}

static void apply(real *y, const real *x, cpu_dims d, int c, int lanes, const real *scale,
                  const real *shift, int act) {
    for (int n = 0; n < d.n; n++) {
        const size_t start = cpu_plane(d, n, c / d.block) + (size_t)(c % d.block);
        for (int p = 0; p < d.h * d.w; p++) {
            const size_t at = start + (size_t)p * (size_t)d.block;
            if (act == BODY_RELU)
                for (int k = 0; k < lanes; k++)
                    y[at + (size_t)k] = body_activate(
                        body_bn_apply(x[at + (size_t)k], scale[k], shift[k]), BODY_RELU, 0);
            else
                for (int k = 0; k < lanes; k++)
                    y[at + (size_t)k] = body_bn_apply(x[at + (size_t)k], scale[k], shift[k]);
        }
    }
}

void CPU(batchnorm_apply)(real *y, const real *x, cpu_dims d, const real *gamma, const real *beta,
                          const real *mean, const real *inverse_deviation, int act) {
    const int parts = count_parts(d);
#pragma omp parallel for schedule(static)
    for (int part = 0; part < parts; part++) {
        const int c = part_start(d, part), lanes = cpu_part(d, c);
        real scale[LANES], shift[LANES];
        for (int k = 0; k < lanes; k++) {
            scale[k] = body_bn_scale(gamma ? gamma[c + k] : 1, inverse_deviation[c + k]);
            shift[k] = body_bn_shift(beta ? beta[c + k] : 0, mean[c + k], scale[k]);
        }
        apply(y, x, d, c, lanes, scale, shift, act);
    }
}

void CPU(batchnorm_infer)(real *y, const real *x, cpu_dims d, const real *gamma, const real *beta,
                          const real *mean, const real *variance, real epsilon, int act) {
    const int parts = count_parts(d);
#pragma omp parallel for schedule(static)
    for (int part = 0; part < parts; part++) {
        const int c = part_start(d, part), lanes = cpu_part(d, c);
        real scale[LANES], shift[LANES];
        for (int k = 0; k < lanes; k++) {
            scale[k] = body_bn_scale(gamma ? gamma[c + k] : 1,
                                     body_inverse_deviation(variance[c + k], epsilon));
            shift[k] = body_bn_shift(beta ? beta[c + k] : 0, mean[c + k], scale[k]);
        }
        apply(y, x, d, c, lanes, scale, shift, act);
    }
}

/* dy behind the fused ReLU. */
static inline real through(real dy, const real *y, size_t at, int act) {
    return act == BODY_RELU ? dy * body_activation_slope(0, y[at], BODY_RELU, 0) : dy;
}

void CPU(batchnorm_backward)(real *dx, real *dgamma, real *dbeta, const real *dy, const real *x,
                             const real *y, cpu_dims d, const real *gamma, const real *mean,
                             const real *deviation, real epsilon, int act, bool frozen,
                             bool accumulate) {
    const int parts = count_parts(d), places = d.h * d.w;
    const double count = (double)d.n * places;
#pragma omp parallel for schedule(static)
    for (int part = 0; part < parts; part++) {
        const int c = part_start(d, part), lanes = cpu_part(d, c);
        double sum[LANES] = {0}, dot[LANES] = {0};
        real inverse[LANES];
        for (int k = 0; k < lanes; k++) /* frozen: `deviation` is the running variance */
            inverse[k] =
                frozen ? body_inverse_deviation(deviation[c + k], epsilon) : deviation[c + k];
        for (int n = 0; n < d.n; n++) {
            const size_t start = cpu_plane(d, n, c / d.block) + (size_t)(c % d.block);
            for (int p = 0; p < places; p++)
                for (int k = 0; k < lanes; k++) {
                    const size_t at = start + (size_t)p * (size_t)d.block + (size_t)k;
                    const real g = through(dy[at], y, at, act);
                    sum[k] += g;
                    dot[k] += (double)g * ((x[at] - mean[c + k]) * inverse[k]);
                }
        }
        real scale[LANES], mean_dy[LANES], mean_dot[LANES];
        for (int k = 0; k < lanes; k++) {
            if (dgamma) dgamma[c + k] = (real)dot[k];
            if (dbeta) dbeta[c + k] = (real)sum[k];
            scale[k] = body_bn_scale(gamma ? gamma[c + k] : 1, inverse[k]);
            mean_dy[k] = frozen ? 0 : (real)(sum[k] / count);
            mean_dot[k] = frozen ? 0 : (real)(dot[k] / count);
        }
        for (int n = 0; dx && n < d.n; n++) {
            const size_t start = cpu_plane(d, n, c / d.block) + (size_t)(c % d.block);
            for (int p = 0; p < places; p++)
                for (int k = 0; k < lanes; k++) {
                    const size_t at = start + (size_t)p * (size_t)d.block + (size_t)k;
                    const real g = through(dy[at], y, at, act);
                    const real xhat = (x[at] - mean[c + k]) * inverse[k];
                    dx[at] = (accumulate ? dx[at] : 0) +
                             body_bn_dx(g, xhat, scale[k], mean_dy[k], mean_dot[k]);
                }
        }
    }
}
