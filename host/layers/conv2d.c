/* Two-dimensional convolution (correlation), as keras.layers.Conv2D. */
#include "host/layers/layer.h"

typedef struct conv2d_attrs {
    mien_layer_common common;
    int filters, kernel_size[2], strides[2], padding, activation, initializer;
    bool use_bias;
    int pad_top, pad_left, pad_bottom, pad_right; /* derived */
} conv2d_attrs;

#define F(field) MIEN_FIELD(conv2d_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(conv2d_attrs),
    {"filters", MIEN_KEY_INT, F(filters), NULL, 1, 65536, NULL, "output channels"},
    {"kernel_size", MIEN_KEY_PAIR, F(kernel_size), NULL, 1, 255, NULL, "height and width"},
    {"strides", MIEN_KEY_PAIR, F(strides), "1", 1, 255, NULL, "steps down and right"},
    {"padding", MIEN_KEY_CHOICE, F(padding), "valid", 0, 0, "valid|same", "border rule"},
    {"use_bias", MIEN_KEY_BOOL, F(use_bias), "true", 0, 0, NULL, "add a bias"},
    {"activation", MIEN_KEY_CHOICE, F(activation), "linear", 0, 0, MIEN_ACTIVATION_CHOICES,
     "what follows"},
    {"kernel_initializer", MIEN_KEY_CHOICE, F(initializer), "glorot_uniform", 0, 0,
     "zeros|ones|glorot_uniform|he_normal", "how the kernel starts"},
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    conv2d_attrs *a = node->attrs;
    out->h = mien_conv_axis(in->h, a->kernel_size[0], a->strides[0], a->padding, &a->pad_top,
                            &a->pad_bottom);
    out->w = mien_conv_axis(in->w, a->kernel_size[1], a->strides[1], a->padding, &a->pad_left,
                            &a->pad_right);
    out->c = a->filters;
    *flat = false;
    if (out->h < 1 || out->w < 1)
        return MIEN_FAIL(INVALID,
                         "a kernel of %dx%d does not fit an image of %dx%d; use padding: "
                         "same or fewer layers",
                         a->kernel_size[0], a->kernel_size[1], in->h, in->w);
    return MIEN_OK;
}

static void declare(mien_node *node, const mien_shape *in) {
    const conv2d_attrs *a = node->attrs;
    const int area = a->kernel_size[0] * a->kernel_size[1];
    mien_declare(node,
                 (mien_param){.name = "kernel",
                              .shape = {a->kernel_size[0], a->kernel_size[1], in->c, a->filters},
                              .init = (mien_init)a->initializer,
                              .fan_in = (double)area * in->c,
                              .fan_out = (double)area * a->filters,
                              .trained = true,
                              .decays = true,
                              .linear = true});
    if (a->use_bias)
        mien_declare(node, (mien_param){.name = "bias",
                                        .shape = {1, 1, 1, a->filters},
                                        .init = MIEN_INIT_ZEROS,
                                        .trained = true});
}

static void linear(const mien_node *node, mien_linear_desc *d) {
    const conv2d_attrs *a = node->attrs;
    d->kernel_h = a->kernel_size[0];
    d->kernel_w = a->kernel_size[1];
    d->stride_h = a->strides[0];
    d->stride_w = a->strides[1];
    d->pad_top = a->pad_top;
    d->pad_left = a->pad_left;
    d->pad_bottom = a->pad_bottom;
    d->pad_right = a->pad_right;
    d->bias = a->use_bias;
}

static double flops(const mien_node *node, const mien_shape *in) {
    const conv2d_attrs *a = node->attrs;
    return 2.0 * a->kernel_size[0] * a->kernel_size[1] * in->c * node->out.h * node->out.w *
           node->out.c;
}

const mien_layer_def mien_layer_conv2d = {
    .name = "conv2d",
    .class_name = "Conv2D",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(conv2d_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_NEEDS_INPUT | MIEN_FUSES_RELU | MIEN_FUSES_ACTIVATION | MIEN_GATES_INPUT,
    .infer = infer,
    .declare = declare,
    .linear = linear,
    .forward = mien_linear_layer_forward,
    .backward = mien_linear_layer_backward,
    .flops = flops,
};
