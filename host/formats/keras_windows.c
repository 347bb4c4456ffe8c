/* Convolutions and pooling. */
#include <string.h>

#include "host/formats/keras.h"

static const int ones[2] = {1, 1};

static int kernel_roles(const keras_layer *l, const char **out) {
    out[0] = strcmp(l->class_name, "DepthwiseConv2D") == 0 ? "depthwise_kernel" : "kernel";
    out[1] = "bias";
    return 1 + keras_flag(l, "use_bias|bias", true);
}

static int separable_roles(const keras_layer *l, const char **out) {
    out[0] = "depthwise_kernel";
    out[1] = "pointwise_kernel";
    out[2] = "bias";
    return 2 + keras_flag(l, "use_bias|bias", true);
}

static mien_status padding(keras_call *call, int layer) {
    const char *word = keras_text(call->layer, "padding|border_mode", "valid");
    if (strcmp(word, "valid") != 0 && strcmp(word, "same") != 0)
        return keras_refuse(call, "the padding '%s' is not supported", word);
    mien_import_text(&call->r->import, layer, "padding", word);
    return MIEN_OK;
}

/* The kernel's size, strides, dilation and padding. */
static mien_status window(keras_call *call, int layer) {
    const keras_layer *l = call->layer;
    mien_import *import = &call->r->import;
    int size[2], strides[2], dilation[2];
    if (keras_get(l, "nb_row")) {
        size[0] = keras_int(l, "nb_row", 0);
        size[1] = keras_int(l, "nb_col", 0);
    } else {
        MIEN_TRY(keras_pair(call, "kernel_size", NULL, size));
    }
    MIEN_TRY(keras_pair(call, "strides|subsample", ones, strides));
    MIEN_TRY(keras_pair(call, "dilation_rate|atrous_rate", ones, dilation));
    mien_import_numbers(import, layer, "kernel_size", size, 2);
    mien_import_numbers(import, layer, "strides", strides, 2);
    mien_import_numbers(import, layer, "dilation_rate", dilation, 2);
    return padding(call, layer);
}

/* The common end of all convolutions. */
static mien_status finish(keras_call *call, int layer, const keras_value *in) {
    const keras_layer *l = call->layer;
    const mien_value *spec = keras_get(l, "activation");
    const char *plain = keras_plain_activation(call, spec);
    mien_import *import = &call->r->import;
    keras_value *value = &call->out[0];
    const bool first = value->first;
    if (!keras_flag(l, "use_bias|bias", true)) mien_import_bool(import, layer, "use_bias", false);
    if (plain && strcmp(plain, "linear") != 0) {
        /* a softmax is over Keras's last axis, which is the width here */
        if (first && strcmp(plain, "softmax") == 0)
            plain = NULL;
        else
            mien_import_text(import, layer, "activation", plain);
    }
    MIEN_TRY(keras_commit(call, layer, value));
    value->first = first;
    MIEN_TRY(keras_params(call, layer, in));
    return plain ? MIEN_OK : keras_activate(call, spec, value);
}

static mien_status convert_convolution(keras_call *call, const char *def) {
    const keras_layer *l = call->layer;
    mien_import *import = &call->r->import;
    keras_value *value = &call->out[0];
    int layer;
    MIEN_TRY(keras_image(call, value, keras_channels_first(l)));
    const keras_value in = *value;
    MIEN_TRY(keras_emit(call, def, value, 1, &layer));
    if (strcmp(def, "depthwise_conv2d") != 0)
        mien_import_number(import, layer, "filters", keras_number(l, "filters|nb_filter", 0));
    MIEN_TRY(window(call, layer));
    if (strcmp(def, "depthwise_conv2d") == 0 || strcmp(def, "separable_conv2d") == 0) {
        mien_import_number(import, layer, "depth_multiplier",
                           keras_number(l, "depth_multiplier", 1));
        if (keras_number(l, "groups", 1) != 1)
            return keras_refuse(call, "'groups' is not supported in this class");
    } else if (strcmp(def, "conv2d") == 0) {
        mien_import_number(import, layer, "groups", keras_number(l, "groups", 1));
    } else if (keras_get(l, "output_padding")) {
        int extra[2];
        MIEN_TRY(keras_pair(call, "output_padding", NULL, extra));
        mien_import_numbers(import, layer, "output_padding", extra, 2);
    }
    return finish(call, layer, &in);
}

static mien_status conv(keras_call *call) {
    return convert_convolution(call, "conv2d");
}

static mien_status depthwise(keras_call *call) {
    return convert_convolution(call, "depthwise_conv2d");
}

static mien_status separable(keras_call *call) {
    return convert_convolution(call, "separable_conv2d");
}

static mien_status transpose(keras_call *call) {
    if (keras_get(call->layer, "nb_row"))
        return keras_refuse(call,
                            "it is of Keras 1, whose transposed convolutions are not supported");
    return convert_convolution(call, "conv2d_transpose");
}

static mien_status pool(keras_call *call) {
    static const int two[2] = {2, 2};
    const keras_layer *l = call->layer;
    keras_value *value = &call->out[0];
    int size[2], strides[2], layer;
    const bool max = strncmp(l->class_name, "Max", 3) == 0;
    MIEN_TRY(keras_image(call, value, keras_channels_first(l)));
    MIEN_TRY(keras_pair(call, "pool_size", two, size));
    MIEN_TRY(keras_pair(call, "strides", size, strides));
    MIEN_TRY(keras_emit(call, max ? "max_pooling2d" : "average_pooling2d", value, 1, &layer));
    mien_import_numbers(&call->r->import, layer, "pool_size", size, 2);
    mien_import_numbers(&call->r->import, layer, "strides", strides, 2);
    MIEN_TRY(padding(call, layer));
    const bool first = value->first;
    MIEN_TRY(keras_commit(call, layer, value));
    value->first = first;
    return MIEN_OK;
}

static mien_status global_pool(keras_call *call) {
    const keras_layer *l = call->layer;
    keras_value *value = &call->out[0];
    int layer;
    const bool max = strstr(l->class_name, "Max") != NULL;
    const bool keep = keras_flag(l, "keepdims", false);
    MIEN_TRY(keras_image(call, value, keras_channels_first(l)));
    MIEN_TRY(keras_emit(call, max ? "global_max_pooling2d" : "global_average_pooling2d", value, 1,
                        &layer));
    if (keep) mien_import_bool(&call->r->import, layer, "keepdims", true);
    const bool first = value->first && keep;
    MIEN_TRY(keras_commit(call, layer, value));
    value->first = first;
    return MIEN_OK;
}

#define WINDOW                                                                                     \
    "kernel_size|strides|padding|dilation_rate|nb_row|nb_col|subsample|border_mode|atrous_rate|"   \
    "data_format|dim_ordering|activation|use_bias|bias|groups"
#define POOL "pool_size|strides|padding|border_mode|data_format|dim_ordering"

const keras_class keras_window_classes[] = {
    {"Conv2D|Convolution2D|AtrousConvolution2D|AtrousConv2D", conv, "filters|nb_filter|" WINDOW,
     kernel_roles},
    {"DepthwiseConv2D", depthwise, "depth_multiplier|filters|" WINDOW, kernel_roles},
    {"SeparableConv2D|SeparableConvolution2D", separable,
     "filters|nb_filter|depth_multiplier|" WINDOW, separable_roles},
    {"Conv2DTranspose|Convolution2DTranspose|Deconvolution2D|Deconv2D", transpose,
     "filters|nb_filter|output_padding|output_shape|" WINDOW, kernel_roles},
    {"MaxPooling2D|MaxPool2D|AveragePooling2D|AvgPool2D", pool, POOL, NULL},
    {"GlobalAveragePooling2D|GlobalAvgPool2D|GlobalMaxPooling2D|GlobalMaxPool2D", global_pool,
     "data_format|dim_ordering|keepdims", NULL},
    {0}};
