/* Changes the shape, keeping the order H, W, C, as keras.layers.Reshape. */
#include "host/layers/layer.h"

typedef struct reshape_attrs {
    mien_layer_common common;
    mien_ints target;
} reshape_attrs;

#define F(field) MIEN_FIELD(reshape_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(reshape_attrs),
    KEY_INTS("target_shape", F(target), NULL, -1, 268435456,
             "[height, width, channels] or [count]; one may be -1: computed from the others"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    const mien_ints *t = &((const reshape_attrs *)node->attrs)->target;
    const double count = (double)in->h * in->w * in->c;
    double known = 1;
    int unknown = -1, sizes[3] = {1, 1, 1};
    if (t->count != 1 && t->count != 3)
        return MIEN_FAIL(UNSUPPORTED, "target_shape has %d numbers; only 1 or 3 are supported",
                         t->count);
    for (int i = 0; i < t->count; i++) {
        if (t->items[i] == 0 || (t->items[i] < 0 && unknown >= 0))
            return MIEN_FAIL(INVALID, "target_shape needs positive numbers and at most one -1");
        if (t->items[i] < 0)
            unknown = i;
        else
            known *= t->items[i];
        sizes[i + 3 - t->count] = t->items[i];
    }
    const double rest = count / known;
    if (unknown >= 0 && rest >= 1 && rest <= INT32_MAX) sizes[unknown + 3 - t->count] = (int)rest;
    *out = (mien_shape){1, sizes[0], sizes[1], sizes[2]};
    if ((double)sizes[0] * sizes[1] * sizes[2] != count)
        return MIEN_FAIL(INVALID, "%dx%dx%d are %.0f numbers, which do not fit target_shape", in->h,
                         in->w, in->c, count);
    *flat = t->count == 1;
    return MIEN_OK;
}

const mien_layer_def mien_layer_reshape = {
    .name = "reshape",
    .class_name = "Reshape",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(reshape_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_RESHAPES,
    .infer = infer,
    .forward = mien_copy_forward,
    .backward = mien_copy_backward,
};
