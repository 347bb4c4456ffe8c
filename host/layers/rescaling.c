/* x * scale + offset, as keras.layers.Rescaling. */
#include "host/layers/layer.h"

typedef struct rescaling_attrs {
    mien_layer_common common;
    double scale, offset;
} rescaling_attrs;

#define F(field) MIEN_FIELD(rescaling_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(rescaling_attrs),
    KEY_REAL("scale", F(scale), NULL, -1e9, 1e9, "factor"),
    KEY_REAL("offset", F(offset), "0", -1e9, 1e9, "added after scaling"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    (void)node, (void)flat;
    *out = *in;
    return MIEN_OK;
}

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    const rescaling_attrs *a = node->attrs;
    return pass->ops->rescale(pass->backend, &pass->y, &pass->x[0], (float)a->scale,
                              (float)a->offset, false);
}

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    const rescaling_attrs *a = node->attrs;
    if (!pass->dx[0].data) return MIEN_OK;
    return pass->ops->rescale(pass->backend, &pass->dx[0], &pass->dy, (float)a->scale, 0,
                              pass->dx_accumulate[0]);
}

const mien_layer_def mien_layer_rescaling = {
    .name = "rescaling",
    .class_name = "Rescaling",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(rescaling_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_IN_PLACE,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
