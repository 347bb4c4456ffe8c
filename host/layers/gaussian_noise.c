/* Adds normal noise in training, as keras.layers.GaussianNoise; the identity otherwise. */
#include "host/layers/layer.h"

typedef struct gaussian_noise_attrs {
    mien_layer_common common;
    double stddev;
} gaussian_noise_attrs;

#define F(field) MIEN_FIELD(gaussian_noise_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(gaussian_noise_attrs),
    KEY_REAL("stddev", F(stddev), NULL, 0, 1, "standard deviation of the noise"),
};

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    const gaussian_noise_attrs *a = node->attrs;
    if (!pass->training || a->stddev == 0) return mien_copy_forward(node, pass);
    const mien_dropout draw = {.rate = a->stddev,
                               .stream = RNG_DROPOUT + (uint32_t)node->index,
                               .state = pass->state,
                               .first = pass->first};
    return pass->ops->noise(pass->backend, &pass->y, &pass->x[0], &draw);
}

const mien_layer_def mien_layer_gaussian_noise = {
    .name = "gaussian_noise",
    .class_name = "GaussianNoise",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(gaussian_noise_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_IN_PLACE | MIEN_TRAINING_ONLY,
    .infer = mien_infer_same,
    .forward = forward,
    .backward = mien_copy_backward,
};
