/* Batch normalisation over the channels, as keras.layers.BatchNormalization. If it is not
 * trainable, training uses the running statistics and does not change them, as in Keras. */
#include <math.h>

#include "host/layers/layer.h"

typedef struct batch_normalization_attrs {
    mien_layer_common common;
    double momentum, epsilon;
    bool center, scale;
} batch_normalization_attrs;

#define F(field) MIEN_FIELD(batch_normalization_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(batch_normalization_attrs),
    KEY_REAL("momentum", F(momentum), "0.99", 0, 1, "of the running statistics"),
    KEY_REAL("epsilon", F(epsilon), "0.001", 0, 1, "added to the variance"),
    KEY_BOOL("center", F(center), "true", "learn beta"),
    KEY_BOOL("scale", F(scale), "true", "learn gamma"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    (void)node, (void)flat;
    *out = *in;
    return MIEN_OK;
}

static void declare(mien_node *node, const mien_shape *in) {
    const batch_normalization_attrs *a = node->attrs;
    const mien_shape vector = {1, 1, 1, in->c};
    if (a->scale)
        mien_declare(
            node, (mien_param){
                      .name = "gamma", .shape = vector, .init = MIEN_INIT_ONES, .trained = true});
    if (a->center)
        mien_declare(
            node, (mien_param){
                      .name = "beta", .shape = vector, .init = MIEN_INIT_ZEROS, .trained = true});
    mien_declare(node,
                 (mien_param){.name = "moving_mean", .shape = vector, .init = MIEN_INIT_ZEROS});
    mien_declare(node,
                 (mien_param){.name = "moving_variance", .shape = vector, .init = MIEN_INIT_ONES});
}

static mien_batchnorm vectors(const mien_node *node, const mien_pass *pass) {
    const batch_normalization_attrs *a = node->attrs;
    int at = 0;
    mien_batchnorm n = {.momentum = (float)a->momentum,
                        .epsilon = (float)a->epsilon,
                        .warm = pass->warm_averages ? pass->state : NULL,
                        .activation = pass->activation};
    if (a->scale) {
        n.dgamma = pass->dparams[at];
        n.gamma = pass->params[at++];
    }
    if (a->center) {
        n.dbeta = pass->dparams[at];
        n.beta = pass->params[at++];
    }
    n.running_mean = pass->params[at++];
    n.running_variance = pass->params[at];
    n.mean = pass->statistics[0];
    n.inverse_std = pass->statistics[1];
    return n;
}

int mien_batchnorm_mean(const mien_node *node) {
    const batch_normalization_attrs *a = node->attrs;
    return a->scale + a->center;
}

void mien_batchnorm_affine(const mien_node *node, float *const *params, float *scale,
                           float *shift) {
    const batch_normalization_attrs *a = node->attrs;
    const float *gamma = a->scale ? *params++ : NULL, *beta = a->center ? *params++ : NULL;
    const float *mean = params[0], *variance = params[1];
    for (int c = 0; c < node->out.c; c++) {
        const double s = (gamma ? gamma[c] : 1.0) / sqrt(variance[c] + a->epsilon);
        scale[c] = (float)s;
        shift[c] = (float)((beta ? beta[c] : 0.0) - mean[c] * s);
    }
}

void mien_batchnorm_neutral(const mien_node *node, float *const *params, const float *shift) {
    const batch_normalization_attrs *a = node->attrs;
    float *gamma = a->scale ? *params++ : NULL, *beta = a->center ? *params++ : NULL;
    for (int c = 0; c < node->out.c; c++) {
        if (gamma) gamma[c] = 1;
        if (beta) beta[c] = 0;
        params[0][c] = -shift[c];
        params[1][c] = (float)(1 - a->epsilon);
    }
}

/* The pooling that runs in the pass. */
static mien_norm_pool pool_of(const mien_pass *pass) {
    if (!pass->pool) return (mien_norm_pool){0};
    return (mien_norm_pool){.window = &((const mien_pool_attrs *)pass->pool->attrs)->pool,
                            .index = pass->index,
                            .dropout = pass->dropout.rate > 0 ? &pass->dropout : NULL};
}

static bool frozen(const mien_node *node) {
    return !((const mien_layer_common *)node->attrs)->trainable;
}

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    mien_batchnorm n = vectors(node, pass);
    const mien_norm_pool pool = pool_of(pass);
    if (pass->pool) n.pool = &pool;
    if (pass->x_count > 1) n.residual = &pass->x[1];
    return pass->training && !frozen(node)
               ? pass->ops->batchnorm_train(pass->backend, &pass->y, &pass->x[0], &n)
               : pass->ops->batchnorm_infer(pass->backend, &pass->y, &pass->x[0], &n);
}

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    mien_batchnorm n = vectors(node, pass);
    const mien_norm_pool pool = pool_of(pass);
    if (pass->pool) n.pool = &pool;
    n.activation = pass->slope;
    if (pass->x_count > 1) {
        n.residual = &pass->x[1];
        n.dresidual = pass->dx[1].data ? &pass->dx[1] : NULL;
        n.accumulate_dresidual = pass->dx_accumulate[1];
    }
    const mien_tensor *dx = pass->dx[0].data ? &pass->dx[0] : NULL;
    return pass->ops->batchnorm_backward(pass->backend, dx, &pass->dy, &pass->x[0], &pass->y, &n,
                                         frozen(node), pass->dx_accumulate[0]);
}

const mien_layer_def mien_layer_batch_normalization = {
    .name = "batch_normalization",
    .class_name = "BatchNormalization",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(batch_normalization_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_NEEDS_INPUT | MIEN_FUSES_RELU | MIEN_WHOLE_BATCH | MIEN_SAVES_STATISTICS |
             MIEN_NORMALISES,
    .infer = infer,
    .declare = declare,
    .forward = forward,
    .backward = backward,
};
