/* ReLU with a learned slope for negative inputs, as keras.layers.PReLU (He et al. 2015). */
#include "host/layers/layer.h"

typedef struct prelu_attrs {
    mien_layer_common common;
    int initializer;
    mien_ints shared;
} prelu_attrs;

#define F(field) MIEN_FIELD(prelu_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(prelu_attrs),
    KEY_CHOICE("alpha_initializer", F(initializer), "zeros", "zeros|ones", "initial slopes"),
    KEY_INTS("shared_axes", F(shared), "[]", 1, 3,
             "axes that share one slope; [1, 2]: one slope per channel"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    const mien_ints *shared = &((const prelu_attrs *)node->attrs)->shared;
    for (int i = 0; i < shared->count; i++)
        if (*flat && shared->items[i] > 1)
            return MIEN_FAIL(INVALID, "shared_axes names axis %d, but flat input has only axis 1",
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

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    return pass->ops->prelu_forward(pass->backend, &pass->y, &pass->x[0], pass->params[0],
                                    shape_of(node));
}

/* Slice by slice, so that the result does not depend on the rows of a micro-batch. */
static mien_status filter(const mien_node *node, const mien_pass *pass) {
    const int n = pass->dy.shape.n, slice = pass->slice < 1 ? n : pass->slice;
    for (int first = 0; first < n; first += slice) {
        const int count = n - first < slice ? n - first : slice;
        const mien_tensor dy = mien_tensor_rows(&pass->dy, first, count);
        const mien_tensor x = mien_tensor_rows(&pass->x[0], first, count);
        MIEN_TRY(pass->ops->prelu_filter(pass->backend, pass->dparams[0], &dy, &x, shape_of(node),
                                         pass->accumulate || first > 0));
    }
    return MIEN_OK;
}

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    if (pass->dparams[0]) MIEN_TRY(filter(node, pass));
    if (!pass->dx[0].data) return MIEN_OK;
    return pass->ops->prelu_backward(pass->backend, &pass->dx[0], &pass->dy, &pass->x[0],
                                     pass->params[0], shape_of(node), pass->dx_accumulate[0]);
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
