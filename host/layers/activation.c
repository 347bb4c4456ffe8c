/* An activation of its own, as keras.layers.Activation. The graph folds it into the layer before
 * where that can take it; the `activation` key of conv2d and dense becomes such a node. And the
 * passes of all layers that are an activation of the table. */
#include "host/layers/layer.h"

typedef struct activation_attrs {
    mien_layer_common common;
    int activation;
} activation_attrs;

#define F(field) MIEN_FIELD(activation_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(activation_attrs),
    {"activation", MIEN_KEY_CHOICE, F(activation), NULL, 0, 0, MIEN_ACTIVATION_CHOICES, "which"},
};

static int activates(const mien_node *node, float *alpha) {
    const int act = mien_node_activation(node);
    *alpha = mien_activation_alpha(act);
    return act;
}

mien_status mien_activation_layer_forward(const mien_node *node, const mien_run *run) {
    float alpha;
    const int act = node->def->activates(node, &alpha);
    const mien_tensor y = mien_run_output(run, node), x = mien_run_input(run, node, 0);
    if (act != BODY_SOFTMAX) return run->ops->activation_forward(run->backend, &y, &x, act, alpha);
    return run->ops->softmax(run->backend, &y, &x);
}

mien_status mien_activation_layer_backward(const mien_node *node, const mien_run *run) {
    float alpha;
    const int act = node->def->activates(node, &alpha);
    const mien_tensor dy = mien_run_grad(run, node), y = mien_run_output(run, node);
    const mien_tensor x = mien_run_input(run, node, 0);
    mien_tensor dx;
    bool accumulate;
    if (!mien_run_input_grad(run, node, 0, &dx, &accumulate)) return MIEN_OK;
    if (act == BODY_SOFTMAX)
        return run->ops->softmax_backward(run->backend, &dx, &dy, &y, accumulate);
    return run->ops->activation_backward(run->backend, &dx, &dy, &x, &y, act, alpha, accumulate);
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
