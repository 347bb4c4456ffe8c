/* The only walk over a graph, and what a layer sees on the way. */
#include "host/graph/plan.h"

/* Of parameters and statistics. */
static size_t element_bytes(const mien_run *run) {
    return mien_dtype_bytes(run->backend->param_dtype);
}

/* Rows [first, first + rows) of a buffer; one that holds a micro-batch only starts at its front. */
static mien_tensor view(const mien_run *run, int node, mien_dtype dtype, size_t offset,
                        bool whole) {
    mien_shape s = run->plan->graph->nodes[node].out;
    const size_t row = mien_shape_sample(s) * mien_dtype_bytes(dtype);
    const size_t skip = whole ? row * (size_t)run->first : 0;
    const bool bytes = dtype != run->backend->dtype; /* they are NHWC on every backend */
    s.n = run->rows;
    return (mien_tensor){s, dtype, bytes ? s.c : run->ops->channel_block(run->backend, s),
                         run->plan->act + offset + skip};
}

static mien_tensor value(const mien_run *run, int node) {
    const mien_place *place = &run->plan->places[node];
    return view(run, node, place->dtype, place->out, place->whole);
}

static mien_tensor gradient(const mien_run *run, int node) {
    const mien_place *place = &run->plan->places[node];
    return view(run, node, run->backend->dtype, place->grad, place->grad_whole);
}

mien_tensor mien_run_input(const mien_run *run, const mien_node *node, int i) {
    return value(run, mien_plan_operand(run->plan, node->index, i));
}

int mien_run_inputs(const mien_run *run, const mien_node *node) {
    return mien_plan_operands(run->plan, node->index);
}

mien_tensor mien_run_output(const mien_run *run, const mien_node *node) {
    return value(run, node->index);
}

mien_tensor mien_run_grad(const mien_run *run, const mien_node *node) {
    return gradient(run, node->index);
}

bool mien_run_input_grad(const mien_run *run, const mien_node *node, int i, mien_tensor *out,
                         bool *accumulate) {
    const int input = mien_plan_operand(run->plan, node->index, i);
    if (!run->plan->places[input].wants_grad) return false;
    *out = gradient(run, input);
    *accumulate = run->plan->places[node->index].adds[i];
    return true;
}

void *mien_run_param(const mien_run *run, const mien_node *node, int i) {
    if (i == 1 && run->plan->places[node->index].norm)
        return run->plan->state +
               mien_plan_folded_bias(run->plan, node->index) * element_bytes(run);
    if (i >= node->param_count) return NULL;
    if (node->params[i].linear && run->plan->low)
        return run->plan->low +
               run->plan->places[node->index].param[i] * mien_dtype_bytes(run->backend->dtype);
    const char *base = node->params[i].trained ? run->plan->weights : run->plan->state;
    return (char *)base + run->plan->places[node->index].param[i] * element_bytes(run);
}

void *mien_run_param_grad(const mien_run *run, const mien_node *node, int i) {
    if (i >= node->param_count || !node->params[i].trained ||
        !((const mien_layer_common *)node->attrs)->trainable)
        return NULL;
    return run->plan->grad + run->plan->places[node->index].param[i] * element_bytes(run);
}

uint16_t *mien_run_index(const mien_run *run, const mien_node *node) {
    const mien_plan *plan = run->plan;
    const mien_place *place = &plan->places[node->index];
    const bool kept = plan->training && place->wants_grad; /* for backward, hence of all rows */
    const size_t skip = kept ? mien_shape_sample(node->out) * (size_t)run->first : 0;
    return (uint16_t *)(plan->act + place->index) + skip;
}

void *mien_run_statistics(const mien_run *run, const mien_node *node, int i) {
    return run->plan->act + run->plan->places[node->index].statistics +
           (size_t)i * (size_t)node->out.c * element_bytes(run);
}

mien_int8_linear *mien_run_bytes(const mien_run *run, const mien_node *node) {
    return run->plan->places[node->index].bytes;
}

mien_linear *mien_run_linear(const mien_run *run, const mien_node *node) {
    return run->plan->places[node->index].linear;
}

int mien_run_activation(const mien_run *run, const mien_node *node, float *alpha) {
    *alpha = run->plan->places[node->index].alpha;
    return run->plan->places[node->index].activation;
}

int mien_run_slope(const mien_run *run, const mien_node *node, float *alpha) {
    const int activation = mien_run_activation(run, node, alpha);
    return run->plan->places[node->index].slope_by_reader ? BODY_LINEAR : activation;
}

bool mien_run_gates(const mien_run *run, const mien_node *node) {
    return mien_plan_gates(run->plan, node);
}

const mien_node *mien_run_dropout(const mien_run *run, const mien_node *node) {
    const int dropout = run->plan->places[node->index].dropout;
    return dropout ? &run->plan->graph->nodes[dropout] : NULL;
}

void *mien_run_summed_bias(const mien_run *run, const mien_node *node) {
    const mien_node *relu = &run->plan->graph->nodes[node->inputs[0]];
    if (!mien_run_gates(run, node)) return NULL;
    const mien_node *linear = &run->plan->graph->nodes[relu->inputs[0]];
    return run->plan->places[linear->index].bias_by_reader ? mien_run_param_grad(run, linear, 1)
                                                           : NULL;
}

void *mien_run_bias_grad(const mien_run *run, const mien_node *node) {
    return run->plan->places[node->index].bias_by_reader ? NULL : mien_run_param_grad(run, node, 1);
}

static mien_run start(mien_plan *plan, bool training, uint64_t offset) {
    return (mien_run){.plan = plan,
                      .backend = plan->backend,
                      .ops = plan->ops,
                      .training = training,
                      .offset = offset,
                      .state = plan->step,
                      .scratch = plan->scratch};
}

static mien_tensor rows_of(const mien_plan *plan, mien_dtype dtype, size_t offset, int n) {
    const mien_shape s = {n, 1, 1, plan->graph->classes};
    return (mien_tensor){s, dtype, s.c, plan->act + offset};
}

mien_tensor mien_plan_input(const mien_plan *plan, int n) {
    mien_run run = start((mien_plan *)plan, false, 0);
    run.rows = n;
    return value(&run, 0);
}

mien_tensor mien_plan_targets(const mien_plan *plan, int n) {
    return rows_of(plan, plan->backend->param_dtype, plan->targets, n);
}

mien_tensor mien_plan_logits(const mien_plan *plan, int n) {
    const mien_place *place = &plan->places[plan->graph->logits];
    return rows_of(plan, place->dtype, place->out, n);
}

mien_tensor mien_plan_logits_gradient(const mien_plan *plan, int n) {
    return rows_of(plan, plan->backend->dtype, plan->places[plan->graph->logits].grad, n);
}

mien_tensor mien_plan_input_gradient(const mien_plan *plan, int n) {
    mien_run run = start((mien_plan *)plan, false, 0);
    run.rows = n;
    return gradient(&run, 0);
}

static mien_status walk_forward(mien_run *run, int from, int to) {
    mien_plan *plan = run->plan;
    MIEN_TRY(mien_plan_stamp(plan, NULL));
    for (int i = from; i < to; i++) {
        const mien_node *node = &plan->graph->nodes[i];
        if (plan->places[i].skipped) continue;
        if (plan->observe) plan->observe(plan->observer, run, node);
        run->ops->range_push(run->backend, "forward", node->name);
        const mien_status status = node->def->forward(node, run);
        run->ops->range_pop(run->backend);
        MIEN_TRY(status);
        if (plan->profile) MIEN_TRY(mien_plan_stamp(plan, &plan->profile->forward[i]));
    }
    return MIEN_OK;
}

static mien_status walk_backward(mien_run *run, int from, int to) {
    mien_plan *plan = run->plan;
    MIEN_TRY(mien_plan_stamp(plan, NULL));
    for (int i = to - 1; i >= from; i--) {
        const mien_node *node = &plan->graph->nodes[i];
        if (plan->places[i].skipped || !plan->places[i].wants_grad) continue;
        run->ops->range_push(run->backend, "backward", node->name);
        const mien_status status = node->def->backward(node, run);
        run->ops->range_pop(run->backend);
        MIEN_TRY(status);
        if (plan->profile) MIEN_TRY(mien_plan_stamp(plan, &plan->profile->backward[i]));
    }
    return MIEN_OK;
}

/* Operators may keep what they derived from the weights until these change. */
static void tell_weights_changed(mien_plan *plan) {
    for (int i = 0; i < plan->graph->count; i++)
        if (plan->places[i].linear) plan->ops->linear_weights_changed(plan->places[i].linear);
}

mien_status mien_plan_forward(mien_plan *plan, int n, bool training, uint64_t offset) {
    mien_run run = start(plan, training, offset);
    if (plan->training) tell_weights_changed(plan);
    for (int first = 0; first < n; first += plan->micro_batch) {
        run.first = first;
        run.rows = n - first < plan->micro_batch ? n - first : plan->micro_batch;
        MIEN_TRY(walk_forward(&run, 1, plan->cut));
    }
    run.first = 0;
    run.rows = n;
    return walk_forward(&run, plan->cut, plan->graph->count);
}

mien_status mien_plan_loss(mien_plan *plan, int n, int batch, const void *class_weight,
                           bool gradient_too) {
    const mien_tensor logits = mien_plan_logits(plan, n), targets = mien_plan_targets(plan, n);
    const mien_tensor dlogits = gradient_too ? mien_plan_logits_gradient(plan, n) : logits;
    MIEN_TRY(mien_plan_stamp(plan, NULL));
    plan->ops->range_push(plan->backend, "loss", NULL);
    const mien_status status =
        plan->ops->softmax_xent(plan->backend, gradient_too ? &dlogits : NULL, &logits, &targets,
                                class_weight, batch, plan->step);
    plan->ops->range_pop(plan->backend);
    MIEN_TRY(status);
    return plan->profile ? mien_plan_stamp(plan, &plan->profile->loss) : MIEN_OK;
}

mien_status mien_plan_backward(mien_plan *plan, int n, uint64_t offset) {
    mien_run run = start(plan, true, offset);
    run.rows = n;
    MIEN_TRY(walk_backward(&run, plan->cut, plan->graph->count));
    for (int first = 0; first < n; first += plan->micro_batch) {
        run.first = first;
        run.rows = n - first < plan->micro_batch ? n - first : plan->micro_batch;
        run.accumulate = first > 0;
        MIEN_TRY(walk_backward(&run, 1, plan->cut));
    }
    return MIEN_OK;
}

mien_status mien_plan_update(mien_plan *plan, int n) {
    const mien_update update = {.w = plan->param,
                                .g = plan->grad,
                                .m = plan->moment1,
                                .v = plan->moment2,
                                .average = plan->average,
                                .low = plan->low,
                                .rates = plan->rates,
                                .decayed = plan->decayed,
                                .count = plan->trained,
                                .rule = &plan->rule,
                                .state = plan->step};
    MIEN_TRY(mien_plan_stamp(plan, NULL));
    MIEN_TRY(plan->ops->all_reduce(plan->backend, plan->grad, plan->trained));
    plan->ops->range_push(plan->backend, "adam", NULL);
    const mien_status status = plan->ops->optimize(plan->backend, &update, n);
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
    return infer(&work); /* more sizes than are kept */
}
