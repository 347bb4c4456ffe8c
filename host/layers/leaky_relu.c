/* ReLU with a small slope for negative inputs, as keras.layers.LeakyReLU (Maas et al. 2013). */
#include "host/layers/layer.h"

typedef struct leaky_relu_attrs {
    mien_layer_common common;
    double negative_slope;
} leaky_relu_attrs;

#define F(field) MIEN_FIELD(leaky_relu_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(leaky_relu_attrs),
    KEY_REAL("negative_slope", F(negative_slope), "0.3", 0, 1e6,
             "slope for negative inputs; called alpha in Keras 2"),
};

static int activates(const mien_node *node, float *alpha) {
    const leaky_relu_attrs *a = node->attrs;
    *alpha = (float)a->negative_slope;
    /* with slope 0 backward cannot infer the input's sign from the output of BODY_LEAKY_RELU */
    return *alpha > 0 ? BODY_LEAKY_RELU : BODY_RELU;
}

const mien_layer_def mien_layer_leaky_relu = {
    .name = "leaky_relu",
    .class_name = "LeakyReLU",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(leaky_relu_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_NEEDS_INPUT | MIEN_NEEDS_OUTPUT,
    .infer = mien_infer_same,
    .forward = mien_activation_layer_forward,
    .backward = mien_activation_layer_backward,
    .activates = activates,
};
