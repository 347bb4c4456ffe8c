/* The architecture: models, nested models and their layers, in the forms of Keras 1 to 3. */
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/formats/keras.h"

static mien_status parse_net(keras_reader *r, const mien_value *entry, const char *class_name,
                             int depth, keras_net **out);

void keras_net_release(keras_net *net) {
    if (!net) return;
    for (int i = 0; i < net->count; i++)
        keras_net_release(net->layers[i].net);
    mien_free(net->layers);
    mien_free(net);
}

static mien_status damaged(const keras_reader *r, const char *what) {
    return MIEN_FAIL(FORMAT, "%s: its architecture %s", r->source, what);
}

static bool is_net(const char *class_name) {
    return keras_listed("Sequential|Model|Functional|Graph", class_name);
}

/* "keras.layers>Conv2D" and the like: the part after the package. */
static const char *plain_class(const char *class_name) {
    const char *at = strrchr(class_name, '>');
    return at && at[1] ? at + 1 : class_name;
}

static mien_status unknown_class(const keras_reader *r, const keras_layer *layer) {
    return MIEN_FAIL(UNSUPPORTED, "%s: layer '%s': layers of the class '%s' are not supported",
                     r->source, layer->name, layer->class_name);
}

static bool is_true(const mien_value *v) {
    return !v || v->kind != MIEN_VALUE_BOOL || v->number != 0;
}

/* Classes of operators may have the names of layers ("Add"), but other settings. */
static bool is_operation(const mien_value *entry) {
    const char *module = mien_value_string(entry, "module");
    return module && (strstr(module, ".ops") != NULL);
}

static mien_status parse_layer(keras_reader *r, const mien_value *entry, int depth,
                               keras_layer *layer) {
    const char *class_name = mien_value_string(entry, "class_name");
    const mien_value *config = mien_value_get(entry, "config");
    if (!class_name || !config) return damaged(r, "has a layer without class_name or config");
    if (++r->layer_total > MIEN_NODES_MAX)
        return MIEN_FAIL(UNSUPPORTED, "%s: it has more than %d layers", r->source, MIEN_NODES_MAX);
    const char *name = mien_value_string(entry, "name");
    if (!name) name = mien_value_string(config, "name");
    *layer = (keras_layer){.class_name = plain_class(class_name),
                           .name = name ? name : "",
                           .config = config->kind == MIEN_VALUE_MAP ? config : NULL,
                           .inbound = mien_value_get(entry, "inbound_nodes"),
                           .operation = is_operation(entry)};
    layer->trainable =
        is_true(mien_value_get(config, "trainable")) && is_true(mien_value_get(entry, "trainable"));
    if (is_net(layer->class_name)) {
        MIEN_TRY(parse_net(r, entry, layer->class_name, depth + 1, &layer->net));
        if (!name) layer->name = layer->net->name;
        return MIEN_OK;
    }
    layer->kind = keras_class_find(layer->class_name);
    if (!layer->kind) return unknown_class(r, layer);
    if (!layer->config) return damaged(r, "has a layer without a config");
    return keras_check_keys(r, layer);
}

/* A functional model lists the calls of each layer. */
static mien_status count_calls(keras_reader *r, keras_net *net) {
    for (int i = 0; i < net->count; i++) {
        keras_layer *l = &net->layers[i];
        const mien_value *calls = l->inbound;
        l->first_call = net->calls;
        l->calls = 1;
        if (!net->sequential && calls && calls->kind == MIEN_VALUE_LIST && calls->count)
            l->calls = calls->count > MIEN_NODES_MAX ? MIEN_NODES_MAX : (int)calls->count;
        if (!net->sequential && calls && calls->kind == MIEN_VALUE_LIST && !calls->count &&
            strcmp(l->class_name, "InputLayer") != 0)
            l->calls = 0;
        net->calls += l->calls;
        if (net->calls > MIEN_NODES_MAX)
            return MIEN_FAIL(UNSUPPORTED, "%s: it calls layers more than %d times", r->source,
                             MIEN_NODES_MAX);
    }
    return MIEN_OK;
}

static mien_status parse_net(keras_reader *r, const mien_value *entry, const char *class_name,
                             int depth, keras_net **out) {
    const mien_value *config = mien_value_get(entry, "config");
    const mien_value *layers = config && config->kind == MIEN_VALUE_LIST ? config
                               : entry->kind == MIEN_VALUE_LIST          ? entry
                                                                : mien_value_get(config, "layers");
    keras_net *net;
    if (depth > KERAS_DEPTH_MAX) return damaged(r, "nests models too deeply");
    if (!layers || layers->kind != MIEN_VALUE_LIST || !layers->count)
        return damaged(r, "has a model without layers");
    if (layers->count > MIEN_NODES_MAX)
        return MIEN_FAIL(UNSUPPORTED, "%s: it has %zu layers; at most %d are supported", r->source,
                         layers->count, MIEN_NODES_MAX);
    MIEN_TRY(mien_new(out, 1, sizeof **out));
    net = *out;
    net->sequential = strcmp(class_name, "Sequential") == 0;
    net->name = mien_value_string(config, "name");
    if (!net->name) net->name = mien_value_string(entry, "name");
    if (!net->name) net->name = "model";
    net->shape = mien_value_get(config, "build_input_shape");
    if (!net->shape)
        net->shape = mien_value_get(mien_value_get(entry, "build_config"), "input_shape");
    if (!net->shape)
        net->shape = mien_value_get(mien_value_get(layers->first, "build_config"), "input_shape");
    net->inputs = mien_value_get(config, "input_layers");
    net->outputs = mien_value_get(config, "output_layers");
    MIEN_TRY(mien_new(&net->layers, layers->count, sizeof *net->layers));
    for (const mien_value *v = layers->first; v; v = v->next)
        MIEN_TRY(parse_layer(r, v, depth, &net->layers[net->count++]));
    if (!net->sequential && (!net->inputs || !net->outputs))
        return damaged(r, "has a model without input_layers or output_layers");
    return count_calls(r, net);
}

mien_status keras_net_parse(keras_reader *r, const mien_value *root, keras_net **out) {
    const char *class_name = mien_value_string(root, "class_name");
    *out = NULL;
    if (root && root->kind == MIEN_VALUE_LIST) return parse_net(r, root, "Sequential", 0, out);
    if (!class_name) {
        /* also {"config": {"class_name": …}} and {"model_config": …} */
        const char *const inner[] = {"config", "model_config", "model"};
        for (int i = 0; i < 3; i++) {
            const mien_value *v = mien_value_get(root, inner[i]);
            if (mien_value_string(v, "class_name")) return keras_net_parse(r, v, out);
        }
        return damaged(r, "is not one of Keras: it has no class_name");
    }
    class_name = plain_class(class_name);
    if (!is_net(class_name))
        return MIEN_FAIL(UNSUPPORTED,
                         "%s: the model is of the class '%s', whose code is not in the file; only "
                         "Sequential and functional models are supported",
                         r->source, class_name);
    return parse_net(r, root, class_name, 0, out);
}

static const mien_value *shape_in(const keras_layer *layer) {
    const mien_value *v = layer->config ? keras_get(layer, "batch_input_shape|batch_shape") : NULL;
    return v && v->kind == MIEN_VALUE_LIST ? v : NULL;
}

/* The first of the layers that an input reference names. */
static const char *first_name(const mien_value *refs) {
    while (refs && (refs->kind == MIEN_VALUE_LIST || refs->kind == MIEN_VALUE_MAP))
        refs = refs->first;
    return refs && refs->kind == MIEN_VALUE_STRING ? refs->text : NULL;
}

const mien_value *keras_net_input(const keras_net *net) {
    const char *name = net->sequential ? NULL : first_name(net->inputs);
    for (int i = 0; i < net->count; i++) {
        const keras_layer *l = &net->layers[i];
        if (name && strcmp(l->name, name) != 0) continue;
        const mien_value *own = l->net ? keras_net_input(l->net) : shape_in(l);
        return own ? own : net->shape;
    }
    return net->shape;
}

int keras_net_roles(const keras_net *net) {
    const char *roles[KERAS_PARAMS_MAX];
    int count = 0;
    for (int i = 0; i < net->count; i++) {
        const keras_layer *l = &net->layers[i];
        if (l->net)
            count += keras_net_roles(l->net);
        else if (l->kind->roles)
            count += l->kind->roles(l, roles);
    }
    return count;
}
