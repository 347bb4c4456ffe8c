/* One row of softmax and of the categorical cross-entropy with soft targets on logits. */
#ifndef KERNELS_BODY_SOFTMAX_XENT_H
#define KERNELS_BODY_SOFTMAX_XENT_H

#include "kernels/body/elementary.h"

/* p[k] = softmax(z)[k]; p may be z. Returns log(sum exp(z - max)) + max. */
MIEN_BODY real body_softmax(real *p, const real *z, int classes) {
    real top = z[0];
    for (int k = 1; k < classes; k++)
        top = z[k] > top || z[k] != z[k] ? z[k] : top;
    real sum = 0;
    for (int k = 0; k < classes; k++) {
        p[k] = m_exp(z[k] - top);
        sum += p[k];
    }
    for (int k = 0; k < classes; k++)
        p[k] = p[k] / sum;
    return m_log(sum) + top;
}

/* Loss -sum t log p of one row, times the row's class weight; dz = weight * (p - t) / batch.
 * `targets` sum to one; `class_weight` NULL means all ones. dz may be NULL, and may be z. */
MIEN_BODY real body_softmax_xent(real *dz, const real *z, const real *targets,
                                 const real *class_weight, int classes, real inverse_batch) {
    real top = z[0];
    for (int k = 1; k < classes; k++)
        top = z[k] > top || z[k] != z[k] ? z[k] : top;
    real sum = 0, dot = 0;
    int label = 0; /* Keras: the weight is that of the target's largest class */
    for (int k = 0; k < classes; k++) {
        sum += m_exp(z[k] - top);
        dot = M_FMA(targets[k], z[k] - top, dot);
        label = targets[k] > targets[label] ? k : label;
    }
    const real log_sum = m_log(sum), weight = class_weight ? class_weight[label] : 1;
    for (int k = 0; dz && k < classes; k++)
        dz[k] = (m_exp(z[k] - top - log_sum) - targets[k]) * weight * inverse_batch;
    return weight * (log_sum - dot);
}

#endif
