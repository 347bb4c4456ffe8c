/* Keras's model_config, written so that Keras 2 and Keras 3 can read it; only what Mien wrote is
 * read back. The layers' key tables use Keras's key names, so they serve both directions. */
#include <math.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/formats/model.h"

/* The layer that a node belongs to: an implicit node is part of the layer before it. */
static int layer_of(const mien_graph *graph, int node) {
    while (graph->nodes[node].implicit)
        node--;
    return node;
}

static void visit(const mien_graph *graph, int layer, int *index, int *next) {
    if (index[layer] >= 0) return;
    index[layer] = (*next)++;
    for (int k = 0; k < graph->nodes[layer].input_count; k++)
        visit(graph, layer_of(graph, graph->nodes[layer].inputs[k]), index, next);
}

/* Keras sorts layers by distance from the output (largest first), and ties by a depth-first walk
 * from the output; it assigns weights in that order, not by name. */
int mien_keras_order(const mien_graph *graph, int *order) {
    int depth[MIEN_NODES_MAX] = {0}, index[MIEN_NODES_MAX], next = 0, count = 0;
    for (int i = 0; i < graph->count; i++)
        index[i] = -1;
    visit(graph, layer_of(graph, graph->count - 1), index, &next);
    for (int i = graph->count - 1; i > 0; i--) {
        if (graph->nodes[i].implicit) continue;
        for (int k = 0; k < graph->nodes[i].input_count; k++) {
            int *before = &depth[layer_of(graph, graph->nodes[i].inputs[k])];
            if (depth[i] + 1 > *before) *before = depth[i] + 1;
        }
    }
    for (int i = 0; i < graph->count; i++) {
        if (graph->nodes[i].implicit) continue;
        int at = count++;
        while (at > 0 && (depth[order[at - 1]] < depth[i] ||
                          (depth[order[at - 1]] == depth[i] && index[order[at - 1]] > index[i]))) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    return count;
}

/* Keys that are written under another name: Keras 3 calls LeakyReLU's slope `negative_slope`, but
 * also reads Keras 2's `alpha`. */
static const struct {
    const char *layer, *key, *keras;
} other_names[] = {{"leaky_relu", "negative_slope", "alpha"}};
enum { OTHER_NAMES = sizeof other_names / sizeof other_names[0] };

static const char *keras_key(const mien_layer_def *def, const char *key) {
    for (int i = 0; i < OTHER_NAMES; i++)
        if (strcmp(def->name, other_names[i].layer) == 0 && strcmp(key, other_names[i].key) == 0)
            return other_names[i].keras;
    return key;
}

static const char *own_key(const mien_layer_def *def, const char *key) {
    for (int i = 0; i < OTHER_NAMES; i++)
        if (strcmp(def->name, other_names[i].layer) == 0 && strcmp(key, other_names[i].keras) == 0)
            return other_names[i].key;
    return key;
}

static void write_integers(const char *name, const int *items, int count, mien_json *json) {
    mien_json_open(json, name, '[');
    for (int i = 0; i < count; i++)
        mien_json_integer(json, NULL, items[i]);
    mien_json_close(json, ']');
}

/* Writes a word as null, and a whole number as an integer as long as doubles represent it exactly.
 */
static void write_number_or(const char *name, const mien_number_or *value, mien_json *json) {
    if (value->word >= 0)
        mien_json_null(json, name);
    else if (fabs(value->number) < 1e15 && value->number == floor(value->number))
        mien_json_integer(json, name, (long long)value->number);
    else
        mien_json_number(json, name, value->number);
}

static void write_key(const mien_layer_def *def, const mien_key *key, const void *owner,
                      mien_json *json) {
    const char *const name = keras_key(def, key->name);
    const void *from = (const char *)owner + key->offset;
    char word[64];
    switch (key->type) {
    case MIEN_KEY_BOOL:
        mien_json_bool(json, name, *(const bool *)from);
        break;
    case MIEN_KEY_INT:
        mien_json_integer(json, name, *(const int *)from);
        break;
    case MIEN_KEY_REAL:
        mien_json_number(json, name, *(const double *)from);
        break;
    case MIEN_KEY_TEXT:
        mien_json_string(json, name, from);
        break;
    case MIEN_KEY_CHOICE:
        mien_key_choice(key, *(const int *)from, word, sizeof word);
        mien_json_string(json, name, word);
        break;
    case MIEN_KEY_PAIR:
        if (((const int *)from)[0] < 0) /* Keras's None */
            mien_json_null(json, name);
        else
            write_integers(name, from, 2, json);
        break;
    case MIEN_KEY_NUMBER_OR:
        write_number_or(name, from, json);
        break;
    case MIEN_KEY_INTS:
        if (((const mien_ints *)from)->count)
            write_integers(name, ((const mien_ints *)from)->items, ((const mien_ints *)from)->count,
                           json);
        else
            mien_json_null(json, name);
        break;
    case MIEN_KEY_SIDES:
        mien_json_open(json, name, '[');
        write_integers(NULL, from, 2, json);
        write_integers(NULL, (const int *)from + 2, 2, json);
        mien_json_close(json, ']');
        break;
    case MIEN_KEY_REALS:
    case MIEN_KEY_TEXTS:
    case MIEN_KEY_LISTS:
        break; /* `inputs` is in inbound_nodes, and initial values of non-trained state are saved as
                  weights */
    }
}

static void write_inbound(const mien_graph *graph, const mien_node *node, mien_json *json) {
    mien_json_open(json, "inbound_nodes", '[');
    if (node->input_count) mien_json_open(json, NULL, '[');
    for (int k = 0; k < node->input_count; k++) {
        mien_json_open(json, NULL, '[');
        mien_json_string(json, NULL, graph->nodes[layer_of(graph, node->inputs[k])].name);
        mien_json_integer(json, NULL, 0);
        mien_json_integer(json, NULL, 0);
        mien_json_open(json, NULL, '{');
        mien_json_close(json, '}');
        mien_json_close(json, ']');
    }
    if (node->input_count) mien_json_close(json, ']');
    mien_json_close(json, ']');
}

/* `inputs` is in inbound_nodes; some weightless layers of Keras 3 reject `trainable`. */
static bool is_written(const mien_node *node, const char *key) {
    return strcmp(key, "inputs") != 0 && (node->param_count || strcmp(key, "trainable") != 0);
}

static void write_layer(const mien_graph *graph, const mien_node *node, mien_json *json) {
    mien_json_open(json, NULL, '{');
    mien_json_string(json, "class_name", node->def->class_name);
    mien_json_string(json, "name", node->name);
    mien_json_open(json, "config", '{');
    if (node->index == 0) {
        mien_json_open(json, "batch_input_shape", '['); /* the name that Keras 2 and 3 both read */
        mien_json_null(json, NULL);
        mien_json_integer(json, NULL, node->out.h);
        mien_json_integer(json, NULL, node->out.w);
        mien_json_integer(json, NULL, node->out.c);
        mien_json_close(json, ']');
        mien_json_string(json, "name", node->name);
    }
    mien_json_string(json, "dtype", "float32");
    for (size_t i = 0; node->index && i < node->def->keys.count; i++)
        if (is_written(node, node->def->keys.rows[i].name))
            write_key(node->def, &node->def->keys.rows[i], node->attrs, json);
    mien_json_close(json, '}');
    write_inbound(graph, node, json);
    mien_json_close(json, '}');
}

static void write_end(mien_json *json, const char *key, const char *layer) {
    mien_json_open(json, key, '[');
    mien_json_open(json, NULL, '[');
    mien_json_string(json, NULL, layer);
    mien_json_integer(json, NULL, 0);
    mien_json_integer(json, NULL, 0);
    mien_json_close(json, ']');
    mien_json_close(json, ']');
}

/* The layers `order`, [count] nodes. */
static void write_config(const mien_graph *graph, const int *order, int count, mien_text *out) {
    mien_json json = {.text = out};
    mien_json_open(&json, NULL, '{');
    mien_json_string(&json, "class_name", "Functional");
    mien_json_open(&json, "config", '{');
    mien_json_string(&json, "name", graph->name);
    mien_json_bool(&json, "trainable", true);
    mien_json_open(&json, "layers", '[');
    for (int i = 0; i < count; i++)
        write_layer(graph, &graph->nodes[order[i]], &json);
    mien_json_close(&json, ']');
    write_end(&json, "input_layers", graph->nodes[0].name);
    write_end(&json, "output_layers", graph->nodes[layer_of(graph, graph->count - 1)].name);
    mien_json_close(&json, '}');
    mien_json_close(&json, '}');
}

void mien_keras_write_config(const mien_graph *graph, mien_text *out) {
    int order[MIEN_NODES_MAX], count = 0;
    for (int i = 0; i < graph->count; i++)
        if (!graph->nodes[i].implicit) order[count++] = i;
    write_config(graph, order, count, out);
}

void mien_keras_write_sorted(const mien_graph *graph, mien_text *out) {
    int order[MIEN_NODES_MAX];
    write_config(graph, order, mien_keras_order(graph, order), out);
}

/* ---- reading ---- */

static mien_status unreadable(const char *source, const char *what) {
    return MIEN_FAIL(FORMAT,
                     "%s: model_config %s; this version reads only models written by "
                     "Mien",
                     source, what);
}

static mien_status read_input(const mien_value *layer, const char *source, mien_graph_io *io) {
    const mien_value *shape = mien_value_get(mien_value_get(layer, "config"), "batch_input_shape");
    const char *class_name = mien_value_string(layer, "class_name");
    if (!class_name || strcmp(class_name, "InputLayer") != 0 || !shape ||
        shape->kind != MIEN_VALUE_LIST || shape->count != 4)
        return unreadable(source, "does not begin with an image input");
    const mien_value *h = shape->first->next, *w = h->next, *c = w->next;
    if (h->kind != MIEN_VALUE_NUMBER || w->kind != MIEN_VALUE_NUMBER ||
        c->kind != MIEN_VALUE_NUMBER || h->number < 1 || h->number > 4096 || w->number < 1 ||
        w->number > 4096 || c->number < 1 || c->number > 4)
        return unreadable(source, "has an impossible input shape");
    *io = (mien_graph_io){(int)h->number, (int)w->number, (int)c->number, 0};
    return MIEN_OK;
}

/* Converts a layer's config to a map of our keys: drops Keras's own entries and takes `inputs` from
 * inbound_nodes. The map shares the values' content. */
static mien_status layer_keys(mien_tree *tree, const mien_value *layer, const mien_layer_def *def,
                              const char *source, mien_value **out) {
    const mien_value *config = mien_value_get(layer, "config");
    const mien_value *nodes = mien_value_get(layer, "inbound_nodes");
    mien_value *inputs;
    if (!config || config->kind != MIEN_VALUE_MAP)
        return unreadable(source, "has a layer without a config");
    MIEN_TRY(mien_tree_value(tree, MIEN_VALUE_MAP, out));
    MIEN_TRY(mien_tree_value(tree, MIEN_VALUE_LIST, &inputs));
    for (const mien_value *v = config->first; v; v = v->next) {
        const char *const key = own_key(def, v->key);
        if (!mien_keys_find(def->keys, key)) {
            if (strcmp(v->key, "dtype") == 0) continue;
            return MIEN_FAIL(
                FORMAT,
                "%s: layer '%s' (%s) has the key '%s', which this version does "
                "not support",
                source, mien_value_string(config, "name") ? mien_value_string(config, "name") : "?",
                def->class_name, v->key);
        }
        if (v->kind == MIEN_VALUE_NULL) continue; /* the default */
        mien_value *copy;
        MIEN_TRY(mien_tree_value(tree, v->kind, &copy));
        *copy = *v;
        copy->key = key;
        copy->next = NULL;
        MIEN_TRY(mien_tree_append(tree, *out, copy));
    }
    inputs->key = "inputs";
    const mien_value *list =
        nodes && nodes->kind == MIEN_VALUE_LIST && nodes->count == 1 ? nodes->first : NULL;
    for (const mien_value *v = list && list->kind == MIEN_VALUE_LIST ? list->first : NULL; v;
         v = v->next) {
        mien_value *name;
        if (v->kind != MIEN_VALUE_LIST || !v->first || v->first->kind != MIEN_VALUE_STRING)
            return unreadable(source, "connects its layers in an unknown way");
        MIEN_TRY(mien_tree_value(tree, MIEN_VALUE_STRING, &name));
        name->text = v->first->text;
        MIEN_TRY(mien_tree_append(tree, inputs, name));
    }
    if (!inputs->count) return unreadable(source, "has a layer without an input");
    return mien_tree_append(tree, *out, inputs);
}

static mien_status read_layers(const mien_value *layers, const char *source, mien_tree *scratch,
                               mien_graph *graph) {
    for (const mien_value *v = layers->first->next; v; v = v->next) {
        const char *class_name = mien_value_string(v, "class_name");
        const mien_layer_def *def = class_name ? mien_layer_find_class(class_name) : NULL;
        mien_value *keys;
        if (!def)
            return MIEN_FAIL(UNSUPPORTED,
                             "%s: layers of the class '%s' are not supported in this version",
                             source, class_name ? class_name : "?");
        MIEN_TRY(layer_keys(scratch, v, def, source, &keys));
        MIEN_TRY(mien_graph_append(graph, def, keys, source, 0, 0));
    }
    return mien_graph_finish(graph, source);
}

mien_status mien_keras_read_config(const mien_value *config, const char *source,
                                   mien_graph *graph) {
    const mien_value *body = mien_value_get(config, "config");
    const mien_value *layers = mien_value_get(body, "layers");
    mien_graph_io io = {0};
    mien_tree scratch;
    *graph = (mien_graph){0};
    if (!layers || layers->kind != MIEN_VALUE_LIST || layers->count < 2)
        return unreadable(source, "has no layers");
    MIEN_TRY(read_input(layers->first, source, &io));
    MIEN_TRY(mien_tree_start(&scratch, source));
    mien_status status = mien_graph_start(graph, mien_value_string(body, "name"), io);
    if (status == MIEN_OK) status = read_layers(layers, source, &scratch, graph);
    mien_tree_release(&scratch);
    return status;
}
