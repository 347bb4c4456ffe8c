/* Concatenation along the channels, as keras.layers.Concatenate. */
#include "host/layers/layer.h"

typedef struct concatenate_attrs {
    mien_layer_common common;
    int axis;
} concatenate_attrs;

#define F(field) MIEN_FIELD(concatenate_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(concatenate_attrs),
    KEY_INT("axis", F(axis), "-1", -1, 3, "the channel axis: -1, or 3 for images"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    const concatenate_attrs *a = node->attrs;
    double channels = 0;
    MIEN_TRY(mien_require_channel_axis(a->axis, *flat));
    for (int i = 0; i < node->input_count; i++) {
        channels += in[i].c;
        if (in[i].h != in[0].h || in[i].w != in[0].w)
            return MIEN_FAIL(INVALID, "images of %dx%d and %dx%d cannot be concatenated", in[0].h,
                             in[0].w, in[i].h, in[i].w);
    }
    if (channels > INT32_MAX) return MIEN_FAIL(INVALID, "its output has too many channels");
    *out = (mien_shape){1, in[0].h, in[0].w, (int)channels};
    return MIEN_OK;
}

/* The box of the output that holds an input; its channels begin at `first`. */
static body_box box_of(const mien_shape *in, int first) {
    return (body_box){.h = in->h, .w = in->w, .c = in->c, .dst_c = first};
}

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    for (int i = 0, first = 0; i < node->input_count; first += node->in[i++].c) {
        const body_box box = box_of(&node->in[i], first);
        MIEN_TRY(pass->ops->copy_box(pass->backend, &pass->y, &pass->x[i], &box, false));
    }
    return MIEN_OK;
}

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    for (int i = 0, first = 0; i < node->input_count; first += node->in[i++].c) {
        body_box box = box_of(&node->in[i], 0);
        box.src_c = first;
        if (pass->dx[i].data)
            MIEN_TRY(pass->ops->copy_box(pass->backend, &pass->dx[i], &pass->dy, &box,
                                         pass->dx_accumulate[i]));
    }
    return MIEN_OK;
}

const mien_layer_def mien_layer_concatenate = {
    .name = "concatenate",
    .class_name = "Concatenate",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(concatenate_attrs),
    .min_inputs = 2,
    .max_inputs = MIEN_INPUTS_MAX,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
