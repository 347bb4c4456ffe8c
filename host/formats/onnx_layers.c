/* Operators that become one layer: activations, normalisation, dense layers, and parts of tensors.
 */
#include <math.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/formats/onnx.h"

/* ---- activations ---- */

mien_status mien_onnx_activation(const mien_onnx_op *op, mien_onnx_view *view, const char *name) {
    int layer;
    MIEN_TRY(mien_onnx_unary(op, "activation", view, &layer));
    mien_import_text(&op->r->import, layer, "activation", name);
    view->positive = strcmp(name, "relu") == 0 || strcmp(name, "relu6") == 0 ||
                     strcmp(name, "sigmoid") == 0 || strcmp(name, "hard_sigmoid") == 0;
    return MIEN_OK;
}

static bool near(double a, double b) {
    return fabs(a - b) <= 1e-5 * fabs(b);
}

enum { RELU, SIGMOID, TANH, SELU, GELU, SWISH, ELU, LEAKY };
static const struct {
    const char *op, *name;
} activations[] = {{"Relu", "relu"}, {"Sigmoid", "sigmoid"}, {"Tanh", "tanh"},
                   {"Selu", "selu"}, {"Gelu", "gelu"},       {"Swish", "swish"}};

static mien_status read_activation(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    int i = 0, layer;
    while (i < ELU && !mien_slice_is(op->node->op, activations[i].op))
        i++;
    if (i == SELU && (!near(mien_onnx_real(op, "alpha", 1.67326324), 1.67326324) ||
                      !near(mien_onnx_real(op, "gamma", 1.05070099), 1.05070099)))
        return mien_onnx_refuse(op, "only the usual alpha and gamma are supported");
    if (i == GELU && !mien_onnx_word_is(op, "approximate", "none", "none"))
        return mien_onnx_refuse(op, "only the exact form is supported");
    if (i == SWISH && mien_onnx_real(op, "alpha", 1) != 1)
        return mien_onnx_refuse(op, "only alpha 1 is supported");
    if (i < ELU) {
        MIEN_TRY(mien_onnx_activation(op, &view, activations[i].name));
        return mien_onnx_set(op, &view);
    }
    const bool leaky = mien_slice_is(op->node->op, "LeakyRelu");
    const double alpha = mien_onnx_real(op, "alpha", leaky ? 0.01 : 1);
    if (!(alpha >= 0 && alpha <= 1e6)) return mien_onnx_refuse(op, "its alpha is out of range");
    MIEN_TRY(mien_onnx_unary(op, leaky ? "leaky_relu" : "elu", &view, &layer));
    mien_import_number(&op->r->import, layer, leaky ? "negative_slope" : "alpha", alpha);
    view.positive = false;
    return mien_onnx_set(op, &view);
}

/* relu with an upper limit, or INFINITY. */
static mien_status limited_relu(const mien_onnx_op *op, mien_onnx_view *view, double limit) {
    int layer;
    if (limit == 6 || isinf(limit))
        return mien_onnx_activation(op, view, isinf(limit) ? "relu" : "relu6");
    MIEN_TRY(mien_onnx_unary(op, "relu", view, &layer));
    mien_import_number(&op->r->import, layer, "max_value", limit);
    view->positive = true;
    return MIEN_OK;
}

/* x above a threshold, else 0 */
static mien_status read_thresholded(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    const double threshold = mien_onnx_real(op, "alpha", 1);
    int layer;
    if (!(threshold >= 0 && threshold <= 1e30))
        return mien_onnx_refuse(op, "its alpha is out of range");
    MIEN_TRY(mien_onnx_unary(op, "relu", &view, &layer));
    mien_import_number(&op->r->import, layer, "threshold", threshold);
    view.positive = true;
    return mien_onnx_set(op, &view);
}

/* max(0, min(1, alpha * x + beta)) */
static mien_status hard_sigmoid(const mien_onnx_op *op, mien_onnx_view *view, double alpha,
                                double beta) {
    if (near(alpha, 1.0 / 6) && near(beta, 0.5))
        return mien_onnx_activation(op, view, "hard_sigmoid");
    MIEN_TRY(mien_onnx_rescale(op, view, alpha, beta));
    return limited_relu(op, view, 1);
}

static mien_status read_hard(const mien_onnx_op *op) {
    const mien_onnx_view from = *mien_onnx_view_in(op, 0);
    mien_onnx_view view = from;
    if (mien_slice_is(op->node->op, "HardSigmoid")) {
        MIEN_TRY(hard_sigmoid(op, &view, mien_onnx_real(op, "alpha", 0.2),
                              mien_onnx_real(op, "beta", 0.5)));
        return mien_onnx_set(op, &view);
    }
    MIEN_TRY(mien_onnx_activation(op, &view, "hard_sigmoid"));
    const int inputs[] = {from.layer, view.layer};
    MIEN_TRY(mien_import_add(&op->r->import, "multiply", op->name, inputs, 2, &view.layer));
    view.positive = false;
    return mien_onnx_set(op, &view);
}

/* A limit of Clip: an attribute up to opset 10, then an input. */
static mien_status limit(const mien_onnx_op *op, const char *name, int i, double *out) {
    mien_onnx_attribute a;
    if (mien_onnx_attribute_of(op->node, name, &a)) *out = (double)a.f;
    if (!mien_onnx_given(op, i)) return MIEN_OK;
    if (!mien_onnx_constant_in(op, i)) return mien_onnx_refuse(op, "its limits are not constant");
    mien_onnx_constant *c = &op->r->values[op->in[i]].constant;
    if (c->count != 1) return mien_onnx_refuse(op, "its limits are not numbers");
    MIEN_TRY(mien_onnx_doubles(op, c));
    *out = c->values[0];
    return MIEN_OK;
}

static mien_status read_clip(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    double low = -INFINITY, high = INFINITY;
    MIEN_TRY(limit(op, "min", 1, &low));
    MIEN_TRY(limit(op, "max", 2, &high));
    low = low < -3e38 ? -INFINITY : low, high = high > 3e38 ? INFINITY : high;
    if (isnan(low) || isnan(high) || low > high)
        return mien_onnx_refuse(op, "its limits are out of range");
    if (isinf(low) && isinf(high)) return mien_onnx_copy_view(op);
    if (isinf(low)) { /* the other way around */
        MIEN_TRY(mien_onnx_rescale(op, &view, -1, high));
        MIEN_TRY(limited_relu(op, &view, INFINITY));
        MIEN_TRY(mien_onnx_rescale(op, &view, -1, high));
    } else {
        MIEN_TRY(mien_onnx_rescale(op, &view, 1, -low));
        MIEN_TRY(limited_relu(op, &view, high - low));
        MIEN_TRY(mien_onnx_rescale(op, &view, 1, low));
    }
    view.positive = low >= 0;
    return mien_onnx_set(op, &view);
}

static mien_status read_prelu(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    float *alpha;
    bool per_channel;
    int layer;
    if (!mien_onnx_constant_in(op, 1)) return mien_onnx_refuse(op, "its slope is not constant");
    mien_onnx_constant *slope = &op->r->values[op->in[1]].constant;
    if (slope->rank == 1 && view.rank == 4 && slope->count > 1 && slope->dims[0] == view.dims[1]) {
        slope->rank = 3; /* some exporters leave out the axes of size 1 */
        slope->dims[1] = slope->dims[2] = 1;
    }
    MIEN_TRY(mien_onnx_spread(op, &view, 1, &alpha, &per_channel));
    const mien_status status = mien_onnx_unary(op, "prelu", &view, &layer);
    if (status != MIEN_OK) {
        mien_free(alpha);
        return status;
    }
    if (!view.flat && per_channel)
        mien_import_numbers(&op->r->import, layer, "shared_axes", (const int[]){1, 2}, 2);
    mien_import_param(&op->r->import, layer, "alpha", alpha,
                      (size_t)(per_channel ? view.c : mien_onnx_count(&view)));
    view.positive = false;
    return mien_onnx_set(op, &view);
}

/* ---- softmax ---- */

/* LogSoftmax at the end of a network is read as the softmax, whose logarithm nobody needs. Softmax
 * is over the last of Mien's axes. Up to opset 12 it is over `axis` and all after it. */
static mien_status read_softmax(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    const bool old = op->r->model.opset < 13;
    const mien_onnx_view shape = view;
    long long axis = mien_onnx_integer(op, "axis", old ? 1 : -1), before = 1, last = 1;
    int perm[MIEN_ONNX_RANK_MAX], back[MIEN_ONNX_RANK_MAX], layer;
    axis = axis < 0 ? axis + view.rank : axis;
    if (axis < 0 || axis >= view.rank) return mien_onnx_refuse(op, "it has no axis %lld", axis);
    if (mien_slice_is(op->node->op, "LogSoftmax")) {
        if (op->r->values[op->out[0]].consumers)
            return mien_onnx_refuse(op, "it is supported as the network's last layer only");
    }
    for (int i = 0; i < view.rank; i++) /* the axis moves to the end */
        perm[i] = i < axis ? i : i == view.rank - 1 ? (int)axis : i + 1;
    for (int i = 0; i < view.rank; i++)
        back[perm[i]] = i;
    if (!old) mien_onnx_transpose(&view, perm);
    const mien_onnx_view moved = view;
    for (int i = 0; i < view.rank; i++)
        *((old ? i < axis : i < view.rank - 1) ? &before : &last) *= view.dims[i];
    MIEN_TRY(mien_onnx_reshape(op, &view, (const long long[]){before, last}, 2));
    MIEN_TRY(mien_onnx_arrange(op, &view, NULL, 1, (int)before, (int)last, before == 1));
    MIEN_TRY(mien_onnx_unary(op, "softmax", &view, &layer));
    MIEN_TRY(mien_onnx_reshape(op, &view, moved.dims, moved.rank));
    if (!old) mien_onnx_transpose(&view, back);
    view.positive = true;
    return mien_onnx_same_dims(&view, &shape) ? mien_onnx_set(op, &view)
                                              : mien_onnx_refuse(op, "its axes do not fit");
}

/* ---- gelu in opsets below 20 ---- */

enum { NEAR_NODES = 256 }; /* exporters write the parts of a gelu one after another */

/* The index of the only node that reads a value, soon after node `from`, or -1. */
static int consumer_of(const mien_onnx_reader *r, int value, size_t from) {
    if (value < 0 || r->values[value].consumers != 1) return -1;
    for (size_t n = from + 1; n < r->model.node_count && n < from + NEAR_NODES; n++) {
        const mien_onnx_node *node = &r->model.nodes[n];
        for (int i = 0; r->needed[n] && i < node->inputs; i++)
            if (r->ports[node->first_port + (uint32_t)i] == value) return (int)n;
    }
    return -1;
}

/* A constant input that is one number, else NAN. */
static double number_in(const mien_onnx_op *op, int i) {
    if (!mien_onnx_constant_in(op, i)) return NAN;
    mien_onnx_constant *c = &op->r->values[op->in[i]].constant;
    if (c->count != 1 || mien_onnx_doubles(op, c) != MIEN_OK) return NAN;
    return c->values[0];
}

static bool is_same(const mien_onnx_view *a, const mien_onnx_view *b) {
    return a->layer == b->layer && mien_onnx_same_view(a, b);
}

/* The factor of a tensor that is another one times a number, else NAN. */
static double factor_of(const mien_import *import, const mien_onnx_view *view,
                        const mien_onnx_view *x) {
    if (is_same(view, x)) return 1;
    if (view->layer < 0) return NAN;
    const mien_import_layer *l = &import->layers[view->layer];
    mien_onnx_view before = *view;
    before.layer = l->inputs[0];
    if (strcmp(l->def, "rescaling") != 0 || mien_value_number(l->keys, "offset", 0) != 0 ||
        !is_same(&before, x))
        return NAN;
    return mien_value_number(l->keys, "scale", 0);
}

/* Takes the node after `last`, which must be `op`, and makes it the last one; its other input is a
 * number, *number, or a tensor, *other. It need not be read any more. */
static bool take_node(mien_onnx_op *last, const char *op, double *number,
                      const mien_onnx_view **other) {
    mien_onnx_reader *r = last->r;
    const int value = last->out_count == 1 ? last->out[0] : -1;
    const int n = consumer_of(r, value, (size_t)(last->node - r->model.nodes));
    if (n < 0 || !mien_slice_is(r->model.nodes[n].op, op)) return false;
    mien_onnx_begin(r, &r->model.nodes[n], last);
    if (last->in_count != 2 || last->out_count != 1) return false;
    const int i = last->in[0] == value;
    *number = number_in(last, i);
    *other = mien_onnx_view_in(last, i);
    r->needed[n] = false;
    return *other || !isnan(*number);
}

/* Erf is known as part of gelu: x / sqrt(2), Erf, Add 1, then times x and times 0.5 in either order
 * or at once. */
static mien_status read_erf(const mien_onnx_op *op) {
    mien_onnx_reader *r = op->r;
    mien_onnx_view x = *mien_onnx_view_in(op, 0);
    const mien_onnx_view *other;
    mien_onnx_op last = *op;
    double number, factor = 1;
    bool whole = false;
    const double inner =
        x.layer < 0 ? NAN : mien_value_number(r->import.layers[x.layer].keys, "scale", 0);
    if (near(inner, 0.70710678118654752)) x.layer = r->import.layers[x.layer].inputs[0];
    bool good = near(inner, 0.70710678118654752) &&
                near(factor_of(&r->import, mien_onnx_view_in(op, 0), &x), inner) &&
                take_node(&last, "Add", &number, &other) && number == 1;
    while (good && !(whole && near(factor, 0.5))) {
        good = take_node(&last, "Mul", &number, &other) && !(whole && other);
        if (good) factor *= other ? factor_of(&r->import, other, &x) : number;
        whole |= good && other;
        good = good && (factor == 1 || near(factor, 0.5));
    }
    if (!good)
        return mien_onnx_refuse(op, "it is supported as part of gelu only, "
                                    "x * 0.5 * (1 + erf(x / sqrt(2)))");
    MIEN_TRY(mien_onnx_activation(op, &x, "gelu"));
    return mien_onnx_set(&last, &x);
}

/* ---- batch normalisation ---- */

static mien_status read_batchnorm(const mien_onnx_op *op) {
    static const char *const params[] = {"gamma", "beta", "moving_mean", "moving_variance"};
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    mien_import *import = &op->r->import;
    int layer;
    const int channels = view.rank > 1 ? (int)view.dims[1] : 0;
    if (mien_onnx_integer(op, "training_mode", 0) || !mien_onnx_integer(op, "spatial", 1))
        return mien_onnx_refuse(op, "training_mode and spatial 0 are not supported");
    if (view.rank == 4)
        MIEN_TRY(mien_onnx_image(op, &view));
    else if (view.rank == 2)
        MIEN_TRY(mien_onnx_arrange(op, &view, NULL, 1, 1, channels, view.flat));
    else
        return mien_onnx_refuse(op, "it is supported on images and on lists only");
    for (int i = 1; i <= 4; i++)
        if (!mien_onnx_constant_in(op, i) ||
            mien_onnx_constant_in(op, i)->count != (size_t)channels)
            return mien_onnx_refuse(op, "its input %d is not a constant of %d numbers", i,
                                    channels);
    MIEN_TRY(mien_onnx_unary(op, "batch_normalization", &view, &layer));
    mien_import_number(import, layer, "epsilon", mien_onnx_real(op, "epsilon", 1e-5));
    for (int i = 0; i < 4; i++) {
        float *values;
        MIEN_TRY(mien_onnx_floats(op, i + 1, &values));
        mien_import_param(import, layer, params[i], values, (size_t)channels);
    }
    view.positive = false;
    return mien_onnx_set(op, &view);
}

/* ---- dense layers ---- */

typedef struct matrix {
    long long rows, columns;
    bool turned; /* stored as columns x rows */
    float alpha;
} matrix;

/* The kernel, with its rows in the order in which the layer's output has them. */
static mien_status dense_kernel(const mien_onnx_op *op, const mien_onnx_view *view, const matrix *m,
                                bool reorder, float **out) {
    float *from;
    MIEN_TRY(mien_onnx_floats(op, 1, &from));
    const mien_status status = mien_new(out, (size_t)(m->rows * m->columns), sizeof **out);
    for (long long r = 0; r < m->rows && status == MIEN_OK; r++) {
        const long long to = reorder ? mien_onnx_offset(view, r) : r;
        for (long long c = 0; c < m->columns; c++)
            (*out)[to * m->columns + c] =
                m->alpha * from[m->turned ? c * m->rows + r : r * m->columns + c];
    }
    mien_free(from);
    return status;
}

/* A matrix times each row of the tensor: a dense layer, or for several rows a 1x1 convolution. */
static mien_status multiply_matrix(const mien_onnx_op *op, mien_onnx_view *view, const matrix *m,
                                   int *layer) {
    const long long last = view->rank ? view->dims[view->rank - 1] : 0;
    const bool single = last == mien_onnx_count(view);
    float *kernel;
    if (last != m->rows || m->columns > 1048576 || m->rows < 1 || m->columns < 1)
        return mien_onnx_refuse(op,
                                "its matrix of %lldx%lld does not fit its input of %lld numbers",
                                m->rows, m->columns, last);
    if (!single)
        MIEN_TRY(mien_onnx_rows(op, view));
    else if (view->h * view->w != 1)
        MIEN_TRY(mien_onnx_layer_shape(op, view, 1, 1, (int)last, true));
    MIEN_TRY(dense_kernel(op, view, m, single, &kernel));
    const mien_status status = mien_onnx_unary(op, single ? "dense" : "conv2d", view, layer);
    if (status != MIEN_OK) {
        mien_free(kernel);
        return status;
    }
    mien_import_number(&op->r->import, *layer, single ? "units" : "filters", (double)m->columns);
    if (!single) mien_import_number(&op->r->import, *layer, "kernel_size", 1);
    mien_import_param(&op->r->import, *layer, "kernel", kernel, (size_t)(m->rows * m->columns));
    mien_onnx_view like = *view;
    like.dims[like.rank - 1] = m->columns;
    mien_onnx_view_make(view, *layer, &like, NULL, view->h, view->w, (int)m->columns, view->flat);
    return MIEN_OK;
}

static mien_status gemm_bias(const mien_onnx_op *op, int layer, long long columns, float beta) {
    const mien_onnx_constant *c = mien_onnx_constant_in(op, 2);
    float *from, *bias;
    mien_import_bool(&op->r->import, layer, "use_bias", mien_onnx_given(op, 2));
    if (!mien_onnx_given(op, 2)) return MIEN_OK;
    if (!c || (c->count != 1 && c->count != (size_t)columns))
        return mien_onnx_refuse(op, "its bias is not a constant of %lld numbers", columns);
    MIEN_TRY(mien_onnx_floats(op, 2, &from));
    const mien_status status = mien_new(&bias, (size_t)columns, sizeof *bias);
    for (long long i = 0; i < columns && status == MIEN_OK; i++)
        bias[i] = beta * from[c->count == 1 ? 0 : i];
    mien_free(from);
    if (status == MIEN_OK) mien_import_param(&op->r->import, layer, "bias", bias, (size_t)columns);
    return status;
}

static mien_status read_dense(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    const mien_onnx_constant *b = mien_onnx_constant_in(op, 1);
    const bool gemm = mien_slice_is(op->node->op, "Gemm");
    int layer;
    if (!b || b->rank != 2)
        return mien_onnx_refuse(op, "only products with a constant matrix are supported");
    if (gemm && (view.rank != 2 || mien_onnx_integer(op, "transA", 0)))
        return mien_onnx_refuse(op, "its first input must be a list for each image");
    const bool turned = gemm && mien_onnx_integer(op, "transB", 0);
    const matrix m = {b->dims[turned], b->dims[!turned], turned,
                      gemm ? (float)mien_onnx_real(op, "alpha", 1) : 1};
    MIEN_TRY(multiply_matrix(op, &view, &m, &layer));
    if (gemm)
        MIEN_TRY(gemm_bias(op, layer, m.columns, (float)mien_onnx_real(op, "beta", 1)));
    else
        mien_import_bool(&op->r->import, layer, "use_bias", false);
    return mien_onnx_set(op, &view);
}

/* ---- means ---- */

/* The mean or maximum over some axes: those go to the end, as the pixels of an image. */
static mien_status read_reduce(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    const bool most = mien_slice_is(op->node->op, "ReduceMax");
    const bool sum = mien_slice_is(op->node->op, "ReduceSum");
    int axes[MIEN_ONNX_RANK_MAX], count, perm[MIEN_ONNX_RANK_MAX], n = 0, rank = 0, layer;
    long long kept = 1, sizes[2] = {1, 1}, dims[MIEN_ONNX_RANK_MAX];
    bool over[MIEN_ONNX_RANK_MAX] = {false};
    MIEN_TRY(mien_onnx_axes(op, 1, view.rank, axes, &count));
    if (!count && mien_onnx_integer(op, "noop_with_empty_axes", 0)) return mien_onnx_copy_view(op);
    for (int i = 0; i < view.rank; i++)
        over[i] = !count;
    for (int i = 0; i < count; i++)
        over[axes[i]] = true;
    for (int i = 0; i < view.rank; i++)
        if (!over[i]) perm[n++] = i, kept *= view.dims[i];
    const int first = n;
    for (int i = 0; i < view.rank; i++) {
        if (over[i]) sizes[n > first] *= view.dims[i], perm[n++] = i;
        if (!over[i] || mien_onnx_integer(op, "keepdims", 1))
            dims[rank++] = over[i] ? 1 : view.dims[i];
    }
    mien_onnx_transpose(&view, perm);
    MIEN_TRY(mien_onnx_reshape(op, &view, (const long long[]){1, kept, sizes[0], sizes[1]}, 4));
    MIEN_TRY(mien_onnx_image(op, &view));
    const bool positive = view.positive;
    MIEN_TRY(mien_onnx_unary(op, most ? "global_max_pooling2d" : "global_average_pooling2d", &view,
                             &layer));
    mien_import_bool(&op->r->import, layer, "keepdims", true);
    const mien_onnx_view like = {.rank = 4, .dims = {1, kept, 1, 1}};
    mien_onnx_view_make(&view, layer, &like, (const int[]){0, 2, 3, 1}, 1, 1, (int)kept, false);
    view.positive = positive;
    if (sum) MIEN_TRY(mien_onnx_rescale(op, &view, (double)(sizes[0] * sizes[1]), 0));
    MIEN_TRY(mien_onnx_reshape(op, &view, dims, rank));
    return mien_onnx_set(op, &view);
}

/* ---- Constant ---- */

static mien_status constant_list(const mien_onnx_op *op, const mien_onnx_attribute *a, bool whole,
                                 bool list) {
    mien_onnx_constant c = {.rank = list, .count = 1, .whole = whole};
    if (list) c.count = mien_onnx_list(a, NULL, 0);
    c.dims[0] = (long long)c.count;
    MIEN_TRY(mien_onnx_allocate(op->r, c.count, &c.values));
    if (list)
        mien_onnx_list(a, c.values, c.count);
    else
        c.values[0] = whole ? (double)a->i : (double)a->f;
    return mien_onnx_set_constant(op, &c);
}

static mien_status read_constant(const mien_onnx_op *op) {
    mien_onnx_reader *r = op->r;
    mien_onnx_attribute a;
    mien_onnx_tensor *t;
    if (mien_onnx_attribute_of(op->node, "value_float", &a))
        return constant_list(op, &a, false, false);
    if (mien_onnx_attribute_of(op->node, "value_int", &a))
        return constant_list(op, &a, true, false);
    if (mien_onnx_attribute_of(op->node, "value_floats", &a))
        return constant_list(op, &a, false, true);
    if (mien_onnx_attribute_of(op->node, "value_ints", &a))
        return constant_list(op, &a, true, true);
    if (!mien_onnx_attribute_of(op->node, "value", &a) || !a.t.data)
        return mien_onnx_refuse(op, "it has no value that is supported");
    MIEN_TRY(
        mien_grow(&r->tensors, &r->own_tensor_capacity, r->own_tensors + 1, sizeof *r->tensors));
    MIEN_TRY(mien_new(&t, 1, sizeof *t));
    r->tensors[r->own_tensors++] = t;
    MIEN_TRY(mien_onnx_parse_tensor(a.t, r->source, t));
    mien_onnx_constant c = {.tensor = t, .rank = t->rank, .count = t->count};
    c.whole = t->type == MIEN_ONNX_INT64 || t->type == MIEN_ONNX_INT32;
    memcpy(c.dims, t->dims, sizeof c.dims);
    return mien_onnx_set_constant(op, &c);
}

const mien_onnx_operator mien_onnx_layer_ops[] = {{"Relu", read_activation},
                                                  {"Sigmoid", read_activation},
                                                  {"Tanh", read_activation},
                                                  {"Selu", read_activation},
                                                  {"Gelu", read_activation},
                                                  {"Swish", read_activation},
                                                  {"Elu", read_activation},
                                                  {"LeakyRelu", read_activation},
                                                  {"HardSigmoid", read_hard},
                                                  {"HardSwish", read_hard},
                                                  {"Clip", read_clip},
                                                  {"ThresholdedRelu", read_thresholded},
                                                  {"PRelu", read_prelu},
                                                  {"Erf", read_erf},
                                                  {"Softmax", read_softmax},
                                                  {"LogSoftmax", read_softmax},
                                                  {"BatchNormalization", read_batchnorm},
                                                  {"Gemm", read_dense},
                                                  {"MatMul", read_dense},
                                                  {"ReduceMean", read_reduce},
                                                  {"ReduceMax", read_reduce},
                                                  {"ReduceSum", read_reduce},
                                                  {"Constant", read_constant},
                                                  {NULL, NULL}};
