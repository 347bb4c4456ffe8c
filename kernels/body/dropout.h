/* Inverted dropout (Srivastava et al. 2014): kept elements are scaled by 1/(1-rate). The mask is a
 * function of (seed, stream, step, logical NHWC index in the global batch); backward draws it again
 * instead of reading a stored one. */
#ifndef KERNELS_BODY_DROPOUT_H
#define KERNELS_BODY_DROPOUT_H

#include "kernels/body/rng.h"

/* An element is kept when its word is at or above this threshold. */
MIEN_BODY uint32_t body_dropout_threshold(double rate) {
    return (uint32_t)(rate * 4294967296.0);
}

MIEN_BODY real body_dropout(real x, uint32_t word, uint32_t threshold, real scale) {
    return word >= threshold ? x * scale : 0;
}

#endif
