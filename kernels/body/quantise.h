/* Numbers in eight bits: q = round(x / scale), saturated. Ties go to the even neighbour, as the
 * processor's conversions round. */
#ifndef KERNELS_BODY_QUANTISE_H
#define KERNELS_BODY_QUANTISE_H

#include "kernels/body/body.h"

/* The range of an unsigned and a signed byte; an unsigned low of 0 is a ReLU as well. */
typedef struct body_bytes {
    int low, high;
} body_bytes;

MIEN_BODY body_bytes body_bytes_of(int is_signed) {
    const body_bytes b = {is_signed ? -128 : 0, is_signed ? 127 : 255};
    return b;
}

/* x / scale within the range, not yet rounded; `inverse` = 1 / scale. A NaN becomes `low`. */
MIEN_BODY real body_saturate(real x, real inverse, body_bytes range) {
    const real scaled = x * inverse, low = (real)range.low, high = (real)range.high;
    const real up = scaled > low ? scaled : low;
    return up < high ? up : high;
}

MIEN_BODY int body_quantise(real x, real inverse, body_bytes range) {
    return (int)M_RINT(body_saturate(x, inverse, range));
}

#endif
