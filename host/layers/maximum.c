/* The greatest of two or more equal shapes, as keras.layers.Maximum. The gradient goes to the first
 * that is as great, as in TensorFlow. */
#include "host/layers/layer.h"

typedef struct maximum_attrs {
    mien_layer_common common;
} maximum_attrs;

static const mien_key rows[] = {MIEN_COMMON_KEYS(maximum_attrs)};

static mien_status forward(const mien_node *node, const mien_run *run) {
    const mien_tensor y = mien_run_output(run, node);
    mien_tensor most = mien_run_input(run, node, 0);
    for (int i = 1; i < node->input_count; i++) {
        const mien_tensor next = mien_run_input(run, node, i);
        MIEN_TRY(run->ops->maximum(run->backend, &y, &most, &next));
        most = y;
    }
    return MIEN_OK;
}

static mien_status backward(const mien_node *node, const mien_run *run) {
    const mien_tensor dy = mien_run_grad(run, node), y = mien_run_output(run, node);
    mien_tensor x[BODY_GREATEST_OF];
    for (int i = 0; i < node->input_count; i++) {
        mien_tensor dx;
        bool accumulate;
        x[i] = mien_run_input(run, node, i);
        if (mien_run_input_grad(run, node, i, &dx, &accumulate))
            MIEN_TRY(run->ops->maximum_backward(run->backend, &dx, &dy, &y, x, i, accumulate));
    }
    return MIEN_OK;
}

const mien_layer_def mien_layer_maximum = {
    .name = "maximum",
    .class_name = "Maximum",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(maximum_attrs),
    .min_inputs = 2,
    .max_inputs = BODY_GREATEST_OF,
    .flags = MIEN_NEEDS_INPUT | MIEN_NEEDS_OUTPUT,
    .infer = mien_infer_equal,
    .forward = forward,
    .backward = backward,
};
