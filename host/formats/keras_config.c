/* A layer's config: Keras 1, 2 and 3 name the same settings differently. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/formats/keras.h"

bool keras_listed(const char *list, const char *word) {
    const char *part;
    size_t length;
    while (mien_next_part(&list, '|', &part, &length))
        if (strlen(word) == length && strncmp(word, part, length) == 0) return true;
    return false;
}

/* These change nothing in the outputs of a trained network. */
static const char *const ignored[] = {
    "name|trainable|dtype|autocast|sparse|ragged|optional|seed|noise_shape|synchronized|fused",
    "batch_input_shape|batch_shape|input_shape|input_dim|input_dtype|input_length|batch_size",
    "kernel_initializer|bias_initializer|depthwise_initializer|pointwise_initializer",
    "beta_initializer|gamma_initializer|moving_mean_initializer|moving_variance_initializer",
    "alpha_initializer|init|beta_init|gamma_init",
    "kernel_regularizer|bias_regularizer|depthwise_regularizer|pointwise_regularizer",
    "activity_regularizer|beta_regularizer|gamma_regularizer|alpha_regularizer|W_regularizer",
    "b_regularizer",
    "kernel_constraint|bias_constraint|depthwise_constraint|pointwise_constraint",
    "beta_constraint|gamma_constraint|alpha_constraint|W_constraint|b_constraint",
    "momentum|renorm_clipping|renorm_momentum|supports_masking|lora_rank|lora_alpha",
    "value_range|fill_mode|fill_value|force_generator|arguments_spec|weights|batch_mode",
    "output_shape_spec|experimental_run_tf_function|activity_regularizer_config|groups_config",
};

/* These would, but have mostly this value, which is the only one that is supported. */
static const struct {
    const char *key;
    double value; /* also of a bool; null is always allowed */
} fixed[] = {{"renorm", 0},     {"virtual_batch_size", 0},
             {"adjustment", 0}, {"quantization_config", 0},
             {"antialias", 0},  {"pad_to_aspect_ratio", 0},
             {"mode", 0},       {"invert", 0},
             {"stateful", 0},   {"unroll", 0}};

static mien_status check_key(const keras_reader *r, const keras_layer *layer, const mien_value *v) {
    if (keras_listed(layer->kind->keys, v->key)) return MIEN_OK;
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        if (keras_listed(ignored[i], v->key)) return MIEN_OK;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (strcmp(v->key, fixed[i].key) != 0) continue;
        const bool plain = v->kind == MIEN_VALUE_NUMBER || v->kind == MIEN_VALUE_BOOL;
        if (v->kind == MIEN_VALUE_NULL || (plain && v->number == fixed[i].value)) return MIEN_OK;
        return MIEN_FAIL(UNSUPPORTED, "%s: layer '%s' (%s): this setting of '%s' is not supported",
                         r->source, layer->name, layer->class_name, v->key);
    }
    return MIEN_FAIL(UNSUPPORTED, "%s: layer '%s' (%s) has the key '%s', which is not supported",
                     r->source, layer->name, layer->class_name, v->key);
}

mien_status keras_check_keys(const keras_reader *r, const keras_layer *layer) {
    if (!layer->kind || !layer->kind->keys) return MIEN_OK;
    for (const mien_value *v = layer->config ? layer->config->first : NULL; v; v = v->next)
        MIEN_TRY(check_key(r, layer, v));
    return MIEN_OK;
}

const keras_class *keras_class_find(const char *class_name) {
    const keras_class *const tables[] = {keras_window_classes, keras_layer_classes,
                                         keras_shape_classes, keras_op_classes};
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const keras_class *c = tables[t]; c->names; c++)
            if (keras_listed(c->names, class_name)) return c;
    return NULL;
}

const mien_value *keras_get(const keras_layer *layer, const char *names) {
    const char *part;
    size_t length;
    char name[64];
    while (mien_next_part(&names, '|', &part, &length)) {
        snprintf(name, sizeof name, "%.*s", (int)length, part);
        const mien_value *v = mien_value_get(layer->config, name);
        if (v && v->kind != MIEN_VALUE_NULL) return v;
    }
    return NULL;
}

const mien_value *keras_plain(const mien_value *v) {
    if (!v || v->kind != MIEN_VALUE_MAP) return v;
    const mien_value *inner = mien_value_get(v, "value");
    if (!inner) inner = mien_value_get(mien_value_get(v, "config"), "value");
    return inner ? inner : v;
}

bool keras_is_number(const mien_value *v, double *out) {
    v = keras_plain(v);
    while (v && v->kind == MIEN_VALUE_LIST && v->count == 1)
        v = v->first;
    if (!v || (v->kind != MIEN_VALUE_NUMBER && v->kind != MIEN_VALUE_BOOL)) return false;
    *out = v->number;
    return true;
}

double keras_number(const keras_layer *layer, const char *names, double otherwise) {
    double number;
    return keras_is_number(keras_get(layer, names), &number) ? number : otherwise;
}

int keras_whole(double number) {
    enum { MOST = 1000000000 };
    return number >= MOST ? MOST : number > -MOST ? (int)number : -MOST;
}

int keras_int(const keras_layer *layer, const char *names, int otherwise) {
    return keras_whole(keras_number(layer, names, otherwise));
}

bool keras_flag(const keras_layer *layer, const char *names, bool otherwise) {
    return keras_number(layer, names, otherwise) != 0;
}

const char *keras_text(const keras_layer *layer, const char *names, const char *otherwise) {
    const mien_value *v = keras_get(layer, names);
    return v && v->kind == MIEN_VALUE_STRING ? v->text : otherwise;
}

mien_status keras_pair(const keras_call *call, const char *names, const int *otherwise, int *out) {
    enum { MOST = 1 << 20 };
    const mien_value *v = keras_get(call->layer, names);
    double number[2] = {0, 0};
    if (!v && otherwise) {
        out[0] = otherwise[0];
        out[1] = otherwise[1];
        return MIEN_OK;
    }
    bool good = keras_is_number(v, &number[0]);
    if (good) {
        number[1] = number[0];
    } else if (v && v->kind == MIEN_VALUE_LIST && v->count == 2) {
        good = keras_is_number(v->first, &number[0]) && keras_is_number(v->first->next, &number[1]);
    }
    for (int i = 0; i < 2; i++) {
        if (!good || !(number[i] >= 0 && number[i] <= MOST))
            return keras_refuse(call, "its key '%s' is missing or not one or two numbers", names);
        out[i] = (int)number[i];
    }
    return MIEN_OK;
}

bool keras_channels_first(const keras_layer *layer) {
    const char *format = keras_text(layer, "data_format|dim_ordering", "channels_last");
    return strcmp(format, "channels_first") == 0 || strcmp(format, "th") == 0;
}

mien_status keras_check_channels(const keras_call *call) {
    static const char *const known[] = {"channels_last", "channels_first", "tf", "th"};
    const char *format = keras_text(call->layer, "data_format|dim_ordering", known[0]);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(format, known[i]) == 0) return MIEN_OK;
    return keras_refuse(call, "its data_format '%.40s' is not channels_last or channels_first",
                        format);
}

mien_status keras_refuse(const keras_call *call, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return MIEN_FAIL(UNSUPPORTED, "%s: layer '%s' (%s): %s", call->r->source, call->layer->name,
                     call->layer->class_name, text);
}
