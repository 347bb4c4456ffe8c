/* Layers as nodes of an ONNX graph, of opset 13. */
#include <math.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/formats/onnx_write.h"

static const int nhwc_to_nchw[] = {0, 3, 1, 2}, nchw_to_nhwc[] = {0, 2, 3, 1};

/* ---- inputs ---- */

static const void *key_of(const mien_node *node, const char *name) {
    return (const char *)node->attrs + mien_keys_find(node->def->keys, name)->offset;
}

static bool is_flat(const mien_onnx_writer *w, int i) {
    return w->model->graph.nodes[w->node->inputs[i]].flat;
}

static const char *value_in(const mien_onnx_writer *w, int i) {
    return w->values[w->node->inputs[i]].text;
}

static mien_onnx_name reshaped(mien_onnx_writer *w, const char *x, const long long *dims,
                               int count) {
    return mien_onnx_emit2(w, "Reshape", x, mien_onnx_integers(w, dims, count).text, NULL);
}

/* Input 0 as [N, C, H, W]. */
static mien_onnx_name image_in(mien_onnx_writer *w) {
    if (!is_flat(w, 0)) return w->values[w->node->inputs[0]];
    return reshaped(w, value_in(w, 0), (const long long[]){-1, w->node->in[0].c, 1, 1}, 4);
}

/* An image as [N, C], its elements in the order H, W, C. */
static mien_onnx_name flattened(mien_onnx_writer *w, mien_onnx_name x, mien_shape shape) {
    mien_text attributes = {0};
    if (shape.h * shape.w > 1 && shape.c > 1) x = mien_onnx_transposed(w, x.text, nchw_to_nhwc);
    mien_onnx_put_int(&attributes, "axis", 1);
    return mien_onnx_emit1(w, "Flatten", x.text, &attributes);
}

static mien_status set(mien_onnx_writer *w, mien_onnx_name value) {
    w->values[w->node->index] = value;
    return MIEN_OK;
}

static mien_status pass_on(mien_onnx_writer *w) {
    return set(w, w->values[w->node->inputs[0]]);
}

static const float *param(const mien_onnx_writer *w, int k) {
    return mien_weights_get(&w->model->weights, w->node->index, k);
}

/* ---- linear layers ---- */

/* [area][in][out] to [out][in][area]: of a kernel HWIO to OIHW, of a matrix to its transpose, and
 * of a transposed convolution's kernel, [h][w][out][in], to [in][out][h][w]. */
static mien_status add_kernel(mien_onnx_writer *w, const long long *dims, int rank,
                              mien_onnx_name *name) {
    const mien_param *p = &w->node->params[0];
    const size_t area = (size_t)p->shape.n * (size_t)p->shape.h, in = (size_t)p->shape.w,
                 out = (size_t)p->shape.c;
    const float *from = param(w, 0);
    float *to;
    MIEN_TRY(mien_new(&to, area * in * out, sizeof *to));
    for (size_t a = 0; a < area; a++)
        for (size_t i = 0; i < in; i++)
            for (size_t o = 0; o < out; o++)
                to[(o * in + i) * area + a] = from[(a * in + i) * out + o];
    *name = mien_onnx_weight(w, p->name, dims, rank, to);
    mien_free(to);
    return MIEN_OK;
}

static mien_onnx_name emit_linear(mien_onnx_writer *w, const char *op, const char *x,
                                  const mien_onnx_name *kernel, mien_text *attributes) {
    const char *inputs[] = {x, kernel->text, NULL};
    mien_onnx_name bias;
    const bool biased = w->node->param_count > 1;
    if (biased) {
        const long long dims[] = {w->node->out.c};
        bias = mien_onnx_weight(w, w->node->params[1].name, dims, 1, param(w, 1));
        inputs[2] = bias.text;
    }
    return mien_onnx_emit(w, op, inputs, biased ? 3 : 2, attributes);
}

static mien_status write_dense(mien_onnx_writer *w) {
    const mien_node *node = w->node;
    const long long dims[] = {node->out.c, node->in[0].c, 1, 1};
    mien_text attributes = {0};
    mien_onnx_name kernel;
    MIEN_TRY(add_kernel(w, dims, node->flat ? 2 : 4, &kernel));
    if (!node->flat) return set(w, emit_linear(w, "Conv", value_in(w, 0), &kernel, NULL));
    mien_onnx_put_int(&attributes, "transB", 1);
    return set(w, emit_linear(w, "Gemm", value_in(w, 0), &kernel, &attributes));
}

static void put_window(mien_text *attributes, const mien_linear_desc *d) {
    mien_onnx_put_ints(attributes, "kernel_shape", (const int[]){d->kernel_h, d->kernel_w}, 2);
    mien_onnx_put_ints(attributes, "strides", (const int[]){d->stride_h, d->stride_w}, 2);
    mien_onnx_put_ints(attributes, "dilations",
                       (const int[]){mien_linear_dilation_h(d), mien_linear_dilation_w(d)}, 2);
    mien_onnx_put_ints(attributes, "pads",
                       (const int[]){d->pad_top, d->pad_left, d->pad_bottom, d->pad_right}, 4);
}

static mien_status write_convolution(mien_onnx_writer *w) {
    const mien_node *node = w->node;
    const mien_shape in = node->in[0], out = node->out;
    mien_linear_desc d = {0};
    mien_text attributes = {0};
    mien_onnx_name kernel;
    node->def->linear(node, &d);
    const int groups = mien_linear_groups(&d);
    const long long first = d.transposed ? in.c : out.c;
    const long long second = d.transposed ? out.c : in.c / groups;
    const long long dims[] = {first, second, d.kernel_h, d.kernel_w};
    const mien_onnx_name x = image_in(w);
    put_window(&attributes, &d);
    if (groups > 1) mien_onnx_put_int(&attributes, "group", groups);
    if (d.transposed) { /* what the convolution from the output to the input does not reach */
        const int span_h = (d.kernel_h - 1) * mien_linear_dilation_h(&d) + 1;
        const int span_w = (d.kernel_w - 1) * mien_linear_dilation_w(&d) + 1;
        const int rest[] = {out.h - ((in.h - 1) * d.stride_h + span_h - d.pad_top - d.pad_bottom),
                            out.w - ((in.w - 1) * d.stride_w + span_w - d.pad_left - d.pad_right)};
        mien_onnx_put_ints(&attributes, "output_padding", rest, 2);
    }
    /* a depthwise kernel [h][w][in][multiplier] is [h][w][1][out] in memory */
    mien_node grouped = *node;
    if (groups == in.c && !d.transposed)
        grouped.params[0].shape = (mien_shape){d.kernel_h, d.kernel_w, 1, out.c};
    w->node = &grouped;
    const mien_status status = add_kernel(w, dims, 4, &kernel);
    w->node = node;
    if (status != MIEN_OK) {
        mien_text_release(&attributes);
        return status;
    }
    return set(
        w, emit_linear(w, d.transposed ? "ConvTranspose" : "Conv", x.text, &kernel, &attributes));
}

/* ---- pooling ---- */

static mien_status write_pool(mien_onnx_writer *w) {
    const mien_node *node = w->node;
    const mien_pool *p = &((const mien_pool_attrs *)node->attrs)->pool;
    const int down = (node->out.h - 1) * p->stride_h + p->kernel_h - node->in[0].h - p->pad_top;
    const int right = (node->out.w - 1) * p->stride_w + p->kernel_w - node->in[0].w - p->pad_left;
    const mien_onnx_name x = image_in(w);
    mien_text attributes = {0};
    mien_onnx_put_ints(&attributes, "kernel_shape", (const int[]){p->kernel_h, p->kernel_w}, 2);
    mien_onnx_put_ints(&attributes, "strides", (const int[]){p->stride_h, p->stride_w}, 2);
    mien_onnx_put_ints(
        &attributes, "pads",
        (const int[]){p->pad_top, p->pad_left, down > 0 ? down : 0, right > 0 ? right : 0}, 4);
    if (p->average) mien_onnx_put_int(&attributes, "count_include_pad", 0);
    return set(w, mien_onnx_emit1(w, p->average ? "AveragePool" : "MaxPool", x.text, &attributes));
}

static mien_status write_global_pool(mien_onnx_writer *w) {
    const mien_pool *p = &((const mien_pool_attrs *)w->node->attrs)->pool;
    const char *op = p->average ? "GlobalAveragePool" : "GlobalMaxPool";
    const mien_onnx_name y = mien_onnx_emit1(w, op, image_in(w).text, NULL);
    return set(w, w->node->flat ? flattened(w, y, w->node->out) : y);
}

/* ---- normalisation ---- */

static mien_onnx_name vector(mien_onnx_writer *w, int k, const char *part, const float *otherwise) {
    const long long dims[] = {w->node->out.c};
    return mien_onnx_weight(w, part, dims, 1, k >= 0 ? param(w, k) : otherwise);
}

static mien_status emit_normalisation(mien_onnx_writer *w, int gamma, int beta, int mean,
                                      double epsilon) {
    float *plain;
    const size_t count = (size_t)w->node->out.c;
    mien_text attributes = {0};
    MIEN_TRY(mien_new(&plain, 2 * count, sizeof *plain)); /* zeros, then ones */
    for (size_t i = 0; i < count; i++)
        plain[count + i] = 1;
    const mien_onnx_name weights[] = {vector(w, gamma, "gamma", plain + count),
                                      vector(w, beta, "beta", plain),
                                      vector(w, mean, w->node->params[mean].name, NULL),
                                      vector(w, mean + 1, w->node->params[mean + 1].name, NULL)};
    mien_free(plain);
    const char *inputs[] = {value_in(w, 0), weights[0].text, weights[1].text, weights[2].text,
                            weights[3].text};
    mien_onnx_put_float(&attributes, "epsilon", epsilon);
    return set(w, mien_onnx_emit(w, "BatchNormalization", inputs, 5, &attributes));
}

static mien_status write_batchnorm(mien_onnx_writer *w) {
    const bool scale = *(const bool *)key_of(w->node, "scale");
    const bool center = *(const bool *)key_of(w->node, "center");
    return emit_normalisation(w, scale ? 0 : -1, center ? scale : -1, scale + center,
                              *(const double *)key_of(w->node, "epsilon"));
}

/* The epsilon is that of the layer. */
static mien_status write_normalization(mien_onnx_writer *w) {
    return emit_normalisation(w, -1, -1, 0, 1e-14);
}

/* ---- activations ---- */

static mien_onnx_name with_alpha(mien_onnx_writer *w, const char *op, const char *x, double alpha) {
    mien_text attributes = {0};
    mien_onnx_put_float(&attributes, "alpha", alpha);
    return mien_onnx_emit1(w, op, x, &attributes);
}

static mien_onnx_name with_number(mien_onnx_writer *w, const char *op, const char *x,
                                  double number) {
    return mien_onnx_emit2(w, op, x, mien_onnx_number(w, number).text, NULL);
}

/* x * 0.5 * (1 + erf(x / sqrt(2))); opset 20 is the first with Gelu. */
static mien_onnx_name gelu(mien_onnx_writer *w, const char *x) {
    mien_onnx_name y = with_number(w, "Mul", x, 0.70710678118654752);
    y = mien_onnx_emit1(w, "Erf", y.text, NULL);
    y = with_number(w, "Add", y.text, 1);
    y = mien_onnx_emit2(w, "Mul", x, y.text, NULL);
    return with_number(w, "Mul", y.text, 0.5);
}

static mien_onnx_name clip(mien_onnx_writer *w, const char *x, bool from_zero, double most) {
    const mien_onnx_name low = from_zero ? mien_onnx_number(w, 0) : (mien_onnx_name){""};
    const mien_onnx_name high = mien_onnx_number(w, most);
    const char *inputs[] = {x, low.text, high.text};
    return mien_onnx_emit(w, "Clip", inputs, 3, NULL);
}

static mien_onnx_name hard_sigmoid(mien_onnx_writer *w, const char *x) {
    mien_text attributes = {0};
    mien_onnx_put_float(&attributes, "alpha", 1.0 / 6);
    mien_onnx_put_float(&attributes, "beta", 0.5);
    return mien_onnx_emit1(w, "HardSigmoid", x, &attributes);
}

/* Over the channels, axis 1 of images and of lists. */
static mien_onnx_name softmax(mien_onnx_writer *w, const char *x) {
    mien_text attributes = {0};
    mien_onnx_put_int(&attributes, "axis", 1);
    return mien_onnx_emit1(w, "Softmax", x, &attributes);
}

/* relu with limits that no other operator has: body_rectify. */
static mien_onnx_name rectified(mien_onnx_writer *w, const char *x) {
    const mien_number_or *most = key_of(w->node, "max_value");
    const double slope = *(const double *)key_of(w->node, "negative_slope");
    const double threshold = *(const double *)key_of(w->node, "threshold");
    const bool limited = most->word < 0, plain = !(threshold > 0) && !(slope > 0);
    mien_onnx_name y;
    if (plain) return clip(w, x, true, most->number);
    if (!(threshold > 0)) {
        y = with_alpha(w, "LeakyRelu", x, slope);
    } else {
        y = with_alpha(w, "ThresholdedRelu", x, threshold);
        if (slope > 0) { /* slope * (x - threshold) below it */
            mien_onnx_name low = with_number(w, "Sub", x, threshold);
            low = mien_onnx_emit1(w, "Neg", low.text, NULL);
            low = mien_onnx_emit1(w, "Relu", low.text, NULL);
            low = with_number(w, "Mul", low.text, -slope);
            y = mien_onnx_emit2(w, "Add", y.text, low.text, NULL);
        }
    }
    return limited ? clip(w, y.text, false, most->number) : y;
}

static mien_status write_activation(mien_onnx_writer *w) {
    float alpha;
    const char *x = value_in(w, 0);
    switch (w->node->def->activates(w->node, &alpha)) {
    case BODY_LINEAR:
        return pass_on(w);
    case BODY_RELU:
        return set(w, mien_onnx_emit1(w, "Relu", x, NULL));
    case BODY_RELU6:
        return set(w, clip(w, x, true, 6));
    case BODY_LEAKY_RELU:
        return set(w, with_alpha(w, "LeakyRelu", x, (double)alpha));
    case BODY_ELU:
        return set(w, with_alpha(w, "Elu", x, (double)alpha));
    case BODY_SELU: /* its defaults are the usual constants */
        return set(w, mien_onnx_emit1(w, "Selu", x, NULL));
    case BODY_GELU:
        return set(w, gelu(w, x));
    case BODY_SIGMOID:
        return set(w, mien_onnx_emit1(w, "Sigmoid", x, NULL));
    case BODY_HARD_SIGMOID:
        return set(w, hard_sigmoid(w, x));
    case BODY_SWISH:
        return set(w,
                   mien_onnx_emit2(w, "Mul", x, mien_onnx_emit1(w, "Sigmoid", x, NULL).text, NULL));
    case BODY_TANH:
        return set(w, mien_onnx_emit1(w, "Tanh", x, NULL));
    case BODY_SOFTMAX:
        return set(w, softmax(w, x));
    default: /* of the layer relu alone */
        return set(w, rectified(w, x));
    }
}

/* [h][w][c] to [c][h][w]. */
static mien_status write_prelu(mien_onnx_writer *w) {
    const mien_shape s = w->node->params[0].shape;
    const size_t area = (size_t)s.h * (size_t)s.w, channels = (size_t)s.c;
    const long long dims[] = {s.c, s.h, s.w};
    const float *from = param(w, 0);
    float *to;
    MIEN_TRY(mien_new(&to, area * channels, sizeof *to));
    for (size_t c = 0; c < channels; c++)
        for (size_t a = 0; a < area; a++)
            to[c * area + a] = from[a * channels + c];
    const mien_onnx_name alpha = mien_onnx_weight(w, "alpha", dims, w->node->flat ? 1 : 3, to);
    mien_free(to);
    return set(w, mien_onnx_emit2(w, "PRelu", value_in(w, 0), alpha.text, NULL));
}

static mien_status write_rescaling(mien_onnx_writer *w) {
    const double scale = *(const double *)key_of(w->node, "scale");
    const double offset = *(const double *)key_of(w->node, "offset");
    mien_onnx_name y = w->values[w->node->inputs[0]];
    if (scale != 1) y = with_number(w, "Mul", y.text, scale);
    if (offset != 0) y = with_number(w, "Add", y.text, offset);
    return set(w, y);
}

/* ---- several inputs ---- */

static mien_status emit_all(mien_onnx_writer *w, const char *op, mien_text *attributes) {
    const char *inputs[MIEN_INPUTS_MAX];
    for (int i = 0; i < w->node->input_count; i++)
        inputs[i] = value_in(w, i);
    return set(w, mien_onnx_emit(w, op, inputs, w->node->input_count, attributes));
}

static mien_status write_add(mien_onnx_writer *w) {
    return emit_all(w, w->node->input_count == 2 ? "Add" : "Sum", NULL);
}

static mien_status write_multiply(mien_onnx_writer *w) {
    return emit_all(w, "Mul", NULL);
}

static mien_status write_average(mien_onnx_writer *w) {
    return emit_all(w, "Mean", NULL);
}

static mien_status write_maximum(mien_onnx_writer *w) {
    return emit_all(w, "Max", NULL);
}

static mien_status write_concatenate(mien_onnx_writer *w) {
    mien_text attributes = {0};
    mien_onnx_put_int(&attributes, "axis", 1);
    return emit_all(w, "Concat", &attributes);
}

/* ---- shapes ---- */

static mien_status write_padding(mien_onnx_writer *w) {
    const int *s = key_of(w->node, "padding"); /* top, bottom, left, right */
    const long long pads[] = {0, 0, s[0], s[2], 0, 0, s[1], s[3]};
    const mien_onnx_name sides = mien_onnx_integers(w, pads, 8);
    return set(w, mien_onnx_emit2(w, "Pad", value_in(w, 0), sides.text, NULL));
}

static mien_status write_cropping(mien_onnx_writer *w) {
    const int *s = key_of(w->node, "cropping");
    const mien_shape out = w->node->out;
    const long long starts[] = {s[0], s[2]}, ends[] = {s[0] + out.h, s[2] + out.w};
    const mien_onnx_name from = mien_onnx_integers(w, starts, 2),
                         to = mien_onnx_integers(w, ends, 2);
    const mien_onnx_name axes = mien_onnx_integers(w, (const long long[]){2, 3}, 2);
    const char *inputs[] = {value_in(w, 0), from.text, to.text, axes.text};
    return set(w, mien_onnx_emit(w, "Slice", inputs, 4, NULL));
}

/* The factor whose product with `in` is rounded down to `out`. */
static float factor_of(int in, int out) {
    float factor = (float)((double)out / in);
    while ((int)floorf((float)in * factor) < out)
        factor = nextafterf(factor, INFINITY);
    return factor;
}

static mien_status resize(mien_onnx_writer *w, bool bilinear) {
    const mien_shape in = w->node->in[0], out = w->node->out;
    const float factors[] = {1, 1, factor_of(in.h, out.h), factor_of(in.w, out.w)};
    const long long dims[] = {4};
    const mien_onnx_name scales = mien_onnx_weight(w, "scales", dims, 1, factors);
    const char *inputs[] = {value_in(w, 0), "", scales.text};
    mien_text attributes = {0};
    mien_onnx_put_text(&attributes, "mode", bilinear ? "linear" : "nearest");
    mien_onnx_put_text(&attributes, "coordinate_transformation_mode",
                       bilinear ? "half_pixel" : "asymmetric");
    if (!bilinear) mien_onnx_put_text(&attributes, "nearest_mode", "floor");
    return set(w, mien_onnx_emit(w, "Resize", inputs, 3, &attributes));
}

/* The nearest pixels along one axis, which no mode of Resize gives exactly for all sizes. */
static mien_status gather(mien_onnx_writer *w, mien_onnx_name *x, int axis, int in, int out) {
    long long *from;
    mien_text attributes = {0};
    if (in == out) return MIEN_OK;
    MIEN_TRY(mien_new(&from, (size_t)out, sizeof *from));
    for (int i = 0; i < out; i++)
        from[i] = (2 * (long long)i + 1) * in / (2 * (long long)out);
    const mien_onnx_name indices = mien_onnx_integers(w, from, out);
    mien_free(from);
    mien_onnx_put_int(&attributes, "axis", axis);
    *x = mien_onnx_emit2(w, "Gather", x->text, indices.text, &attributes);
    return MIEN_OK;
}

static mien_status write_resampling(mien_onnx_writer *w) {
    const mien_shape in = w->node->in[0], out = w->node->out;
    const bool bilinear = *(const int *)key_of(w->node, "interpolation") == MIEN_BILINEAR;
    mien_onnx_name y = w->values[w->node->inputs[0]];
    if (in.h == out.h && in.w == out.w) return pass_on(w);
    if (bilinear || (out.h % in.h == 0 && out.w % in.w == 0)) return resize(w, bilinear);
    MIEN_TRY(gather(w, &y, 2, in.h, out.h));
    MIEN_TRY(gather(w, &y, 3, in.w, out.w));
    return set(w, y);
}

static mien_status write_flatten(mien_onnx_writer *w) {
    if (is_flat(w, 0)) return pass_on(w);
    return set(w, flattened(w, w->values[w->node->inputs[0]], w->node->in[0]));
}

/* The elements keep the order H, W, C. */
static mien_status write_reshape(mien_onnx_writer *w) {
    const mien_shape out = w->node->out;
    mien_onnx_name x = w->values[w->node->inputs[0]];
    if (!is_flat(w, 0)) x = flattened(w, x, w->node->in[0]);
    if (w->node->flat) return set(w, x);
    x = reshaped(w, x.text, (const long long[]){-1, out.h, out.w, out.c}, 4);
    return set(w, mien_onnx_transposed(w, x.text, nhwc_to_nchw));
}

static mien_status write_permute(mien_onnx_writer *w) {
    static const int where[] = {2, 3, 1}; /* height, width, channels in [N, C, H, W] */
    const mien_ints *dims = key_of(w->node, "dims");
    if (is_flat(w, 0)) return pass_on(w);
    const int axes[] = {0, where[dims->items[2] - 1], where[dims->items[0] - 1],
                        where[dims->items[1] - 1]};
    return set(w, mien_onnx_transposed(w, value_in(w, 0), axes));
}

/* ---- the table ---- */

static const struct {
    const char *layer;
    mien_status (*write)(mien_onnx_writer *w);
} table[] = {{"conv2d", write_convolution},
             {"depthwise_conv2d", write_convolution},
             {"separable_conv2d", write_convolution},
             {"pointwise", write_convolution},
             {"conv2d_transpose", write_convolution},
             {"dense", write_dense},
             {"max_pooling2d", write_pool},
             {"average_pooling2d", write_pool},
             {"global_average_pooling2d", write_global_pool},
             {"global_max_pooling2d", write_global_pool},
             {"batch_normalization", write_batchnorm},
             {"normalization", write_normalization},
             {"activation", write_activation},
             {"relu", write_activation},
             {"leaky_relu", write_activation},
             {"elu", write_activation},
             {"softmax", write_activation},
             {"prelu", write_prelu},
             {"rescaling", write_rescaling},
             {"dropout", pass_on},
             {"spatial_dropout2d", pass_on},
             {"gaussian_noise", pass_on},
             {"add", write_add},
             {"multiply", write_multiply},
             {"average", write_average},
             {"maximum", write_maximum},
             {"concatenate", write_concatenate},
             {"zero_padding2d", write_padding},
             {"cropping2d", write_cropping},
             {"up_sampling2d", write_resampling},
             {"resizing", write_resampling},
             {"flatten", write_flatten},
             {"reshape", write_reshape},
             {"permute", write_permute}};

mien_status mien_onnx_export_node(mien_onnx_writer *w) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].layer, w->node->def->name) == 0) return table[i].write(w);
    return MIEN_FAIL(UNSUPPORTED, "'%s': the layer '%s' (%s) cannot be written as ONNX", w->path,
                     w->node->name, w->node->def->name);
}
