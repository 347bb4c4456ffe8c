/* Sum of two or more equal shapes, as keras.layers.Add. */
#include "host/layers/layer.h"

typedef struct add_attrs {
    mien_layer_common common;
} add_attrs;

static const mien_key rows[] = {MIEN_COMMON_KEYS(add_attrs)};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    (void)flat;
    *out = in[0];
    for (int i = 1; i < node->input_count; i++)
        if (in[i].h != in[0].h || in[i].w != in[0].w || in[i].c != in[0].c)
            return MIEN_FAIL(INVALID, "cannot add %dx%dx%d and %dx%dx%d", in[0].h, in[0].w, in[0].c,
                             in[i].h, in[i].w, in[i].c);
    return MIEN_OK;
}

static mien_status forward(const mien_node *node, const mien_run *run) {
    const mien_tensor y = mien_run_output(run, node);
    mien_tensor sum = mien_run_input(run, node, 0);
    for (int i = 1; i < node->input_count; i++) {
        const mien_tensor next = mien_run_input(run, node, i);
        MIEN_TRY(run->ops->add(run->backend, &y, &sum, &next));
        sum = y;
    }
    return MIEN_OK;
}

static mien_status backward(const mien_node *node, const mien_run *run) {
    const mien_tensor dy = mien_run_grad(run, node);
    for (int i = 0; i < node->input_count; i++) {
        mien_tensor dx;
        bool accumulate;
        if (mien_run_input_grad(run, node, i, &dx, &accumulate))
            MIEN_TRY(run->ops->copy(run->backend, &dx, &dy, accumulate));
    }
    return MIEN_OK;
}

const mien_layer_def mien_layer_add = {
    .name = "add",
    .class_name = "Add",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(add_attrs),
    .min_inputs = 2,
    .max_inputs = MIEN_INPUTS_MAX,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
