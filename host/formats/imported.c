#include "host/formats/imported.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"

/* Names in use, as a hash table of layer indices + 1, for networks of thousands of layers. */
enum { NAME_SLOTS = 4 * MIEN_NODES_MAX };
struct mien_import_names {
    int slots[NAME_SLOTS];
};

mien_status mien_import_start(mien_import *import, const char *source) {
    *import = (mien_import){.source = source};
    MIEN_TRY(mien_new(&import->names, 1, sizeof *import->names));
    return mien_tree_start(&import->tree, source);
}

void mien_import_release(mien_import *import) {
    for (int i = 0; i < import->count; i++)
        for (int k = 0; k < import->layers[i].param_count; k++)
            mien_free(import->layers[i].params[k].data);
    mien_free(import->layers);
    mien_free(import->names);
    mien_tree_release(&import->tree);
    *import = (mien_import){0};
}

static mien_status keep(mien_import *import, mien_status status) {
    if (status != MIEN_OK && import->status == MIEN_OK) {
        import->status = status;
        snprintf(import->message, sizeof import->message, "%s", mien_error_message());
    }
    return status;
}

/* ---- names ---- */

static unsigned hash(const char *text) {
    unsigned h = 2166136261u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 16777619u;
    return h;
}

/* The table's slot for a name: of its layer, or empty. */
static int *slot_of(const mien_import *import, const char *name) {
    unsigned at = hash(name) % NAME_SLOTS;
    while (import->names->slots[at] &&
           strcmp(import->layers[import->names->slots[at] - 1].name, name) != 0)
        at = (at + 1) % NAME_SLOTS;
    return &import->names->slots[at];
}

/* Keeps letters, digits and _ . -; of a long name the end, which tells more. */
static void clean_name(const char *def, const char *name, char *out) {
    enum { MOST = MIEN_NAME - 8 };
    const size_t length = strlen(name);
    size_t n = 0;
    for (const char *p = length > MOST ? name + length - MOST : name; *p; p++) {
        const bool plain = isalnum((unsigned char)*p) || *p == '.' || *p == '-' || *p == '_';
        if (plain || n) out[n++] = plain ? *p : '_';
    }
    out[n] = 0;
    if (!n || strcmp(out, "input") == 0) snprintf(out, MIEN_NAME, "%s", def);
}

static void set_name(mien_import *import, mien_import_layer *layer, const char *wanted) {
    char base[MIEN_NAME];
    clean_name(layer->def, wanted ? wanted : "", base);
    snprintf(layer->name, MIEN_NAME, "%s", base);
    for (int i = 1; *slot_of(import, layer->name) != 0; i++)
        snprintf(layer->name, MIEN_NAME, "%.*s_%d", MIEN_NAME - 16, base, i);
    *slot_of(import, layer->name) = (int)(layer - import->layers) + 1;
}

/* ---- layers ---- */

static mien_status add(mien_import *import, const char *def, const char *name, const int *inputs,
                       int input_count, int *layer) {
    if (import->count == MIEN_NODES_MAX - 1)
        return MIEN_FAIL(UNSUPPORTED, "%s: the network needs more than %d layers", import->source,
                         MIEN_NODES_MAX);
    if (input_count > MIEN_INPUTS_MAX)
        return MIEN_FAIL(UNSUPPORTED, "%s: a layer can have at most %d inputs", import->source,
                         MIEN_INPUTS_MAX);
    MIEN_TRY(mien_grow(&import->layers, &import->capacity, (size_t)import->count + 1,
                       sizeof *import->layers));
    mien_import_layer *l = &import->layers[import->count];
    *l = (mien_import_layer){.def = def, .input_count = input_count};
    memcpy(l->inputs, inputs, sizeof *inputs * (size_t)input_count);
    MIEN_TRY(mien_tree_value(&import->tree, MIEN_VALUE_MAP, &l->keys));
    set_name(import, l, name);
    *layer = import->count++;
    mien_import_text(import, *layer, "name", l->name);
    return MIEN_OK;
}

mien_status mien_import_add(mien_import *import, const char *def, const char *name,
                            const int *inputs, int input_count, int *layer) {
    return keep(import, add(import, def, name, inputs, input_count, layer));
}

/* ---- keys ---- */

static mien_value *new_value(mien_import *import, mien_value *parent, mien_value_kind kind,
                             const char *key) {
    mien_value *value;
    if (!parent || keep(import, mien_tree_value(&import->tree, kind, &value)) != MIEN_OK)
        return NULL;
    value->key = key;
    return keep(import, mien_tree_append(&import->tree, parent, value)) == MIEN_OK ? value : NULL;
}

static void add_number(mien_import *import, mien_value *parent, const char *key, double number) {
    mien_value *value = new_value(import, parent, MIEN_VALUE_NUMBER, key);
    if (value) value->number = number;
}

void mien_import_number(mien_import *import, int layer, const char *key, double value) {
    add_number(import, import->layers[layer].keys, key, value);
}

void mien_import_bool(mien_import *import, int layer, const char *key, bool value) {
    mien_value *v = new_value(import, import->layers[layer].keys, MIEN_VALUE_BOOL, key);
    if (v) v->number = value;
}

void mien_import_replace_bool(mien_import *import, int layer, const char *key, bool value) {
    for (mien_value *v = import->layers[layer].keys->first; v; v = v->next)
        if (strcmp(v->key, key) == 0) v->number = value;
}

static void add_text(mien_import *import, mien_value *parent, const char *key, const char *text) {
    mien_value *v = new_value(import, parent, MIEN_VALUE_STRING, key);
    if (v) keep(import, mien_tree_text(&import->tree, text, strlen(text), &v->text));
}

void mien_import_text(mien_import *import, int layer, const char *key, const char *value) {
    add_text(import, import->layers[layer].keys, key, value);
}

void mien_import_numbers(mien_import *import, int layer, const char *key, const int *values,
                         int count) {
    mien_value *list = new_value(import, import->layers[layer].keys, MIEN_VALUE_LIST, key);
    for (int i = 0; list && i < count; i++)
        add_number(import, list, NULL, values[i]);
}

void mien_import_sides(mien_import *import, int layer, const char *key, int top, int bottom,
                       int left, int right) {
    mien_value *list = new_value(import, import->layers[layer].keys, MIEN_VALUE_LIST, key);
    const int sides[2][2] = {{top, bottom}, {left, right}};
    for (int i = 0; i < 2; i++) {
        mien_value *pair = list ? new_value(import, list, MIEN_VALUE_LIST, NULL) : NULL;
        add_number(import, pair, NULL, sides[i][0]);
        add_number(import, pair, NULL, sides[i][1]);
    }
}

void mien_import_param(mien_import *import, int layer, const char *name, float *data,
                       size_t count) {
    mien_import_layer *l = &import->layers[layer];
    import->bytes += count * sizeof *data;
    if (import->bytes_most && import->bytes > import->bytes_most) {
        mien_free(data);
        keep(import,
             MIEN_FAIL(UNSUPPORTED,
                       "%s: its layers have more weights than the file holds: too many share "
                       "them",
                       import->source));
        return;
    }
    if (l->param_count == MIEN_PARAMS_MAX) {
        mien_free(data);
        keep(import,
             MIEN_FAIL(FORMAT, "%s: layer '%s' has too many weights", import->source, l->name));
        return;
    }
    l->params[l->param_count++] = (struct mien_import_param){name, data, count};
}

/* ---- building ---- */

static mien_status describe(mien_import *import, int output, mien_value **root) {
    mien_value *layers, *entry;
    char stem[MIEN_NAME], name[MIEN_NAME];
    mien_path_stem(stem, sizeof stem, import->source);
    clean_name("model", stem, name);
    MIEN_TRY(mien_tree_value(&import->tree, MIEN_VALUE_MAP, root));
    add_text(import, *root, "name", name);
    MIEN_TRY(mien_tree_value(&import->tree, MIEN_VALUE_LIST, &layers));
    layers->key = "layers";
    for (int i = output; i >= 0; i--) { /* inputs come before the layers that read them */
        mien_import_layer *l = &import->layers[i];
        l->needed |= i == output;
        for (int k = 0; l->needed && k < l->input_count; k++)
            if (l->inputs[k] >= 0) import->layers[l->inputs[k]].needed = true;
    }
    for (int i = 0; i <= output; i++) {
        mien_import_layer *l = &import->layers[i];
        if (!l->needed) continue;
        mien_value *inputs = new_value(import, l->keys, MIEN_VALUE_LIST, "inputs");
        for (int k = 0; inputs && k < l->input_count; k++)
            add_text(import, inputs, NULL,
                     l->inputs[k] < 0 ? "input" : import->layers[l->inputs[k]].name);
        MIEN_TRY(mien_tree_value(&import->tree, MIEN_VALUE_MAP, &entry));
        l->keys->key = l->def;
        MIEN_TRY(mien_tree_append(&import->tree, entry, l->keys));
        MIEN_TRY(mien_tree_append(&import->tree, layers, entry));
    }
    return mien_tree_append(&import->tree, *root, layers);
}

/* The values change their owner. */
static mien_status take_param(const mien_import *import, mien_import_layer *l, int node, int k,
                              mien_model *model) {
    const mien_param *p = &model->graph.nodes[node].params[k];
    const size_t count = mien_shape_count(p->shape);
    for (int i = 0; i < l->param_count; i++) {
        if (strcmp(l->params[i].name, p->name) != 0) continue;
        if (l->params[i].count != count)
            return MIEN_FAIL(FORMAT,
                             "%s: layer '%s': its %s has %zu values in the file, but %zu in the "
                             "network",
                             import->source, l->name, p->name, l->params[i].count, count);
        if (!mien_all_finite(l->params[i].data, count))
            return MIEN_FAIL(FORMAT, "%s: layer '%s': its %s has a value that is not finite",
                             import->source, l->name, p->name);
        mien_weights_take(&model->weights, node, k, &l->params[i].data);
        return MIEN_OK;
    }
    return MIEN_FAIL(FORMAT, "%s: layer '%s': its %s is missing in the file", import->source,
                     l->name, p->name);
}

static mien_status take_weights(const mien_import *import, mien_model *model) {
    for (int i = 0; i < import->count; i++) {
        mien_import_layer *l = &import->layers[i];
        if (!l->needed) continue;
        const int node = mien_graph_find(&model->graph, l->name);
        int declared = 0;
        for (int n = node; n < mien_layer_end(&model->graph, node); n++)
            for (int k = 0; k < model->graph.nodes[n].param_count; k++, declared++)
                MIEN_TRY(take_param(import, l, n, k, model));
        if (declared != l->param_count)
            return MIEN_FAIL(FORMAT,
                             "%s: layer '%s' has %d weights in the file, but %d in the "
                             "network",
                             import->source, l->name, l->param_count, declared);
    }
    return MIEN_OK;
}

mien_status mien_import_failure(const mien_import *import) {
    return import->status == MIEN_OK
               ? MIEN_OK
               : mien_fail(import->status, __FILE__, __LINE__, "%s", import->message);
}

mien_status mien_import_build(mien_import *import, int output, mien_graph_io io,
                              mien_model *model) {
    mien_value *root;
    if (import->status == MIEN_OK) keep(import, describe(import, output, &root));
    MIEN_TRY(mien_import_failure(import));
    MIEN_TRY(mien_graph_parse(root, import->source, io, &model->graph));
    MIEN_TRY(mien_weights_zeros(&model->graph, &model->weights));
    return take_weights(import, model);
}

mien_status mien_import_leftovers(const char *source, const mien_import_weight *weights,
                                  size_t count) {
    enum { SHOWN = 5 };
    mien_text names = {0};
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        if (weights[i].uses || weights[i].ignored) continue;
        if (left++ < SHOWN)
            mien_text_printf(&names, "%s'%.*s'", left > 1 ? ", " : "",
                             weights[i].length > 100 ? 100 : weights[i].length, weights[i].name);
    }
    mien_status status = MIEN_OK;
    if (left)
        status = MIEN_FAIL(FORMAT, "%s: %zu of its %zu weights are used by no layer: %s%s", source,
                           left, count, names.data ? names.data : "?", left > SHOWN ? ", …" : "");
    mien_text_release(&names);
    return status;
}
