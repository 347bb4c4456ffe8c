/* Softmax over the classes of one row, and its gradient. What stands for one class is a function of
 * its own: rows whose classes lie in blocks, and rows that many threads of a GPU share, loop over
 * them differently. Sums run over the classes in ascending order everywhere, so that all of them
 * give the same bits. */
#ifndef KERNELS_BODY_SOFTMAX_H
#define KERNELS_BODY_SOFTMAX_H

#include "kernels/body/elementary.h"

/* The largest so far; a NaN wins and stays, so that it cannot hide. */
MIEN_BODY real body_softmax_top(real top, real z) {
    return z > top || z != z ? z : top;
}

/* The numerator of one class; p is it divided by the sum of all. */
MIEN_BODY real body_softmax_power(real z, real top) {
    return m_exp(z - top);
}

/* dz of one class; `dot` is the sum of dp * p over all. */
MIEN_BODY real body_softmax_slope(real p, real dp, real dot) {
    return p * (dp - dot);
}

/* p[k] = softmax(z)[k]; p may be z. */
MIEN_BODY void body_softmax(real *p, const real *z, int classes) {
    real top = z[0], sum = 0;
    for (int k = 1; k < classes; k++)
        top = body_softmax_top(top, z[k]);
    for (int k = 0; k < classes; k++) {
        p[k] = body_softmax_power(z[k], top);
        sum += p[k];
    }
    for (int k = 0; k < classes; k++)
        p[k] = p[k] / sum;
}

#endif
