/* Flattens images in the order H, W, C, as keras.layers.Flatten; also converts from the backend's
 * channel-blocked layout to NHWC. */
#include "host/layers/layer.h"

typedef struct flatten_attrs {
    mien_layer_common common;
} flatten_attrs;

static const mien_key rows[] = {MIEN_COMMON_KEYS(flatten_attrs)};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    (void)node;
    *out = (mien_shape){1, 1, 1, in->h * in->w * in->c};
    *flat = true;
    return MIEN_OK;
}

const mien_layer_def mien_layer_flatten = {
    .name = "flatten",
    .class_name = "Flatten",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(flatten_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_RESHAPES | MIEN_KEEPS_INT8,
    .infer = infer,
    .forward = mien_copy_forward,
    .backward = mien_copy_backward,
};
