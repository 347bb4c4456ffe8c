/* A depthwise convolution, then a 1x1 convolution over all channels, as
 * keras.layers.SeparableConv2D. In the graph it is two nodes: this one is the depthwise part, its
 * tail has the pointwise kernel and the bias. */
#include "host/layers/layer.h"

typedef struct separable_attrs {
    mien_layer_common common;
    mien_conv_window window;
    int filters, multiplier, activation, depthwise_initializer, pointwise_initializer;
    bool use_bias;
} separable_attrs;

#define F(field) MIEN_FIELD(separable_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(separable_attrs),
    KEY_INT("filters", F(filters), NULL, 1, 65536, "output channels"),
    MIEN_CONV_KEYS(separable_attrs),
    KEY_INT("depth_multiplier", F(multiplier), "1", 1, 65536,
            "channels between the two convolutions per input channel"),
    KEY_BOOL("use_bias", F(use_bias), "true", "add a bias"),
    KEY_CHOICE("activation", F(activation), "linear", MIEN_ACTIVATION_CHOICES,
               "activation applied to the output"),
    KEY_CHOICE("depthwise_initializer", F(depthwise_initializer), "glorot_uniform",
               MIEN_INITIALIZERS, "initial values of the depthwise kernel"),
    KEY_CHOICE("pointwise_initializer", F(pointwise_initializer), "glorot_uniform",
               MIEN_INITIALIZERS, "initial values of the pointwise kernel"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    separable_attrs *a = node->attrs;
    *flat = false;
    MIEN_TRY(mien_depthwise_channels(in->c, a->multiplier, &out->c));
    return mien_conv_infer(&a->window, in, out);
}

static void declare(mien_node *node, const mien_shape *in) {
    const separable_attrs *a = node->attrs;
    mien_conv_declare(node, &a->window, "depthwise_kernel", in->c, a->multiplier,
                      a->depthwise_initializer);
}

static void linear(const mien_node *node, mien_linear_desc *d) {
    const separable_attrs *a = node->attrs;
    mien_conv_describe(&a->window, d);
    d->groups = node->in[0].c;
}

static double flops(const mien_node *node, const mien_shape *in) {
    const separable_attrs *a = node->attrs;
    (void)in;
    return mien_conv_flops(&a->window, &node->out, node->out.c, 1);
}

/* ---- the tail ---- */

typedef struct pointwise_attrs {
    mien_layer_common common;
    mien_conv_window window; /* 1x1 */
    int filters, initializer;
    bool use_bias;
} pointwise_attrs;

static const mien_key pointwise_rows[] = {MIEN_COMMON_KEYS(pointwise_attrs)};

static void init_tail(const void *attrs, void *tail) {
    const separable_attrs *from = attrs;
    pointwise_attrs *a = tail;
    a->window = (mien_conv_window){
        .kernel_size = {1, 1}, .strides = {1, 1}, .dilation_rate = {1, 1}, .padding = MIEN_VALID};
    a->filters = from->filters;
    a->initializer = from->pointwise_initializer;
    a->use_bias = from->use_bias;
}

static mien_status pointwise_infer(mien_node *node, const mien_shape *in, mien_shape *out,
                                   bool *flat) {
    pointwise_attrs *a = node->attrs;
    *flat = false;
    out->c = a->filters;
    return mien_conv_infer(&a->window, in, out);
}

static void pointwise_declare(mien_node *node, const mien_shape *in) {
    const pointwise_attrs *a = node->attrs;
    mien_conv_declare(node, &a->window, "pointwise_kernel", in->c, a->filters, a->initializer);
    if (a->use_bias) mien_declare_bias(node, a->filters);
}

static void pointwise_linear(const mien_node *node, mien_linear_desc *d) {
    const pointwise_attrs *a = node->attrs;
    mien_conv_describe(&a->window, d);
    d->bias = a->use_bias;
}

static double pointwise_flops(const mien_node *node, const mien_shape *in) {
    const pointwise_attrs *a = node->attrs;
    return mien_conv_flops(&a->window, &node->out, node->out.c, in->c);
}

/* Not in layers.def: model files cannot name it. */
static const mien_layer_def pointwise = {
    .name = "pointwise",
    .class_name = "SeparableConv2D",
    .keys = {pointwise_rows, sizeof pointwise_rows / sizeof pointwise_rows[0]},
    .attr_bytes = sizeof(pointwise_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_NEEDS_INPUT | MIEN_FUSES_RELU | MIEN_FUSES_ACTIVATION | MIEN_MASKS_RELU,
    .infer = pointwise_infer,
    .declare = pointwise_declare,
    .linear = pointwise_linear,
    .forward = mien_linear_layer_forward,
    .backward = mien_linear_layer_backward,
    .flops = pointwise_flops,
};

const mien_layer_def mien_layer_separable_conv2d = {
    .name = "separable_conv2d",
    .class_name = "SeparableConv2D",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(separable_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_NEEDS_INPUT | MIEN_MASKS_RELU,
    .infer = infer,
    .declare = declare,
    .linear = linear,
    .forward = mien_linear_layer_forward,
    .backward = mien_linear_layer_backward,
    .flops = flops,
    .tail = &pointwise,
    .init_tail = init_tail,
};
