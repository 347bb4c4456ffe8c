/* An activation as a layer, as keras.layers.Activation; the `activation` key of other layers
 * becomes such a node. The graph fuses it into the layer before where that is possible. Also the
 * passes of all layers that are an activation. */
#include "host/layers/layer.h"

typedef struct activation_attrs {
    mien_layer_common common;
    int activation;
} activation_attrs;

#define F(field) MIEN_FIELD(activation_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(activation_attrs),
    KEY_CHOICE("activation", F(activation), NULL, MIEN_ACTIVATION_CHOICES,
               "the activation function"),
};

static int activates(const mien_node *node, float *alpha) {
    const int act = mien_node_activation(node);
    *alpha = mien_activation_alpha(act);
    return act;
}

mien_status mien_activation_layer_forward(const mien_node *node, const mien_pass *pass) {
    float alpha;
    const int act = node->def->activates(node, &alpha);
    if (act != BODY_SOFTMAX)
        return pass->ops->activation_forward(pass->backend, &pass->y, &pass->x[0], act, alpha);
    return pass->ops->softmax(pass->backend, &pass->y, &pass->x[0]);
}

mien_status mien_activation_layer_backward(const mien_node *node, const mien_pass *pass) {
    float alpha;
    const int act = node->def->activates(node, &alpha);
    if (!pass->dx[0].data) return MIEN_OK;
    if (act == BODY_SOFTMAX)
        return pass->ops->softmax_backward(pass->backend, &pass->dx[0], &pass->dy, &pass->y,
                                           pass->dx_accumulate[0]);
    return pass->ops->activation_backward(pass->backend, &pass->dx[0], &pass->dy, &pass->x[0],
                                          &pass->y, act, alpha, pass->dx_accumulate[0]);
}

const mien_layer_def mien_layer_activation = {
    .name = "activation",
    .class_name = "Activation",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(activation_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_NEEDS_INPUT | MIEN_NEEDS_OUTPUT,
    .infer = mien_infer_same,
    .forward = mien_activation_layer_forward,
    .backward = mien_activation_layer_backward,
    .activates = activates,
};
