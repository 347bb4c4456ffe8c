/* Cuts off the borders of an image, as keras.layers.Cropping2D. */
#include "host/layers/layer.h"

typedef struct cropping2d_attrs {
    mien_layer_common common;
    int sides[4]; /* top, bottom, left, right */
} cropping2d_attrs;

#define F(field) MIEN_FIELD(cropping2d_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(cropping2d_attrs),
    KEY_SIDES("cropping", F(sides), "0", 0, 4096,
              "pixels: a number, [height, width] or [[top, bottom], [left, right]]"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    const int *s = ((const cropping2d_attrs *)node->attrs)->sides;
    MIEN_TRY(mien_require_image(in, *flat));
    *out = (mien_shape){1, in->h - s[0] - s[1], in->w - s[2] - s[3], in->c};
    if (out->h < 1 || out->w < 1)
        return MIEN_FAIL(INVALID,
                         "cropping [[%d, %d], [%d, %d]] leaves nothing of an image of %dx%d", s[0],
                         s[1], s[2], s[3], in->h, in->w);
    return MIEN_OK;
}

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    const int *s = ((const cropping2d_attrs *)node->attrs)->sides;
    return mien_extract(pass, &pass->y, &pass->x[0], s[0], s[2], false);
}

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    const int *s = ((const cropping2d_attrs *)node->attrs)->sides;
    if (!pass->dx[0].data) return MIEN_OK;
    return mien_embed(pass, &pass->dx[0], &pass->dy, s[0], s[2], pass->dx_accumulate[0]);
}

const mien_layer_def mien_layer_cropping2d = {
    .name = "cropping2d",
    .class_name = "Cropping2D",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(cropping2d_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
