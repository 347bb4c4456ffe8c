/* Enlarges an image by whole factors, as keras.layers.UpSampling2D. */
#include "host/layers/layer.h"

typedef struct up_sampling2d_attrs {
    mien_layer_common common;
    int size[2], interpolation;
} up_sampling2d_attrs;

#define F(field) MIEN_FIELD(up_sampling2d_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(up_sampling2d_attrs),
    KEY_PAIR("size", F(size), "2", 1, 64, "factors of height and width"),
    KEY_CHOICE("interpolation", F(interpolation), "nearest", "nearest|bilinear",
               "interpolation between pixels"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    const up_sampling2d_attrs *a = node->attrs;
    MIEN_TRY(mien_require_image(in, *flat));
    if ((double)in->h * a->size[0] > INT16_MAX || (double)in->w * a->size[1] > INT16_MAX)
        return MIEN_FAIL(INVALID, "an image of %dx%d enlarged by %dx%d is too large", in->h, in->w,
                         a->size[0], a->size[1]);
    *out = (mien_shape){1, in->h * a->size[0], in->w * a->size[1], in->c};
    return MIEN_OK;
}

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    return mien_resampling_forward(pass, ((const up_sampling2d_attrs *)node->attrs)->interpolation);
}

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    return mien_resampling_backward(pass,
                                    ((const up_sampling2d_attrs *)node->attrs)->interpolation);
}

const mien_layer_def mien_layer_up_sampling2d = {
    .name = "up_sampling2d",
    .class_name = "UpSampling2D",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(up_sampling2d_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
