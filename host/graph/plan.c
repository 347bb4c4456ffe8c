#include "host/graph/plan.h"

#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"

enum { PAD = 16 };

static const mien_layer_common *common_of(const mien_node *node) {
    return node->attrs;
}

static bool is_trained(const mien_node *node, int param) {
    return node->params[param].trained && common_of(node)->trainable;
}

/* Sets `requires_grad`, and `adds` where an input's gradient has another writer that runs before
 * this node in the backward pass. */
static void mark_gradients(mien_plan *plan) {
    const mien_graph *graph = plan->graph;
    for (int i = 0; i < graph->count; i++) {
        mien_node_plan *own = &plan->nodes[i];
        for (int k = 0; k < graph->nodes[i].param_count; k++)
            own->requires_grad |= is_trained(&graph->nodes[i], k);
        for (int k = 0; k < mien_plan_operands(plan, i); k++)
            own->requires_grad |= plan->nodes[mien_plan_operand(plan, i, k)].requires_grad;
    }
    bool touched[MIEN_NODES_MAX] = {false};
    for (int i = graph->count - 1; i > 0; i--) {
        mien_node_plan *own = &plan->nodes[i];
        for (int k = 0; !own->fusion.skipped && k < mien_plan_operands(plan, i); k++) {
            bool *seen = &touched[mien_plan_operand(plan, i, k)];
            own->adds[k] = *seen;
            *seen = true;
        }
    }
}

/* Rows of a slice: a power of two, which follows from the batch alone. So there are eight or more,
 * for as many threads, unless the batch is smaller. */
static int slice_rows(int batch) {
    enum { SLICES = 8, ROWS_MAX = 8 };
    int rows = 1;
    while (rows < ROWS_MAX && 2 * rows * SLICES <= batch)
        rows *= 2;
    return rows;
}

/* Micro-batches run from the input to the first dense layer, unless a layer on the way needs the
 * statistics of the whole batch. Slices are the same with any size of the micro-batches that the
 * backend chooses, which are a multiple of two slices. */
static void choose_micro_batch(mien_plan *plan, int wanted) {
    const mien_graph *graph = plan->graph;
    const int automatic = plan->ops->micro_batch(plan->backend);
    plan->slice = automatic ? slice_rows(plan->max_batch) : 0;
    plan->micro_batch = plan->max_batch;
    plan->cut = 1;
    for (int i = 1; plan->training && i < graph->count; i++)
        if (graph->nodes[i].def->flags & MIEN_WHOLE_BATCH) return;
    int cut = 1;
    while (cut < graph->count - 1 && !(graph->nodes[cut].def->flags & MIEN_ENDS_MICRO_BATCHES))
        cut++;
    int rows = wanted ? wanted : automatic;
    if (plan->shares) rows = mien_plan_slice_cut(plan, &cut);
    if (cut == 1 || rows == 0) return;
    plan->cut = cut;
    if (rows < plan->max_batch) plan->micro_batch = rows;
}

bool mien_plan_masks_relu(const mien_plan *plan, const mien_node *node) {
    const mien_node *before = &plan->graph->nodes[node->inputs[0]];
    return plan->nodes[before->index].fusion.skipped &&
           plan->nodes[before->inputs[0]].fusion.slope_by_consumer;
}

bool mien_plan_reads_input(const mien_plan *plan, const mien_node *node) {
    return (node->def->flags & MIEN_NEEDS_INPUT) ||
           ((node->def->flags & MIEN_READS_MASK) && mien_plan_masks_relu(plan, node));
}

bool mien_plan_linear_desc(const mien_plan *plan, int i, mien_linear_desc *desc) {
    const mien_node *node = &plan->graph->nodes[i];
    const mien_node_plan *own = &plan->nodes[i];
    if (!node->def->linear) return false;
    *desc = (mien_linear_desc){.name = node->name,
                               .in = node->in[0],
                               .out = node->out,
                               .activation = own->fusion.activation,
                               .alpha = own->fusion.alpha,
                               .training = plan->training,
                               .rows = plan->shares ? plan->shares->most : plan->most,
                               .adds = own->fusion.sums,
                               .needs_dx = plan->nodes[node->inputs[0]].requires_grad,
                               .masks_dx = mien_plan_masks_relu(plan, node),
                               .accumulates_dx = own->adds[0],
                               .accumulates_dw = i < plan->cut,
                               .slice = plan->slice,
                               .shares = plan->shares ? plan->shares->nodes[i].linear : NULL};
    node->def->linear(node, desc);
    if (own->fusion.norm) desc->bias = true;
    if (own->fusion.padding) {
        const mien_node *padding = &plan->graph->nodes[own->fusion.padding];
        const int *sides = padding->def->pads(padding);
        desc->in = padding->in[0];
        desc->pad_top += sides[0];
        desc->pad_bottom += sides[1];
        desc->pad_left += sides[2];
        desc->pad_right += sides[3];
    }
    return true;
}

mien_status mien_plan_linear_beside(const mien_plan *plan, int i, mien_linear **out) {
    mien_linear_desc d;
    if (!mien_plan_linear_desc(plan, i, &d)) return MIEN_OK;
    d.shares = plan->nodes[i].linear;
    return plan->ops->linear_create(plan->backend, &d, out);
}

static mien_status create_linear(mien_plan *plan, int i) {
    mien_linear_desc d;
    if (!mien_plan_linear_desc(plan, i, &d)) return MIEN_OK;
    if (plan->quant) MIEN_TRY(mien_plan_int8_create(plan, i));
    if (plan->nodes[i].int8) return MIEN_OK;
    return plan->ops->linear_create(plan->backend, &d, &plan->nodes[i].linear);
}

void mien_plan_algorithms(const mien_plan *plan, const char *prefix, mien_text *out) {
    for (int i = 0; i < plan->graph->count; i++) {
        mien_linear_desc d;
        if (!mien_plan_linear_desc(plan, i, &d) || d.dense || plan->nodes[i].int8) continue;
        mien_text_printf(out, "%s%s:", prefix, d.name);
        for (int k = 0; k < (plan->training ? MIEN_DIRECTIONS : 1); k++) {
            char engine[128];
            plan->ops->linear_engine(plan->nodes[i].linear, (mien_direction)k, engine,
                                     sizeof engine);
            mien_text_printf(out, "%s %s %s", k ? "," : "", mien_direction_name(k), engine);
        }
        mien_text_puts(out, "\n");
    }
}

size_t mien_plan_param_elements(const mien_plan *plan, int i, int k) {
    const mien_param *p = &plan->graph->nodes[i].params[k];
    if (plan->nodes[i].int8) return 0; /* its operator owns them */
    const size_t count = p->linear ? plan->ops->linear_weight_bytes(plan->nodes[i].linear) /
                                         mien_dtype_bytes(plan->backend->param_dtype)
                                   : mien_shape_count(p->shape);
    return (count + PAD - 1) & ~(size_t)(PAD - 1);
}

/* Lays out the parameters in three rounds: decayed, trained without decay, frozen. States have
 * their own arena. */
static void lay_out_params(mien_plan *plan) {
    const mien_graph *graph = plan->graph;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < graph->count; i++)
            for (int k = 0; k < graph->nodes[i].param_count; k++) {
                const mien_param *p = &graph->nodes[i].params[k];
                const bool trained = is_trained(&graph->nodes[i], k);
                if (!p->trained || round != (trained ? (p->decays ? 0 : 1) : 2)) continue;
                plan->nodes[i].param[k] = plan->nodes[i].grad[k] = plan->params;
                plan->params += mien_plan_param_elements(plan, i, k);
            }
        if (round == 0) plan->decayed = plan->params;
        if (round == 1) plan->trained = plan->params;
    }
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].param_count; k++)
            if (!graph->nodes[i].params[k].trained) {
                plan->nodes[i].param[k] = plan->states;
                plan->states += mien_plan_param_elements(plan, i, k);
            }
}

/* The error for activations that do not fit: names the layer with the largest output and suggests a
 * batch size. */
static mien_status too_large(const mien_plan *plan) {
    size_t left, all, largest = 0;
    int at = 0;
    for (int i = 0; i < plan->graph->count; i++) {
        const size_t elements = mien_shape_sample(plan->graph->nodes[i].out);
        if (elements > largest) at = i;
        if (elements > largest) largest = elements;
    }
    plan->ops->memory(plan->backend, &left, &all);
    const double fits = 0.9 * (double)left / (double)(plan->act_bytes + 1) * plan->max_batch;
    if (fits < 1) return MIEN_NO_MEMORY; /* keeps the allocation's message */
    return MIEN_FAIL(NO_MEMORY,
                     "a batch of %d images needs %.0f MiB, %.0f MiB are free (largest layer: "
                     "'%s'): try a batch size of %d",
                     plan->max_batch, (double)plan->act_bytes / 1048576, (double)left / 1048576,
                     plan->graph->nodes[at].name, (int)fits);
}

static mien_status allocate(mien_plan *plan) {
    const size_t element = mien_dtype_bytes(plan->backend->param_dtype);
    const size_t params = plan->params * element, trained = plan->trained * element;
    const mien_ops *ops = plan->ops;
    mien_backend *b = plan->backend;
    MIEN_TRY(ops->alloc(b, sizeof *plan->step, (void **)&plan->step));
    if (plan->shares) {
        plan->param = plan->shares->param;
        plan->half = plan->shares->half;
        plan->state = plan->shares->state;
        plan->weights = plan->shares->weights;
        return MIEN_OK;
    }
    MIEN_TRY(ops->alloc(b, params, (void **)&plan->param));
    const size_t halves = plan->params + (plan->training ? 0 : plan->states);
    if (b->dtype != b->param_dtype)
        MIEN_TRY(ops->alloc(b, halves * mien_dtype_bytes(b->dtype), (void **)&plan->half));
    MIEN_TRY(ops->alloc(b, plan->states * element, (void **)&plan->state));
    plan->weights = plan->param;
    if (!plan->training) return MIEN_OK;
    MIEN_TRY(ops->alloc(b, trained, (void **)&plan->grad));
    const bool sgd = plan->rule.kind == BODY_SGD;
    if (!sgd || plan->rule.momentum > 0) MIEN_TRY(ops->alloc(b, trained, (void **)&plan->moment1));
    if (!sgd) MIEN_TRY(ops->alloc(b, trained, (void **)&plan->moment2));
    if (plan->rule.ema > 0) MIEN_TRY(ops->alloc(b, params, (void **)&plan->average));
    return MIEN_OK;
}

/* Logits written by a linear operator keep the precision of its sums, for the loss. In training,
 * logits after a fused activation stay in the backend's dtype: the activation's backward kernel
 * reads them together with their gradient and takes one dtype for both. */
static void widen_logits(mien_plan *plan) {
    const int root = plan->nodes[plan->graph->logits].fusion.storage;
    if (!plan->graph->nodes[root].def->linear || plan->quant) return;
    if (plan->training && plan->nodes[root].fusion.activation != BODY_LINEAR) return;
    for (int i = 0; i < plan->graph->count; i++)
        if (plan->nodes[i].fusion.storage == root)
            plan->nodes[i].value.dtype = plan->backend->param_dtype;
}

static mien_status allocate_activations(mien_plan *plan) {
    const mien_status status =
        plan->ops->alloc(plan->backend, plan->act_bytes, (void **)&plan->act);
    if (status == MIEN_NO_MEMORY) return too_large(plan);
    plan->chunk = plan->act + plan->chunk_start;
    return status;
}

/* For f16 gradients: high enough that small ones do not underflow; overflows lower it. */
static const double initial_loss_scale = 1024;

static mien_status build(mien_plan *plan, const mien_plan_options *options) {
    MIEN_TRY(mien_new(&plan->nodes, (size_t)plan->graph->count, sizeof *plan->nodes));
    mien_plan_fuse(plan);
    mien_plan_int8_values(plan);
    widen_logits(plan);
    plan->nodes[0].requires_grad = options->training && options->input_gradient;
    mark_gradients(plan);
    mien_plan_move_slopes(plan);
    choose_micro_batch(plan, options->micro_batch);
    plan->carries = !options->micro_batch && !options->input_gradient && mien_plan_can_carry(plan);
    for (int i = 0; i < plan->graph->count; i++)
        MIEN_TRY(create_linear(plan, i));
    lay_out_params(plan);
    if (plan->training && plan->trained == 0 && !options->input_gradient)
        return MIEN_FAIL(INVALID, "every layer is frozen: there is nothing to train");
    MIEN_TRY(mien_plan_memory(plan));
    MIEN_TRY(allocate(plan));
    MIEN_TRY(allocate_activations(plan));
    body_step start;
    memset(&start, 0, sizeof start);
    body_step_start(&start, options->seed, plan->rule.beta_1, plan->rule.beta_2);
    if (plan->backend->dtype == MIEN_F16) start.loss_scale = initial_loss_scale;
    MIEN_TRY(mien_plan_write(plan, &start));
    if (plan->carries) MIEN_TRY(mien_plan_carriers_create(plan));
    return plan->shares ? MIEN_OK : mien_plan_prepare(plan, plan->max_batch);
}

mien_status mien_plan_create(const mien_graph *graph, mien_backend *backend,
                             const mien_plan_options *options, mien_plan **out) {
    mien_plan *plan;
    *out = NULL;
    if (options->max_batch < 1) return MIEN_FAIL(INVALID, "the batch size must be at least 1");
    MIEN_TRY(mien_new(&plan, 1, sizeof *plan));
    plan->graph = graph;
    plan->backend = backend;
    plan->ops = backend->ops;
    plan->training = options->training;
    plan->pools_apart = options->pools_apart;
    plan->keeps_norms = options->keeps_norms;
    plan->shares = options->shares;
    plan->most = plan->max_batch = options->max_batch;
    plan->sliced = options->sliced;
    if (options->sliced) plan->max_batch = mien_plan_uncut(backend, options->max_batch);
    if (options->rule) plan->rule = *options->rule;
    if (options->quant && options->quant->nodes) {
        if (plan->training)
            return mien_plan_free(plan),
                   MIEN_FAIL(INVALID, "an int8 model cannot be trained: "
                                      "train the model it was converted from");
        const mien_int8_ops *int8 = plan->ops->int8;
        if (int8 && int8->available(backend))
            plan->quant = options->quant;
        else
            MIEN_INFO("int8 is not supported on %s: the model runs in f32", backend->description);
    }
    const mien_status status = build(plan, options);
    if (status != MIEN_OK) {
        mien_plan_free(plan);
        return status;
    }
    *out = plan;
    return MIEN_OK;
}

void mien_plan_free(mien_plan *plan) {
    if (!plan) return;
    mien_plan_slices_free(plan->slices);
    mien_plan_carriers_free(plan);
    for (int i = 0; i < MIEN_INFER_SIZES; i++) /* first: they refer to the operators */
        mien_replay_release(&plan->infer[i], plan->backend);
    for (int i = 0; plan->nodes && i < plan->graph->count; i++) {
        if (plan->nodes[i].linear) plan->ops->linear_free(plan->nodes[i].linear);
        if (plan->nodes[i].int8) plan->ops->int8->free(plan->nodes[i].int8);
    }
    if (plan->shares) plan->param = plan->half = plan->state = NULL;
    void *const roles[] = {plan->param,   plan->half,    plan->grad,    plan->state,
                           plan->act,     plan->scratch, plan->moment1, plan->moment2,
                           plan->average, plan->step,    plan->rates};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (roles[i]) plan->ops->free(plan->backend, roles[i]);
    mien_free(plan->nodes);
    mien_free(plan);
}

static mien_status prepare_linear(mien_plan *plan, int i, int n) {
    mien_linear *op = plan->nodes[i].linear;
    if (plan->nodes[i].int8 && n > 0) return plan->ops->int8->prepare(plan->nodes[i].int8, n);
    return op && n > 0 ? plan->ops->linear_prepare(op, n) : MIEN_OK;
}

mien_status mien_plan_prepare(mien_plan *plan, int n) {
    if (n < 1 || n > plan->max_batch)
        return MIEN_FAIL(INVALID, "a batch of %d exceeds the plan's maximum of %d", n,
                         plan->max_batch);
    return plan->carries ? mien_plan_carriers_prepare(plan, n)
                         : mien_plan_prepare_nodes(plan, 0, plan->graph->count, n);
}

mien_status mien_plan_prepare_nodes(mien_plan *plan, int from, int to, int n) {
    size_t need = 0;
    for (int i = from; i < to; i++) {
        if (i < plan->cut) {
            if (n >= plan->micro_batch) MIEN_TRY(prepare_linear(plan, i, plan->micro_batch));
            MIEN_TRY(prepare_linear(plan, i, n % plan->micro_batch));
        } else {
            MIEN_TRY(prepare_linear(plan, i, n));
        }
        const mien_linear *op = plan->nodes[i].linear;
        const mien_int8_linear *int8 = plan->nodes[i].int8;
        const size_t bytes = op     ? plan->ops->linear_scratch_bytes(op)
                             : int8 ? plan->ops->int8->scratch_bytes(int8)
                                    : 0;
        if (bytes > need) need = bytes;
    }
    if (need <= plan->scratch_bytes) return MIEN_OK;
    if (plan->scratch) plan->ops->free(plan->backend, plan->scratch);
    plan->scratch = NULL;
    plan->scratch_bytes = 0;
    plan->version++;
    MIEN_TRY(plan->ops->alloc(plan->backend, need, (void **)&plan->scratch));
    plan->scratch_bytes = need;
    return MIEN_OK;
}

/* Called for every parameter and state with its address in backend memory and its host array. */
typedef mien_status (*param_fn)(mien_plan *plan, int node, int param, char *at, float *host);

static char *array_of(const mien_plan *plan, mien_array array) {
    char *const arrays[MIEN_ARRAYS] = {plan->param, plan->average, plan->moment1, plan->moment2};
    return arrays[array];
}

bool mien_plan_has(const mien_plan *plan, mien_array array) {
    return array_of(plan, array) != NULL;
}

bool mien_array_holds(mien_array array, const mien_node *node, int param) {
    if (array == MIEN_ARRAY_WEIGHTS) return true;
    return array == MIEN_ARRAY_AVERAGE ? node->params[param].trained : is_trained(node, param);
}

/* `states`: also where the array has none. */
static mien_status each_param(mien_plan *plan, mien_array array, bool states,
                              const mien_weights *weights, param_fn visit) {
    const size_t element = mien_dtype_bytes(plan->backend->param_dtype);
    for (int i = 0; i < plan->graph->count; i++) {
        const mien_node *node = &plan->graph->nodes[i];
        for (int k = 0; k < node->param_count; k++) {
            const bool is_state = !node->params[k].trained;
            char *base = is_state ? plan->state : array_of(plan, array);
            if (mien_array_holds(array, node, k) || (states && is_state))
                MIEN_TRY(visit(plan, i, k, base + plan->nodes[i].param[k] * element,
                               mien_weights_get(weights, i, k)));
        }
    }
    return MIEN_OK;
}

static mien_tensor vector_at(const mien_plan *plan, int node, int param, char *at) {
    const int count = (int)mien_shape_count(plan->graph->nodes[node].params[param].shape);
    return (mien_tensor){{1, 1, 1, count}, plan->backend->param_dtype, count, at};
}

static mien_status load_one(mien_plan *plan, int node, int param, char *at, float *host) {
    if (plan->nodes[node].int8) return MIEN_OK; /* see mien_plan_load_folded */
    if (plan->graph->nodes[node].params[param].linear)
        return plan->ops->weights_upload(plan->nodes[node].linear, at, host);
    const mien_tensor t = vector_at(plan, node, param, at);
    return plan->ops->upload(plan->backend, &t, host);
}

static mien_status store_one(mien_plan *plan, int node, int param, char *at, float *host) {
    if (plan->graph->nodes[node].params[param].linear)
        return plan->ops->weights_download(plan->nodes[node].linear, host, at);
    const mien_tensor t = vector_at(plan, node, param, at);
    return plan->ops->download(plan->backend, host, &t);
}

mien_status mien_plan_load(mien_plan *plan, const mien_weights *weights) {
    MIEN_TRY(each_param(plan, MIEN_ARRAY_WEIGHTS, true, weights, load_one));
    MIEN_TRY(mien_plan_load_folded(plan, weights));
    if (plan->average) MIEN_TRY(each_param(plan, MIEN_ARRAY_AVERAGE, true, weights, load_one));
    return mien_plan_use(plan, false);
}

mien_status mien_plan_get(mien_plan *plan, mien_array array, mien_weights *weights) {
    return each_param(plan, array, false, weights, store_one);
}

mien_status mien_plan_set(mien_plan *plan, mien_array array, const mien_weights *weights) {
    MIEN_TRY(each_param(plan, array, false, weights, load_one));
    return array == MIEN_ARRAY_WEIGHTS ? mien_plan_use(plan, false) : MIEN_OK;
}

mien_status mien_plan_use(mien_plan *plan, bool average) {
    plan->weights = average && plan->average ? plan->average : plan->param;
    if (!plan->half) return MIEN_OK;
    return plan->ops->cast(plan->backend, plan->half, plan->weights, plan->params);
}

mien_status mien_plan_read(const mien_plan *plan, body_step *out) {
    return plan->ops->copy_out(plan->backend, out, plan->step, sizeof *out);
}

mien_status mien_plan_write(mien_plan *plan, const body_step *state) {
    return plan->ops->copy_in(plan->backend, plan->step, state, sizeof *state);
}

mien_status mien_plan_epoch(mien_plan *plan, const double *rates, size_t count) {
    body_step state;
    if (count > plan->rates_capacity) {
        if (plan->rates) plan->ops->free(plan->backend, plan->rates);
        plan->rates = NULL;
        plan->rates_capacity = 0;
        plan->version++;
        MIEN_TRY(plan->ops->alloc(plan->backend, count * sizeof *rates, (void **)&plan->rates));
        plan->rates_capacity = count;
    }
    MIEN_TRY(plan->ops->copy_in(plan->backend, plan->rates, rates, count * sizeof *rates));
    MIEN_TRY(mien_plan_read(plan, &state));
    state.cursor = state.tick = 0;
    state.loss_sum = 0;
    state.rows = state.correct = 0;
    return mien_plan_write(plan, &state);
}

mien_status mien_plan_store(mien_plan *plan, bool from_average, mien_weights *weights) {
    if (!plan->training)
        return MIEN_FAIL(INVALID, "weights cannot be read back from an inference plan: other "
                                  "layers are folded into them");
    const bool average = from_average && plan->average;
    return each_param(plan, average ? MIEN_ARRAY_AVERAGE : MIEN_ARRAY_WEIGHTS, true, weights,
                      store_one);
}
