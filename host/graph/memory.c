/* Assigns offsets in the ACT arena from lifetimes. Time runs over the forward pass (node i at time
 * i), the loss (time N) and the backward pass (node i at time 2N - i). Two buffers may share memory
 * if their lifetimes do not overlap. In the micro-batched part, a value that backward needs holds
 * all rows and lives throughout, because every micro-batch runs forward before the first runs
 * backward; any other buffer holds one micro-batch. */
#include <stdlib.h>

#include "host/base/memory.h"
#include "host/graph/plan.h"

typedef struct buffer {
    size_t bytes, offset;
    int birth, death; /* inclusive */
    size_t *target;   /* receives the offset */
} buffer;

typedef struct planner {
    mien_plan *plan;
    buffer *buffers;
    size_t count, capacity;
    int n; /* nodes */
} planner;

static int backward_time(const planner *p, int node) {
    return 2 * p->n - node;
}

static bool runs_backward(const planner *p, int node) {
    const mien_node_plan *own = &p->plan->nodes[node];
    return p->plan->training && !own->fusion.skipped && own->requires_grad;
}

static bool chunked(const planner *p, int node) {
    return node < p->plan->cut && p->plan->micro_batch < p->plan->max_batch;
}

static mien_status add(planner *p, size_t bytes, int birth, int death, size_t *target) {
    MIEN_TRY(mien_grow(&p->buffers, &p->capacity, p->count + 1, sizeof *p->buffers));
    p->buffers[p->count++] =
        (buffer){(bytes + MIEN_ALIGN - 1) & ~(size_t)(MIEN_ALIGN - 1), 0, birth, death, target};
    return MIEN_OK;
}

/* The last time at which the buffer of node `root` is read. */
static int last_read(const planner *p, int root) {
    const mien_graph *graph = p->plan->graph;
    int last = root;
    for (int i = 0; i < p->n; i++) {
        const mien_node_plan *own = &p->plan->nodes[i];
        const mien_node *node = &graph->nodes[i];
        if (own->fusion.storage == root && runs_backward(p, i) &&
            ((node->def->flags & MIEN_NEEDS_OUTPUT) ||
             (own->fusion.activation != BODY_LINEAR && !own->fusion.slope_by_consumer &&
              !own->fusion.pool)))
            last = backward_time(p, i) > last ? backward_time(p, i) : last;
        if (own->fusion.storage == root && i == graph->logits && last < p->n) last = p->n;
        if (own->fusion.skipped) continue;
        for (int k = 0; k < mien_plan_operands(p->plan, i); k++) {
            if (p->plan->nodes[mien_plan_operand(p->plan, i, k)].fusion.storage != root) continue;
            const bool by_backward = runs_backward(p, i) && k < node->input_count &&
                                     mien_plan_reads_input(p->plan, node);
            const int time = by_backward ? backward_time(p, i) : i;
            last = time > last ? time : last;
        }
    }
    return last;
}

static mien_status add_value(planner *p, int i) {
    mien_plan *plan = p->plan;
    mien_node_plan *own = &plan->nodes[i];
    const size_t element = mien_dtype_bytes(own->value.dtype);
    const size_t row =
        mien_shape_sample(plan->graph->nodes[mien_plan_written(plan, i)].out) * element;
    int birth = i, death = last_read(p, i);
    bool read_by_head = false;
    for (int j = plan->cut; j < p->n; j++)
        for (int k = 0; k < plan->graph->nodes[j].input_count; k++)
            read_by_head |= plan->nodes[plan->graph->nodes[j].inputs[k]].fusion.storage == i;
    own->memory.value_whole = !chunked(p, i) || death >= p->n || read_by_head || i == 0;
    if (chunked(p, i) && own->memory.value_whole) {
        birth = 0;
        death = 2 * p->n;
    }
    return add(p, row * (size_t)(own->memory.value_whole ? plan->max_batch : plan->micro_batch),
               birth, death, &own->memory.value);
}

/* The gradient of a value lives from the backward pass of its last consumer to its producer's. */
static mien_status add_gradient(planner *p, int i) {
    mien_plan *plan = p->plan;
    mien_node_plan *own = &plan->nodes[i];
    const size_t row =
        mien_shape_sample(plan->graph->nodes[i].out) * mien_dtype_bytes(plan->backend->dtype);
    int birth = 2 * p->n, death = p->n;
    bool from_head = false, used = false;
    for (int v = 0; v < p->n; v++) {
        if (plan->nodes[v].fusion.grad_storage != i || !plan->nodes[v].requires_grad) continue;
        used = true;
        if (backward_time(p, v) > death) death = backward_time(p, v);
        if (v == plan->graph->logits) birth = p->n;
        for (int j = v + 1; j < p->n; j++)
            for (int k = 0; k < plan->graph->nodes[j].input_count; k++) {
                if (plan->graph->nodes[j].inputs[k] != v) continue;
                const int time = backward_time(p, plan->nodes[j].fusion.runner);
                if (time < birth) birth = time;
                from_head |= j >= plan->cut;
            }
    }
    if (!used) return MIEN_OK;
    own->memory.gradient_whole = !chunked(p, i) || from_head || i == 0;
    if (chunked(p, i) && own->memory.gradient_whole) death = 2 * p->n;
    if (chunked(p, i) && i == 0) birth = p->n; /* every micro-batch adds its rows */
    return add(p, row * (size_t)(own->memory.gradient_whole ? plan->max_batch : plan->micro_batch),
               birth, death, &own->memory.gradient);
}

static mien_status add_saved(planner *p, int i) {
    mien_plan *plan = p->plan;
    const mien_node *node = &plan->graph->nodes[i];
    mien_node_plan *own = &plan->nodes[i];
    const bool kept = runs_backward(p, i), all = kept && chunked(p, i);
    const int birth = all ? 0 : i, death = all ? 2 * p->n : (kept ? backward_time(p, i) : i);
    const int rows = chunked(p, i) && !kept ? plan->micro_batch : plan->max_batch;
    const int written = mien_plan_written(plan, i);
    const mien_node *pool = &plan->graph->nodes[written];
    if ((pool->def->flags & MIEN_SAVES_INDEX) && !own->fusion.skipped)
        MIEN_TRY(add(p, mien_shape_sample(pool->out) * mien_index_bytes(pool) * (size_t)rows, birth,
                     death, &plan->nodes[written].memory.index));
    if (node->def->flags & MIEN_SAVES_STATISTICS)
        MIEN_TRY(add(p, 2 * (size_t)node->out.c * mien_dtype_bytes(plan->backend->param_dtype),
                     birth, death, &own->memory.statistics));
    return MIEN_OK;
}

static int by_size(const void *a, const void *b) {
    const buffer *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->target < y->target ? -1 : 1; /* qsort is not stable: make it a total order */
}

/* Places the buffers largest first, each at an offset where it overlaps no buffer that is alive at
 * the same time. Returns the size of the arena. */
static size_t assign_offsets(planner *p) {
    size_t total = 0;
    qsort(p->buffers, p->count, sizeof *p->buffers, by_size);
    for (size_t i = 0; i < p->count; i++) {
        buffer *b = &p->buffers[i];
        for (bool moved = true; moved;) {
            moved = false;
            for (size_t k = 0; k < i; k++) {
                const buffer *o = &p->buffers[k];
                const bool together = b->birth <= o->death && o->birth <= b->death;
                if (together && b->offset < o->offset + o->bytes &&
                    o->offset < b->offset + b->bytes) {
                    b->offset = o->offset + o->bytes;
                    moved = true;
                }
            }
        }
        *b->target = b->offset;
        if (b->offset + b->bytes > total) total = b->offset + b->bytes;
    }
    return total;
}

mien_status mien_plan_memory(mien_plan *plan) {
    planner p = {.plan = plan, .n = plan->graph->count};
    mien_status status = MIEN_OK;
    const size_t rows = (size_t)plan->max_batch * (size_t)plan->graph->classes *
                        mien_dtype_bytes(plan->backend->param_dtype);
    for (int i = 0; i < p.n; i++) {
        if (plan->nodes[i].fusion.storage == i) MIEN_GO(add_value(&p, i));
        if (plan->training && plan->nodes[i].fusion.grad_storage == i) MIEN_GO(add_gradient(&p, i));
        MIEN_GO(add_saved(&p, i));
    }
    MIEN_GO(add(&p, rows, 0, 2 * p.n, &plan->targets));
    MIEN_GO(add(&p, rows, 0, 2 * p.n, &plan->probabilities));
    plan->act_bytes = assign_offsets(&p);
    for (int i = 0; i < p.n; i++) { /* nodes that share a buffer share its offset */
        mien_node_plan *own = &plan->nodes[i];
        const mien_node_plan *root = &plan->nodes[own->fusion.storage];
        const mien_node_plan *grad_root = &plan->nodes[own->fusion.grad_storage];
        own->memory.value = root->memory.value;
        own->memory.value_whole = root->memory.value_whole;
        own->memory.gradient = grad_root->memory.gradient;
        own->memory.gradient_whole = grad_root->memory.gradient_whole;
    }
out:
    mien_free(p.buffers);
    return status;
}
