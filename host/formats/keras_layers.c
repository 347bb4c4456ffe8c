/* Dense layers, normalisation, activations, layers that merge, and those that do nothing. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/formats/keras.h"

/* ---- dense ---- */

static int dense_roles(const keras_layer *l, const char **out) {
    out[0] = "kernel";
    out[1] = "bias";
    return 1 + keras_flag(l, "use_bias|bias", true);
}

/* On an image, or rows, a dense layer is a 1x1 convolution. */
static mien_status dense(keras_call *call) {
    const keras_layer *l = call->layer;
    keras_value *value = &call->out[0];
    const int rank = value->rank;
    const mien_value *spec = keras_get(l, "activation");
    const char *plain = keras_plain_activation(call, spec);
    int layer;
    MIEN_TRY(keras_order(call, value, false));
    const keras_value in = *value;
    MIEN_TRY(keras_emit(call, value->flat ? "dense" : "conv2d", value, 1, &layer));
    mien_import_number(&call->r->import, layer, value->flat ? "units" : "filters",
                       keras_number(l, "units|output_dim", 0));
    if (!value->flat)
        mien_import_numbers(&call->r->import, layer, "kernel_size", (const int[]){1, 1}, 2);
    if (!keras_flag(l, "use_bias|bias", true))
        mien_import_bool(&call->r->import, layer, "use_bias", false);
    if (plain && strcmp(plain, "linear") != 0)
        mien_import_text(&call->r->import, layer, "activation", plain);
    MIEN_TRY(keras_commit(call, layer, value));
    value->rank = rank;
    MIEN_TRY(keras_params(call, layer, &in));
    return plain ? MIEN_OK : keras_activate(call, spec, value);
}

/* ---- normalisation ---- */

static int batchnorm_roles(const keras_layer *l, const char **out) {
    int count = 0;
    if (keras_flag(l, "scale", true)) out[count++] = "gamma";
    if (keras_flag(l, "center", true)) out[count++] = "beta";
    out[count++] = "moving_mean";
    out[count++] = "moving_variance";
    return count;
}

/* Makes Keras's axis `axis` (1 …, or negative) the channels; *last: the axis' distance from the
 * end before, to move it back. */
static mien_status axis_to_channels(keras_call *call, keras_value *value, int axis, int *last) {
    if (axis < 0) axis += value->rank + 1;
    *last = 0;
    if (axis < 1 || axis > value->rank)
        return keras_refuse(call, "its axis %d does not exist", axis);
    if (value->first && axis == 1) return MIEN_OK;
    MIEN_TRY(keras_order(call, value, false));
    const int rank = value->rank;
    *last = rank - axis;
    if (*last == 1) MIEN_TRY(keras_permute(call, value, 1, 3, 2));
    if (*last == 2) MIEN_TRY(keras_permute(call, value, 3, 2, 1));
    value->rank = rank;
    return MIEN_OK;
}

static mien_status axis_back(keras_call *call, keras_value *value, int last) {
    const int rank = value->rank;
    if (last == 1) MIEN_TRY(keras_permute(call, value, 1, 3, 2));
    if (last == 2) MIEN_TRY(keras_permute(call, value, 3, 2, 1));
    value->rank = rank;
    return MIEN_OK;
}

static mien_status batchnorm(keras_call *call) {
    const keras_layer *l = call->layer;
    keras_value *value = &call->out[0];
    int layer, last;
    MIEN_TRY(axis_to_channels(call, value, keras_int(l, "axis", -1), &last));
    const keras_value in = *value;
    MIEN_TRY(keras_emit(call, "batch_normalization", value, 1, &layer));
    mien_import_number(&call->r->import, layer, "epsilon", keras_number(l, "epsilon", 1e-3));
    const double momentum = keras_number(l, "momentum", 0.99);
    if (momentum >= 0 && momentum <= 1)
        mien_import_number(&call->r->import, layer, "momentum", momentum);
    if (!keras_flag(l, "scale", true)) mien_import_bool(&call->r->import, layer, "scale", false);
    if (!keras_flag(l, "center", true)) mien_import_bool(&call->r->import, layer, "center", false);
    MIEN_TRY(keras_commit(call, layer, value));
    value->rank = in.rank;
    value->first = in.first;
    memcpy(value->rows, in.rows, sizeof value->rows);
    MIEN_TRY(keras_params(call, layer, &in));
    return axis_back(call, value, last);
}

static int normalization_roles(const keras_layer *l, const char **out) {
    out[0] = "mean";
    out[1] = "variance";
    out[2] = "count";
    return keras_get(l, "mean") ? 0 : 3;
}

static mien_status normalization(keras_call *call) {
    const keras_layer *l = call->layer;
    keras_value *value = &call->out[0];
    const mien_value *mean = keras_get(l, "mean"), *variance = keras_get(l, "variance");
    float *scale = NULL, *shift = NULL;
    int layer, last;
    MIEN_TRY(axis_to_channels(call, value, keras_int(l, "axis", -1), &last));
    if (mean && variance) {
        MIEN_TRY(keras_per_channel(call, variance, 1, value->c, &scale));
        const mien_status status = keras_per_channel(call, mean, 0, value->c, &shift);
        if (status != MIEN_OK) {
            mien_free(scale);
            return status;
        }
        for (int i = 0; i < value->c; i++) {
            const double deviation = fmax(sqrt(scale[i]), 1e-7);
            scale[i] = (float)(1 / deviation);
            shift[i] = (float)(-shift[i] / deviation);
        }
        MIEN_TRY(keras_affine(call, value, scale, shift));
        return axis_back(call, value, last);
    }
    const keras_value in = *value;
    MIEN_TRY(keras_emit(call, "normalization", value, 1, &layer));
    MIEN_TRY(keras_commit(call, layer, value));
    value->rank = in.rank;
    value->first = in.first;
    MIEN_TRY(keras_params(call, layer, &in));
    return axis_back(call, value, last);
}

static mien_status rescaling(keras_call *call) {
    const keras_layer *l = call->layer;
    keras_value *value = &call->out[0];
    double scale, offset = 0;
    const mien_value *a = keras_get(l, "scale"), *b = keras_get(l, "offset");
    float *scales, *shifts;
    if (keras_is_number(a, &scale) && (!b || keras_is_number(b, &offset)))
        return keras_rescale(call, value, scale, offset);
    MIEN_TRY(keras_order(call, value, false));
    MIEN_TRY(keras_per_channel(call, a, 1, value->c, &scales));
    const mien_status status = keras_per_channel(call, b, 0, value->c, &shifts);
    if (status != MIEN_OK) {
        mien_free(scales);
        return status;
    }
    return keras_affine(call, value, scales, shifts);
}

/* ---- activations ---- */

static const struct {
    const char *keras, *own; /* NULL: a layer of its own, below */
} activations[] = {{"linear", "linear"},   {"relu", "relu"},
                   {"relu6", "relu6"},     {"elu", "elu"},
                   {"selu", "selu"},       {"gelu", "gelu"},
                   {"sigmoid", "sigmoid"}, {"swish", "swish"},
                   {"silu", "swish"},      {"tanh", "tanh"},
                   {"softmax", "softmax"}, {"leaky_relu", "leaky_relu"},
                   {"hard_sigmoid", NULL}, {"hard_swish", NULL},
                   {"hard_silu", NULL},    {"softmax_v2", "softmax"},
                   {"relu_v2", "relu"},    {"identity", "linear"}};
enum { ACTIVATIONS = sizeof activations / sizeof activations[0] };

/* A name, a function as an object, or an object of a layer. */
static const char *activation_name(const mien_value *spec) {
    if (spec->kind == MIEN_VALUE_STRING) return spec->text;
    const char *class_name = mien_value_string(spec, "class_name");
    if (!class_name) return NULL;
    if (strcmp(class_name, "function") != 0) return class_name;
    const char *name = mien_value_string(spec, "config");
    if (!name) name = mien_value_string(mien_value_get(spec, "config"), "name");
    return name ? name : mien_value_string(spec, "registered_name");
}

const char *keras_plain_activation(const keras_call *call, const mien_value *spec) {
    const char *name = spec ? activation_name(spec) : "linear";
    for (int i = 0; name && i < ACTIVATIONS; i++)
        if (strcmp(activations[i].keras, name) == 0) {
            /* Keras 3's is Mien's */
            if (strcmp(name, "hard_sigmoid") == 0 && call->r->file.version >= 3)
                return "hard_sigmoid";
            return activations[i].own;
        }
    return NULL;
}

static mien_status emit_activation(keras_call *call, const char *name, keras_value *value) {
    const keras_value before = *value;
    int layer;
    if (strcmp(name, "linear") == 0) return MIEN_OK;
    if (strcmp(name, "softmax") == 0) MIEN_TRY(keras_order(call, value, false));
    const bool first = value->first;
    MIEN_TRY(keras_emit(call, "activation", value, 1, &layer));
    mien_import_text(&call->r->import, layer, "activation", name);
    MIEN_TRY(keras_commit(call, layer, value));
    value->rank = before.rank;
    value->first = first;
    memcpy(value->rows, before.rows, sizeof value->rows);
    return MIEN_OK;
}

/* A ReLU with these settings; `most` below 0: without an upper limit. */
static mien_status emit_relu(keras_call *call, keras_value *value, double most, double slope,
                             double threshold) {
    const keras_value before = *value;
    int layer;
    MIEN_TRY(keras_emit(call, "relu", value, 1, &layer));
    if (most >= 0) mien_import_number(&call->r->import, layer, "max_value", most);
    if (slope != 0) mien_import_number(&call->r->import, layer, "negative_slope", slope);
    if (threshold != 0) mien_import_number(&call->r->import, layer, "threshold", threshold);
    MIEN_TRY(keras_commit(call, layer, value));
    value->rank = before.rank;
    value->first = before.first;
    memcpy(value->rows, before.rows, sizeof value->rows);
    return MIEN_OK;
}

/* Keras 2's is 0.2 x + 0.5, limited to 0 … 1. */
static mien_status hard_sigmoid(keras_call *call, keras_value *value) {
    if (call->r->file.version >= 3) return emit_activation(call, "hard_sigmoid", value);
    MIEN_TRY(keras_rescale(call, value, 0.2, 0.5));
    return emit_relu(call, value, 1, 0, 0);
}

static mien_status activate_by_layer(keras_call *call, const mien_value *spec, const char *name,
                                     keras_value *value) {
    const keras_layer *const own = call->layer;
    const keras_class *kind = keras_class_find(name);
    const mien_value *config = mien_value_get(spec, "config");
    if (spec->kind != MIEN_VALUE_MAP || !kind || kind->roles ||
        !keras_listed("ReLU|LeakyReLU|ELU|Softmax|ThresholdedReLU|Activation", name))
        return keras_refuse(call, "the activation '%s' is not supported", name);
    keras_layer inner = *own;
    inner.class_name = name;
    inner.config = config && config->kind == MIEN_VALUE_MAP ? config : NULL;
    inner.kind = kind;
    MIEN_TRY(keras_check_keys(call->r, &inner));
    const keras_value before = call->out[0];
    call->layer = &inner;
    call->out[0] = *value;
    const mien_status status = kind->convert(call);
    const keras_value after = call->out[0];
    call->out[0] = before;
    *value = after; /* which may be the same place */
    call->layer = own;
    return status;
}

mien_status keras_activate(keras_call *call, const mien_value *spec, keras_value *value) {
    const char *plain = keras_plain_activation(call, spec);
    if (plain) return emit_activation(call, plain, value);
    const char *name = activation_name(spec);
    if (!name) return keras_refuse(call, "its activation is not supported");
    if (strcmp(name, "hard_sigmoid") == 0) return hard_sigmoid(call, value);
    if (keras_listed("hard_swish|hard_silu", name)) { /* x * relu6(x + 3) / 6 in every version */
        keras_value gate = *value;
        MIEN_TRY(emit_activation(call, "hard_sigmoid", &gate));
        return keras_multiply(call, *value, gate, value);
    }
    return activate_by_layer(call, spec, name, value);
}

static mien_status activation(keras_call *call) {
    keras_value value = call->out[0];
    MIEN_TRY(keras_activate(call, keras_get(call->layer, "activation"), &value));
    call->out[0] = value;
    return MIEN_OK;
}

static mien_status relu(keras_call *call) {
    const keras_layer *l = call->layer;
    return emit_relu(call, &call->out[0], keras_number(l, "max_value", -1),
                     keras_number(l, "negative_slope", 0), keras_number(l, "threshold|theta", 0));
}

static mien_status sloped(keras_call *call, const char *def, const char *key, const char *names,
                          double otherwise) {
    keras_value *value = &call->out[0];
    const keras_value before = *value;
    int layer;
    MIEN_TRY(keras_emit(call, def, value, 1, &layer));
    mien_import_number(&call->r->import, layer, key, keras_number(call->layer, names, otherwise));
    MIEN_TRY(keras_commit(call, layer, value));
    value->rank = before.rank;
    value->first = before.first;
    memcpy(value->rows, before.rows, sizeof value->rows);
    return MIEN_OK;
}

static mien_status leaky_relu(keras_call *call) {
    return sloped(call, "leaky_relu", "negative_slope", "negative_slope|alpha", 0.3);
}

static mien_status elu(keras_call *call) {
    return sloped(call, "elu", "alpha", "alpha", 1);
}

static int prelu_roles(const keras_layer *l, const char **out) {
    (void)l;
    out[0] = "alpha";
    return 1;
}

static mien_status prelu(keras_call *call) {
    keras_value *value = &call->out[0];
    const mien_value *list = keras_get(call->layer, "shared_axes");
    const int rank = value->rank;
    int axes[3], count = 0, layer;
    MIEN_TRY(keras_order(call, value, false));
    const keras_value in = *value;
    for (const mien_value *v = list && list->kind == MIEN_VALUE_LIST ? list->first : NULL; v;
         v = v->next) {
        if (count == 3 || v->kind != MIEN_VALUE_NUMBER || v->number < 1 || v->number > rank)
            return keras_refuse(call, "its shared_axes do not fit its input");
        axes[count++] = (int)v->number + (rank == 2 ? 1 : 0);
    }
    MIEN_TRY(keras_emit(call, "prelu", value, 1, &layer));
    if (count) mien_import_numbers(&call->r->import, layer, "shared_axes", axes, count);
    MIEN_TRY(keras_commit(call, layer, value));
    value->rank = rank;
    return keras_params(call, layer, &in);
}

static mien_status softmax(keras_call *call) {
    const int axis = keras_int(call->layer, "axis", -1);
    keras_value value = call->out[0];
    int last;
    MIEN_TRY(axis_to_channels(call, &value, axis, &last));
    MIEN_TRY(emit_activation(call, "softmax", &value));
    MIEN_TRY(axis_back(call, &value, last));
    call->out[0] = value;
    return MIEN_OK;
}

/* ---- nothing, or nothing outside of training ---- */

static mien_status dropout(keras_call *call) {
    const double rate = keras_number(call->layer, "rate|p", 0);
    const bool channels = strstr(call->layer->class_name, "Spatial") != NULL;
    keras_value *value = &call->out[0];
    const keras_value before = *value;
    int layer;
    if (!(rate >= 0 && rate <= 1)) return keras_refuse(call, "its rate of %g is not 0 to 1", rate);
    if (!(rate > 0 && rate <= 0.999) || (channels && value->rank != 3)) return MIEN_OK;
    MIEN_TRY(keras_emit(call, channels ? "spatial_dropout2d" : "dropout", value, 1, &layer));
    mien_import_number(&call->r->import, layer, "rate", rate);
    MIEN_TRY(keras_commit(call, layer, value));
    value->rank = before.rank;
    value->first = before.first;
    memcpy(value->rows, before.rows, sizeof value->rows);
    return MIEN_OK;
}

static mien_status identity(keras_call *call) {
    (void)call;
    return MIEN_OK;
}

static mien_status augmentation(keras_call *call) {
    MIEN_INFO("%s: layer '%s' (%s) works in training only and is left out", call->r->source,
              call->layer->name, call->layer->class_name);
    return MIEN_OK;
}

static mien_status random_crop(keras_call *call) {
    const keras_value *v = &call->out[0];
    if (keras_number(call->layer, "height", 0) == v->h &&
        keras_number(call->layer, "width", 0) == v->w)
        return augmentation(call);
    return keras_refuse(call, "it changes the image's size");
}

/* ---- Lambda ---- */

/* The text of the compiled function, and whether it is base64. */
static const char *lambda_code(const keras_layer *l, bool *base64) {
    const mien_value *v = keras_get(l, "function");
    const char *code = mien_value_string(mien_value_get(v, "config"), "code");
    *base64 = true;
    if (code) return code; /* Keras 3 */
    if (v && v->kind == MIEN_VALUE_LIST && v->first && v->first->kind == MIEN_VALUE_STRING)
        v = v->first;
    if (!v || v->kind != MIEN_VALUE_STRING) return NULL;
    *base64 =
        strspn(v->text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\n") ==
        strlen(v->text);
    return v->text;
}

static mien_status lambda(keras_call *call) {
    bool base64;
    double scale, offset;
    const char *code = lambda_code(call->layer, &base64);
    if (code && keras_lambda_affine(code, base64, &scale, &offset))
        return keras_rescale(call, &call->out[0], scale, offset);
    const char *type = keras_text(call->layer, "function_type", "");
    const bool named = strcmp(type, "function") == 0 && code;
    return keras_refuse(call,
                        "it holds %s%s%s, which Mien does not run; only functions that scale their "
                        "input, such as x / 255, are recognised",
                        named ? "the Python function '" : "Python code", named ? code : "",
                        named ? "'" : "");
}

/* ---- layers that merge ---- */

static const char *merge_mode(const keras_layer *l) {
    static const struct {
        const char *keras, *mode;
    } modes[] = {{"Add", "sum"},           {"Multiply", "mul"}, {"Average", "ave"},
                 {"Maximum", "max"},       {"Minimum", "min"},  {"Subtract", "sub"},
                 {"Concatenate", "concat"}};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(l->class_name, modes[i].keras) == 0) return modes[i].mode;
    return keras_text(l, "mode", "sum");
}

static mien_status minimum(keras_call *call, keras_value *in, int count, keras_value *out) {
    for (int i = 0; i < count; i++)
        MIEN_TRY(keras_rescale(call, &in[i], -1, 0));
    MIEN_TRY(keras_combine(call, "maximum", in, count, out));
    return keras_rescale(call, out, -1, 0);
}

static mien_status merge(keras_call *call) {
    const char *mode = merge_mode(call->layer);
    keras_value *out = &call->out[0];
    if (call->in_count < 2 && strcmp(mode, "concat") != 0)
        return keras_refuse(call, "it needs two inputs");
    if (strcmp(mode, "concat") == 0)
        return keras_concatenate(call, call->in, call->in_count,
                                 keras_int(call->layer, "concat_axis|axis", -1), out);
    if (strcmp(mode, "sub") == 0) return keras_subtract(call, &call->in[0], call->in[1], out);
    if (strcmp(mode, "mul") == 0) {
        MIEN_TRY(keras_multiply(call, call->in[0], call->in[1], out));
        for (int i = 2; i < call->in_count; i++)
            MIEN_TRY(keras_multiply(call, *out, call->in[i], out));
        return MIEN_OK;
    }
    if (strcmp(mode, "min") == 0) return minimum(call, call->in, call->in_count, out);
    const char *def = strcmp(mode, "sum") == 0   ? "add"
                      : strcmp(mode, "ave") == 0 ? "average"
                      : strcmp(mode, "max") == 0 ? "maximum"
                                                 : NULL;
    if (!def) return keras_refuse(call, "the mode '%s' is not supported", mode);
    return keras_combine(call, def, call->in, call->in_count, out);
}

const keras_class keras_layer_classes[] = {
    {"InputLayer", identity, NULL, NULL},
    {"Dense", dense, "units|output_dim|use_bias|bias|activation", dense_roles},
    {"BatchNormalization|BatchNormalizationV1|BatchNormalizationV2|SyncBatchNormalization",
     batchnorm, "axis|epsilon|momentum|scale|center", batchnorm_roles},
    {"Normalization", normalization, "axis|mean|variance", normalization_roles},
    {"Rescaling", rescaling, "scale|offset", NULL},
    {"Activation", activation, "activation", NULL},
    {"ReLU|ThresholdedReLU", relu, "max_value|negative_slope|threshold|theta", NULL},
    {"LeakyReLU", leaky_relu, "negative_slope|alpha", NULL},
    {"ELU", elu, "alpha", NULL},
    {"PReLU", prelu, "shared_axes", prelu_roles},
    {"Softmax", softmax, "axis", NULL},
    {"Dropout|SpatialDropout2D", dropout, "rate|p|data_format|dim_ordering", NULL},
    {"GaussianNoise|GaussianDropout|AlphaDropout|ActivityRegularization|Identity", identity, NULL,
     NULL},
    {"RandomCrop", random_crop, NULL, NULL},
    {"RandomFlip|RandomRotation|RandomZoom|RandomTranslation|RandomContrast|RandomBrightness|"
     "RandomHeight|RandomWidth|RandomShear|RandomHue|RandomSaturation|RandomColorJitter|"
     "RandomColorDegeneration|RandomGrayscale|RandomErasing|RandomPerspective|RandomPosterization|"
     "RandomSharpness|RandomInvert|RandomGaussianBlur|RandomElasticTransform|RandAugment|AugMix|"
     "CutMix|MixUp",
     augmentation, NULL, NULL},
    {"Lambda", lambda, NULL, NULL},
    {"Average|Maximum|Minimum|Merge", merge,
     "mode|concat_axis|axis|dot_axes|output_shape|output_mask|output_shape_type|mode_type|"
     "arguments|"
     "output_mask_type",
     NULL},
    {0}};
