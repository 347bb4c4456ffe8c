/* Runs a network on the CPU and on a device in lockstep. */
#include "host/bench/parity.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/bench/modes.h"

typedef struct side {
    mien_backend *backend;
    mien_plan *plan;
    mien_walk walk;
    mien_pass pass; /* of the node being compared */
} side;

typedef struct parity {
    const mien_parity_request *request;
    mien_parity_result *result;
    mien_model model;
    mien_dataset set;
    mien_loader loader; /* on the CPU; the device gets a copy of its batch */
    side cpu, device;
    float *want, *got; /* buffers for the largest tensor or a layer's parameters */
    double scale;      /* the device's loss scale, which multiplies its gradients */
} parity;

const char *mien_parity_kind_name(int kind) {
    static const char *const names[] = {"value", "input gradient", "weight gradient"};
    return names[kind];
}

double mien_parity_bound(mien_compute compute) {
    switch (compute) {
    case MIEN_COMPUTE_BF16:
        return 1.6e-2;
    case MIEN_COMPUTE_F16:
    case MIEN_COMPUTE_TF32: /* as many mantissa bits as f16: rounding both factors alone gives 3e-4
                             */
        return 1e-3;
    default:
        return 1e-5;
    }
}

/* ---- comparing ---- */

/* An absolute RMS error allowed in addition to the bound, because f16 flushes values below its
 * smallest normal number to zero. */
static double underflow(const parity *p, double scale) {
    return p->request->compute == MIEN_COMPUTE_F16 ? 0x1p-14 / scale : 0;
}

static void compare(parity *p, mien_parity_layer *row, int kind, size_t count, double scale) {
    double off = 0, norm = 0, largest = 0;
    bool finite = true;
    for (size_t i = 0; i < count; i++) {
        const double want = p->want[i], d = p->got[i] / scale - want;
        finite &= isfinite(d) != 0;
        off += d * d;
        norm += want * want;
        if (fabs(d) > largest) largest = fabs(d);
    }
    const double relative = off > 0 ? sqrt(off / (norm > 0 ? norm : 1)) : 0;
    mien_parity_difference *of = &row->of[kind];
    const double absolute = underflow(p, scale) * sqrt((double)count);
    const bool holds =
        finite && sqrt(off) <= p->result->bound * sqrt(norm > 0 ? norm : 1) + absolute;
    /* keep the worse of inference and training; NaN is worse than any number */
    if (of->measured && (holds > of->holds || (holds == of->holds && !(relative > of->relative))))
        return;
    *of = (mien_parity_difference){true, largest, relative, holds};
}

static mien_status compare_tensors(parity *p, mien_parity_layer *row, int kind,
                                   const mien_tensor *cpu, const mien_tensor *device,
                                   double scale) {
    MIEN_TRY(p->cpu.backend->ops->download(p->cpu.backend, p->want, cpu));
    MIEN_TRY(p->device.backend->ops->download(p->device.backend, p->got, device));
    compare(p, row, kind, mien_shape_count(cpu->shape), scale);
    return MIEN_OK;
}

/* Gives both sides the same values: copies the CPU's to the device, multiplied by `scale`, and the
 * rounded result back to the CPU, divided by it. */
static mien_status feed(parity *p, const mien_tensor *cpu, const mien_tensor *device,
                        double scale) {
    const size_t count = mien_shape_count(cpu->shape);
    MIEN_TRY(p->cpu.backend->ops->download(p->cpu.backend, p->want, cpu));
    for (size_t i = 0; i < count; i++)
        p->want[i] = (float)(p->want[i] * scale);
    MIEN_TRY(p->device.backend->ops->upload(p->device.backend, device, p->want));
    MIEN_TRY(p->device.backend->ops->download(p->device.backend, p->got, device));
    for (size_t i = 0; i < count; i++)
        p->got[i] = (float)(p->got[i] / scale);
    return p->cpu.backend->ops->upload(p->cpu.backend, cpu, p->got);
}

static bool skipped(const side *s, int i) {
    return s->plan->nodes[i].fusion.skipped;
}

/* The row of a node; only layers that run on both sides are reported. */
static mien_parity_layer *row_of(parity *p, const mien_node *node) {
    return &p->result->layers[node->index];
}

/* ---- forward ---- */

static void see(side *s, const mien_node *node, bool backward) {
    mien_plan_pass(s->plan, &s->walk, node->index, backward, &s->pass);
}

static mien_status forward_node(parity *p, const mien_node *node) {
    const bool on_cpu = !skipped(&p->cpu, node->index);
    const bool on_device = !skipped(&p->device, node->index);
    const mien_pass *cpu = &p->cpu.pass, *device = &p->device.pass;
    see(&p->cpu, node, false);
    see(&p->device, node, false);
    for (int k = 0; on_cpu && k < cpu->x_count; k++)
        MIEN_TRY(feed(p, &cpu->x[k], &device->x[k], 1));
    if (on_cpu) MIEN_TRY(node->def->forward(node, cpu));
    if (on_device) MIEN_TRY(node->def->forward(node, device));
    if (!on_cpu || !on_device) return MIEN_OK;
    return compare_tensors(p, row_of(p, node), MIEN_PARITY_VALUE, &cpu->y, &device->y, 1);
}

static mien_status forward(parity *p, bool training) {
    const mien_graph *graph = &p->model.graph;
    p->cpu.walk.training = p->device.walk.training = training;
    for (int i = 1; i < graph->count; i++) {
        if (p->request->stop && *p->request->stop) return MIEN_FAIL(INTERRUPTED, "interrupted");
        MIEN_TRY(forward_node(p, &graph->nodes[i]));
    }
    return MIEN_OK;
}

/* ---- loss ---- */

/* The last row: the probabilities, and the gradient of the loss. */
static mien_status loss(parity *p) {
    const int n = p->result->batch;
    const mien_ops *ops = p->device.backend->ops;
    mien_parity_layer *row = &p->result->layers[0]; /* the input layer does not need its row */
    const mien_tensor logits[] = {mien_plan_logits(p->cpu.plan, n),
                                  mien_plan_logits(p->device.plan, n)};
    const mien_tensor targets[] = {mien_plan_targets(p->cpu.plan, n),
                                   mien_plan_targets(p->device.plan, n)};
    MIEN_TRY(feed(p, &logits[0], &logits[1], 1));
    MIEN_TRY(p->cpu.backend->ops->download(p->cpu.backend, p->want, &targets[0]));
    MIEN_TRY(ops->upload(p->device.backend, &targets[1], p->want));
    MIEN_TRY(mien_plan_probabilities(p->cpu.plan, n, p->want));
    MIEN_TRY(mien_plan_probabilities(p->device.plan, n, p->got));
    compare(p, row, MIEN_PARITY_VALUE, mien_shape_count(logits[0].shape), 1);
    MIEN_TRY(mien_plan_loss(p->cpu.plan, n, n, NULL, true));
    MIEN_TRY(mien_plan_loss(p->device.plan, n, n, NULL, true));
    const mien_tensor want = mien_plan_logits_gradient(p->cpu.plan, n);
    const mien_tensor got = mien_plan_logits_gradient(p->device.plan, n);
    return compare_tensors(p, row, MIEN_PARITY_INPUT, &want, &got, p->scale);
}

/* ---- backward ---- */

/* Gives both sides the gradients that a backward pass reads: its output's, and those it adds to. */
static mien_status feed_gradients(parity *p) {
    const mien_pass *cpu = &p->cpu.pass, *device = &p->device.pass;
    MIEN_TRY(feed(p, &cpu->dy, &device->dy, p->scale));
    for (int k = 0; k < cpu->x_count; k++)
        if (cpu->dx[k].data && device->dx[k].data && cpu->dx_accumulate[k])
            MIEN_TRY(feed(p, &cpu->dx[k], &device->dx[k], p->scale));
    return MIEN_OK;
}

/* Downloads a parameter's gradient. */
static mien_status take_gradient(const side *s, const mien_node *node, int k, float *out) {
    void *at = mien_plan_param_grad(s->plan, node->index, k);
    const mien_ops *ops = s->backend->ops;
    if (node->params[k].linear)
        return ops->weights_download(s->plan->nodes[node->index].linear, out, at);
    const int count = (int)mien_shape_count(node->params[k].shape);
    const mien_tensor t = {{1, 1, 1, count}, s->backend->param_dtype, count, at};
    return ops->download(s->backend, out, &t);
}

static mien_status compare_parameters(parity *p, const mien_node *node) {
    size_t count = 0;
    for (int k = 0; k < node->param_count; k++) {
        if (!mien_plan_param_grad(p->cpu.plan, node->index, k)) continue;
        MIEN_TRY(take_gradient(&p->cpu, node, k, p->want + count));
        MIEN_TRY(take_gradient(&p->device, node, k, p->got + count));
        count += mien_shape_count(node->params[k].shape);
    }
    if (count) compare(p, row_of(p, node), MIEN_PARITY_WEIGHT, count, p->scale);
    return MIEN_OK;
}

static mien_status backward_node(parity *p, const mien_node *node) {
    const bool on_cpu = !skipped(&p->cpu, node->index);
    const bool on_device = !skipped(&p->device, node->index);
    const mien_pass *cpu = &p->cpu.pass, *device = &p->device.pass;
    see(&p->cpu, node, true);
    see(&p->device, node, true);
    if (on_cpu) MIEN_TRY(feed_gradients(p));
    if (on_cpu) MIEN_TRY(node->def->backward(node, cpu));
    if (on_device) MIEN_TRY(node->def->backward(node, device));
    if (!on_cpu || !on_device) return MIEN_OK;
    for (int k = 0; k < cpu->x_count; k++)
        if (cpu->dx[k].data && device->dx[k].data)
            MIEN_TRY(compare_tensors(p, row_of(p, node), MIEN_PARITY_INPUT, &cpu->dx[k],
                                     &device->dx[k], p->scale));
    return compare_parameters(p, node);
}

static mien_status backward(parity *p) {
    const mien_graph *graph = &p->model.graph;
    for (int i = graph->count - 1; i > 0; i--) {
        if (p->request->stop && *p->request->stop) return MIEN_FAIL(INTERRUPTED, "interrupted");
        if (!p->cpu.plan->nodes[i].requires_grad) continue;
        MIEN_TRY(backward_node(p, &graph->nodes[i]));
    }
    return MIEN_OK;
}

/* ---- set-up ---- */

/* Loads the first images of --data, or generates some. The comparison does not depend on the
 * labels: if the data have none or other classes, labels are made up. */
static mien_status open_data(parity *p) {
    const mien_parity_request *r = p->request;
    const mien_meta *meta = &p->model.meta;
    const mien_on_bad strict = {false, -1};
    mien_dataset *set = &p->set;
    if (!r->data) {
        p->result->batch = r->batch;
        MIEN_TRY(bench_images(meta->input, meta->classes, r->batch, set));
    } else {
        MIEN_TRY(mien_dataset_load(r->data, meta->input, strict, MIEN_MEMORY_RESIDENT, set));
        const bool relabel = !set->labelled || set->classes != meta->classes;
        for (size_t i = 0; relabel && i < set->count; i++)
            set->labels[i] = (uint16_t)(i % (size_t)meta->classes);
        set->classes = meta->classes;
        p->result->batch = set->count < (size_t)r->batch ? (int)set->count : r->batch;
        memset(set->part, MIEN_TRAIN, set->count);
    }
    set->count = (size_t)p->result->batch;
    return mien_loader_create(set, &meta->normalise, r->cpu, p->result->batch, 0, &p->loader);
}

static mien_status open_side(const parity *p, mien_backend *backend, side *s) {
    const int n = p->result->batch;
    const mien_plan_options options = {.training = true,
                                       .max_batch = n,
                                       .micro_batch = n,
                                       .seed = BENCH_SEED,
                                       .pools_apart = true};
    s->backend = backend;
    MIEN_TRY(mien_plan_create(&p->model.graph, backend, &options, &s->plan));
    MIEN_TRY(mien_plan_load(s->plan, &p->model.weights));
    for (int i = 0; i < p->model.graph.count; i++)
        if (s->plan->nodes[i].linear)
            backend->ops->linear_weights_changed(s->plan->nodes[i].linear);
    s->walk = (mien_walk){.rows = n};
    return MIEN_OK;
}

/* Elements of the largest value of a batch or of a layer's parameters. */
static size_t largest(const parity *p) {
    size_t most = 0;
    for (int i = 0; i < p->model.graph.count; i++) {
        const mien_node *node = &p->model.graph.nodes[i];
        const size_t value = mien_shape_sample(node->out) * (size_t)p->result->batch;
        const size_t params = (size_t)mien_node_params(node, false);
        if (value > most) most = value;
        if (params > most) most = params;
    }
    return most;
}

static mien_status open(parity *p) {
    const mien_parity_request *r = p->request;
    const mien_bench_request subject = {.model = r->model, .batch = r->batch, .size = r->size};
    body_step state;
    MIEN_TRY(bench_model(&subject, &p->model));
    MIEN_TRY(open_data(p));
    MIEN_TRY(open_side(p, r->cpu, &p->cpu));
    MIEN_TRY(open_side(p, r->device, &p->device));
    MIEN_TRY(mien_plan_read(p->device.plan, &state));
    p->scale = body_loss_scale(&state);
    MIEN_TRY(mien_new(&p->want, largest(p), sizeof *p->want));
    MIEN_TRY(mien_new(&p->got, largest(p), sizeof *p->got));
    return mien_new(&p->result->layers, (size_t)p->model.graph.count, sizeof *p->result->layers);
}

static mien_status first_batch(parity *p) {
    const mien_batch batch = {.rows = p->result->batch, .state = p->cpu.plan->step};
    const mien_tensor x = mien_plan_input(p->cpu.plan, batch.rows);
    const mien_tensor targets = mien_plan_targets(p->cpu.plan, batch.rows);
    MIEN_TRY(mien_loader_order(&p->loader, MIEN_TRAIN, false, BENCH_SEED, 0));
    MIEN_TRY(mien_loader_fetch(&p->loader, &batch));
    return mien_loader_batch(&p->loader, &batch, &x, &targets);
}

static void close_all(parity *p) {
    mien_plan_free(p->cpu.plan);
    mien_plan_free(p->device.plan);
    mien_loader_release(&p->loader);
    mien_dataset_release(&p->set);
    mien_model_release(&p->model);
    mien_free(p->want);
    mien_free(p->got);
}

/* ---- the result ---- */

static void describe(mien_parity_layer *row, const char *name, const char *class_name,
                     const mien_node *node) {
    snprintf(row->name, sizeof row->name, "%s", name);
    row->class_name = class_name;
    row->out = node->out;
    row->flat = node->flat;
}

/* Names the rows, removes the empty ones and moves the loss to the end. */
static void finish(parity *p) {
    mien_parity_result *r = p->result;
    const mien_graph *graph = &p->model.graph;
    mien_parity_layer end = r->layers[0];
    describe(&end, "loss", "CategoricalCrossentropy", &graph->nodes[graph->logits]);
    for (int i = 1; i < graph->count; i++) {
        if (!r->layers[i].of[MIEN_PARITY_VALUE].measured) continue;
        mien_parity_layer *row = &r->layers[r->layer_count++];
        *row = r->layers[i];
        describe(row, graph->nodes[i].name, graph->nodes[i].def->class_name, &graph->nodes[i]);
    }
    r->layers[r->layer_count++] = end;
    r->holds = true;
    for (int i = 0; i < r->layer_count; i++)
        for (int k = 0; k < MIEN_PARITY_KINDS; k++)
            r->holds &= !r->layers[i].of[k].measured || r->layers[i].of[k].holds;
}

mien_status mien_parity_run(const mien_parity_request *request, mien_parity_result *result) {
    parity p = {.request = request, .result = result};
    mien_status status;
    *result = (mien_parity_result){.bound = mien_parity_bound(request->compute)};
    snprintf(result->model, sizeof result->model, "%s", request->model);
    MIEN_GO(open(&p));
    MIEN_GO(first_batch(&p));
    MIEN_GO(forward(&p, false));
    MIEN_GO(first_batch(&p)); /* its memory may have been reused for other values */
    MIEN_GO(forward(&p, true));
    MIEN_GO(loss(&p));
    MIEN_GO(backward(&p));
    finish(&p);
out:
    close_all(&p);
    return status;
}

void mien_parity_release(mien_parity_result *result) {
    mien_free(result->layers);
    *result = (mien_parity_result){0};
}
