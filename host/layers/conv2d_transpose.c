/* The data gradient of a convolution as a layer, as keras.layers.Conv2DTranspose: it makes images
 * larger by its strides. */
#include "host/layers/layer.h"

enum { SIDE_MAX = 65536 };

typedef struct transpose_attrs {
    mien_layer_common common;
    mien_conv_window window; /* of the convolution from the result to the input */
    int filters, output_padding[2], activation, initializer;
    bool use_bias;
} transpose_attrs;

#define F(field) MIEN_FIELD(transpose_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(transpose_attrs),
    KEY_INT("filters", F(filters), NULL, 1, 65536, "output channels"),
    MIEN_CONV_KEYS(transpose_attrs),
    KEY_PAIR("output_padding", F(output_padding), "-1", -1, 254,
             "places more at the far border, less than strides; -1 = by padding: same in * "
             "strides, valid "
             "all that a kernel reaches"),
    KEY_BOOL("use_bias", F(use_bias), "true", "add a bias"),
    KEY_CHOICE("activation", F(activation), "linear", MIEN_ACTIVATION_CHOICES,
               "activation applied to the output"),
    KEY_CHOICE("kernel_initializer", F(initializer), "glorot_uniform", MIEN_INITIALIZERS,
               "how the kernel starts"),
};

/* Keras's size of the result along one axis. */
static long long size_of(const transpose_attrs *a, long long in, int axis) {
    const int span = mien_conv_span(&a->window, axis), stride = a->window.strides[axis];
    const int more = a->output_padding[axis];
    if (a->window.padding == MIEN_SAME)
        return more < 0 ? in * stride : (in - 1) * stride + span % 2 + more;
    return (in - 1) * stride + (more >= 0 ? span + more : (span > stride ? span : stride));
}

static mien_status check(const transpose_attrs *a) {
    const int *more = a->output_padding, *strides = a->window.strides;
    if ((more[0] < 0) != (more[1] < 0))
        return MIEN_FAIL(INVALID, "output_padding: [%d, %d] leaves one axis open", more[0],
                         more[1]);
    if (more[0] >= strides[0] || more[1] >= strides[1])
        return MIEN_FAIL(INVALID, "output_padding: [%d, %d] is not less than strides: [%d, %d]",
                         more[0], more[1], strides[0], strides[1]);
    return MIEN_OK;
}

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    transpose_attrs *a = node->attrs;
    mien_shape back;
    *flat = false;
    MIEN_TRY(check(a));
    MIEN_TRY(mien_conv_check(&a->window));
    const long long h = size_of(a, in->h, 0), w = size_of(a, in->w, 1);
    if (h > SIDE_MAX || w > SIDE_MAX)
        return MIEN_FAIL(INVALID, "its result of %lldx%lld is too large", h, w);
    *out = (mien_shape){1, (int)h, (int)w, a->filters};
    if (out->h < 1 || out->w < 1 || mien_conv_infer(&a->window, out, &back) != MIEN_OK ||
        back.h != in->h || back.w != in->w)
        return MIEN_FAIL(INVALID,
                         "no convolution leads from its result of %dx%d back to its input of "
                         "%dx%d: leave output_padding out",
                         out->h, out->w, in->h, in->w);
    return MIEN_OK;
}

static void declare(mien_node *node, const mien_shape *in) {
    const transpose_attrs *a = node->attrs;
    mien_conv_declare(node, &a->window, "kernel", a->filters, in->c, a->initializer);
    if (a->use_bias) mien_declare_bias(node, a->filters);
}

static void linear(const mien_node *node, mien_linear_desc *d) {
    const transpose_attrs *a = node->attrs;
    mien_conv_describe(&a->window, d);
    d->transposed = true;
    d->bias = a->use_bias;
}

static double flops(const mien_node *node, const mien_shape *in) {
    const transpose_attrs *a = node->attrs;
    return mien_conv_flops(&a->window, in, in->c, node->out.c);
}

const mien_layer_def mien_layer_conv2d_transpose = {
    .name = "conv2d_transpose",
    .class_name = "Conv2DTranspose",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(transpose_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_NEEDS_INPUT | MIEN_FUSES_RELU | MIEN_FUSES_ACTIVATION | MIEN_MASKS_RELU,
    .infer = infer,
    .declare = declare,
    .linear = linear,
    .forward = mien_linear_layer_forward,
    .backward = mien_linear_layer_backward,
    .flops = flops,
};
