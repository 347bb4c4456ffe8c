/* Finds the nodes that need no pass of their own: an activation after a layer that can fuse it, the
 * final softmax (the loss and the predictor work on logits), and what fold.c finds. */
#include "host/graph/plan.h"

int mien_plan_consumers(const mien_graph *graph, int value) {
    int n = 0;
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].input_count; k++)
            n += graph->nodes[i].inputs[k] == value;
    return n;
}

int mien_plan_operands(const mien_plan *plan, int i) {
    return plan->graph->nodes[i].input_count + (plan->nodes[i].fusion.add ? 1 : 0);
}

int mien_plan_operand(const mien_plan *plan, int i, int k) {
    const mien_node *node = &plan->graph->nodes[i];
    const int padding = plan->nodes[i].fusion.padding;
    if (padding && k == 0) return plan->graph->nodes[padding].inputs[0];
    if (k < node->input_count) return node->inputs[k];
    const mien_node *add = &plan->graph->nodes[plan->nodes[i].fusion.add];
    return add->inputs[add->inputs[0] == i];
}

int mien_plan_written(const mien_plan *plan, int i) {
    return plan->nodes[i].fusion.pool ? plan->nodes[i].fusion.pool : i;
}

static bool can_fuse(const mien_node *producer, int activation) {
    if (activation == BODY_RELU) return producer->def->flags & MIEN_FUSES_RELU;
    return activation >= 0 && (producer->def->flags & MIEN_FUSES_ACTIVATION) &&
           mien_activation_from_output(activation);
}

/* An in-place node that is the only consumer of its input writes its output into the input's
 * buffer, unless backward needs what that overwrites. */
static void share_buffer(mien_plan *plan, int i) {
    const mien_graph *graph = plan->graph;
    const mien_node *node = &graph->nodes[i];
    const int from = node->inputs[0];
    const mien_node_plan *before = &plan->nodes[from];
    const unsigned flags = graph->nodes[plan->nodes[from].fusion.storage].def->flags;
    if (!(node->def->flags & MIEN_IN_PLACE) || from == 0 || mien_plan_consumers(graph, from) != 1)
        return;
    const bool output_needed =
        plan->training && ((flags & MIEN_NEEDS_OUTPUT) ||
                           before->fusion.activation != BODY_LINEAR || before->fusion.skipped);
    if (!output_needed) plan->nodes[i].fusion.storage = before->fusion.storage;
}

/* Where node i is the only consumer of a fused ReLU and can mask its input gradient, its backward
 * pass applies the ReLU's slope, and the producer's does not. */
static void move_slope_to_consumer(mien_plan *plan, int i) {
    const mien_graph *graph = plan->graph;
    const int relu = graph->nodes[i].inputs[0];
    if (!(graph->nodes[i].def->flags & MIEN_MASKS_RELU) || !plan->nodes[relu].fusion.skipped ||
        mien_plan_consumers(graph, relu) != 1)
        return;
    mien_node_plan *producer = &plan->nodes[graph->nodes[relu].inputs[0]];
    producer->fusion.slope_by_consumer = producer->fusion.activation == BODY_RELU;
    producer->fusion.bias_by_consumer = producer->fusion.slope_by_consumer &&
                                        plan->ops->sums_bias &&
                                        (graph->nodes[i].def->flags & MIEN_SUMS_BIAS) &&
                                        graph->nodes[graph->nodes[relu].inputs[0]].def->linear;
}

/* Whether another pass applies the slope of node i's ReLU at no cost: pooling's index has it. */
static bool is_slope_free(const mien_plan *plan, int i) {
    if (!plan->nodes[i].fusion.slope_by_consumer) return false;
    for (int k = i + 1; k < plan->graph->count; k++)
        if (mien_plan_masks_relu(plan, &plan->graph->nodes[k]) &&
            plan->graph->nodes[plan->graph->nodes[k].inputs[0]].inputs[0] == i)
            return !plan->graph->nodes[k].def->linear;
    return false;
}

/* Where no gradient goes back beyond an operator with a ReLU, as in the layer that reads the image,
 * the gradient of its weights is the only reader of dy, and can apply the slope, if the backend
 * supports that. Otherwise a pass over dy, or the next operator's data gradient, does. */
void mien_plan_move_slopes(mien_plan *plan) {
    for (int i = 1; plan->training && i < plan->graph->count; i++) {
        mien_node_plan *own = &plan->nodes[i];
        mien_linear_desc d;
        if (own->fusion.activation != BODY_RELU || is_slope_free(plan, i) ||
            !mien_plan_linear_desc(plan, i, &d) || d.needs_dx ||
            !plan->ops->linear_can_mask_filter(plan->backend, &d))
            continue;
        own->fusion.slope_by_filter = true;
        own->fusion.slope_by_consumer = false;
    }
}

/* A bias before a normalisation by the batch's own mean changes nothing, so its gradient is 0; its
 * sum over all pixels would be a rounding error, at the cost of one more read of dy. Backends that
 * sum a bias together with the weights gain nothing. */
static void drop_bias_gradient(mien_plan *plan, int i) {
    const mien_node *norm = &plan->graph->nodes[i];
    const mien_node *linear = &plan->graph->nodes[norm->inputs[0]];
    plan->nodes[linear->index].fusion.bias_cancels =
        plan->ops->sums_bias && (norm->def->flags & MIEN_NORMALISES) &&
        ((const mien_layer_common *)norm->attrs)->trainable && linear->def->linear &&
        mien_plan_consumers(plan->graph, linear->index) == 1;
}

/* In NHWC a layer that only changes the shape needs no copy: its output is its input. */
static bool only_reshapes(const mien_plan *plan, const mien_node *node) {
    const int from = node->inputs[0];
    const mien_shape s = plan->graph->nodes[from].out;
    return (node->def->flags & MIEN_RESHAPES) && from != 0 && !plan->quant &&
           mien_plan_consumers(plan->graph, from) == 1 &&
           plan->ops->channel_block(plan->backend, s) == s.c &&
           plan->ops->channel_block(plan->backend, node->out) == node->out.c;
}

/* A dropout after max pooling runs in the pooling's pass. */
static void fuse_dropout(mien_plan *plan, int i) {
    const mien_graph *graph = plan->graph;
    const int pool = graph->nodes[i].inputs[0];
    if (!(graph->nodes[i].def->flags & MIEN_DROPS) || mien_plan_consumers(graph, pool) != 1 ||
        !(graph->nodes[pool].def->flags & MIEN_RUNS_DROPOUT) || plan->nodes[i].fusion.skipped)
        return;
    plan->nodes[pool].fusion.dropout = i;
    plan->nodes[i].fusion.skipped = true;
    plan->nodes[i].fusion.storage = plan->nodes[pool].fusion.storage;
}

/* A sum of two values runs in the batch normalisation that computes the later one, if the sum is
 * its only consumer. Not if the other value is the normalisation's input: one pass would write
 * the same gradient twice. */
static bool run_in_norm(mien_plan *plan, int i) {
    const mien_graph *graph = plan->graph;
    const mien_node *node = &graph->nodes[i];
    if (!(node->def->flags & MIEN_SUMS) || node->input_count != 2) return false;
    const int norm = node->inputs[0] > node->inputs[1] ? node->inputs[0] : node->inputs[1];
    const int other = node->inputs[node->inputs[0] == norm];
    if (!(graph->nodes[norm].def->flags & MIEN_NORMALISES) ||
        mien_plan_consumers(graph, norm) != 1 || graph->nodes[norm].inputs[0] == other)
        return false;
    plan->nodes[norm].fusion.add = i;
    plan->nodes[i].fusion.runner = norm;
    plan->nodes[i].fusion.skipped = true;
    plan->nodes[i].fusion.storage = plan->nodes[norm].fusion.storage;
    return true;
}

/* The trained batch normalisation whose value node i is, with or without the ReLU that was fused
 * into it, if nothing else reads either; else 0. */
static int norm_before(const mien_plan *plan, int i) {
    const mien_graph *graph = plan->graph;
    int norm = i;
    if (mien_plan_consumers(graph, i) != 1) return 0;
    if (graph->nodes[i].def->activates && plan->nodes[i].fusion.skipped) {
        norm = graph->nodes[i].inputs[0];
        if (mien_plan_consumers(graph, norm) != 1) return 0;
    }
    const mien_node *node = &graph->nodes[norm];
    const mien_fusion *fusion = &plan->nodes[norm].fusion;
    const bool fits = (node->def->flags & MIEN_NORMALISES) && !fusion->skipped && !fusion->add &&
                      ((const mien_layer_common *)node->attrs)->trainable;
    return fits ? norm : 0;
}

/* Max pooling runs in the pass of the batch normalisation before it, which then writes the pooled
 * value alone. */
static bool run_pool_in_norm(mien_plan *plan, int i) {
    const mien_node *node = &plan->graph->nodes[i];
    if (!plan->ops->pools_norm || plan->pools_apart || !mien_pools_adjacent(node)) return false;
    const int norm = norm_before(plan, node->inputs[0]);
    if (norm == 0) return false;
    plan->nodes[norm].fusion.pool = i;
    plan->nodes[i].fusion.skipped = true;
    plan->nodes[i].fusion.storage = plan->nodes[norm].fusion.storage;
    return true;
}

void mien_plan_fuse(mien_plan *plan) {
    const mien_graph *graph = plan->graph;
    for (int i = 0; i < graph->count; i++) {
        const mien_node *node = &graph->nodes[i];
        mien_node_plan *own = &plan->nodes[i];
        own->fusion.storage = own->fusion.grad_storage = own->fusion.runner = i;
        if (i == graph->count - 1) {
            own->fusion.skipped = true;
            own->fusion.storage = plan->nodes[node->inputs[0]].fusion.storage;
            continue;
        }
        const int input = i ? node->inputs[0] : 0;
        const bool alone = i && mien_plan_consumers(graph, input) == 1;
        if (alone && !plan->training && mien_plan_fold(plan, i)) continue;
        if (!plan->training && mien_plan_fold_add(plan, i)) continue;
        if (alone && !plan->training) mien_plan_fold_padding(plan, i);
        if (plan->training && (run_in_norm(plan, i) || run_pool_in_norm(plan, i))) continue;
        if (i && only_reshapes(plan, node)) {
            own->fusion.skipped = true;
            own->fusion.storage = plan->nodes[input].fusion.storage;
            continue;
        }
        float alpha = 1;
        const int activation = node->def->activates ? node->def->activates(node, &alpha) : -1;
        const int before = plan->nodes[input].fusion.runner;
        mien_node_plan *producer = &plan->nodes[before];
        if (node->def->activates && producer->fusion.activation == BODY_LINEAR &&
            !producer->fusion.skipped && alone && can_fuse(&graph->nodes[before], activation)) {
            producer->fusion.activation = activation;
            producer->fusion.alpha = alpha;
            own->fusion.skipped = true;
            own->fusion.storage = producer->fusion.storage;
        } else if (i) {
            share_buffer(plan, i);
        }
        if (plan->training && i) {
            move_slope_to_consumer(plan, i);
            drop_bias_gradient(plan, i);
            fuse_dropout(plan, i);
        }
    }
    /* the input of a skipped or in-place node shares the gradient buffer of its output */
    for (int i = graph->count - 2; i > 0; i--) {
        const mien_node *node = &graph->nodes[i];
        const int runner = plan->nodes[i].fusion.runner,
                  before = runner == i ? node->inputs[0] : runner;
        const bool in_place = (node->def->flags & MIEN_IN_PLACE) && before != 0 &&
                              mien_plan_consumers(graph, before) == 1;
        if (plan->nodes[i].fusion.skipped || in_place)
            plan->nodes[before].fusion.grad_storage = plan->nodes[i].fusion.grad_storage;
    }
}
