/* Softmax over the classes of one row, and its gradient. The work on one class is a separate
 * function, because rows stored in channel blocks and rows shared by many GPU threads need
 * different loops. Sums run over the classes in ascending order everywhere, so that all of them
 * give the same bits. */
#ifndef KERNELS_BODY_SOFTMAX_H
#define KERNELS_BODY_SOFTMAX_H

#include "kernels/body/elementary.h"

/* The maximum so far; a NaN wins and stays, so that it propagates. */
MIEN_BODY real body_softmax_top(real top, real z) {
    return z > top || z != z ? z : top;
}

/* The numerator of one class; p is this divided by the sum over all classes. */
MIEN_BODY real body_softmax_power(real z, real top) {
    return m_exp(z - top);
}

/* dz of one class; `dot` is the sum of dp * p over all classes. */
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
