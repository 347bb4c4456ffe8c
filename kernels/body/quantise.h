/* Quantisation to 8-bit integers: q = round(x / scale), saturated. Ties round to even, as the CPU's
 * conversion instructions do. */
#ifndef KERNELS_BODY_QUANTISE_H
#define KERNELS_BODY_QUANTISE_H

#include "kernels/body/body.h"

/* The range of uint8 or int8; the lower bound 0 of uint8 also acts as a ReLU. */
typedef struct body_int8_range {
    int low, high;
} body_int8_range;

MIEN_BODY body_int8_range body_int8_range_of(int is_signed) {
    const body_int8_range b = {is_signed ? -128 : 0, is_signed ? 127 : 255};
    return b;
}

/* x / scale within the range, not yet rounded; `inverse` = 1 / scale. A NaN becomes `low`. */
MIEN_BODY real body_saturate(real x, real inverse, body_int8_range range) {
    const real scaled = x * inverse, low = (real)range.low, high = (real)range.high;
    const real up = scaled > low ? scaled : low;
    return up < high ? up : high;
}

MIEN_BODY int body_quantise(real x, real inverse, body_int8_range range) {
    return (int)M_RINT(body_saturate(x, inverse, range));
}

#endif
