/* The walk over a graph, forward and backward, and the view of it that each layer gets. */
#include "host/base/crew.h"
#include "host/graph/plan.h"

/* Of parameters and statistics. */
static size_t element_bytes(const mien_plan *plan) {
    return mien_dtype_bytes(plan->backend->param_dtype);
}

/* The walk's rows of a buffer, from row walk->first on; a buffer that holds only one micro-batch
 * starts at 0. */
static mien_tensor view(const mien_plan *plan, const mien_walk *walk, int node, mien_dtype dtype,
                        size_t offset, bool whole) {
    mien_shape s = plan->graph->nodes[node].out;
    const size_t row = mien_shape_sample(s) * mien_dtype_bytes(dtype);
    const bool nhwc = dtype != plan->backend->dtype; /* int8 is NHWC on every backend */
    s.n = walk->rows;
    return (mien_tensor){s, dtype, nhwc ? s.c : plan->ops->channel_block(plan->backend, s),
                         whole ? plan->act + offset + row * (size_t)walk->first
                               : plan->chunk + offset * plan->chunk_scale};
}

static mien_tensor value(const mien_plan *plan, const mien_walk *walk, int node) {
    const mien_node_plan *own = &plan->nodes[node];
    return view(plan, walk, node, own->value.dtype, own->memory.value, own->memory.value_whole);
}

static mien_tensor gradient(const mien_plan *plan, const mien_walk *walk, int node) {
    const mien_node_memory *memory = &plan->nodes[node].memory;
    return view(plan, walk, node, plan->backend->dtype, memory->gradient, memory->gradient_whole);
}

void *mien_plan_param(const mien_plan *plan, int index, int i) {
    const mien_node *node = &plan->graph->nodes[index];
    const mien_node_plan *own = &plan->nodes[index];
    if (i == 1 && own->fusion.norm) return mien_plan_folded_bias(plan, index);
    if (i >= node->param_count) return NULL;
    if (node->def->linear && plan->half)
        return plan->half + own->param[i] * mien_dtype_bytes(plan->backend->dtype);
    const char *base = node->params[i].trained ? plan->weights : plan->state;
    return (char *)base + own->param[i] * element_bytes(plan);
}

void *mien_plan_param_grad(const mien_plan *plan, int node, int i) {
    const mien_node *n = &plan->graph->nodes[node];
    if (!plan->training || i >= n->param_count || !n->params[i].trained ||
        !((const mien_layer_common *)n->attrs)->trainable)
        return NULL;
    return plan->grad + plan->nodes[node].grad[i] * element_bytes(plan);
}

/* The index buffer holds all rows where backward needs it, else one micro-batch. */
static void *index_of(const mien_plan *plan, const mien_walk *walk, const mien_node *node) {
    const mien_node_plan *own = &plan->nodes[node->index];
    const bool kept = plan->training && own->requires_grad;
    const size_t skip = mien_shape_sample(node->out) * (size_t)walk->first;
    if (!kept && node->index < plan->cut)
        return plan->chunk + own->memory.index * plan->chunk_scale;
    return plan->act + own->memory.index + skip * mien_index_bytes(node);
}

/* Sets the gradients that a backward pass reads and writes. */
static void fill_gradients(const mien_plan *plan, const mien_walk *walk, const mien_node *node,
                           mien_pass *pass) {
    const mien_node_plan *own = &plan->nodes[node->index];
    pass->dy = gradient(plan, walk, mien_plan_written(plan, node->index));
    for (int k = 0; k < pass->x_count; k++) {
        const int input = mien_plan_operand(plan, node->index, k);
        if (!plan->nodes[input].requires_grad) continue;
        pass->dx[k] = gradient(plan, walk, input);
        pass->dx_accumulate[k] = own->adds[k];
    }
    for (int k = 0; k < node->param_count; k++)
        pass->dparams[k] = mien_plan_param_grad(plan, node->index, k);
    if (own->fusion.bias_by_consumer || own->fusion.bias_cancels) pass->dparams[1] = NULL;
    pass->masks_dy = own->fusion.slope_by_filter;
    if (own->fusion.slope_by_consumer || pass->masks_dy) pass->slope = BODY_LINEAR;
    if (!pass->relu_mask) return;
    const int linear = plan->graph->nodes[node->inputs[0]].inputs[0];
    if (plan->nodes[linear].fusion.bias_by_consumer)
        pass->dbias_before = mien_plan_param_grad(plan, linear, 1);
}

void mien_plan_pass(const mien_plan *plan, const mien_walk *walk, int i, bool backward,
                    mien_pass *pass) {
    const mien_node *node = &plan->graph->nodes[i];
    const mien_node_plan *own = &plan->nodes[i];
    const int written = mien_plan_written(plan, i), dropout = plan->nodes[written].fusion.dropout;
    const mien_node *result = &plan->graph->nodes[written];
    *pass = (mien_pass){.backend = plan->backend,
                        .ops = plan->ops,
                        .training = walk->training,
                        .accumulate = walk->accumulate,
                        .slice = plan->slice,
                        .first = walk->offset + (uint64_t)walk->first,
                        .state = plan->step,
                        .warm_averages =
                            plan->training && plan->rule.warm_averages && !plan->keeps_norms,
                        .scratch = plan->scratch,
                        .x_count = mien_plan_operands(plan, i),
                        .y = value(plan, walk, written),
                        .linear = own->linear,
                        .int8 = own->int8,
                        .activation = own->fusion.activation,
                        .alpha = own->fusion.alpha,
                        .slope = own->fusion.activation,
                        .relu_mask = mien_plan_masks_relu(plan, node),
                        .pool = written != i ? result : NULL};
    for (int k = 0; k < pass->x_count; k++)
        pass->x[k] = value(plan, walk, mien_plan_operand(plan, i, k));
    for (int k = 0; k < MIEN_PARAMS_MAX; k++)
        pass->params[k] = mien_plan_param(plan, i, k);
    if (result->def->flags & MIEN_SAVES_INDEX) pass->index = index_of(plan, walk, result);
    if (node->def->flags & MIEN_SAVES_STATISTICS) {
        pass->statistics[0] = plan->act + own->memory.statistics;
        pass->statistics[1] =
            (char *)pass->statistics[0] + (size_t)node->out.c * element_bytes(plan);
    }
    if (dropout && walk->training)
        pass->dropout = mien_dropout_mask(&plan->graph->nodes[dropout], pass);
    if (backward) fill_gradients(plan, walk, node, pass);
}

static mien_tensor rows_of(const mien_plan *plan, mien_dtype dtype, size_t offset, int n) {
    const mien_shape s = {n, 1, 1, plan->graph->classes};
    return (mien_tensor){s, dtype, s.c, plan->act + offset};
}

mien_tensor mien_plan_input(const mien_plan *plan, int n) {
    return value(plan, &(mien_walk){.rows = n}, 0);
}

mien_tensor mien_plan_targets(const mien_plan *plan, int n) {
    return rows_of(plan, plan->backend->param_dtype, plan->targets, n);
}

mien_tensor mien_plan_logits(const mien_plan *plan, int n) {
    const mien_node_plan *own = &plan->nodes[plan->graph->logits];
    return rows_of(plan, own->value.dtype, own->memory.value, n);
}

mien_tensor mien_plan_logits_gradient(const mien_plan *plan, int n) {
    return rows_of(plan, plan->backend->dtype, plan->nodes[plan->graph->logits].memory.gradient, n);
}

mien_tensor mien_plan_input_gradient(const mien_plan *plan, int n) {
    return gradient(plan, &(mien_walk){.rows = n}, 0);
}

mien_status mien_plan_walk_forward(mien_plan *plan, const mien_walk *walk, int from, int to) {
    mien_pass pass;
    MIEN_TRY(mien_plan_stamp(plan, NULL));
    for (int i = from; i < to; i++) {
        const mien_node *node = &plan->graph->nodes[i];
        if (plan->nodes[i].fusion.skipped) continue;
        if (mien_crew_overtaken()) return MIEN_OK; /* nobody reads the result */
        mien_plan_pass(plan, walk, i, false, &pass);
        if (plan->observe) plan->observe(plan->observer, &pass, node);
        plan->ops->range_push(plan->backend, "forward", node->name);
        const mien_status status = node->def->forward(node, &pass);
        plan->ops->range_pop(plan->backend);
        MIEN_TRY(status);
        if (plan->profile) MIEN_TRY(mien_plan_stamp(plan, &plan->profile->forward[i]));
    }
    return MIEN_OK;
}

mien_status mien_plan_walk_backward(mien_plan *plan, const mien_walk *walk, int from, int to) {
    mien_pass pass;
    MIEN_TRY(mien_plan_stamp(plan, NULL));
    for (int i = to - 1; i >= from; i--) {
        const mien_node *node = &plan->graph->nodes[i];
        if (plan->nodes[i].fusion.skipped || !plan->nodes[i].requires_grad) continue;
        mien_plan_pass(plan, walk, i, true, &pass);
        plan->ops->range_push(plan->backend, "backward", node->name);
        const mien_status status = node->def->backward(node, &pass);
        plan->ops->range_pop(plan->backend);
        MIEN_TRY(status);
        if (plan->profile) MIEN_TRY(mien_plan_stamp(plan, &plan->profile->backward[i]));
    }
    return MIEN_OK;
}

/* Operators may cache what they derive from the weights. */
static void invalidate_weight_caches(mien_plan *plan) {
    for (int i = 0; i < plan->graph->count; i++)
        if (plan->nodes[i].linear) plan->ops->linear_weights_changed(plan->nodes[i].linear);
}

/* The micro-batch from row `first` on. */
static void next_rows(const mien_plan *plan, mien_walk *walk, int first, int n) {
    walk->first = first;
    walk->rows = n - first < plan->micro_batch ? n - first : plan->micro_batch;
}

/* Does this pass carry slices? To time or to show layers, it runs layer by layer instead, with the
 * same result. */
static bool carries(const mien_plan *plan) {
    return plan->carries && !plan->profile && !plan->observe;
}

/* Layer by layer, the first ones in micro-batches. */
static mien_status layers_forward(mien_plan *plan, int n, bool training, uint64_t offset) {
    mien_walk walk = {.training = training, .offset = offset};
    if (plan->carries && plan->layers_rows != n) {
        MIEN_TRY(mien_plan_prepare_nodes(plan, 0, plan->graph->count, n));
        plan->layers_rows = n;
    }
    for (int first = 0; first < n; first += plan->micro_batch) {
        next_rows(plan, &walk, first, n);
        MIEN_TRY(mien_plan_walk_forward(plan, &walk, 1, plan->cut));
    }
    walk.first = 0;
    walk.rows = n;
    return mien_plan_walk_forward(plan, &walk, plan->cut, plan->graph->count);
}

mien_status mien_plan_forward(mien_plan *plan, int n, bool training, uint64_t offset) {
    if (plan->training) invalidate_weight_caches(plan);
    return carries(plan) ? mien_plan_carry_forward(plan, n, training, offset)
                         : layers_forward(plan, n, training, offset);
}

mien_status mien_plan_loss(mien_plan *plan, int n, int global_rows, const void *class_weight,
                           bool gradient_too) {
    const mien_tensor logits = mien_plan_logits(plan, n), targets = mien_plan_targets(plan, n);
    const mien_tensor dlogits = gradient_too ? mien_plan_logits_gradient(plan, n) : logits;
    MIEN_TRY(mien_plan_stamp(plan, NULL));
    plan->ops->range_push(plan->backend, "loss", NULL);
    const mien_status status =
        plan->ops->softmax_xent(plan->backend, gradient_too ? &dlogits : NULL, &logits, &targets,
                                class_weight, global_rows, plan->step);
    plan->ops->range_pop(plan->backend);
    MIEN_TRY(status);
    return plan->profile ? mien_plan_stamp(plan, &plan->profile->loss) : MIEN_OK;
}

static mien_status layers_backward(mien_plan *plan, int n, uint64_t offset) {
    mien_walk walk = {.training = true, .rows = n, .offset = offset};
    MIEN_TRY(mien_plan_walk_backward(plan, &walk, plan->cut, plan->graph->count));
    for (int first = 0; first < n; first += plan->micro_batch) {
        next_rows(plan, &walk, first, n);
        walk.accumulate = first > 0;
        MIEN_TRY(mien_plan_walk_backward(plan, &walk, 1, plan->cut));
    }
    return MIEN_OK;
}

mien_status mien_plan_backward(mien_plan *plan, int n, uint64_t offset) {
    return carries(plan) ? mien_plan_carry_backward(plan, n, offset)
                         : layers_backward(plan, n, offset);
}

mien_status mien_plan_update(mien_plan *plan, int global_rows) {
    const mien_update update = {.w = plan->param,
                                .g = plan->grad,
                                .m = plan->moment1,
                                .v = plan->moment2,
                                .average = plan->average,
                                .half = plan->half,
                                .rates = plan->rates,
                                .decayed = plan->decayed,
                                .count = plan->trained,
                                .rule = &plan->rule,
                                .state = plan->step};
    MIEN_TRY(mien_plan_stamp(plan, NULL));
    MIEN_TRY(plan->ops->all_reduce(plan->backend, plan->grad, plan->trained));
    plan->ops->range_push(plan->backend, "adam", NULL);
    const mien_status status = plan->ops->optimize(plan->backend, &update, global_rows);
    plan->ops->range_pop(plan->backend);
    MIEN_TRY(status);
    return plan->profile ? mien_plan_stamp(plan, &plan->profile->update) : MIEN_OK;
}

mien_status mien_plan_probabilities(mien_plan *plan, int n, float *out) {
    const mien_tensor logits = mien_plan_logits(plan, n);
    const mien_tensor p = rows_of(plan, logits.dtype, plan->probabilities, n);
    MIEN_TRY(plan->ops->softmax(plan->backend, &p, &logits));
    return plan->ops->download(plan->backend, out, &p);
}

int mien_plan_rows(const mien_plan *plan, int n) {
    static const int sizes[] = {1, 8, 32, 128, 512};
    if (plan->training || !plan->ops->capture) return n;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (n <= sizes[i] && sizes[i] <= plan->max_batch) return sizes[i];
    return plan->max_batch;
}

typedef struct inference {
    mien_plan *plan;
    int rows;
} inference;

static mien_status infer(void *context) {
    const inference *i = context;
    return mien_plan_forward(i->plan, i->rows, false, 0);
}

mien_status mien_plan_infer(mien_plan *plan, int n) {
    inference work = {plan, mien_plan_rows(plan, n)};
    if (plan->profile || plan->observe) return infer(&work);
    for (int i = 0; i < MIEN_INFER_SIZES; i++) {
        mien_replay *r = &plan->infer[i];
        if (r->warm && (r->rows != work.rows || r->weights != plan->weights)) continue;
        r->rows = work.rows;
        r->weights = plan->weights;
        return mien_replay_run(r, plan->backend, plan->version, infer, &work);
    }
    return infer(&work); /* all slots are in use by other sizes */
}
