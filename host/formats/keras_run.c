/* Follows the image through the layers of a network. A functional network lists its layers in any
 * order, so those whose inputs are known are converted until none is left. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/formats/keras.h"

typedef struct result {
    keras_value items[KERAS_OUTPUTS_MAX];
    int count; /* 0: not known yet */
} result;

typedef struct walk {
    keras_reader *r;
    keras_net *net;
    result *results;
    int depth;
} walk;

/* ---- references ---- */

static keras_layer *find_layer(keras_net *net, const char *name) {
    for (int i = 0; i < net->count; i++)
        if (strcmp(net->layers[i].name, name) == 0) return &net->layers[i];
    return NULL;
}

/* ["name", call, tensor, …] */
static bool is_ref(const mien_value *v) {
    return v && v->kind == MIEN_VALUE_LIST && v->count >= 2 &&
           v->first->kind == MIEN_VALUE_STRING && v->first->next->kind == MIEN_VALUE_NUMBER;
}

static const mien_value *history(const mien_value *v) {
    const char *class_name = mien_value_string(v, "class_name");
    if (!class_name || strcmp(class_name, "__keras_tensor__") != 0) return NULL;
    const mien_value *ref = mien_value_get(mien_value_get(v, "config"), "keras_history");
    return is_ref(ref) ? ref : NULL;
}

/* Nested models count their calls from 1, as their own definition is the first, but some versions
 * count from 0. */
static void note_bases(keras_net *net, const mien_value *v) {
    if (is_ref(v)) {
        keras_layer *l = find_layer(net, v->first->text);
        if (l && l->net && v->first->next->number == 0) l->base = 0;
    }
    for (const mien_value *c =
             v && (v->kind == MIEN_VALUE_LIST || v->kind == MIEN_VALUE_MAP) ? v->first : NULL;
         c; c = c->next)
        note_bases(net, c);
}

static mien_status resolve(const walk *w, const mien_value *ref, const keras_layer *reader,
                           const keras_value **out) {
    const keras_layer *l = find_layer(w->net, ref->first->text);
    const mien_value *third = ref->first->next->next;
    const double call = ref->first->next->number;
    const double tensor = third && third->kind == MIEN_VALUE_NUMBER ? third->number : 0;
    *out = NULL;
    if (!l)
        return MIEN_FAIL(FORMAT, "%s: layer '%s' reads '%s', which is no layer of its model",
                         w->r->source, reader ? reader->name : w->net->name, ref->first->text);
    const double index = l->calls == 1 ? 0 : call - l->base;
    if (!(index >= 0 && index < l->calls) || !(tensor >= 0 && tensor < KERAS_OUTPUTS_MAX))
        return MIEN_FAIL(FORMAT,
                         "%s: layer '%s' reads output %g of call %g of '%s', which it has not",
                         w->r->source, reader ? reader->name : w->net->name, tensor, call, l->name);
    const result *found = &w->results[l->first_call + (int)index];
    if (!found->count) return MIEN_OK;
    if ((int)tensor >= found->count)
        return MIEN_FAIL(FORMAT, "%s: '%s' has no output %g", w->r->source, l->name, tensor);
    *out = &found->items[(int)tensor];
    return MIEN_OK;
}

/* ---- the operands of a call ---- */

static mien_status add_operand(keras_call *call, keras_operand operand) {
    if (call->operand_count == KERAS_OPERANDS_MAX)
        return keras_refuse(call, "it has more than %d inputs", KERAS_OPERANDS_MAX);
    call->operands[call->operand_count++] = operand;
    if (!operand.is_value) return MIEN_OK;
    call->in[call->in_count++] = operand.value;
    return MIEN_OK;
}

static mien_status add_ref(const walk *w, keras_call *call, const mien_value *ref, const char *key,
                           bool *ready) {
    const keras_value *value;
    MIEN_TRY(resolve(w, ref, call->layer, &value));
    if (!value) {
        *ready = false;
        return MIEN_OK;
    }
    return add_operand(call, (keras_operand){.is_value = true, .value = *value, .key = key});
}

static bool holds_tensor(const mien_value *v) {
    if (history(v)) return true;
    for (const mien_value *c = v->kind == MIEN_VALUE_LIST ? v->first : NULL; c; c = c->next)
        if (holds_tensor(c)) return true;
    return false;
}

/* An argument in Keras 3's form. */
static mien_status add_argument(const walk *w, keras_call *call, const mien_value *v,
                                const char *key, bool *ready) {
    const mien_value *ref = history(v);
    if (ref) return add_ref(w, call, ref, key, ready);
    if (v->kind == MIEN_VALUE_LIST && holds_tensor(v)) {
        for (const mien_value *c = v->first; c && *ready; c = c->next)
            MIEN_TRY(add_argument(w, call, c, NULL, ready));
        return MIEN_OK;
    }
    if (key && strcmp(key, "training") == 0 && v->kind == MIEN_VALUE_BOOL && v->number != 0)
        return keras_refuse(call, "it is called with training=True, so its outputs are random or "
                                  "depend on the batch");
    if (key && (v->kind == MIEN_VALUE_NULL || strcmp(key, "training") == 0)) return MIEN_OK;
    return add_operand(call, (keras_operand){.constant = v, .key = key});
}

/* The fourth part of a reference in the form of Keras 1 and 2: a map of keyword arguments, in which
 * tensors are references too. */
static mien_status add_keywords(const walk *w, keras_call *call, const mien_value *map,
                                bool *ready) {
    for (const mien_value *v = map && map->kind == MIEN_VALUE_MAP ? map->first : NULL; v && *ready;
         v = v->next) {
        if (strcmp(v->key, "name") == 0 || strcmp(v->key, "mask") == 0) continue;
        if (is_ref(v) && find_layer(w->net, v->first->text))
            MIEN_TRY(add_ref(w, call, v, v->key, ready));
        else
            MIEN_TRY(add_argument(w, call, v, v->key, ready));
    }
    return MIEN_OK;
}

static mien_status add_old(const walk *w, keras_call *call, const mien_value *v, bool *ready) {
    if (!is_ref(v)) {
        if (v->kind != MIEN_VALUE_LIST)
            return MIEN_FAIL(FORMAT, "%s: layer '%s': its inputs are written in an unknown way",
                             w->r->source, call->layer->name);
        for (const mien_value *c = v->first; c && *ready; c = c->next)
            MIEN_TRY(add_old(w, call, c, ready));
        return MIEN_OK;
    }
    const mien_value *third = v->first->next->next;
    if (strcmp(v->first->text, "_CONSTANT_VALUE") == 0 && third)
        MIEN_TRY(add_operand(call, (keras_operand){.constant = third}));
    else
        MIEN_TRY(add_ref(w, call, v, NULL, ready));
    return add_keywords(w, call, third ? third->next : NULL, ready);
}

static mien_status add_operands(const walk *w, keras_call *call, const mien_value *node,
                                bool *ready) {
    if (node->kind != MIEN_VALUE_MAP) return add_old(w, call, node, ready);
    const mien_value *args = mien_value_get(node, "args");
    const mien_value *keywords = mien_value_get(node, "kwargs");
    for (const mien_value *v = args && args->kind == MIEN_VALUE_LIST ? args->first : NULL;
         v && *ready; v = v->next)
        MIEN_TRY(add_argument(w, call, v, NULL, ready));
    for (const mien_value *v = keywords && keywords->kind == MIEN_VALUE_MAP ? keywords->first
                                                                            : NULL;
         v && *ready; v = v->next)
        MIEN_TRY(add_argument(w, call, v, v->key, ready));
    return MIEN_OK;
}

/* ---- calls ---- */

static mien_status convert(const walk *w, keras_call *call) {
    const keras_layer *l = call->layer;
    if (l->net) {
        if (call->in_count != call->operand_count)
            return keras_refuse(call, "it is called with arguments that are not supported");
        return keras_run(w->r, l->net, call->in, call->in_count, w->depth + 1, call->out,
                         &call->out_count);
    }
    if (!call->in_count) return keras_refuse(call, "nothing that it reads depends on the image");
    MIEN_TRY(keras_check_channels(call));
    call->out[0] = call->in[0];
    call->out_count = 1;
    return l->kind->convert(call);
}

static mien_status run_call(const walk *w, const keras_layer *l, const mien_value *node, int at,
                            bool *progress) {
    result *to = &w->results[l->first_call + at];
    keras_call *call;
    bool ready = true;
    MIEN_TRY(mien_new(&call, 1, sizeof *call));
    call->r = w->r;
    call->layer = l;
    mien_status status = add_operands(w, call, node, &ready);
    if (status == MIEN_OK && ready) {
        status = convert(w, call);
        memcpy(to->items, call->out, sizeof to->items);
        to->count = call->out_count;
        *progress = true;
    }
    mien_free(call);
    return status;
}

/* Runs the calls whose inputs are known; *left: how many remain. */
static mien_status run_ready(const walk *w, int *left, const keras_layer **stuck, bool *progress) {
    *left = 0;
    *progress = false;
    for (int i = 0; i < w->net->count; i++) {
        const keras_layer *l = &w->net->layers[i];
        const mien_value *node =
            l->inbound && l->inbound->kind == MIEN_VALUE_LIST ? l->inbound->first : NULL;
        for (int k = 0; k < l->calls; k++, node = node ? node->next : NULL) {
            result *to = &w->results[l->first_call + k];
            if (to->count) continue;
            if (!node)
                return MIEN_FAIL(FORMAT, "%s: layer '%s' has no input", w->r->source, l->name);
            MIEN_TRY(run_call(w, l, node, k, progress));
            if (to->count) continue;
            (*left)++;
            *stuck = l;
        }
    }
    return MIEN_OK;
}

static mien_status set_inputs(const walk *w, const mien_value *refs, const keras_value *inputs,
                              int count, int *at) {
    if (is_ref(refs)) {
        keras_layer *l = find_layer(w->net, refs->first->text);
        if (!l || !l->calls || *at >= count)
            return MIEN_FAIL(FORMAT, "%s: '%s' has %d input%s, but its architecture names more",
                             w->r->source, w->net->name, count, count == 1 ? "" : "s");
        w->results[l->first_call].items[0] = inputs[(*at)++];
        w->results[l->first_call].count = 1;
        return MIEN_OK;
    }
    for (const mien_value *v =
             refs->kind == MIEN_VALUE_LIST || refs->kind == MIEN_VALUE_MAP ? refs->first : NULL;
         v; v = v->next)
        MIEN_TRY(set_inputs(w, v, inputs, count, at));
    return MIEN_OK;
}

static mien_status get_outputs(const walk *w, const mien_value *refs, keras_value *outputs,
                               int *count) {
    if (is_ref(refs)) {
        const keras_value *value;
        MIEN_TRY(resolve(w, refs, NULL, &value));
        if (!value)
            return MIEN_FAIL(FORMAT, "%s: '%s' has an output that no layer makes", w->r->source,
                             w->net->name);
        if (*count == KERAS_OUTPUTS_MAX)
            return MIEN_FAIL(UNSUPPORTED, "%s: '%s' has more than %d outputs", w->r->source,
                             w->net->name, KERAS_OUTPUTS_MAX);
        outputs[(*count)++] = *value;
        return MIEN_OK;
    }
    for (const mien_value *v =
             refs->kind == MIEN_VALUE_LIST || refs->kind == MIEN_VALUE_MAP ? refs->first : NULL;
         v; v = v->next)
        MIEN_TRY(get_outputs(w, v, outputs, count));
    return MIEN_OK;
}

static mien_status run_functional(const walk *w, const keras_value *inputs, int input_count,
                                  keras_value *outputs, int *output_count) {
    const keras_layer *stuck = NULL;
    int at = 0, left;
    bool progress;
    for (int i = 0; i < w->net->count; i++) {
        keras_layer *l = &w->net->layers[i];
        l->base = l->net ? 1 : 0;
    }
    for (int i = 0; i < w->net->count; i++)
        if (w->net->layers[i].inbound) note_bases(w->net, w->net->layers[i].inbound);
    note_bases(w->net, w->net->outputs);
    MIEN_TRY(set_inputs(w, w->net->inputs, inputs, input_count, &at));
    if (at != input_count)
        return MIEN_FAIL(FORMAT, "%s: '%s' is called with %d inputs, but has %d", w->r->source,
                         w->net->name, input_count, at);
    do {
        MIEN_TRY(run_ready(w, &left, &stuck, &progress));
    } while (left && progress);
    if (left)
        return MIEN_FAIL(FORMAT, "%s: the network is cyclic: layer '%s' depends on itself",
                         w->r->source, stuck->name);
    return get_outputs(w, w->net->outputs, outputs, output_count);
}

static mien_status run_sequential(const walk *w, const keras_value *inputs, int input_count,
                                  keras_value *outputs, int *output_count) {
    keras_call *call;
    if (input_count != 1)
        return MIEN_FAIL(FORMAT, "%s: '%s' has %d inputs, but is sequential", w->r->source,
                         w->net->name, input_count);
    MIEN_TRY(mien_new(&call, 1, sizeof *call));
    mien_status status = MIEN_OK;
    keras_value value = inputs[0];
    for (int i = 0; i < w->net->count && status == MIEN_OK; i++) {
        const keras_layer *l = &w->net->layers[i];
        if (strcmp(l->class_name, "InputLayer") == 0) continue;
        *call = (keras_call){.r = w->r, .layer = l, .operand_count = 1, .in_count = 1};
        call->operands[0] = (keras_operand){.is_value = true, .value = value};
        call->in[0] = value;
        status = convert(w, call);
        value = call->out[0];
        if (status == MIEN_OK && call->out_count != 1)
            status = keras_refuse(call, "it has several outputs in a sequential model");
    }
    mien_free(call);
    outputs[0] = value;
    *output_count = 1;
    return status;
}

mien_status keras_run(keras_reader *r, keras_net *net, const keras_value *inputs, int input_count,
                      int depth, keras_value *outputs, int *output_count) {
    walk w = {r, net, NULL, depth};
    *output_count = 0;
    if (net->sequential) return run_sequential(&w, inputs, input_count, outputs, output_count);
    MIEN_TRY(mien_new(&w.results, (size_t)net->calls + 1, sizeof *w.results));
    const mien_status status = run_functional(&w, inputs, input_count, outputs, output_count);
    mien_free(w.results);
    return status;
}

/* ---- layers ---- */

mien_status keras_emit(keras_call *call, const char *def, const keras_value *in, int count,
                       int *layer) {
    int inputs[MIEN_INPUTS_MAX];
    for (int i = 0; i < count && i < MIEN_INPUTS_MAX; i++)
        inputs[i] = in[i].layer;
    MIEN_TRY(mien_import_add(&call->r->import, def, call->layer->name, inputs, count, layer));
    if (!call->layer->trainable && def[0])
        mien_import_bool(&call->r->import, *layer, "trainable", false);
    return MIEN_OK;
}

/* A copy of the layer's keys with its inputs. */
static mien_status shadow_keys(keras_reader *r, const mien_import_layer *l, mien_value **out) {
    mien_tree *tree = &r->import.tree;
    mien_value *inputs, *copy;
    MIEN_TRY(mien_tree_value(tree, MIEN_VALUE_MAP, out));
    for (const mien_value *v = l->keys->first; v; v = v->next) {
        MIEN_TRY(mien_tree_value(tree, v->kind, &copy));
        *copy = *v;
        copy->next = NULL;
        MIEN_TRY(mien_tree_append(tree, *out, copy));
    }
    MIEN_TRY(mien_tree_value(tree, MIEN_VALUE_LIST, &inputs));
    inputs->key = "inputs";
    for (int k = 0; k < l->input_count; k++) {
        const char *name = l->inputs[k] < 0 ? "input" : r->import.layers[l->inputs[k]].name;
        MIEN_TRY(mien_tree_value(tree, MIEN_VALUE_STRING, &copy));
        MIEN_TRY(mien_tree_text(tree, name, strlen(name), &copy->text));
        MIEN_TRY(mien_tree_append(tree, inputs, copy));
    }
    return mien_tree_append(tree, *out, inputs);
}

mien_status keras_commit(keras_call *call, int layer, keras_value *value) {
    keras_reader *r = call->r;
    const mien_import_layer *l = &r->import.layers[layer];
    mien_value *keys;
    if (r->import.status != MIEN_OK)
        return mien_fail(r->import.status, __FILE__, __LINE__, "%s", r->import.message);
    MIEN_TRY(shadow_keys(r, l, &keys));
    r->nodes[layer] = r->shadow.count;
    MIEN_TRY(mien_graph_append(&r->shadow, mien_layer_find(l->def), keys, r->source, 0, 0));
    const mien_node *last = &r->shadow.nodes[r->shadow.count - 1];
    *value = (keras_value){.layer = layer,
                           .h = last->out.h,
                           .w = last->out.w,
                           .c = last->out.c,
                           .flat = last->flat,
                           .rank = last->flat ? 1 : 3};
    return MIEN_OK;
}

mien_status keras_simple(keras_call *call, const char *def, keras_value *value) {
    const keras_value before = *value;
    int layer;
    MIEN_TRY(keras_emit(call, def, value, 1, &layer));
    MIEN_TRY(keras_commit(call, layer, value));
    value->rank = before.rank;
    value->first = before.first;
    memcpy(value->rows, before.rows, sizeof value->rows);
    return MIEN_OK;
}
