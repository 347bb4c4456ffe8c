/* Two-dimensional convolution (correlation), as keras.layers.Conv2D. */
#include "host/layers/layer.h"

typedef struct conv2d_attrs {
    mien_layer_common common;
    mien_conv_window window;
    int filters, groups, activation, initializer;
    bool use_bias;
} conv2d_attrs;

#define F(field) MIEN_FIELD(conv2d_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(conv2d_attrs),
    KEY_INT("filters", F(filters), NULL, 1, 65536, "output channels"),
    MIEN_CONV_KEYS(conv2d_attrs),
    KEY_INT("groups", F(groups), "1", 1, 65536, "groups of channels that are convolved separately"),
    KEY_BOOL("use_bias", F(use_bias), "true", "add a bias"),
    KEY_CHOICE("activation", F(activation), "linear", MIEN_ACTIVATION_CHOICES,
               "activation applied to the output"),
    KEY_CHOICE("kernel_initializer", F(initializer), "glorot_uniform", MIEN_INITIALIZERS,
               "initial values of the kernel"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    conv2d_attrs *a = node->attrs;
    out->c = a->filters;
    *flat = false;
    if (in->c % a->groups != 0 || a->filters % a->groups != 0)
        return MIEN_FAIL(INVALID, "groups: %d does not divide its %d input channels and %d filters",
                         a->groups, in->c, a->filters);
    return mien_conv_infer(&a->window, in, out);
}

static void declare(mien_node *node, const mien_shape *in) {
    const conv2d_attrs *a = node->attrs;
    mien_conv_declare(node, &a->window, "kernel", in->c / a->groups, a->filters, a->initializer);
    if (a->use_bias) mien_declare_bias(node, a->filters);
}

static void linear(const mien_node *node, mien_linear_desc *d) {
    const conv2d_attrs *a = node->attrs;
    mien_conv_describe(&a->window, d);
    d->groups = a->groups;
    d->bias = a->use_bias;
}

static double flops(const mien_node *node, const mien_shape *in) {
    const conv2d_attrs *a = node->attrs;
    return mien_conv_flops(&a->window, &node->out, node->out.c, (double)in->c / a->groups);
}

const mien_layer_def mien_layer_conv2d = {
    .name = "conv2d",
    .class_name = "Conv2D",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(conv2d_attrs),
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
