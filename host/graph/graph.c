#include "host/graph/graph.h"

#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/yaml.h"

int mien_graph_find(const mien_graph *graph, const char *name) {
    for (int i = 0; i < graph->count; i++)
        if (strcmp(graph->nodes[i].name, name) == 0) return i;
    return -1;
}

static mien_layer_common *common_of(const mien_node *node) {
    return node->attrs;
}

static mien_status add_node(mien_graph *graph, const mien_layer_def *def, mien_node **out) {
    if (graph->count == MIEN_NODES_MAX)
        return MIEN_FAIL(UNSUPPORTED, "a model can have at most %d layers", MIEN_NODES_MAX);
    MIEN_TRY(
        mien_grow(&graph->nodes, &graph->capacity, (size_t)graph->count + 1, sizeof *graph->nodes));
    mien_node *node = &graph->nodes[graph->count];
    *node = (mien_node){.def = def, .index = graph->count, .out = {1, 1, 1, 1}};
    MIEN_TRY(mien_new(&node->attrs, 1, def->attr_bytes));
    graph->count++;
    node->name = common_of(node)->name; /* attrs stays put when the node list is reallocated */
    *out = node;
    return mien_keys_defaults(def->keys, node->attrs);
}

/* Keras's default names: conv2d, conv2d_1, conv2d_2, … */
static void default_name(mien_graph *graph, mien_node *node) {
    char *name = common_of(node)->name;
    int same = 0;
    for (int i = 0; i < node->index; i++)
        same += graph->nodes[i].def == node->def && !graph->nodes[i].implicit;
    snprintf(name, MIEN_NAME, same ? "%s_%d" : "%s", node->def->name, same);
    for (int i = same + 1; mien_graph_find(graph, name) != node->index; i++)
        snprintf(name, MIEN_NAME, "%s_%d", node->def->name, i);
}

/* Resolves the names of the node's inputs and takes over their shapes. */
static mien_status connect(mien_graph *graph, mien_node *node) {
    const mien_texts *inputs = &common_of(node)->inputs;
    node->input_count = inputs->count ? (int)inputs->count : 1;
    if (node->input_count > MIEN_INPUTS_MAX)
        return MIEN_FAIL(UNSUPPORTED, "a layer can have at most %d inputs", MIEN_INPUTS_MAX);
    if (!inputs->count) node->inputs[0] = node->index - 1;
    for (size_t i = 0; i < inputs->count; i++) {
        const int from = mien_graph_find(graph, inputs->items[i]);
        if (from < 0 || from >= node->index) {
            const char *names[256];
            size_t n = 0;
            for (int k = 0; k < node->index && n < 256; k++)
                if (!graph->nodes[k].implicit) names[n++] = graph->nodes[k].name;
            const char *near = mien_nearest(inputs->items[i], names, n);
            return MIEN_FAIL(NOT_FOUND, "input '%s' is not a layer before it%s%s%s",
                             inputs->items[i], near ? "; did you mean '" : "", near ? near : "",
                             near ? "'?" : "");
        }
        /* the name of a layer with a tail or an `activation` key stands for the output after them
         */
        node->inputs[i] = from;
        while (node->inputs[i] + 1 < node->index && graph->nodes[node->inputs[i] + 1].implicit)
            node->inputs[i]++;
    }
    if (node->input_count < node->def->min_inputs || node->input_count > node->def->max_inputs)
        return MIEN_FAIL(INVALID, "it has %d inputs; %s takes %d%s", node->input_count,
                         node->def->name, node->def->min_inputs,
                         node->def->max_inputs > node->def->min_inputs ? " or more" : "");
    for (int i = 0; i < node->input_count; i++)
        node->in[i] = graph->nodes[node->inputs[i]].out;
    return MIEN_OK;
}

/* Of an output for one sample, and of a parameter: a model file beyond it is broken or hostile. */
enum { ELEMENTS_MAX = 1 << 28 };

static mien_status infer(mien_graph *graph, mien_node *node) {
    MIEN_TRY(connect(graph, node));
    node->flat = graph->nodes[node->inputs[0]].flat;
    for (int i = 1; i < node->input_count; i++)
        if (graph->nodes[node->inputs[i]].flat != node->flat)
            return MIEN_FAIL(INVALID,
                             "it mixes flat inputs and images: use keepdims: true on a global "
                             "pooling");
    MIEN_TRY(node->def->infer(node, node->in, &node->out, &node->flat));
    node->out.n = 1;
    if ((double)node->out.h * node->out.w * node->out.c > ELEMENTS_MAX)
        return MIEN_FAIL(INVALID, "its output of %dx%dx%d is too large", node->out.h, node->out.w,
                         node->out.c);
    if (node->def->declare) node->def->declare(node, node->in);
    for (int i = 0; i < node->param_count; i++) {
        const mien_shape s = node->params[i].shape;
        if ((double)s.n * s.h * s.w * s.c > ELEMENTS_MAX)
            return MIEN_FAIL(INVALID, "its %s of %dx%dx%dx%d is too large", node->params[i].name,
                             s.n, s.h, s.w, s.c);
    }
    return MIEN_OK;
}

mien_status mien_graph_start(mien_graph *graph, const char *name, mien_graph_io io) {
    *graph = (mien_graph){0};
    snprintf(graph->name, sizeof graph->name, "%s", name ? name : "model");
    if (io.height < 1 || io.width < 1 || io.channels < 1)
        return MIEN_FAIL(INVALID, "the input must have height, width and channels");
    mien_node *node;
    MIEN_TRY(add_node(graph, mien_layer_find("input"), &node));
    strcpy(common_of(node)->name, "input");
    node->out = (mien_shape){1, io.height, io.width, io.channels};
    return MIEN_OK;
}

/* Adds an implicit node after the last one, named "<layer>/<part>". */
static mien_status add_implicit(mien_graph *graph, const mien_layer_def *def, const char *part,
                                mien_node **out) {
    MIEN_TRY(add_node(graph, def, out));
    mien_node *node = *out;
    const mien_node *before = node - 1;
    const size_t length = strlen(part) + 2;
    snprintf(common_of(node)->name, MIEN_NAME, "%.*s/%s", (int)(MIEN_NAME - length), before->name,
             part);
    common_of(node)->trainable = common_of(before)->trainable;
    node->implicit = true;
    return MIEN_OK;
}

/* Turns a layer's `activation` key into a separate node. */
static mien_status append_activation(mien_graph *graph, int activation) {
    mien_node *node;
    const mien_layer_def *def = mien_layer_find("activation");
    MIEN_TRY(add_implicit(graph, def, "activation", &node));
    const mien_key *key = mien_keys_find(def->keys, "activation");
    *(int *)((char *)node->attrs + key->offset) = activation;
    return infer(graph, node);
}

static mien_status append_tail(mien_graph *graph, const mien_layer_def *def) {
    mien_node *node;
    MIEN_TRY(add_implicit(graph, def->tail, def->tail->name, &node));
    if (mien_graph_find(graph, node->name) != node->index)
        return MIEN_FAIL(INVALID,
                         "its name is too long: its second part would be named '%s', which exists",
                         node->name);
    def->init_tail((node - 1)->attrs, node->attrs);
    return infer(graph, node);
}

static mien_status read_keys(mien_node *node, const mien_value *attrs, const char *source, int line,
                             int classes) {
    bool seen[64] = {false};
    const mien_keys keys = node->def->keys;
    if (attrs) MIEN_TRY(mien_keys_read(keys, node->attrs, attrs, source, seen));
    for (size_t i = 0; i < keys.count; i++)
        if (!keys.rows[i].fallback && !seen[i])
            return MIEN_FAIL(INVALID, "%s:%d: the key '%s' is missing (%s)", source, line,
                             keys.rows[i].name, keys.rows[i].doc);
    const mien_key *units = mien_keys_find(keys, "units");
    mien_number_or *count = units ? (void *)((char *)node->attrs + units->offset) : NULL;
    if (count && count->word == 0) {
        if (classes < 1)
            return MIEN_FAIL(INVALID,
                             "%s:%d: 'units: classes' needs a data set: give a number instead",
                             source, line);
        *count = (mien_number_or){-1, classes};
    }
    return MIEN_OK;
}

mien_status mien_graph_append(mien_graph *graph, const mien_layer_def *def, const mien_value *attrs,
                              const char *source, int line, int classes) {
    mien_node *node;
    MIEN_TRY(add_node(graph, def, &node));
    mien_status status = read_keys(node, attrs, source, line, classes);
    if (node->name[0] == 0) {
        default_name(graph, node); /* also after a failure: the message names the layer */
    } else if (status == MIEN_OK && mien_graph_find(graph, node->name) != node->index) {
        status = MIEN_FAIL(INVALID, "%s:%d: two layers are named '%s'", source, line, node->name);
    }
    if (status == MIEN_OK && strchr(node->name, '/'))
        status = MIEN_FAIL(INVALID, "%s:%d: a layer's name must not contain '/'", source, line);
    if (status == MIEN_OK) {
        status = infer(graph, node);
        if (status != MIEN_OK) mien_fail_context(status, "%s:%d", source, line);
    }
    if (status != MIEN_OK)
        return mien_fail_context(status, "layer %d '%s' (%s)", graph->count - 1, node->name,
                                 def->name);
    const int activation = def->activates ? BODY_LINEAR : mien_node_activation(node);
    if (def->tail && (status = append_tail(graph, def)) != MIEN_OK)
        return mien_fail_context(status, "%s:%d: layer %d (%s)", source, line, graph->count - 2,
                                 def->name);
    return activation == BODY_LINEAR ? MIEN_OK : append_activation(graph, activation);
}

mien_status mien_graph_finish(mien_graph *graph, const char *source) {
    const mien_node *last = &graph->nodes[graph->count - 1];
    if (graph->count < 2) return MIEN_FAIL(INVALID, "%s: the model has no layers", source);
    float alpha;
    const int ends = last->def->activates && last->flat ? last->def->activates(last, &alpha) : -1;
    graph->raw = ends == BODY_LINEAR;
    if (ends != BODY_SOFTMAX && !graph->raw)
        return MIEN_FAIL(INVALID,
                         "%s: the last layer must end in a softmax over the classes, e.g. "
                         "dense: {units: classes, activation: softmax}",
                         source);
    if (last->out.c < 2 && !graph->raw)
        return MIEN_FAIL(INVALID,
                         "%s: a classifier needs at least two classes, the last layer has "
                         "%d output",
                         source, last->out.c);
    bool used[MIEN_NODES_MAX] = {false};
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].input_count; k++)
            used[graph->nodes[i].inputs[k]] = true;
    for (int i = 0; i < graph->count - 1; i++)
        if (!used[i])
            return MIEN_FAIL(INVALID, "%s: nothing reads the output of layer '%s'", source,
                             graph->nodes[i].name);
    graph->logits = last->inputs[0];
    graph->classes = last->out.c;
    return MIEN_OK;
}

static mien_status parse_layer(mien_graph *graph, const mien_value *entry, const char *source,
                               int classes) {
    const char *name = entry->text;
    const mien_value *attrs = NULL;
    if (entry->kind == MIEN_VALUE_MAP && entry->count == 1) {
        name = entry->first->key;
        attrs = entry->first;
    } else if (entry->kind != MIEN_VALUE_STRING) {
        return MIEN_FAIL(FORMAT, "%s:%d: a layer must be written as 'name' or 'name: {keys}'",
                         source, entry->line);
    }
    const mien_layer_def *def = mien_layer_find(name);
    if (!def || strcmp(name, "input") == 0) {
        const char *names[64];
        size_t count, n = 0;
        const mien_layer_def *const *table = mien_layers(&count);
        for (size_t i = 1; i < count && n < 64; i++)
            names[n++] = table[i]->name;
        const char *near = mien_nearest(name, names, n);
        return MIEN_FAIL(NOT_FOUND, "%s:%d: unknown layer '%s'%s%s%s", source, entry->line, name,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return mien_graph_append(graph, def, attrs, source, entry->line, classes);
}

mien_status mien_graph_parse(const mien_value *root, const char *source, mien_graph_io io,
                             mien_graph *graph) {
    *graph = (mien_graph){0};
    for (const mien_value *v = root->kind == MIEN_VALUE_MAP ? root->first : NULL; v; v = v->next)
        if (strcmp(v->key, "name") != 0 && strcmp(v->key, "layers") != 0)
            return MIEN_FAIL(INVALID,
                             "%s:%d: unknown key '%s'; a model file has 'name' and "
                             "'layers'",
                             source, v->line, v->key);
    const mien_value *layers = mien_value_get(root, "layers");
    if (!layers || layers->kind != MIEN_VALUE_LIST)
        return MIEN_FAIL(FORMAT, "%s: a model file needs a list 'layers'", source);
    MIEN_TRY(mien_graph_start(graph, mien_value_string(root, "name"), io));
    for (const mien_value *v = layers->first; v; v = v->next)
        MIEN_TRY(parse_layer(graph, v, source, io.classes));
    return mien_graph_finish(graph, source);
}

mien_status mien_graph_read(const char *path, mien_graph_io io, mien_graph *graph) {
    mien_tree tree;
    *graph = (mien_graph){0};
    mien_status status = mien_yaml_read(path, &tree);
    if (status == MIEN_OK) status = mien_graph_parse(tree.root, path, io, graph);
    mien_tree_release(&tree);
    return status;
}

void mien_graph_cut(mien_graph *graph, int first) {
    while (graph->count > first) {
        const mien_node *node = &graph->nodes[--graph->count];
        if (node->attrs) mien_keys_release(node->def->keys, node->attrs);
        mien_free(node->attrs);
    }
}

void mien_graph_release(mien_graph *graph) {
    mien_graph_cut(graph, 0);
    mien_free(graph->nodes);
    *graph = (mien_graph){0};
}
