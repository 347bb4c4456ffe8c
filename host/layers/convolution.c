/* Shared by the convolutions: the shape rule and the description of the operator. */
#include "host/layers/layer.h"

int mien_conv_span(const mien_conv_window *window, int axis) {
    return (window->kernel_size[axis] - 1) * window->dilation_rate[axis] + 1;
}

mien_status mien_conv_check(const mien_conv_window *w) {
    if ((w->strides[0] > 1 || w->strides[1] > 1) &&
        (w->dilation_rate[0] > 1 || w->dilation_rate[1] > 1))
        return MIEN_FAIL(INVALID, "strides of %dx%d and a dilation_rate of %dx%d: one must be 1",
                         w->strides[0], w->strides[1], w->dilation_rate[0], w->dilation_rate[1]);
    return MIEN_OK;
}

mien_status mien_depthwise_channels(int channels, int multiplier, int *out) {
    const long long all = (long long)channels * multiplier;
    if (all > MIEN_CHANNELS_MAX)
        return MIEN_FAIL(INVALID,
                         "depth_multiplier: %d gives %lld channels; at most %d are supported",
                         multiplier, all, MIEN_CHANNELS_MAX);
    *out = (int)all;
    return MIEN_OK;
}

mien_status mien_conv_infer(mien_conv_window *w, const mien_shape *in, mien_shape *out) {
    const int span_h = mien_conv_span(w, 0), span_w = mien_conv_span(w, 1);
    MIEN_TRY(mien_conv_check(w));
    out->h = mien_conv_axis(in->h, span_h, w->strides[0], w->padding, &w->pad_top, &w->pad_bottom);
    out->w = mien_conv_axis(in->w, span_w, w->strides[1], w->padding, &w->pad_left, &w->pad_right);
    if (out->h < 1 || out->w < 1)
        return MIEN_FAIL(INVALID,
                         "a kernel of %dx%d does not fit an image of %dx%d: use padding: same or "
                         "fewer layers",
                         span_h, span_w, in->h, in->w);
    return MIEN_OK;
}

void mien_conv_describe(const mien_conv_window *w, mien_linear_desc *d) {
    d->kernel_h = w->kernel_size[0];
    d->kernel_w = w->kernel_size[1];
    d->stride_h = w->strides[0];
    d->stride_w = w->strides[1];
    d->dilation_h = w->dilation_rate[0];
    d->dilation_w = w->dilation_rate[1];
    d->pad_top = w->pad_top;
    d->pad_left = w->pad_left;
    d->pad_bottom = w->pad_bottom;
    d->pad_right = w->pad_right;
}

double mien_conv_flops(const mien_conv_window *w, const mien_shape *image, double channels,
                       double terms) {
    return 2.0 * w->kernel_size[0] * w->kernel_size[1] * image->h * image->w * channels * terms;
}

void mien_conv_declare(mien_node *node, const mien_conv_window *w, const char *name, int c2, int c3,
                       int initializer) {
    const double area = (double)w->kernel_size[0] * w->kernel_size[1];
    mien_declare(node, (mien_param){.name = name,
                                    .shape = {w->kernel_size[0], w->kernel_size[1], c2, c3},
                                    .init = (mien_init)initializer,
                                    .fan_in = area * c2,
                                    .fan_out = area * c3,
                                    .trained = true,
                                    .decays = true,
                                    .linear = true,
                                    .axes = 3});
}

void mien_declare_bias(mien_node *node, int channels) {
    mien_declare(node, (mien_param){.name = "bias",
                                    .shape = {1, 1, 1, channels},
                                    .init = MIEN_INIT_ZEROS,
                                    .trained = true});
}
