/* Product of two inputs, as keras.layers.Multiply; the second may be 1x1xC and is then spread over
 * the image (squeeze and excitation, Hu et al. 2018). */
#include "host/layers/layer.h"

typedef struct multiply_attrs {
    mien_layer_common common;
} multiply_attrs;

static const mien_key rows[] = {MIEN_COMMON_KEYS(multiply_attrs)};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    (void)node, (void)flat;
    *out = in[0];
    const bool same = in[1].h == in[0].h && in[1].w == in[0].w;
    if (in[1].c != in[0].c || (!same && in[1].h * in[1].w != 1))
        return MIEN_FAIL(INVALID, "cannot multiply %dx%dx%d by %dx%dx%d", in[0].h, in[0].w, in[0].c,
                         in[1].h, in[1].w, in[1].c);
    return MIEN_OK;
}

static mien_status forward(const mien_node *node, const mien_run *run) {
    const mien_tensor y = mien_run_output(run, node), a = mien_run_input(run, node, 0);
    const mien_tensor b = mien_run_input(run, node, 1);
    return run->ops->multiply(run->backend, &y, &a, &b);
}

static mien_status backward(const mien_node *node, const mien_run *run) {
    const mien_tensor dy = mien_run_grad(run, node), a = mien_run_input(run, node, 0);
    const mien_tensor b = mien_run_input(run, node, 1);
    mien_tensor da, db;
    bool accumulate_a = false, accumulate_b = false;
    const bool wants_a = mien_run_input_grad(run, node, 0, &da, &accumulate_a);
    const bool wants_b = mien_run_input_grad(run, node, 1, &db, &accumulate_b);
    return run->ops->multiply_backward(run->backend, wants_a ? &da : NULL, wants_b ? &db : NULL,
                                       &dy, &a, &b, accumulate_a, accumulate_b);
}

const mien_layer_def mien_layer_multiply = {
    .name = "multiply",
    .class_name = "Multiply",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(multiply_attrs),
    .min_inputs = 2,
    .max_inputs = 2,
    .flags = MIEN_NEEDS_INPUT,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
