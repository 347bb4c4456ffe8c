#include "host/graph/quant.h"

#include <math.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/graph/plan.h"

mien_status mien_quant_create(const mien_graph *graph, mien_quant *quant) {
    *quant = (mien_quant){.nodes = graph->count};
    return mien_new(&quant->layers, (size_t)graph->count, sizeof *quant->layers);
}

void mien_quant_release(mien_quant *quant) {
    for (int i = 0; quant->layers && i < quant->nodes; i++)
        mien_free(quant->layers[i].w_scale);
    mien_free(quant->layers);
    *quant = (mien_quant){0};
}

mien_status mien_quant_add(const mien_graph *graph, mien_quant *quant, int node) {
    return mien_new(&quant->layers[node].w_scale, (size_t)graph->nodes[node].out.c, sizeof(float));
}

int mien_quant_count(const mien_quant *quant) {
    int count = 0;
    for (int i = 0; i < quant->nodes; i++)
        count += quant->layers[i].w_scale != NULL;
    return count;
}

static bool is(const mien_node *node, const char *name) {
    return strcmp(node->def->name, name) == 0;
}

bool mien_quant_can(const mien_node *node) {
    mien_linear_desc d = {.in = node->in[0], .out = node->out};
    if (!node->def->linear) return false;
    node->def->linear(node, &d);
    return mien_linear_is_simple(&d);
}

static bool moves_bytes(const mien_node *node) {
    return is(node, "max_pooling2d") || is(node, "flatten");
}

int mien_quant_source(const mien_graph *graph, int node) {
    int from = graph->nodes[node].inputs[0];
    while (moves_bytes(&graph->nodes[from]) || (graph->nodes[from].def->flags & MIEN_TRAINING_ONLY))
        from = graph->nodes[from].inputs[0];
    return from;
}

static bool is_scale(float s) {
    return isfinite(s) && s > 1e-30f && s < 1e30f;
}

mien_status mien_quant_check(const mien_graph *graph, const mien_quant *quant) {
    int first[MIEN_NODES_MAX] = {0}; /* by value: who reads it as bytes */
    for (int i = 0; i < quant->nodes; i++) {
        const mien_quant_layer *q = &quant->layers[i];
        const mien_node *node = &graph->nodes[i];
        if (!q->w_scale) continue;
        if (!mien_quant_can(node))
            return MIEN_FAIL(INVALID,
                             "layer '%s': a convolution with groups or dilation, or a transposed "
                             "one, does not compute with bytes",
                             node->name);
        bool good = is_scale(q->x_scale);
        for (int k = 0; good && k < node->out.c; k++)
            good = is_scale(q->w_scale[k]);
        if (!good)
            return MIEN_FAIL(INVALID, "layer '%s': a scale is no positive number", node->name);
        int *seen = &first[mien_quant_source(graph, i)];
        const mien_quant_layer *other = &quant->layers[*seen];
        if (*seen && (other->x_scale != q->x_scale || other->x_signed != q->x_signed))
            return MIEN_FAIL(INVALID, "layers '%s' and '%s' read one value at different scales",
                             graph->nodes[*seen].name, node->name);
        *seen = i;
    }
    return MIEN_OK;
}

/* ---- in a plan ---- */

static const mien_quant_layer *layer_of(const mien_plan *plan, int i) {
    const mien_quant_layer *q = plan->quant ? &plan->quant->layers[i] : NULL;
    return q && q->w_scale ? q : NULL;
}

static bool is_bytes(mien_dtype dtype) {
    return dtype == MIEN_U8 || dtype == MIEN_I8;
}

/* Does everybody who reads a value take bytes? From the last node to the first. */
static void ask_readers(const mien_plan *plan, bool *wanted) {
    const mien_graph *graph = plan->graph;
    bool read[MIEN_NODES_MAX] = {false};
    for (int i = 0; i < graph->count; i++)
        wanted[i] = true;
    for (int j = graph->count - 1; j >= 0; j--) {
        const mien_node *node = &graph->nodes[j];
        wanted[j] &= read[j];
        const bool passes_on = plan->places[j].skipped || moves_bytes(node);
        const bool takes = passes_on ? wanted[j] : layer_of(plan, j) != NULL;
        for (int k = 0; k < node->input_count; k++) {
            wanted[node->inputs[k]] &= takes;
            read[node->inputs[k]] = true;
        }
    }
}

/* Flattened bytes are the bytes as they lie: everybody who shares with `node` shares with its
 * input.
 */
static void alias(mien_plan *plan, int node) {
    const int root = plan->places[plan->graph->nodes[node].inputs[0]].storage;
    for (int i = 0; i < plan->graph->count; i++)
        if (plan->places[i].storage == node) plan->places[i].storage = root;
    plan->places[node].skipped = true;
}

static bool writes_bytes(const mien_plan *plan, int i) {
    const mien_place *place = &plan->places[i];
    const mien_node *node = &plan->graph->nodes[i];
    if (!node->def->linear)
        return moves_bytes(node) && is_bytes(plan->places[node->inputs[0]].dtype);
    if (layer_of(plan, i))
        return place->activation == BODY_LINEAR || place->activation == BODY_RELU;
    mien_linear_desc d;
    mien_plan_linear_desc(plan, i, &d);
    return plan->ops->int8->writes_bytes(plan->backend, &d);
}

void mien_plan_bytes(mien_plan *plan) {
    const mien_graph *graph = plan->graph;
    bool wanted[MIEN_NODES_MAX];
    for (int i = 0; i < graph->count; i++)
        plan->places[i].dtype = plan->backend->dtype;
    if (!plan->quant) return;
    ask_readers(plan, wanted);
    for (int i = 1; i < graph->count; i++) {
        const mien_quant_layer *q = layer_of(plan, i);
        if (!q) continue;
        mien_place *root = &plan->places[plan->places[mien_quant_source(graph, i)].storage];
        root->scale = q->x_scale;
        root->is_signed = q->x_signed;
    }
    for (int i = 1; i < graph->count; i++) {
        mien_place *place = &plan->places[i];
        const mien_place *from = &plan->places[graph->nodes[i].inputs[0]];
        if (place->skipped) {
            place->dtype = plan->places[place->storage].dtype;
        } else if (wanted[i] && writes_bytes(plan, i)) {
            const bool own = graph->nodes[i].def->linear != NULL;
            place->dtype = !own ? from->dtype : (place->is_signed ? MIEN_I8 : MIEN_U8);
            if (is(&graph->nodes[i], "flatten")) alias(plan, i);
        }
    }
}

mien_status mien_plan_bytes_create(mien_plan *plan, int i) {
    mien_place *place = &plan->places[i];
    const mien_quant_layer *q = layer_of(plan, i);
    const mien_place *from = &plan->places[plan->graph->nodes[i].inputs[0]];
    mien_int8_desc d = {.w_scale = q ? q->w_scale : NULL,
                        .x_scale = q ? q->x_scale : 0,
                        .y_scale = place->scale,
                        .x = q && q->x_signed ? MIEN_I8 : MIEN_U8,
                        .y = place->dtype,
                        .x_f32 = !is_bytes(from->dtype)};
    if (!q && !is_bytes(place->dtype)) return MIEN_OK;
    mien_plan_linear_desc(plan, i, &d.linear);
    return plan->ops->int8->create(plan->backend, &d, &place->bytes);
}
