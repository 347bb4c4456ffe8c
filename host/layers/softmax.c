/* Softmax over the channels, as keras.layers.Softmax. */
#include "host/layers/layer.h"

typedef struct softmax_attrs {
    mien_layer_common common;
    int axis;
} softmax_attrs;

#define F(field) MIEN_FIELD(softmax_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(softmax_attrs),
    KEY_INT("axis", F(axis), "-1", -1, 3, "the channel axis: -1, or 3 for images"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    MIEN_TRY(mien_require_channel_axis(((const softmax_attrs *)node->attrs)->axis, *flat));
    return mien_infer_same(node, in, out, flat);
}

static int activates(const mien_node *node, float *alpha) {
    (void)node;
    *alpha = mien_activation_alpha(BODY_SOFTMAX);
    return BODY_SOFTMAX;
}

const mien_layer_def mien_layer_softmax = {
    .name = "softmax",
    .class_name = "Softmax",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(softmax_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_NEEDS_INPUT | MIEN_NEEDS_OUTPUT,
    .infer = infer,
    .forward = mien_activation_layer_forward,
    .backward = mien_activation_layer_backward,
    .activates = activates,
};
