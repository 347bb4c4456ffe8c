/* Layers that move numbers. */
#include <string.h>

#include "host/base/memory.h"
#include "host/formats/keras.h"

mien_status keras_permute(keras_call *call, keras_value *value, int a, int b, int c) {
    const int dims[] = {a, b, c};
    int layer;
    MIEN_TRY(keras_emit(call, "permute", value, 1, &layer));
    mien_import_numbers(&call->r->import, layer, "dims", dims, 3);
    return keras_commit(call, layer, value);
}

/* Keras's axes c, h, w are only noted in `first`; an operator that wants them in another order gets
 * a permutation. */
mien_status keras_order(keras_call *call, keras_value *value, bool first) {
    if (value->rank != 3 || value->first == first) return MIEN_OK;
    if (first) {
        /* Keras's axes 0, 1, 2 are in memory as h, w, c, but are meant as c, h, w */
        MIEN_TRY(keras_permute(call, value, 2, 3, 1));
    } else {
        MIEN_TRY(keras_permute(call, value, 3, 1, 2));
    }
    value->first = first;
    return MIEN_OK;
}

mien_status keras_image(keras_call *call, keras_value *value, bool first) {
    if (value->rank != 3)
        return keras_refuse(call, "it needs an image, but its input has %d ax%s", value->rank,
                            value->rank == 1 ? "is" : "es");
    return keras_order(call, value, first);
}

mien_status keras_reshape(keras_call *call, keras_value *value, int rank, int h, int w, int c) {
    const bool flat = rank == 1;
    const int dims[] = {h, w, c};
    int layer;
    if (flat != value->flat || h != value->h || w != value->w || c != value->c) {
        MIEN_TRY(keras_emit(call, flat ? "flatten" : "reshape", value, 1, &layer));
        if (!flat) mien_import_numbers(&call->r->import, layer, "target_shape", dims, 3);
        MIEN_TRY(keras_commit(call, layer, value));
    }
    value->rank = rank;
    value->first = false;
    return MIEN_OK;
}

/* With data_format channels_first Keras moves the channels to the end before it flattens. */
static mien_status flatten(keras_call *call) {
    keras_value *value = &call->out[0];
    const bool first = keras_channels_first(call->layer);
    const bool plain = value->rank == 3 && !value->first && !first;
    MIEN_TRY(keras_order(call, value, first));
    const int rows[] = {value->h, value->w, value->c};
    MIEN_TRY(keras_reshape(call, value, 1, 1, 1, value->h * value->w * value->c));
    if (plain && rows[0] * rows[1] > 1) memcpy(value->rows, rows, sizeof rows);
    return MIEN_OK;
}

static mien_status reshape_to(keras_call *call, const mien_value *list) {
    keras_value *value = &call->out[0];
    const double all = (double)value->h * value->w * value->c;
    double sizes[3], known = 1;
    int rank = 0, unknown = -1;
    for (const mien_value *v = list && list->kind == MIEN_VALUE_LIST ? list->first : NULL; v;
         v = v->next) {
        if (rank == 3 || v->kind != MIEN_VALUE_NUMBER)
            return keras_refuse(call, "its target_shape is not one to three numbers");
        sizes[rank] = v->number;
        if (v->number < 0)
            unknown = rank;
        else
            known *= v->number;
        rank++;
    }
    if (unknown >= 0) sizes[unknown] = known > 0 ? all / known : 0;
    double product = 1;
    for (int i = 0; i < rank; i++) {
        if (!(sizes[i] >= 1) || sizes[i] != keras_whole(sizes[i]))
            return keras_refuse(call, "its target_shape does not fit %g numbers", all);
        product *= sizes[i];
    }
    if (!rank || product != all)
        return keras_refuse(call, "its target_shape does not fit %g numbers", all);
    MIEN_TRY(keras_order(call, value, false));
    return keras_reshape(call, value, rank, rank == 3 ? (int)sizes[0] : 1,
                         rank == 1 ? 1 : (int)sizes[rank - 2], (int)sizes[rank - 1]);
}

static mien_status reshape(keras_call *call) {
    return reshape_to(call, keras_get(call->layer, "target_shape|dims"));
}

static mien_status permute(keras_call *call) {
    keras_value *value = &call->out[0];
    const mien_value *list = keras_get(call->layer, "dims");
    int dims[3] = {0}, count = 0;
    for (const mien_value *v = list && list->kind == MIEN_VALUE_LIST ? list->first : NULL; v;
         v = v->next)
        if (count < 3 && v->kind == MIEN_VALUE_NUMBER && v->number >= 1 && v->number <= 3)
            dims[count++] = (int)v->number;
    if (!list || count != (int)list->count || count != value->rank)
        return keras_refuse(call, "its dims do not fit its input");
    MIEN_TRY(keras_order(call, value, false));
    if (count == 1) return MIEN_OK;
    if (count == 3) return keras_permute(call, value, dims[0], dims[1], dims[2]);
    MIEN_TRY(keras_permute(call, value, 1, dims[0] + 1, dims[1] + 1));
    value->rank = 2;
    return MIEN_OK;
}

/* Along Keras's axis 1 … rank, or negative. */
mien_status keras_concatenate(keras_call *call, keras_value *in, int count, int axis,
                              keras_value *out) {
    const int rank = in[0].rank;
    bool first = true;
    int layer;
    if (count == 1) {
        *out = in[0];
        return MIEN_OK;
    }
    if (axis < 0) axis += rank + 1;
    for (int i = 0; i < count; i++) {
        first &= in[i].first;
        if (in[i].rank != rank)
            return keras_refuse(call, "its inputs have different numbers of axes");
    }
    first = first && axis == 1;
    const int from_end = rank - axis; /* 0: the channels here */
    if (axis < 1 || from_end < 0) return keras_refuse(call, "its axis does not exist");
    for (int i = 0; i < count; i++) {
        MIEN_TRY(keras_order(call, &in[i], first));
        if (first || from_end == 0) continue;
        if (from_end == 1)
            MIEN_TRY(keras_permute(call, &in[i], 1, 3, 2));
        else
            MIEN_TRY(keras_permute(call, &in[i], 3, 2, 1));
    }
    while (count > 1) { /* many by parts */
        const int part = count < MIEN_INPUTS_MAX ? count : MIEN_INPUTS_MAX;
        MIEN_TRY(keras_emit(call, "concatenate", in, part, &layer));
        MIEN_TRY(keras_commit(call, layer, &in[part - 1]));
        in += part - 1;
        count -= part - 1;
    }
    *out = in[0];
    if (!first && from_end == 1) MIEN_TRY(keras_permute(call, out, 1, 3, 2));
    if (!first && from_end == 2) MIEN_TRY(keras_permute(call, out, 3, 2, 1));
    out->rank = rank;
    out->first = first;
    return MIEN_OK;
}

static mien_status concatenate(keras_call *call) {
    const int axis = keras_int(call->layer, "axis|concat_axis", -1);
    return keras_concatenate(call, call->in, call->in_count, axis, &call->out[0]);
}

/* Sides from a number, [height, width], [[top, bottom], [left, right]], and in Keras 1 also
 * [top, bottom, left, right] or a map. */
static mien_status sides(keras_call *call, const char *names, int *out) {
    const mien_value *v = keras_get(call->layer, names);
    static const char *const keys[] = {"top_pad", "bottom_pad", "left_pad", "right_pad"};
    double n[4] = {0};
    bool good = v != NULL;
    if (v && v->kind == MIEN_VALUE_MAP) {
        for (int i = 0; i < 4; i++)
            n[i] = mien_value_number(v, keys[i], 0);
    } else if (v && v->kind == MIEN_VALUE_LIST && v->count == 4) {
        const mien_value *c = v->first;
        for (int i = 0; i < 4; i++, c = c->next)
            good &= keras_is_number(c, &n[i]);
    } else if (v && v->kind == MIEN_VALUE_LIST && v->count == 2) {
        const mien_value *c = v->first;
        for (int i = 0; i < 4; i += 2, c = c->next) {
            if (c->kind == MIEN_VALUE_LIST && c->count == 2)
                good &=
                    keras_is_number(c->first, &n[i]) && keras_is_number(c->first->next, &n[i + 1]);
            else
                good &= keras_is_number(c, &n[i]), n[i + 1] = n[i];
        }
    } else {
        good = keras_is_number(v, &n[0]);
        n[1] = n[2] = n[3] = n[0];
    }
    for (int i = 0; i < 4; i++) {
        if (!good || !(n[i] >= 0 && n[i] <= 4096))
            return keras_refuse(call, "its key '%s' is missing or not supported", names);
        out[i] = (int)n[i];
    }
    return MIEN_OK;
}

static mien_status frame(keras_call *call, const char *def, const char *key) {
    keras_value *value = &call->out[0];
    int n[4], layer;
    MIEN_TRY(keras_image(call, value, keras_channels_first(call->layer)));
    MIEN_TRY(sides(call, key, n));
    keras_known_padding(call->r, call->layer->name, value->h, value->w, n);
    MIEN_TRY(keras_emit(call, def, value, 1, &layer));
    mien_import_sides(&call->r->import, layer, key, n[0], n[1], n[2], n[3]);
    const bool first = value->first;
    MIEN_TRY(keras_commit(call, layer, value));
    value->first = first;
    return MIEN_OK;
}

static mien_status zero_padding(keras_call *call) {
    return frame(call, "zero_padding2d", "padding");
}

static mien_status cropping(keras_call *call) {
    return frame(call, "cropping2d", "cropping");
}

static mien_status interpolation(keras_call *call, int layer, const char *otherwise) {
    const char *word = keras_text(call->layer, "interpolation", otherwise);
    if (strcmp(word, "nearest") != 0 && strcmp(word, "bilinear") != 0)
        return keras_refuse(call, "the interpolation '%s' is not supported", word);
    mien_import_text(&call->r->import, layer, "interpolation", word);
    return MIEN_OK;
}

static mien_status up_sampling(keras_call *call) {
    static const int two[2] = {2, 2};
    keras_value *value = &call->out[0];
    int size[2], layer;
    MIEN_TRY(keras_image(call, value, keras_channels_first(call->layer)));
    MIEN_TRY(keras_pair(call, "size", two, size));
    MIEN_TRY(keras_emit(call, "up_sampling2d", value, 1, &layer));
    mien_import_numbers(&call->r->import, layer, "size", size, 2);
    MIEN_TRY(interpolation(call, layer, "nearest"));
    const bool first = value->first;
    MIEN_TRY(keras_commit(call, layer, value));
    value->first = first;
    return MIEN_OK;
}

static mien_status resizing(keras_call *call) {
    const keras_layer *l = call->layer;
    keras_value *value = &call->out[0];
    int layer;
    MIEN_TRY(keras_image(call, value, keras_channels_first(l)));
    const bool first = value->first;
    MIEN_TRY(keras_emit(call, "resizing", value, 1, &layer));
    mien_import_number(&call->r->import, layer, "height", keras_number(l, "height", 0));
    mien_import_number(&call->r->import, layer, "width", keras_number(l, "width", 0));
    if (keras_flag(l, "crop_to_aspect_ratio", false))
        mien_import_bool(&call->r->import, layer, "crop_to_aspect_ratio", true);
    MIEN_TRY(interpolation(call, layer, "bilinear"));
    MIEN_TRY(keras_commit(call, layer, value));
    value->first = first;
    return MIEN_OK;
}

const keras_class keras_shape_classes[] = {
    {"Flatten", flatten, "data_format|dim_ordering", NULL},
    {"Reshape", reshape, "target_shape|dims", NULL},
    {"Permute", permute, "dims", NULL},
    {"Concatenate", concatenate, "axis", NULL},
    {"ZeroPadding2D", zero_padding, "padding|data_format|dim_ordering", NULL},
    {"Cropping2D", cropping, "cropping|data_format|dim_ordering", NULL},
    {"UpSampling2D", up_sampling, "size|interpolation|data_format|dim_ordering", NULL},
    {"Resizing", resizing, "height|width|interpolation|crop_to_aspect_ratio|data_format", NULL},
    {0}};
