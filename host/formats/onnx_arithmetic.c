/* Operators on elements: sums and products with constants and of two tensors. */
#include <math.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/formats/onnx.h"

/* ---- constants ---- */

/* Together they may take about a second. */
#define SPREAD_MAX ((size_t)1 << 25)

mien_status mien_onnx_count_spread(const mien_onnx_op *op, size_t count) {
    if (count > SPREAD_MAX - op->r->spread)
        return mien_onnx_refuse(op, "the file's constants per element are too large");
    op->r->spread += count;
    return MIEN_OK;
}

/* Has the constant one number for each of the layer's channels, along the axis that is those? */
static bool is_per_channel(const mien_onnx_view *view, const mien_onnx_constant *c) {
    for (int i = 0; i < view->count; i++) {
        const struct mien_onnx_factor *f = &view->factors[i];
        if (f->stride != 1 || f->size != view->c || view->dims[f->axis] != view->c) continue;
        const int axis = f->axis - view->rank + c->rank;
        return axis >= 0 && c->dims[axis] == view->c && c->count == (size_t)view->c;
    }
    return false;
}

mien_status mien_onnx_spread(const mien_onnx_op *op, const mien_onnx_view *view, int i, float **out,
                             bool *per_channel) {
    const mien_onnx_constant *c = mien_onnx_constant_in(op, i);
    const size_t count = (size_t)mien_onnx_count(view);
    float *from, *to;
    if (c->rank > view->rank)
        return mien_onnx_refuse(op, "its constant has more axes than its input");
    for (int k = 0; k < c->rank; k++)
        if (c->dims[k] != 1 && c->dims[k] != view->dims[k + view->rank - c->rank])
            return mien_onnx_refuse(op, "its constant does not have its input's shape");
    *per_channel = true;
    if (is_per_channel(view, c)) return mien_onnx_floats(op, i, out);
    MIEN_TRY(mien_onnx_count_spread(op, count));
    MIEN_TRY(mien_onnx_floats(op, i, &from));
    const mien_status status = mien_new(&to, count, sizeof *to);
    for (size_t e = 0; e < count && status == MIEN_OK; e++) {
        long long rest = (long long)e, at = 0, stride = 1;
        for (int k = c->rank - 1; k >= 0; k--) {
            const long long size = view->dims[k + view->rank - c->rank];
            if (c->dims[k] != 1) at += rest % size * stride;
            stride *= c->dims[k];
            rest /= size;
        }
        to[mien_onnx_offset(view, (long long)e)] = from[at];
    }
    mien_free(from);
    *out = to;
    for (size_t e = (size_t)view->c; e < count && status == MIEN_OK && *per_channel; e++)
        *per_channel = to[e] == to[e % (size_t)view->c];
    return status;
}

/* A batch normalisation that is frozen, as training must not replace its scale by that of the
 * batch. */
mien_status mien_onnx_affine(const mien_onnx_op *op, mien_onnx_view *view, float *scale,
                             float *shift) {
    const size_t count = (size_t)view->c;
    mien_import *import = &op->r->import;
    float *mean = NULL, *variance = NULL;
    int layer;
    mien_status status;
    MIEN_GO(mien_new(&mean, count, sizeof *mean));
    MIEN_GO(mien_new(&variance, count, sizeof *variance));
    MIEN_GO(mien_onnx_unary(op, "batch_normalization", view, &layer));
    for (size_t i = 0; i < count; i++)
        variance[i] = 1;
    mien_import_number(import, layer, "epsilon", 0);
    mien_import_bool(import, layer, "trainable", false);
    mien_import_param(import, layer, "gamma", scale, count);
    mien_import_param(import, layer, "beta", shift, count);
    mien_import_param(import, layer, "moving_mean", mean, count);
    mien_import_param(import, layer, "moving_variance", variance, count);
    view->positive = false;
    return MIEN_OK;
out:
    mien_free(mean);
    mien_free(variance);
    mien_free(scale);
    mien_free(shift);
    return status;
}

mien_status mien_onnx_affine_elements(const mien_onnx_op *op, mien_onnx_view *view, float *scale,
                                      float *shift) {
    const mien_onnx_view before = *view;
    const mien_status status =
        mien_onnx_layer_shape(op, view, 1, 1, before.h * before.w * before.c, true);
    if (status != MIEN_OK) {
        mien_free(scale);
        mien_free(shift);
        return status;
    }
    MIEN_TRY(mien_onnx_affine(op, view, scale, shift));
    return mien_onnx_layer_shape(op, view, before.h, before.w, before.c, before.flat);
}

mien_status mien_onnx_rescale(const mien_onnx_op *op, mien_onnx_view *view, double factor,
                              double offset) {
    int layer;
    if (factor == 1 && offset == 0) return MIEN_OK;
    if (!(fabs(factor) <= 1e9 && fabs(offset) <= 1e9))
        return mien_onnx_refuse(op, "its constant %g is out of range",
                                fabs(factor) <= 1e9 ? offset : factor);
    MIEN_TRY(mien_onnx_unary(op, "rescaling", view, &layer));
    mien_import_number(&op->r->import, layer, "scale", factor);
    mien_import_number(&op->r->import, layer, "offset", offset);
    view->positive &= factor >= 0 && offset >= 0;
    return MIEN_OK;
}

enum { ADD, SUB, MUL, DIV, MAX, MIN, POW };

/* The layer that a sum may become the bias of: one without a bias, which nothing else reads. */
static bool takes_bias(const mien_import *import, int layer) {
    if (layer < 0 || import->layers[layer].label) return false;
    const mien_import_layer *l = &import->layers[layer];
    if (strcmp(l->def, "conv2d") != 0 && strcmp(l->def, "dense") != 0 &&
        strcmp(l->def, "depthwise_conv2d") != 0 && strcmp(l->def, "conv2d_transpose") != 0)
        return false;
    const mien_value *bias = mien_value_get(l->keys, "use_bias");
    return bias && bias->number == 0;
}

static mien_status with_list(const mien_onnx_op *op, int code, mien_onnx_view *view, int i,
                             bool swapped) {
    mien_import *import = &op->r->import;
    float *values, *other;
    bool per_channel;
    MIEN_TRY(mien_onnx_spread(op, view, i, &values, &per_channel));
    const size_t count = (size_t)(per_channel ? view->c : mien_onnx_count(view));
    if (code == ADD && per_channel && op->r->values[op->in[!i]].consumers == 1 &&
        takes_bias(import, view->layer)) {
        mien_import_replace_bool(import, view->layer, "use_bias", true);
        mien_import_param(import, view->layer, "bias", values, count);
        view->positive = false;
        return MIEN_OK;
    }
    const mien_status status = mien_new(&other, count, sizeof *other);
    if (status != MIEN_OK) {
        mien_free(values);
        return status;
    }
    for (size_t e = 0; e < count; e++) {
        if (code == DIV) values[e] = 1 / values[e];
        if (code == SUB && !swapped) values[e] = -values[e];
        other[e] = code == ADD || code == SUB ? (swapped && code == SUB ? -1.0f : 1.0f) : 0;
    }
    const bool sum = code == ADD || code == SUB;
    return (per_channel ? mien_onnx_affine : mien_onnx_affine_elements)(
        op, view, sum ? other : values, sum ? values : other);
}

static mien_status with_number(const mien_onnx_op *op, int code, mien_onnx_view *view,
                               double number, bool swapped) {
    switch (code) {
    case ADD:
        return mien_onnx_rescale(op, view, 1, number);
    case SUB:
        return mien_onnx_rescale(op, view, swapped ? -1 : 1, swapped ? number : -number);
    case MUL:
        return mien_onnx_rescale(op, view, number, 0);
    case DIV:
        return mien_onnx_rescale(op, view, 1 / number, 0);
    case MAX: /* relu(x - c) + c */
    case MIN: /* c - relu(c - x) */
        MIEN_TRY(mien_onnx_rescale(op, view, code == MAX ? 1 : -1, code == MAX ? -number : number));
        MIEN_TRY(mien_onnx_activation(op, view, "relu"));
        MIEN_TRY(mien_onnx_rescale(op, view, code == MAX ? 1 : -1, number));
        view->positive = code == MAX && number >= 0;
        return MIEN_OK;
    default:
        return mien_onnx_refuse(op, "this constant is not supported");
    }
}

static mien_status square(const mien_onnx_op *op, mien_onnx_view *view) {
    const int inputs[] = {view->layer, view->layer};
    MIEN_TRY(mien_import_add(&op->r->import, "multiply", op->name, inputs, 2, &view->layer));
    view->positive = true;
    return MIEN_OK;
}

static mien_status with_constant(const mien_onnx_op *op, int code, int i) {
    mien_onnx_view view = *mien_onnx_view_in(op, !i);
    mien_onnx_constant *c = &op->r->values[op->in[i]].constant;
    const bool swapped = i == 0;
    if (swapped && (code == DIV || code == POW))
        return mien_onnx_refuse(op, "a constant divided by or raised to a tensor is not supported");
    if (c->rank > view.rank && c->count == 1) c->rank = 0;
    if (c->count == 1) {
        MIEN_TRY(mien_onnx_doubles(op, c));
        if (code == POW && c->values[0] != 2)
            return mien_onnx_refuse(op, "only squares are supported");
        MIEN_TRY(code == POW ? square(op, &view)
                             : with_number(op, code, &view, c->values[0], swapped));
    } else {
        if (code > DIV) return mien_onnx_refuse(op, "a list of constants is not supported");
        MIEN_TRY(with_list(op, code, &view, i, swapped));
    }
    return mien_onnx_set(op, &view);
}

/* ---- two tensors ---- */

/* Repeats a [1, 1, H, W] tensor for each of `channels`. */
static mien_status repeat_channels(const mien_onnx_op *op, mien_onnx_view *view, int channels) {
    float *ones;
    int layer;
    MIEN_TRY(mien_new(&ones, (size_t)channels, sizeof *ones));
    for (int i = 0; i < channels; i++)
        ones[i] = 1;
    const mien_status status =
        mien_import_add(&op->r->import, "conv2d", "", &view->layer, 1, &layer);
    if (status != MIEN_OK) {
        mien_free(ones);
        return status;
    }
    mien_import_number(&op->r->import, layer, "filters", channels);
    mien_import_number(&op->r->import, layer, "kernel_size", 1);
    mien_import_bool(&op->r->import, layer, "use_bias", false);
    mien_import_bool(&op->r->import, layer, "trainable", false);
    mien_import_param(&op->r->import, layer, "kernel", ones, (size_t)channels);
    const mien_onnx_view like = {.rank = 4, .dims = {1, channels, view->h, view->w}};
    mien_onnx_view_make(view, layer, &like, (const int[]){0, 2, 3, 1}, view->h, view->w, channels,
                        false);
    return MIEN_OK;
}

/* Repeats a [1, C, 1, 1] tensor for each pixel. */
static mien_status repeat_pixels(const mien_onnx_op *op, mien_onnx_view *view, int h, int w) {
    int layer;
    MIEN_TRY(mien_import_add(&op->r->import, "resizing", "", &view->layer, 1, &layer));
    mien_import_number(&op->r->import, layer, "height", h);
    mien_import_number(&op->r->import, layer, "width", w);
    mien_import_text(&op->r->import, layer, "interpolation", "nearest");
    const mien_onnx_view like = {.rank = 4, .dims = {1, view->c, h, w}};
    mien_onnx_view_make(view, layer, &like, (const int[]){0, 2, 3, 1}, h, w, view->c, false);
    return MIEN_OK;
}

/* Of two images, the axes such that what is innermost in the larger one comes second, as channels;
 * `back` undoes it. */
static void channels_second(const mien_onnx_view *a, const mien_onnx_view *b, int *perm,
                            int *back) {
    const mien_onnx_view *large = mien_onnx_count(a) >= mien_onnx_count(b) ? a : b;
    int order[MIEN_ONNX_RANK_MAX], n = 2;
    mien_onnx_memory_order(large, order);
    perm[0] = 0, perm[1] = order[3] ? order[3] : 1;
    for (int i = 1; i < 4; i++)
        if (i != perm[1]) perm[n++] = i;
    for (int i = 0; i < 4; i++)
        back[perm[i]] = i;
}

/* Repeats an image of 1x1 pixels or of one channel as often as the other one needs; a product may
 * keep a second one of 1x1. */
static mien_status repeat(const mien_onnx_op *op, mien_onnx_view *a, mien_onnx_view *b,
                          const long long *size, bool product) {
    mien_onnx_view *const both[] = {a, b};
    for (int i = 0; i < 2; i++) {
        MIEN_TRY(mien_onnx_image(op, both[i]));
        if (both[i]->c != size[1]) MIEN_TRY(repeat_channels(op, both[i], (int)size[1]));
    }
    if (product && a->h * a->w == 1 && b->h * b->w > 1) { /* the small one comes second */
        const mien_onnx_view swap = *a;
        *a = *b, *b = swap;
    }
    for (int i = 0; i < 2; i++) {
        const bool small = both[i]->h != size[2] || both[i]->w != size[3];
        if (!small || (product && i == 1 && both[i]->h * both[i]->w == 1)) continue;
        if (both[i]->h * both[i]->w != 1)
            return mien_onnx_refuse(op, "its inputs have different shapes");
        MIEN_TRY(repeat_pixels(op, both[i], (int)size[2], (int)size[3]));
    }
    return MIEN_OK;
}

/* Brings two images to one shape, which `a` then has. */
static mien_status broadcast(const mien_onnx_op *op, mien_onnx_view *a, mien_onnx_view *b,
                             bool product) {
    long long size[4];
    int perm[4], back[4];
    if (a->rank != 4 || b->rank != 4)
        return mien_onnx_refuse(op, "its inputs have different shapes");
    channels_second(a, b, perm, back);
    mien_onnx_transpose(a, perm);
    mien_onnx_transpose(b, perm);
    for (int i = 0; i < 4; i++) {
        size[i] = a->dims[i] > b->dims[i] ? a->dims[i] : b->dims[i];
        if ((a->dims[i] != size[i] && a->dims[i] != 1) ||
            (b->dims[i] != size[i] && b->dims[i] != 1))
            return mien_onnx_refuse(op, "its inputs have different shapes");
    }
    MIEN_TRY(repeat(op, a, b, size, product));
    mien_onnx_transpose(a, back);
    return MIEN_OK;
}

static mien_status match(const mien_onnx_op *op, mien_onnx_view *a, mien_onnx_view *b,
                         bool product) {
    int order[MIEN_ONNX_RANK_MAX];
    if (mien_onnx_same_view(a, b)) return MIEN_OK;
    if (!mien_onnx_same_dims(a, b)) return broadcast(op, a, b, product);
    mien_onnx_memory_order(a, order);
    MIEN_TRY(mien_onnx_arrange(op, a, order, a->h, a->w, a->c, a->flat));
    return mien_onnx_arrange(op, b, order, a->h, a->w, a->c, a->flat);
}

/* x * sigmoid(x) is swish. */
static bool is_swish(const mien_onnx_op *op, const mien_onnx_view *x, const mien_onnx_view *gate) {
    const mien_import *import = &op->r->import;
    if (gate->layer < 0 || import->layers[gate->layer].inputs[0] != x->layer) return false;
    const mien_import_layer *l = &import->layers[gate->layer];
    const char *name = mien_value_string(l->keys, "activation");
    return strcmp(l->def, "activation") == 0 && name && strcmp(name, "sigmoid") == 0 &&
           mien_onnx_same_view(x, gate);
}

static mien_status with_tensor(const mien_onnx_op *op, int code) {
    static const char *const defs[] = {"add", "add", "multiply", NULL, "maximum"};
    mien_onnx_view a = *mien_onnx_view_in(op, 0), b = *mien_onnx_view_in(op, 1);
    if (code > MAX || !defs[code])
        return mien_onnx_refuse(op, "it is supported with a constant only");
    if (code == MUL && (is_swish(op, &a, &b) || is_swish(op, &b, &a))) {
        mien_onnx_view x = is_swish(op, &a, &b) ? a : b;
        MIEN_TRY(mien_onnx_activation(op, &x, "swish"));
        return mien_onnx_set(op, &x);
    }
    if (code == SUB) MIEN_TRY(mien_onnx_rescale(op, &b, -1, 0));
    MIEN_TRY(match(op, &a, &b, code == MUL));
    const int inputs[] = {a.layer, b.layer};
    const bool positive = code == MAX ? a.positive || b.positive : a.positive && b.positive;
    MIEN_TRY(mien_import_add(&op->r->import, defs[code], op->name, inputs, 2, &a.layer));
    a.positive = positive;
    return mien_onnx_set(op, &a);
}

static int code_of(const mien_onnx_op *op) {
    static const char *const names[] = {"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Sum"};
    int code = 0;
    while (code < 7 && !mien_slice_is(op->node->op, names[code]))
        code++;
    return code == 7 ? ADD : code;
}

/* Of more than two tensors: Sum, Max and Mean. */
static mien_status read_many(const mien_onnx_op *op, const char *def) {
    int inputs[MIEN_INPUTS_MAX];
    mien_onnx_view first = {0};
    if (op->in_count > MIEN_INPUTS_MAX || op->in_count < 1)
        return mien_onnx_refuse(op, "at most %d inputs are supported", MIEN_INPUTS_MAX);
    for (int i = 0; i < op->in_count; i++) {
        if (!mien_onnx_view_in(op, i)) return mien_onnx_refuse(op, "one of its inputs is constant");
        mien_onnx_view view = *mien_onnx_view_in(op, i);
        MIEN_TRY(view.rank == 4 ? mien_onnx_image(op, &view) : mien_onnx_rows(op, &view));
        if (i && !mien_onnx_same_dims(&first, &view))
            return mien_onnx_refuse(op, "its inputs have different shapes");
        if (!i) first = view;
        inputs[i] = view.layer;
    }
    if (op->in_count > 1)
        MIEN_TRY(
            mien_import_add(&op->r->import, def, op->name, inputs, op->in_count, &first.layer));
    first.positive = false;
    return mien_onnx_set(op, &first);
}

static mien_status read_binary(const mien_onnx_op *op) {
    const int code = code_of(op);
    const bool mean = mien_slice_is(op->node->op, "Mean");
    if (op->in_count != 2 || mean)
        return read_many(op, mean ? "average" : code == MAX ? "maximum" : "add");
    if (mien_onnx_has(op, "broadcast")) return mien_onnx_refuse(op, "it is of an old opset");
    if (!mien_onnx_given(op, 0) || !mien_onnx_given(op, 1))
        return mien_onnx_refuse(op, "one of its inputs is not given");
    if (mien_onnx_constant_in(op, 0)) return with_constant(op, code, 0);
    return mien_onnx_constant_in(op, 1) ? with_constant(op, code, 1) : with_tensor(op, code);
}

static mien_status read_negative(const mien_onnx_op *op) {
    if (!mien_onnx_view_in(op, 0)) return mien_onnx_refuse(op, "its input is not given");
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    MIEN_TRY(mien_onnx_rescale(op, &view, -1, 0));
    return mien_onnx_set(op, &view);
}

const mien_onnx_operator mien_onnx_arithmetic_ops[] = {
    {"Add", read_binary},  {"Sub", read_binary},   {"Mul", read_binary}, {"Div", read_binary},
    {"Max", read_binary},  {"Min", read_binary},   {"Pow", read_binary}, {"Sum", read_binary},
    {"Mean", read_binary}, {"Neg", read_negative}, {NULL, NULL}};
