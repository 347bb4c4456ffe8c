/* ReLU whose slope below zero is learned, as keras.layers.PReLU (He et al. 2015). */
#include "host/layers/layer.h"

typedef struct prelu_attrs {
    mien_layer_common common;
    int initializer;
    mien_ints shared;
} prelu_attrs;

#define F(field) MIEN_FIELD(prelu_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(prelu_attrs),
    {"alpha_initializer", MIEN_KEY_CHOICE, F(initializer), "zeros", 0, 0, "zeros|ones",
     "how the slopes start"},
    {"shared_axes", MIEN_KEY_INTS, F(shared), "[]", 1, 3, NULL,
     "axes along which one slope serves; [1, 2]: one for each channel"},
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    const mien_ints *shared = &((const prelu_attrs *)node->attrs)->shared;
    for (int i = 0; i < shared->count; i++)
        if (*flat && shared->items[i] > 1)
            return MIEN_FAIL(INVALID, "shared_axes names axis %d; flat input has one",
                             shared->items[i]);
    return mien_infer_same(node, in, out, flat);
}

static void declare(mien_node *node, const mien_shape *in) {
    const prelu_attrs *a = node->attrs;
    int sizes[] = {in->h, in->w, in->c};
    for (int i = 0; i < a->shared.count; i++)
        sizes[node->flat ? 2 : a->shared.items[i] - 1] = 1;
    mien_declare(node, (mien_param){.name = "alpha",
                                    .shape = {1, sizes[0], sizes[1], sizes[2]},
                                    .init = a->initializer ? MIEN_INIT_ONES : MIEN_INIT_ZEROS,
                                    .trained = true,
                                    .axes = node->flat ? 0 : 2});
}

static body_alpha shape_of(const mien_node *node) {
    const mien_shape s = node->params[0].shape;
    return (body_alpha){s.h, s.w, s.c};
}

static mien_status forward(const mien_node *node, const mien_run *run) {
    const mien_tensor y = mien_run_output(run, node), x = mien_run_input(run, node, 0);
    return run->ops->prelu_forward(run->backend, &y, &x, mien_run_param(run, node, 0),
                                   shape_of(node));
}

static mien_status backward(const mien_node *node, const mien_run *run) {
    const mien_tensor dy = mien_run_grad(run, node), x = mien_run_input(run, node, 0);
    void *dalpha = mien_run_param_grad(run, node, 0);
    mien_tensor dx;
    bool accumulate;
    if (dalpha)
        MIEN_TRY(
            run->ops->prelu_filter(run->backend, dalpha, &dy, &x, shape_of(node), run->accumulate));
    if (!mien_run_input_grad(run, node, 0, &dx, &accumulate)) return MIEN_OK;
    return run->ops->prelu_backward(run->backend, &dx, &dy, &x, mien_run_param(run, node, 0),
                                    shape_of(node), accumulate);
}

const mien_layer_def mien_layer_prelu = {
    .name = "prelu",
    .class_name = "PReLU",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(prelu_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_NEEDS_INPUT,
    .infer = infer,
    .declare = declare,
    .forward = forward,
    .backward = backward,
};
