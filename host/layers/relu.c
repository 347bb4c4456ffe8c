/* ReLU with an upper limit, a negative slope and a threshold, as keras.layers.ReLU. The common
 * forms are in the table of activations (kernels/body/activation.h) and can be fused. */
#include <math.h>

#include "host/layers/layer.h"

typedef struct relu_attrs {
    mien_layer_common common;
    mien_number_or max_value;
    double negative_slope, threshold;
} relu_attrs;

#define F(field) MIEN_FIELD(relu_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(relu_attrs),
    KEY_NUMBER_OR("max_value", F(max_value), "none", 0, 1e30, "none", "upper limit"),
    KEY_REAL("negative_slope", F(negative_slope), "0", 0, 1e6, "slope below the threshold"),
    KEY_REAL("threshold", F(threshold), "0", 0, 1e30,
             "an input x below it gives negative_slope * (x - threshold)"),
};

enum { NOT_IN_TABLE = -1 };

static int activates(const mien_node *node, float *alpha) {
    const relu_attrs *a = node->attrs;
    const bool limited = a->max_value.word < 0;
    *alpha = (float)a->negative_slope;
    if (a->threshold > 0 || (limited && (a->max_value.number != 6 || *alpha > 0)))
        return NOT_IN_TABLE;
    return limited ? BODY_RELU6 : (*alpha > 0 ? BODY_LEAKY_RELU : BODY_RELU);
}

static body_rectifier rectifier(const mien_node *node) {
    const relu_attrs *a = node->attrs;
    return (body_rectifier){a->max_value.word < 0 ? (float)a->max_value.number : INFINITY,
                            (float)a->negative_slope, (float)a->threshold};
}

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    float alpha;
    if (activates(node, &alpha) != NOT_IN_TABLE) return mien_activation_layer_forward(node, pass);
    const body_rectifier r = rectifier(node);
    return pass->ops->rectify_forward(pass->backend, &pass->y, &pass->x[0], &r);
}

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    float alpha;
    if (activates(node, &alpha) != NOT_IN_TABLE) return mien_activation_layer_backward(node, pass);
    const body_rectifier r = rectifier(node);
    if (!pass->dx[0].data) return MIEN_OK;
    return pass->ops->rectify_backward(pass->backend, &pass->dx[0], &pass->dy, &pass->x[0], &r,
                                       pass->dx_accumulate[0]);
}

const mien_layer_def mien_layer_relu = {
    .name = "relu",
    .class_name = "ReLU",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(relu_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_NEEDS_INPUT | MIEN_NEEDS_OUTPUT,
    .infer = mien_infer_same,
    .forward = forward,
    .backward = backward,
    .activates = activates,
};
