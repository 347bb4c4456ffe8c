/* Product of two inputs, as keras.layers.Multiply; the second may be 1x1xC and is then broadcast
 * over the image (squeeze and excitation, Hu et al. 2018). */
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

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    (void)node;
    return pass->ops->multiply(pass->backend, &pass->y, &pass->x[0], &pass->x[1]);
}

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    const mien_tensor *da = pass->dx[0].data ? &pass->dx[0] : NULL;
    const mien_tensor *db = pass->dx[1].data ? &pass->dx[1] : NULL;
    (void)node;
    return pass->ops->multiply_backward(pass->backend, da, db, &pass->dy, &pass->x[0], &pass->x[1],
                                        pass->dx_accumulate[0], pass->dx_accumulate[1]);
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
