/* Optimisers, one element at a time, with Keras's rules:
 *   Adam   (Kingma & Ba 2015) epsilon outside the root, on the uncorrected second moment
 *   AdamW  (Loshchilov & Hutter 2019) decoupled decay: w -= lr * decay * w before the update
 *   SGD    with momentum and Nesterov; weight decay is decoupled as well
 * and an exponential moving average of the weights. */
#ifndef KERNELS_BODY_OPTIMIZER_H
#define KERNELS_BODY_OPTIMIZER_H

#include "kernels/body/step.h"

enum body_optimizer { BODY_ADAM, BODY_ADAMW, BODY_SGD };

/* Hyper-parameters of a run. */
typedef struct body_rule {
    int kind; /* enum body_optimizer */
    double beta_1, beta_2, epsilon, weight_decay, momentum, clip_norm, ema;
    int nesterov;
    int warm_averages; /* ema, and the momentum of batch normalisation, as body_warm_decay has them
                        */
} body_rule;

/* The constants of one update, computed once per step in double. */
typedef struct body_update {
    real rate; /* Adam: bias-corrected */
    real one_minus_beta_1, one_minus_beta_2, epsilon;
    real decay; /* lr * weight_decay */
    real momentum, gradient_scale, one_minus_ema;
} body_update;

MIEN_BODY body_update body_update_make(const body_rule *rule, const body_step *s) {
    body_update u;
    const double lr = s->learning_rate;
    const double corrected = lr * sqrt(1 - s->beta_2_power) / (1 - s->beta_1_power);
    u.rate = (real)(rule->kind == BODY_SGD ? lr : corrected);
    u.one_minus_beta_1 = (real)(1 - rule->beta_1);
    u.one_minus_beta_2 = (real)(1 - rule->beta_2);
    u.epsilon = (real)rule->epsilon;
    u.decay = (real)(lr * rule->weight_decay);
    u.momentum = (real)rule->momentum;
    const int clip = rule->clip_norm > 0 && s->gradient_norm > rule->clip_norm;
    u.gradient_scale = (real)((clip ? rule->clip_norm / s->gradient_norm : 1) / body_loss_scale(s));
    u.one_minus_ema =
        (real)(1 - (rule->warm_averages ? body_warm_decay(rule->ema, s->step) : rule->ema));
    return u;
}

MIEN_BODY real body_adam(real w, real g, real *m, real *v, const body_update *u) {
    const real first = M_FMA(g - *m, u->one_minus_beta_1, *m);
    const real second = M_FMA(M_FMA(g, g, -*v), u->one_minus_beta_2, *v);
    *m = first;
    *v = second;
    return w - first * u->rate / (M_SQRT(second) + u->epsilon);
}

MIEN_BODY real body_sgd(real w, real g, real *m, int nesterov, const body_update *u) {
    const real velocity = M_FMA(u->momentum, *m, -(u->rate * g));
    *m = velocity;
    return w + (nesterov ? M_FMA(u->momentum, velocity, -(u->rate * g)) : velocity);
}

MIEN_BODY real body_ema(real average, real w, const body_update *u) {
    return M_FMA(w - average, u->one_minus_ema, average);
}

#endif
