/* Inverted dropout (Srivastava et al. 2014): kept elements are scaled by 1/(1-rate). The mask is a
 * function of (seed, stream, step, logical NHWC index in the global batch); backward draws it again
 * instead of reading a stored one. */
#ifndef KERNELS_BODY_DROPOUT_H
#define KERNELS_BODY_DROPOUT_H

#include "kernels/body/activation.h"
#include "kernels/body/rng.h"

/* An element is kept when its word is at or above this threshold. */
MIEN_BODY uint32_t body_dropout_threshold(double rate) {
    return (uint32_t)(rate * 4294967296.0);
}

MIEN_BODY real body_dropout(real x, uint32_t word, uint32_t threshold, real scale) {
    return word >= threshold ? x * scale : 0;
}

/* Backward through a dropout and the ReLU before it, whose output was `y`: the two factors one
 * after the other, so that one pass gives the bits of two. */
MIEN_BODY real body_dropout_relu(real dy, real y, uint32_t word, uint32_t threshold, real scale) {
    return body_dropout(dy, word, threshold, scale) * body_activation_slope(0, y, BODY_RELU, 0);
}

#endif
