/* Resizing of images, like TensorFlow's resize with half-pixel centres and without antialiasing:
 * the centre of output pixel o is at (o + 1/2) * in / out - 1/2 of the input. Positions are
 * fractions of integers, so that every device and number type reads the same pixels. */
#ifndef KERNELS_BODY_RESAMPLE_H
#define KERNELS_BODY_RESAMPLE_H

#include "kernels/body/body.h"

/* What output pixel o reads along one axis: value(low) + weight * (value(high) - value(low)). */
typedef struct body_tap {
    int low, high;
    real weight;
} body_tap;

MIEN_BODY int64_t body_floor_divide(int64_t a, int64_t b) { /* b > 0 */
    return a / b - (a % b < 0 ? 1 : 0);
}

MIEN_BODY body_tap body_resample_tap(int o, int in, int out, int bilinear) {
    body_tap tap;
    const int64_t twice = 2 * (int64_t)out;
    const int64_t at = (2 * (int64_t)o + 1) * in - (bilinear ? out : 0);
    const int64_t low = body_floor_divide(at, twice);
    tap.low = low < 0 ? 0 : (low < in ? (int)low : in - 1);
    tap.high = low + 1 < in ? (int)(low + 1) : in - 1;
    tap.weight = (real)(at - low * twice) / (real)twice;
    if (!bilinear) {
        tap.high = tap.low;
        tap.weight = 0;
    }
    return tap;
}

/* The outputs that read input pixel i: first .. end - 1. */
MIEN_BODY void body_resample_outputs(int i, int in, int out, int bilinear, int *first, int *end) {
    const int64_t twice = 2 * (int64_t)in;
    /* output o reads i from the first whose position is at least `low` to the last below `high`,
     * both in halves of an input pixel */
    const int64_t low = bilinear ? 2 * (int64_t)i - 1 : 2 * (int64_t)i;
    const int64_t high = bilinear ? 2 * (int64_t)i + 3 : 2 * (int64_t)i + 2;
    const int64_t from = -body_floor_divide(-(low * out - in), twice);
    const int64_t to = -body_floor_divide(-(high * out - in), twice);
    *first = i == 0 || from < 0 ? 0 : (int)from;
    *end = i == in - 1 || to > out ? out : (int)to;
}

/* The weight of pixel i in the value that `tap` gives. */
MIEN_BODY real body_tap_share(body_tap tap, int i) {
    return (tap.low == i ? 1 - tap.weight : 0) + (tap.high == i ? tap.weight : 0);
}

MIEN_BODY real body_between(real a, real b, real weight) {
    return M_FMA(b - a, weight, a);
}

#endif
