/* Elementwise maximum of two or more inputs of equal shape, as keras.layers.Maximum. The gradient
 * goes to the first input that equals the maximum, as in TensorFlow. */
#include "host/layers/layer.h"

typedef struct maximum_attrs {
    mien_layer_common common;
} maximum_attrs;

static const mien_key rows[] = {MIEN_COMMON_KEYS(maximum_attrs)};

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    const mien_tensor *max = &pass->x[0];
    for (int i = 1; i < node->input_count; i++) {
        MIEN_TRY(pass->ops->maximum(pass->backend, &pass->y, max, &pass->x[i]));
        max = &pass->y;
    }
    return MIEN_OK;
}

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    for (int i = 0; i < node->input_count; i++) {
        if (pass->dx[i].data)
            MIEN_TRY(pass->ops->maximum_backward(pass->backend, &pass->dx[i], &pass->dy, &pass->y,
                                                 pass->x, i, pass->dx_accumulate[i]));
    }
    return MIEN_OK;
}

const mien_layer_def mien_layer_maximum = {
    .name = "maximum",
    .class_name = "Maximum",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(maximum_attrs),
    .min_inputs = 2,
    .max_inputs = BODY_MAXIMUM_INPUTS,
    .flags = MIEN_NEEDS_INPUT | MIEN_NEEDS_OUTPUT,
    .infer = mien_infer_equal,
    .forward = forward,
    .backward = backward,
};
