/* Networks of keras.applications, known by name: fitted to another size of image, and to files
 * that hold only the layers before the classifier (`_notop`). */
#include <stdio.h>
#include <string.h>

#include "host/base/module.h"
#include "host/formats/keras.h"

/* Where Keras's own code computes the zeros around an image from its size (`correct_pad`). */
static const char pad_by_size[] =
    "mobilenet_v2|mobilenet_v3_small|mobilenet_v3_large|nasnet_mobile|nasnet_large|efficientnetb0|"
    "efficientnetb1|efficientnetb2|efficientnetb3|efficientnetb4|efficientnetb5|efficientnetb6|"
    "efficientnetb7";

/* mien_value_get of a tree that may be changed. */
static mien_value *entry(mien_value *map, const char *key) {
    for (mien_value *v = map ? map->first : NULL; v; v = v->next)
        if (v->key && strcmp(v->key, key) == 0) return v;
    return NULL;
}

static bool has_weights(const mien_value *layer) {
    const char *name = mien_value_string(layer, "class_name");
    const keras_class *kind = name ? keras_class_find(name) : NULL;
    return kind && kind->roles;
}

static bool begins_top(const mien_value *layer) {
    const char *name = mien_value_string(layer, "class_name");
    return name && keras_listed("GlobalAveragePooling2D|Flatten", name);
}

/* The last layer before the classifier, which begins with the last pooling over the whole image or
 * flattening; *before counts the layers with weights up to there, *all those of the network. */
static mien_value *last_feature(const mien_value *layers, size_t *before, size_t *all,
                                size_t *count) {
    mien_value *last = NULL, *previous = NULL;
    size_t at = 0;
    *before = *all = *count = 0;
    for (mien_value *l = layers->first; l; previous = l, l = l->next, at++) {
        if (begins_top(l)) last = previous, *before = *all, *count = at;
        *all += has_weights(l);
    }
    return last;
}

/* Takes the classifier off if the file has only as many layers with weights as come before it;
 * *fixed: the network takes only one size of image. */
static mien_status drop_top(const keras_reader *r, mien_value *config, bool *fixed) {
    mien_value *layers = entry(config, "layers"), *outputs = entry(config, "output_layers");
    size_t before, all, count, have = 0;
    mien_value *last = last_feature(layers, &before, &all, &count);
    for (size_t i = 0; i < r->file.group_count; i++)
        have += r->file.groups[i].count > 0;
    *fixed = false;
    if (!last) return MIEN_OK;
    if (have != before || before == all) {
        *fixed = strcmp(mien_value_string(last->next, "class_name"), "Flatten") == 0;
        return MIEN_OK;
    }
    mien_value *name = outputs && outputs->first ? outputs->first->first : NULL;
    const char *output = mien_value_string(last, "name");
    if (!name || !output)
        return MIEN_FAIL(FORMAT, "%s: its architecture names no output", r->source);
    name->text = output;
    last->next = NULL;
    layers->last = last;
    layers->count = count;
    return MIEN_OK;
}

static void set_size(const keras_reader *r, mien_value *config) {
    const mien_model_options *o = r->options;
    mien_value *input = entry(entry(config, "layers")->first, "config");
    mien_value *shape = input ? entry(input, "batch_input_shape") : NULL;
    if (!o->height || !o->width || !shape || shape->count != 4) return;
    shape->first->next->number = o->height;
    shape->first->next->next->number = o->width;
}

/* An odd image is padded on both sides, an even one on one. Paddings that Keras's code computes
 * have names of its own, as block_1_pad; others (NASNet's) shift an image, and stay. */
void keras_known_padding(const keras_reader *r, const char *layer, int h, int w, int *sides) {
    if (!r->pads_by_size || !strstr(layer, "pad") || strstr(layer, "zero_padding")) return;
    if (h % 2 && sides[0] + 1 == sides[1]) sides[0] = sides[1];
    if (w % 2 && sides[2] + 1 == sides[3]) sides[2] = sides[3];
}

mien_status keras_known_fit(keras_reader *r, const char *name) {
    mien_value *config = entry(r->tree.root, "config");
    mien_value *layers = config ? entry(config, "layers") : NULL;
    if (!layers || !layers->first)
        return MIEN_FAIL(FORMAT, "%s: its architecture has no layers", r->source);
    bool fixed;
    MIEN_TRY(drop_top(r, config, &fixed));
    r->pads_by_size = keras_listed(pad_by_size, name);
    if (!fixed) set_size(r, config);
    return MIEN_OK;
}
