/* Exponential linear unit, as keras.layers.ELU (Clevert et al. 2016). */
#include "host/layers/layer.h"

typedef struct elu_attrs {
    mien_layer_common common;
    double alpha;
} elu_attrs;

#define F(field) MIEN_FIELD(elu_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(elu_attrs),
    KEY_REAL("alpha", F(alpha), "1", 0, 1e6,
             "the output approaches minus alpha for large negative inputs"),
};

static int activates(const mien_node *node, float *alpha) {
    const elu_attrs *a = node->attrs;
    *alpha = (float)a->alpha;
    /* with alpha 0 backward cannot infer the input's sign from the output of BODY_ELU */
    return *alpha > 0 ? BODY_ELU : BODY_RELU;
}

const mien_layer_def mien_layer_elu = {
    .name = "elu",
    .class_name = "ELU",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(elu_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_NEEDS_INPUT | MIEN_NEEDS_OUTPUT,
    .infer = mien_infer_same,
    .forward = mien_activation_layer_forward,
    .backward = mien_activation_layer_backward,
    .activates = activates,
};
