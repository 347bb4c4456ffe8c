/* Transposed convolution (the data gradient of a convolution as a layer), as
 * keras.layers.Conv2DTranspose: it enlarges images by its strides. */
#include "host/layers/layer.h"

enum { SIDE_MAX = 65536 };

typedef struct transpose_attrs {
    mien_layer_common common;
    mien_conv_window window; /* of the convolution from the output to the input */
    int filters, output_padding[2], activation, initializer;
    bool use_bias;
} transpose_attrs;

#define F(field) MIEN_FIELD(transpose_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(transpose_attrs),
    KEY_INT("filters", F(filters), NULL, 1, 65536, "output channels"),
    MIEN_CONV_KEYS(transpose_attrs),
    KEY_PAIR("output_padding", F(output_padding), "-1", -1, 254,
             "extra rows and columns at the bottom and right, fewer than strides; -1: chosen by "
             "padding, so that same gives input * strides and valid all that the kernel reaches"),
    KEY_BOOL("use_bias", F(use_bias), "true", "add a bias"),
    KEY_CHOICE("activation", F(activation), "linear", MIEN_ACTIVATION_CHOICES,
               "activation applied to the output"),
    KEY_CHOICE("kernel_initializer", F(initializer), "glorot_uniform", MIEN_INITIALIZERS,
               "initial values of the kernel"),
};

/* Keras's output size along one axis. */
static long long output_size(const transpose_attrs *a, long long in, int axis) {
    const int span = mien_conv_span(&a->window, axis), stride = a->window.strides[axis];
    const int extra = a->output_padding[axis];
    if (a->window.padding == MIEN_SAME)
        return extra < 0 ? in * stride : (in - 1) * stride + span % 2 + extra;
    return (in - 1) * stride + (extra >= 0 ? span + extra : (span > stride ? span : stride));
}

static mien_status check(const transpose_attrs *a) {
    const int *extra = a->output_padding, *strides = a->window.strides;
    if ((extra[0] < 0) != (extra[1] < 0))
        return MIEN_FAIL(INVALID, "output_padding: [%d, %d]: give both numbers, or -1 for both",
                         extra[0], extra[1]);
    if (extra[0] >= strides[0] || extra[1] >= strides[1])
        return MIEN_FAIL(INVALID, "output_padding: [%d, %d] must be less than strides: [%d, %d]",
                         extra[0], extra[1], strides[0], strides[1]);
    return MIEN_OK;
}

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    transpose_attrs *a = node->attrs;
    mien_shape back;
    *flat = false;
    MIEN_TRY(check(a));
    MIEN_TRY(mien_conv_check(&a->window));
    const long long h = output_size(a, in->h, 0), w = output_size(a, in->w, 1);
    if (h > SIDE_MAX || w > SIDE_MAX)
        return MIEN_FAIL(INVALID, "its output of %lldx%lld is too large", h, w);
    *out = (mien_shape){1, (int)h, (int)w, a->filters};
    if (out->h < 1 || out->w < 1 || mien_conv_infer(&a->window, out, &back) != MIEN_OK ||
        back.h != in->h || back.w != in->w)
        return MIEN_FAIL(INVALID,
                         "no convolution maps its output of %dx%d back to its input of %dx%d: "
                         "remove output_padding",
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
