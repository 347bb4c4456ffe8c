/* Fully connected layer, as keras.layers.Dense on flattened input. `units: classes` is the number
 * of classes of the data set. */
#include "host/layers/layer.h"

typedef struct dense_attrs {
    mien_layer_common common;
    mien_number_or units;
    int activation, initializer;
    bool use_bias;
} dense_attrs;

#define F(field) MIEN_FIELD(dense_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(dense_attrs),
    KEY_NUMBER_OR("units", F(units), NULL, 1, 1048576, "classes", "number of outputs"),
    KEY_BOOL("use_bias", F(use_bias), "true", "add a bias"),
    KEY_CHOICE("activation", F(activation), "linear", MIEN_ACTIVATION_CHOICES,
               "activation applied to the output"),
    KEY_CHOICE("kernel_initializer", F(initializer), "glorot_uniform",
               "zeros|ones|glorot_uniform|he_normal", "initial values of the kernel"),
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    const dense_attrs *a = node->attrs;
    if (in->h * in->w != 1)
        return MIEN_FAIL(INVALID,
                         "a dense layer needs flat input, not %dx%dx%d: put flatten or a global "
                         "pooling before it",
                         in->h, in->w, in->c);
    *out = (mien_shape){1, 1, 1, (int)a->units.number};
    return (void)flat, MIEN_OK; /* stays flat or [1,1,c] like the input */
}

static void declare(mien_node *node, const mien_shape *in) {
    const dense_attrs *a = node->attrs;
    const int units = (int)a->units.number;
    mien_declare(node, (mien_param){.name = "kernel",
                                    .shape = {1, 1, in->c, units},
                                    .init = (mien_init)a->initializer,
                                    .fan_in = in->c,
                                    .fan_out = units,
                                    .trained = true,
                                    .decays = true,
                                    .linear = true,
                                    .axes = 1});
    if (a->use_bias)
        mien_declare(node, (mien_param){.name = "bias",
                                        .shape = {1, 1, 1, units},
                                        .init = MIEN_INIT_ZEROS,
                                        .trained = true});
}

static void linear(const mien_node *node, mien_linear_desc *d) {
    const dense_attrs *a = node->attrs;
    d->dense = true;
    d->kernel_h = d->kernel_w = d->stride_h = d->stride_w = 1;
    d->bias = a->use_bias;
}

static double flops(const mien_node *node, const mien_shape *in) {
    return 2.0 * in->c * node->out.c;
}

const mien_layer_def mien_layer_dense = {
    .name = "dense",
    .class_name = "Dense",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(dense_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_NEEDS_INPUT | MIEN_FUSES_RELU | MIEN_FUSES_ACTIVATION | MIEN_MASKS_RELU |
             MIEN_ENDS_MICRO_BATCHES,
    .infer = infer,
    .declare = declare,
    .linear = linear,
    .forward = mien_linear_layer_forward,
    .backward = mien_linear_layer_backward,
    .flops = flops,
};
