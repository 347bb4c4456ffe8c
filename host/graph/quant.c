#include "host/graph/quant.h"

#include <math.h>

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

bool mien_quant_can(const mien_node *node) {
    mien_linear_desc d = {.in = node->in[0], .out = node->out};
    if (!node->def->linear) return false;
    node->def->linear(node, &d);
    return mien_linear_is_simple(&d);
}

static bool keeps_int8(const mien_node *node) {
    return node->def->flags & MIEN_KEEPS_INT8;
}

int mien_quant_source(const mien_graph *graph, int node) {
    int from = graph->nodes[node].inputs[0];
    while (keeps_int8(&graph->nodes[from]) || (graph->nodes[from].def->flags & MIEN_TRAINING_ONLY))
        from = graph->nodes[from].inputs[0];
    return from;
}

static bool is_valid_scale(float s) {
    return isfinite(s) && s > 1e-30f && s < 1e30f;
}

mien_status mien_quant_check(const mien_graph *graph, const mien_quant *quant) {
    int consumer[MIEN_NODES_MAX] = {0}; /* by value: the last layer so far that reads it as int8 */
    for (int i = 0; i < quant->nodes; i++) {
        const mien_quant_layer *q = &quant->layers[i];
        const mien_node *node = &graph->nodes[i];
        if (!q->w_scale) continue;
        if (!mien_quant_can(node))
            return MIEN_FAIL(INVALID,
                             "layer '%s': int8 is not supported for grouped, dilated or transposed "
                             "convolutions",
                             node->name);
        bool valid = is_valid_scale(q->x_scale);
        for (int k = 0; valid && k < node->out.c; k++)
            valid = is_valid_scale(q->w_scale[k]);
        if (!valid)
            return MIEN_FAIL(INVALID, "layer '%s': a scale is not between 1e-30 and 1e30",
                             node->name);
        int *seen = &consumer[mien_quant_source(graph, i)];
        const mien_quant_layer *other = &quant->layers[*seen];
        if (*seen && (other->x_scale != q->x_scale || other->x_signed != q->x_signed))
            return MIEN_FAIL(INVALID,
                             "layers '%s' and '%s' read the same value at different scales",
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

static bool is_int8(mien_dtype dtype) {
    return dtype == MIEN_U8 || dtype == MIEN_I8;
}

/* Marks the values whose consumers all take int8, from the last node to the first. */
static void find_int8_values(const mien_plan *plan, bool *wanted) {
    const mien_graph *graph = plan->graph;
    bool consumed[MIEN_NODES_MAX] = {false};
    for (int i = 0; i < graph->count; i++)
        wanted[i] = true;
    for (int j = graph->count - 1; j >= 0; j--) {
        const mien_node *node = &graph->nodes[j];
        wanted[j] &= consumed[j];
        const bool passes_on = plan->nodes[j].fusion.skipped || keeps_int8(node);
        const bool takes = passes_on ? wanted[j] : layer_of(plan, j) != NULL;
        for (int k = 0; k < node->input_count; k++) {
            wanted[node->inputs[k]] &= takes;
            consumed[node->inputs[k]] = true;
        }
    }
}

/* `node`, and every node that shares its buffer, uses the buffer of its input, and has no pass. */
static void alias_input(mien_plan *plan, int node) {
    const int root = plan->nodes[plan->graph->nodes[node].inputs[0]].fusion.storage;
    for (int i = 0; i < plan->graph->count; i++)
        if (plan->nodes[i].fusion.storage == node) plan->nodes[i].fusion.storage = root;
    plan->nodes[node].fusion.skipped = true;
}

static bool writes_int8(const mien_plan *plan, int i) {
    const mien_node_plan *own = &plan->nodes[i];
    const mien_node *node = &plan->graph->nodes[i];
    if (!node->def->linear)
        return keeps_int8(node) && is_int8(plan->nodes[node->inputs[0]].value.dtype);
    if (layer_of(plan, i))
        return own->fusion.activation == BODY_LINEAR || own->fusion.activation == BODY_RELU;
    mien_linear_desc d;
    mien_plan_linear_desc(plan, i, &d);
    return plan->ops->int8->writes_int8(plan->backend, &d);
}

/* The node whose pass computes the value of node i, if nothing else reads that value or what fused
 * passes make of it; else 0. */
static int computed_by(const mien_plan *plan, int i) {
    while (plan->nodes[i].fusion.skipped && plan->graph->nodes[i].input_count == 1 &&
           mien_plan_consumers(plan->graph, i) == 1)
        i = plan->graph->nodes[i].inputs[0];
    const mien_fusion *fusion = &plan->nodes[i].fusion;
    return fusion->skipped || fusion->sums || mien_plan_consumers(plan->graph, i) != 1 ? 0 : i;
}

/* Max pooling of int8 in the pass of the operator before it, if that can. */
static bool pools_before(const mien_plan *plan, int i, int *operator) {
    const mien_node *node = &plan->graph->nodes[i];
    const mien_pool *pool = &((const mien_pool_attrs *)node->attrs)->pool;
    mien_linear_desc d;
    *operator= computed_by(plan, node->inputs[0]);
    return mien_pools_adjacent(node) && layer_of(plan, *operator) &&
           mien_plan_linear_desc(plan, *operator, & d) &&
           plan->ops->int8->pools(plan->backend, &d, pool);
}

void mien_plan_int8_values(mien_plan *plan) {
    const mien_graph *graph = plan->graph;
    bool wanted[MIEN_NODES_MAX];
    for (int i = 0; i < graph->count; i++)
        plan->nodes[i].value.dtype = plan->backend->dtype;
    if (!plan->quant) return;
    find_int8_values(plan, wanted);
    for (int i = 1; i < graph->count; i++) {
        const mien_quant_layer *q = layer_of(plan, i);
        if (!q) continue;
        mien_node_plan *root =
            &plan->nodes[plan->nodes[mien_quant_source(graph, i)].fusion.storage];
        root->value.scale = q->x_scale;
        root->value.is_signed = q->x_signed;
    }
    for (int i = 1; i < graph->count; i++) {
        mien_node_plan *own = &plan->nodes[i];
        const mien_node_plan *from = &plan->nodes[graph->nodes[i].inputs[0]];
        if (own->fusion.skipped) {
            own->value.dtype = plan->nodes[own->fusion.storage].value.dtype;
        } else if (wanted[i] && writes_int8(plan, i)) {
            const bool computes = graph->nodes[i].def->linear != NULL;
            own->value.dtype =
                !computes ? from->value.dtype : (own->value.is_signed ? MIEN_I8 : MIEN_U8);
            int operator= 0;
            if (graph->nodes[i].def->flags & MIEN_RESHAPES) {
                alias_input(plan, i); /* int8 is NHWC, so flattening needs no copy */
            } else if (!computes && pools_before(plan, i, &operator)) {
                alias_input(plan, i);
                plan->nodes[operator].fusion.pool = i;
            }
        }
    }
}

static const mien_pool *pool_of(const mien_plan *plan, int i) {
    const int pool = plan->nodes[i].fusion.pool;
    return pool ? &((const mien_pool_attrs *)plan->graph->nodes[pool].attrs)->pool : NULL;
}

mien_status mien_plan_int8_create(mien_plan *plan, int i) {
    mien_node_plan *own = &plan->nodes[i];
    const mien_quant_layer *q = layer_of(plan, i);
    const mien_node_plan *from = &plan->nodes[plan->graph->nodes[i].inputs[0]];
    mien_int8_desc d = {.w_scale = q ? q->w_scale : NULL,
                        .x_scale = q ? q->x_scale : 0,
                        .y_scale = own->value.scale,
                        .x = q && q->x_signed ? MIEN_I8 : MIEN_U8,
                        .y = own->value.dtype,
                        .x_f32 = !is_int8(from->value.dtype),
                        .pool = pool_of(plan, i),
                        .shares = plan->shares ? plan->shares->nodes[i].int8 : NULL};
    if (!q && !is_int8(own->value.dtype)) return MIEN_OK;
    mien_plan_linear_desc(plan, i, &d.linear);
    return plan->ops->int8->create(plan->backend, &d, &own->int8);
}
