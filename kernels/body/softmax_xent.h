/* One row of the categorical cross-entropy with soft targets on logits. */
#ifndef KERNELS_BODY_SOFTMAX_XENT_H
#define KERNELS_BODY_SOFTMAX_XENT_H

#include "kernels/body/softmax.h"

/* Index of the first maximum. A NaN is never chosen, except at index 0. */
MIEN_BODY int body_argmax(const real *row, int classes) {
    int best = 0;
    for (int k = 1; k < classes; k++)
        if (row[k] > row[best]) best = k;
    return best;
}

/* The gradient on one logit: weight * (p - t) / batch. */
MIEN_BODY real body_xent_slope(real z, real top, real log_sum, real target, real weight,
                               real inverse_batch) {
    return (m_exp(z - top - log_sum) - target) * weight * inverse_batch;
}

/* Loss -sum t log p of one row, times the row's class weight; dz = weight * (p - t) / batch.
 * `targets` sum to one; `class_weight` NULL means all ones. dz may be NULL, and may be z. */
MIEN_BODY real body_softmax_xent(real *dz, const real *z, const real *targets,
                                 const real *class_weight, int classes, real inverse_batch) {
    real top = z[0];
    for (int k = 1; k < classes; k++)
        top = body_softmax_top(top, z[k]);
    real sum = 0, dot = 0;
    for (int k = 0; k < classes; k++) {
        sum += body_softmax_power(z[k], top);
        dot = M_FMA(targets[k], z[k] - top, dot);
    }
    const real log_sum = m_log(sum);
    /* Keras: the weight is that of the target's largest class */
    const real weight = class_weight ? class_weight[body_argmax(targets, classes)] : 1;
    for (int k = 0; dz && k < classes; k++)
        dz[k] = body_xent_slope(z[k], top, log_sum, targets[k], weight, inverse_batch);
    return weight * (log_sum - dot);
}

#endif
