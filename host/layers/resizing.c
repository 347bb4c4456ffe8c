/* Resizes an image, as keras.layers.Resizing without antialiasing. */
#include "host/layers/layer.h"

typedef struct resizing_attrs {
    mien_layer_common common;
    int height, width, interpolation;
    bool crop;
} resizing_attrs;

#define F(field) MIEN_FIELD(resizing_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(resizing_attrs),
    KEY_INT("height", F(height), NULL, 1, 4096, "height of the output"),
    KEY_INT("width", F(width), NULL, 1, 4096, "width of the output"),
    KEY_CHOICE("interpolation", F(interpolation), "bilinear", "nearest|bilinear",
               "interpolation between pixels"),
    KEY_BOOL("crop_to_aspect_ratio", F(crop), "false",
             "only false is supported: the image is stretched"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    const resizing_attrs *a = node->attrs;
    MIEN_TRY(mien_require_image(in, *flat));
    if (a->crop)
        return MIEN_FAIL(UNSUPPORTED,
                         "crop_to_aspect_ratio is not supported: put cropping2d before it");
    *out = (mien_shape){1, a->height, a->width, in->c};
    return MIEN_OK;
}

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    return mien_resampling_forward(pass, ((const resizing_attrs *)node->attrs)->interpolation);
}

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    return mien_resampling_backward(pass, ((const resizing_attrs *)node->attrs)->interpolation);
}

const mien_layer_def mien_layer_resizing = {
    .name = "resizing",
    .class_name = "Resizing",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(resizing_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
