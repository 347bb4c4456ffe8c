/* (x - mean) / std per channel, as keras.layers.Normalization. Mean and variance are states, saved
 * with the weights; the keys of the same names give their initial values. */
#include "host/layers/layer.h"

typedef struct normalization_attrs {
    mien_layer_common common;
    int axis;
    mien_reals mean, variance;
} normalization_attrs;

#define F(field) MIEN_FIELD(normalization_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(normalization_attrs),
    KEY_INT("axis", F(axis), "-1", -1, 3, "the channel axis: -1, or 3 for images"),
    KEY_REALS("mean", F(mean), "[]", -1e30, 1e30,
              "mean of the data: one number, or one per channel; empty: 0, or as saved in a model"),
    KEY_REALS("variance", F(variance), "[]", 0, 1e30, "variance of the data; empty: 1"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    const normalization_attrs *a = node->attrs;
    const size_t counts[] = {a->mean.count, a->variance.count};
    MIEN_TRY(mien_require_channel_axis(a->axis, *flat));
    for (int i = 0; i < 2; i++)
        if (counts[i] > 1 && counts[i] != (size_t)in->c)
            return MIEN_FAIL(INVALID, "its %s has %zu numbers, but its input has %d channels",
                             i ? "variance" : "mean", counts[i], in->c);
    return mien_infer_same(node, in, out, flat);
}

/* `count` exists only for Keras: the number of samples that the layer was adapted to. */
static void declare(mien_node *node, const mien_shape *in) {
    const normalization_attrs *a = node->attrs;
    const mien_shape vector = {1, 1, 1, in->c}, number = {1, 1, 1, 1};
    mien_declare(
        node,
        (mien_param){.name = "mean", .shape = vector, .init = MIEN_INIT_ZEROS, .start = &a->mean});
    mien_declare(node, (mien_param){.name = "variance",
                                    .shape = vector,
                                    .init = MIEN_INIT_ONES,
                                    .start = &a->variance});
    mien_declare(
        node, (mien_param){.name = "count", .shape = number, .init = MIEN_INIT_ZEROS, .axes = -1});
}

/* The epsilon matches Keras, which divides by a standard deviation of at least 1e-7. */
static mien_batchnorm vectors(const mien_pass *pass) {
    return (mien_batchnorm){.running_mean = pass->params[0],
                            .running_variance = pass->params[1],
                            .epsilon = 1e-14f,
                            .activation = BODY_LINEAR};
}

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    (void)node;
    const mien_batchnorm n = vectors(pass);
    return pass->ops->batchnorm_infer(pass->backend, &pass->y, &pass->x[0], &n);
}

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    (void)node;
    const mien_batchnorm n = vectors(pass);
    if (!pass->dx[0].data) return MIEN_OK;
    return pass->ops->batchnorm_backward(pass->backend, &pass->dx[0], &pass->dy, &pass->x[0], NULL,
                                         &n, true, pass->dx_accumulate[0]);
}

const mien_layer_def mien_layer_normalization = {
    .name = "normalization",
    .class_name = "Normalization",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(normalization_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_NEEDS_INPUT,
    .infer = infer,
    .declare = declare,
    .forward = forward,
    .backward = backward,
};
