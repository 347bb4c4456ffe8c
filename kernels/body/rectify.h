/* Piecewise linear activations with parameters, and the maximum of two values. */
#ifndef KERNELS_BODY_RECTIFY_H
#define KERNELS_BODY_RECTIFY_H

#include "kernels/body/body.h"

/* keras.layers.ReLU in its general form; without a limit `max_value` is infinite. */
typedef struct body_rectifier {
    float max_value, negative_slope, threshold;
} body_rectifier;

/* A NaN stays a NaN. */
MIEN_BODY real body_rectify(real x, body_rectifier r) {
    if (x <= r.threshold) return r.negative_slope != 0 ? r.negative_slope * (x - r.threshold) : 0;
    return x > r.max_value ? r.max_value : x;
}

/* At the threshold as in Keras: 0, except for a leaky_relu, which has its negative slope there. */
MIEN_BODY real body_rectify_slope(real x, body_rectifier r) {
    const int leaky = r.threshold == 0 && r.max_value > 3.4e38f;
    if (x < r.threshold || (leaky && x == 0)) return r.negative_slope;
    if (x == r.threshold) return 0;
    return x > r.max_value ? 0 : 1;
}

/* PReLU (He et al. 2015): the slope below zero is a parameter. The slope at zero is 0, as in Keras,
 * which computes PReLU as the difference of two ReLUs. */
MIEN_BODY real body_prelu(real x, real alpha) {
    return x < 0 ? alpha * x : x;
}

MIEN_BODY real body_prelu_slope(real x, real alpha) {
    return x > 0 ? 1 : (x < 0 ? alpha : 0);
}

/* d y / d alpha */
MIEN_BODY real body_prelu_share(real x) {
    return x < 0 ? x : 0;
}

/* The shape of PReLU's parameter: 1 along the axes that share it. */
typedef struct body_alpha {
    int h, w, c;
} body_alpha;

/* Index of the parameter for position (h, w) and channel c. */
MIEN_BODY size_t body_alpha_at(body_alpha a, int h, int w, int c) {
    const size_t position = (size_t)(a.h > 1 ? h : 0) * (size_t)a.w + (size_t)(a.w > 1 ? w : 0);
    return position * (size_t)a.c + (size_t)(a.c > 1 ? c : 0);
}

enum { BODY_MAXIMUM_INPUTS = 8 }; /* inputs at most */

/* A NaN wins, so that it propagates. */
MIEN_BODY real body_greater(real a, real b) {
    return b > a || b != b ? b : a;
}

#endif
