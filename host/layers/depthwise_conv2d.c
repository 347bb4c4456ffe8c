/* Depthwise convolution, as keras.layers.DepthwiseConv2D: a grouped convolution with as many groups
 * as input channels. Its kernel [h][w][in][multiplier] equals that of the grouped convolution,
 * [h][w][1][in * multiplier], in memory. */
#include "host/layers/layer.h"

typedef struct depthwise_attrs {
    mien_layer_common common;
    mien_conv_window window;
    int multiplier, activation, initializer;
    bool use_bias;
} depthwise_attrs;

#define F(field) MIEN_FIELD(depthwise_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(depthwise_attrs),
    MIEN_CONV_KEYS(depthwise_attrs),
    KEY_INT("depth_multiplier", F(multiplier), "1", 1, 65536, "output channels per input channel"),
    KEY_BOOL("use_bias", F(use_bias), "true", "add a bias"),
    KEY_CHOICE("activation", F(activation), "linear", MIEN_ACTIVATION_CHOICES,
               "activation applied to the output"),
    KEY_CHOICE("depthwise_initializer", F(initializer), "glorot_uniform", MIEN_INITIALIZERS,
               "initial values of the kernel"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    depthwise_attrs *a = node->attrs;
    *flat = false;
    MIEN_TRY(mien_depthwise_channels(in->c, a->multiplier, &out->c));
    return mien_conv_infer(&a->window, in, out);
}

static void declare(mien_node *node, const mien_shape *in) {
    const depthwise_attrs *a = node->attrs;
    mien_conv_declare(node, &a->window, "kernel", in->c, a->multiplier, a->initializer);
    if (a->use_bias) mien_declare_bias(node, in->c * a->multiplier);
}

static void linear(const mien_node *node, mien_linear_desc *d) {
    const depthwise_attrs *a = node->attrs;
    mien_conv_describe(&a->window, d);
    d->groups = node->in[0].c;
    d->bias = a->use_bias;
}

static double flops(const mien_node *node, const mien_shape *in) {
    const depthwise_attrs *a = node->attrs;
    (void)in;
    return mien_conv_flops(&a->window, &node->out, node->out.c, 1);
}

const mien_layer_def mien_layer_depthwise_conv2d = {
    .name = "depthwise_conv2d",
    .class_name = "DepthwiseConv2D",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(depthwise_attrs),
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
