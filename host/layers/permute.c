/* Permutes height, width and channels, as keras.layers.Permute. */
#include "host/layers/layer.h"

typedef struct permute_attrs {
    mien_layer_common common;
    mien_ints dims;
    body_axes axes, inverse; /* derived */
} permute_attrs;

#define F(field) MIEN_FIELD(permute_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(permute_attrs),
    KEY_INTS("dims", F(dims), NULL, 1, 3,
             "the input axis of each output axis; 1: height, 2: width, 3: channels"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    permute_attrs *a = node->attrs;
    const int axis_count = *flat ? 1 : 3, sizes[] = {in->h, in->w, in->c};
    bool seen[3] = {false};
    for (int i = 0; i < 3; i++)
        a->axes.from[i] = a->inverse.from[i] = i;
    for (int i = 0; i < a->dims.count && a->dims.count == axis_count && !*flat; i++) {
        const int from = a->dims.items[i] - 1;
        seen[from] = true;
        a->axes.from[i] = from;
        a->inverse.from[from] = i;
    }
    const bool complete = *flat ? a->dims.items[0] == 1 : seen[0] && seen[1] && seen[2];
    if (a->dims.count != axis_count || !complete)
        return MIEN_FAIL(INVALID, "dims must name each of the %d axes once", axis_count);
    *out = (mien_shape){1, sizes[a->axes.from[0]], sizes[a->axes.from[1]], sizes[a->axes.from[2]]};
    return MIEN_OK;
}

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    const permute_attrs *a = node->attrs;
    return pass->ops->permute_axes(pass->backend, &pass->y, &pass->x[0], a->axes, false);
}

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    const permute_attrs *a = node->attrs;
    if (!pass->dx[0].data) return MIEN_OK;
    return pass->ops->permute_axes(pass->backend, &pass->dx[0], &pass->dy, a->inverse,
                                   pass->dx_accumulate[0]);
}

const mien_layer_def mien_layer_permute = {
    .name = "permute",
    .class_name = "Permute",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(permute_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
