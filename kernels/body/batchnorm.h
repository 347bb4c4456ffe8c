/* Batch normalisation (Ioffe & Szegedy 2015) as in Keras: biased variance, also for the running
 * average; running = momentum * running + (1 - momentum) * batch. */
#ifndef KERNELS_BODY_BATCHNORM_H
#define KERNELS_BODY_BATCHNORM_H

#include "kernels/body/body.h"

MIEN_BODY real body_inverse_std(real variance, real epsilon) {
    return 1 / M_SQRT(variance + epsilon);
}

/* A batch that is not finite, whose update is held back, leaves no trace here either. */
MIEN_BODY real body_running(real running, real batch, real momentum) {
    const real next = M_FMA(running - batch, momentum, batch);
    return 0 * next == 0 ? next : running;
}

/* y = x * scale + shift with scale = gamma / std, shift = beta - mean * scale. */
MIEN_BODY real body_bn_scale(real gamma, real inverse_std) {
    return gamma * inverse_std;
}

MIEN_BODY real body_bn_shift(real beta, real mean, real scale) {
    return M_FMA(-mean, scale, beta);
}

MIEN_BODY real body_bn_apply(real x, real scale, real shift) {
    return M_FMA(x, scale, shift);
}

/* The same followed by an addition, rounded as two separate operations. */
MIEN_BODY real body_bn_apply_add(real x, real scale, real shift, real residual) {
    return body_bn_apply(x, scale, shift) + residual;
}

/* dx of one element: scale * (dy - mean(dy) - xhat * mean(dy * xhat)). */
MIEN_BODY real body_bn_dx(real dy, real xhat, real scale, real mean_dy, real mean_dy_xhat) {
    return scale * (M_FMA(-xhat, mean_dy_xhat, dy) - mean_dy);
}

#endif
