/* Pads an image with zeros, as keras.layers.ZeroPadding2D. */
#include "host/layers/layer.h"

typedef struct zero_padding2d_attrs {
    mien_layer_common common;
    int sides[4]; /* top, bottom, left, right */
} zero_padding2d_attrs;

#define F(field) MIEN_FIELD(zero_padding2d_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(zero_padding2d_attrs),
    KEY_SIDES("padding", F(sides), "1", 0, 4096,
              "pixels: a number, [height, width] or [[top, bottom], [left, right]]"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    const int *s = ((const zero_padding2d_attrs *)node->attrs)->sides;
    MIEN_TRY(mien_require_image(in, *flat));
    *out = (mien_shape){1, in->h + s[0] + s[1], in->w + s[2] + s[3], in->c};
    return MIEN_OK;
}

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    const int *s = ((const zero_padding2d_attrs *)node->attrs)->sides;
    return mien_embed(pass, &pass->y, &pass->x[0], s[0], s[2], false);
}

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    const int *s = ((const zero_padding2d_attrs *)node->attrs)->sides;
    if (!pass->dx[0].data) return MIEN_OK;
    return mien_extract(pass, &pass->dx[0], &pass->dy, s[0], s[2], pass->dx_accumulate[0]);
}

static const int *pads(const mien_node *node) {
    return ((const zero_padding2d_attrs *)node->attrs)->sides;
}

const mien_layer_def mien_layer_zero_padding2d = {
    .name = "zero_padding2d",
    .class_name = "ZeroPadding2D",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(zero_padding2d_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .pads = pads,
};
