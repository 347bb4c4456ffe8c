/* Arithmetic on tensors: scaling, sums, products, means. */
#include <math.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/formats/keras.h"

/* The numbers of nested lists; false if there are not 1 or `count`. */
static bool numbers(const mien_value *v, int count, float *out, int *at) {
    v = keras_plain(v);
    if (v->kind == MIEN_VALUE_LIST) {
        for (const mien_value *c = v->first; c; c = c->next)
            if (!numbers(c, count, out, at)) return false;
        return true;
    }
    if ((v->kind != MIEN_VALUE_NUMBER && v->kind != MIEN_VALUE_BOOL) || *at == count) return false;
    out[(*at)++] = (float)v->number;
    return true;
}

/* One number for each channel, as new floats. */
mien_status keras_per_channel(keras_call *call, const mien_value *v, double otherwise, int count,
                              float **out) {
    int at = 0;
    MIEN_TRY(mien_new(out, (size_t)count, sizeof **out));
    if (!v) (*out)[at++] = (float)otherwise;
    if (v && !numbers(v, count, *out, &at)) at = -1;
    for (int i = 1; at == 1 && i < count; i++)
        (*out)[i] = (*out)[0];
    if (at == 1 || at == count) return MIEN_OK;
    mien_free(*out);
    *out = NULL;
    return keras_refuse(call, "its numbers are not one for each of %d channels", count);
}

static void keep_view(const keras_value *before, keras_value *value) {
    value->rank = before->rank;
    value->first = before->first;
    memcpy(value->rows, before->rows, sizeof value->rows);
}

mien_status keras_rescale(keras_call *call, keras_value *value, double scale, double offset) {
    const keras_value before = *value;
    int layer;
    if (!(fabs(scale) <= 1e9) || !(fabs(offset) <= 1e9))
        return keras_refuse(call, "it scales by %g and adds %g: too large", scale, offset);
    if (scale == 1 && offset == 0) return MIEN_OK;
    MIEN_TRY(keras_emit(call, "rescaling", value, 1, &layer));
    mien_import_number(&call->r->import, layer, "scale", scale);
    if (offset != 0) mien_import_number(&call->r->import, layer, "offset", offset);
    MIEN_TRY(keras_commit(call, layer, value));
    keep_view(&before, value);
    return MIEN_OK;
}

/* Gives all parameters of a layer from arrays in their order; takes these over. */
static mien_status give(keras_call *call, int layer, float **arrays, int count) {
    const mien_node *node = &call->r->shadow.nodes[call->r->nodes[layer]];
    for (int k = 0; k < count; k++)
        mien_import_param(&call->r->import, layer, node->params[k].name, arrays[k],
                          mien_shape_count(node->params[k].shape));
    return call->r->import.status;
}

/* A batch normalisation that is only the scale and shift. */
mien_status keras_affine(keras_call *call, keras_value *value, float *scale, float *shift) {
    const keras_value before = *value;
    float *mean = NULL, *variance = NULL;
    int layer = 0;
    mien_status status;
    MIEN_GO(mien_new(&mean, (size_t)value->c, sizeof *mean));
    MIEN_GO(mien_new(&variance, (size_t)value->c, sizeof *variance));
    for (int i = 0; i < value->c; i++)
        variance[i] = 1;
    MIEN_GO(keras_emit(call, "batch_normalization", value, 1, &layer));
    mien_import_number(&call->r->import, layer, "epsilon", 0);
    MIEN_GO(keras_commit(call, layer, value));
    keep_view(&before, value);
    return give(call, layer, (float *[]){scale, shift, mean, variance}, 4);
out:
    mien_free(scale);
    mien_free(shift);
    mien_free(mean);
    mien_free(variance);
    return status;
}

mien_status keras_mix(keras_call *call, keras_value *value, float *kernel, int out) {
    int layer = 0;
    const bool first = value->first;
    mien_status status = keras_emit(call, "conv2d", value, 1, &layer);
    if (status == MIEN_OK) {
        mien_import_number(&call->r->import, layer, "filters", out);
        mien_import_numbers(&call->r->import, layer, "kernel_size", (const int[]){1, 1}, 2);
        mien_import_bool(&call->r->import, layer, "use_bias", false);
        status = keras_commit(call, layer, value);
        value->first = first;
    }
    if (status != MIEN_OK) {
        mien_free(kernel);
        return status;
    }
    return give(call, layer, (float *[]){kernel}, 1);
}

/* Repeats the one channel, or the one pixel, of `value` to the shape of `like`. */
static mien_status broadcast(keras_call *call, keras_value *value, const keras_value *like) {
    float *kernel;
    int layer;
    if (value->c == 1 && like->c > 1 && !value->flat) {
        MIEN_TRY(mien_new(&kernel, (size_t)like->c, sizeof *kernel));
        for (int i = 0; i < like->c; i++)
            kernel[i] = 1;
        MIEN_TRY(keras_mix(call, value, kernel, like->c));
    }
    if (value->h != 1 || value->w != 1 || value->flat || (like->h == 1 && like->w == 1))
        return MIEN_OK;
    const bool first = value->first;
    MIEN_TRY(keras_emit(call, "up_sampling2d", value, 1, &layer));
    mien_import_numbers(&call->r->import, layer, "size", (const int[]){like->h, like->w}, 2);
    MIEN_TRY(keras_commit(call, layer, value));
    value->first = first;
    return MIEN_OK;
}

/* Brings all inputs into one order of axes, and to an image where Keras would add axes of 1. */
static mien_status align(keras_call *call, keras_value *in, int count) {
    bool first = true;
    int rank = 0;
    for (int i = 0; i < count; i++) {
        first &= in[i].first;
        if (in[i].rank > rank) rank = in[i].rank;
    }
    for (int i = 0; i < count; i++) {
        MIEN_TRY(keras_order(call, &in[i], first));
        if (in[i].rank < rank) MIEN_TRY(keras_reshape(call, &in[i], rank, 1, in[i].w, in[i].c));
    }
    return MIEN_OK;
}

mien_status keras_combine(keras_call *call, const char *def, keras_value *in, int count,
                          keras_value *out) {
    keras_value like = in[0];
    int layer;
    MIEN_TRY(align(call, in, count));
    like.h = like.w = like.c = 1;
    for (int i = 0; i < count; i++) {
        if (in[i].h > like.h) like.h = in[i].h;
        if (in[i].w > like.w) like.w = in[i].w;
        if (in[i].c > like.c) like.c = in[i].c;
    }
    for (int i = 0; i < count; i++)
        MIEN_TRY(broadcast(call, &in[i], &like));
    if (count > MIEN_INPUTS_MAX && strcmp(def, "average") == 0)
        return keras_refuse(call, "it has more than %d inputs", MIEN_INPUTS_MAX);
    while (count > 1) { /* sums and maxima of many inputs by parts */
        const int part = count < MIEN_INPUTS_MAX ? count : MIEN_INPUTS_MAX;
        keras_value sum;
        MIEN_TRY(keras_emit(call, def, in, part, &layer));
        MIEN_TRY(keras_commit(call, layer, &sum));
        keep_view(&in[0], &sum);
        in[part - 1] = sum;
        in += part - 1;
        count -= part - 1;
    }
    *out = in[0];
    return MIEN_OK;
}

mien_status keras_multiply(keras_call *call, keras_value a, keras_value b, keras_value *out) {
    keras_value in[2] = {a, b};
    int layer;
    MIEN_TRY(align(call, in, 2));
    if (in[0].h * in[0].w < in[1].h * in[1].w) {
        const keras_value kept = in[0];
        in[0] = in[1];
        in[1] = kept;
    }
    for (int i = 0; i < 2; i++) { /* single pixels are the layer's own matter */
        keras_value like = in[1 - i];
        like.h = like.w = 1;
        MIEN_TRY(broadcast(call, &in[i], &like));
    }
    MIEN_TRY(keras_emit(call, "multiply", in, 2, &layer));
    MIEN_TRY(keras_commit(call, layer, out));
    keep_view(&in[0], out);
    return MIEN_OK;
}

mien_status keras_subtract(keras_call *call, const keras_value *a, keras_value b,
                           keras_value *out) {
    MIEN_TRY(keras_rescale(call, &b, -1, 0));
    return keras_combine(call, "add", (keras_value[]){*a, b}, 2, out);
}

/* Over height and width, or over the channels. */
mien_status keras_reduce(keras_call *call, keras_value *value, const mien_value *axes,
                         bool keepdims, bool maximum) {
    bool over[3] = {false};
    int layer;
    MIEN_TRY(keras_image(call, value, false));
    for (const mien_value *v = axes && axes->kind == MIEN_VALUE_LIST ? axes->first : axes; v;
         v = axes->kind == MIEN_VALUE_LIST ? v->next : NULL) {
        const int axis = v->kind == MIEN_VALUE_NUMBER
                             ? keras_whole(v->number < 0 ? v->number + 4 : v->number)
                             : 0;
        if (axis < 1 || axis > 3) return keras_refuse(call, "its axes are not supported");
        over[axis - 1] = true;
    }
    if (over[0] && over[1] && !over[2]) {
        MIEN_TRY(keras_emit(call, maximum ? "global_max_pooling2d" : "global_average_pooling2d",
                            value, 1, &layer));
        if (keepdims) mien_import_bool(&call->r->import, layer, "keepdims", true);
        return keras_commit(call, layer, value);
    }
    if (over[0] || over[1] || !over[2] || !keepdims)
        return keras_refuse(call, "only means over height and width, or over the channels with "
                                  "keepdims, are supported");
    if (maximum) { /* the channels become the pixels of one row */
        const int h = value->h, w = value->w;
        MIEN_TRY(keras_permute(call, value, 3, 1, 2));
        MIEN_TRY(keras_reshape(call, value, 3, value->h, 1, h * w));
        MIEN_TRY(keras_emit(call, "global_max_pooling2d", value, 1, &layer));
        MIEN_TRY(keras_commit(call, layer, value));
        return keras_reshape(call, value, 3, h, w, 1);
    }
    float *kernel;
    MIEN_TRY(mien_new(&kernel, (size_t)value->c, sizeof *kernel));
    for (int i = 0; i < value->c; i++)
        kernel[i] = 1 / (float)value->c;
    return keras_mix(call, value, kernel, 1);
}
