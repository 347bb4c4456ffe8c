/* Assigns offsets in the ACT arena from lifetimes. Time runs over the forward pass (node i at time
 * i), the loss (time N) and the backward pass (node i at time 2N - i). Two buffers may share memory
 * if their lifetimes do not overlap. In the micro-batched part, a value that backward needs holds
 * all rows and lives throughout, because every micro-batch runs forward before the first runs
 * backward; any other buffer holds one micro-batch. Where threads carry slices, these others have
 * an arena of their own at the end of ACT, for every thread one: laid out for a slice, and for a
 * micro-batch on all of them together. */
#include <stdlib.h>

#include "host/base/memory.h"
#include "host/graph/plan.h"

typedef struct buffer {
    size_t bytes, offset;
    int birth, death; /* inclusive */
    bool of_slice;
    size_t *target; /* receives the offset */
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
    return node < p->plan->cut && (p->plan->carries || p->plan->micro_batch < p->plan->max_batch);
}

/* Rows of a buffer that holds a micro-batch. */
static size_t chunk_rows(const planner *p) {
    return (size_t)(p->plan->carries ? p->plan->slice : p->plan->micro_batch);
}

/* The first and the last node that may run while node i does: slices are carried through several,
 * and are not at the same one. */
static int first_beside(const planner *p, int i) {
    const mien_plan *plan = p->plan;
    while (plan->carries && i > 1 && !mien_plan_is_whole(plan, i) &&
           !mien_plan_is_whole(plan, i - 1))
        i--;
    return i;
}

static int last_beside(const planner *p, int i) {
    const mien_plan *plan = p->plan;
    while (plan->carries && i > 0 && i + 1 < p->n && !mien_plan_is_whole(plan, i) &&
           !mien_plan_is_whole(plan, i + 1))
        i++;
    return i;
}

/* When what happens at `time` may begin, and when it has ended. */
static int begin_of(const planner *p, int time) {
    if (time == p->n) return time;
    return time < p->n ? first_beside(p, time) : backward_time(p, last_beside(p, 2 * p->n - time));
}

static int end_of(const planner *p, int time) {
    if (time == p->n) return time;
    return time < p->n ? last_beside(p, time) : backward_time(p, first_beside(p, 2 * p->n - time));
}

static mien_status add_bytes(planner *p, size_t bytes, bool of_slice, int birth, int death,
                             size_t *target) {
    MIEN_TRY(mien_grow(&p->buffers, &p->capacity, p->count + 1, sizeof *p->buffers));
    p->buffers[p->count++] = (buffer){.bytes = (bytes + MIEN_ALIGN - 1) & ~(size_t)(MIEN_ALIGN - 1),
                                      .birth = of_slice ? birth : begin_of(p, birth),
                                      .death = of_slice ? death : end_of(p, death),
                                      .of_slice = of_slice,
                                      .target = target};
    return MIEN_OK;
}

/* A buffer of all rows of the batch, or of a micro-batch. */
static mien_status add(planner *p, size_t row, bool whole, int birth, int death, size_t *target) {
    return add_bytes(p, row * (whole ? (size_t)p->plan->max_batch : chunk_rows(p)),
                     p->plan->carries && !whole, birth, death, target);
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
    return add(p, row, own->memory.value_whole, birth, death, &own->memory.value);
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
    return add(p, row, own->memory.gradient_whole, birth, death, &own->memory.gradient);
}

static mien_status add_saved(planner *p, int i) {
    mien_plan *plan = p->plan;
    const mien_node *node = &plan->graph->nodes[i];
    mien_node_plan *own = &plan->nodes[i];
    const bool kept = runs_backward(p, i), all = kept && chunked(p, i);
    const int birth = all ? 0 : i, death = all ? 2 * p->n : (kept ? backward_time(p, i) : i);
    const bool whole = !chunked(p, i) || kept;
    const int written = mien_plan_written(plan, i);
    const mien_node *pool = &plan->graph->nodes[written];
    if ((pool->def->flags & MIEN_SAVES_INDEX) && !own->fusion.skipped)
        MIEN_TRY(add(p, mien_shape_sample(pool->out) * mien_index_bytes(pool), whole, birth, death,
                     &plan->nodes[written].memory.index));
    if (node->def->flags & MIEN_SAVES_STATISTICS)
        MIEN_TRY(add_bytes(p,
                           2 * (size_t)node->out.c * mien_dtype_bytes(plan->backend->param_dtype),
                           false, birth, death, &own->memory.statistics));
    return MIEN_OK;
}

static int by_size(const void *a, const void *b) {
    const buffer *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->target < y->target ? -1 : 1; /* qsort is not stable: make it a total order */
}

/* Places the buffers largest first, each at an offset where it overlaps no buffer of its arena that
 * is alive at the same time. sizes: of the arena, of a slice's. */
static void assign_offsets(planner *p, size_t sizes[2]) {
    qsort(p->buffers, p->count, sizeof *p->buffers, by_size);
    for (size_t i = 0; i < p->count; i++) {
        buffer *b = &p->buffers[i];
        for (bool moved = true; moved;) {
            moved = false;
            for (size_t k = 0; k < i; k++) {
                const buffer *o = &p->buffers[k];
                const bool together =
                    b->birth <= o->death && o->birth <= b->death && b->of_slice == o->of_slice;
                if (together && b->offset < o->offset + o->bytes &&
                    o->offset < b->offset + b->bytes) {
                    b->offset = o->offset + o->bytes;
                    moved = true;
                }
            }
        }
        *b->target = b->offset;
        size_t *size = &sizes[b->of_slice];
        if (b->offset + b->bytes > *size) *size = b->offset + b->bytes;
    }
}

/* Slices side by side that the arenas at the end of ACT hold: of all threads, or a micro-batch. */
static size_t slices_held(const mien_plan *plan) {
    const int lanes = plan->ops->lanes(plan->backend);
    const int micro = (plan->micro_batch + plan->slice - 1) / plan->slice;
    return (size_t)(lanes > micro ? lanes : micro);
}

mien_status mien_plan_memory(mien_plan *plan) {
    planner p = {.plan = plan, .n = plan->graph->count};
    mien_status status = MIEN_OK;
    size_t sizes[2] = {0};
    const size_t row = (size_t)plan->graph->classes * mien_dtype_bytes(plan->backend->param_dtype);
    for (int i = 0; i < p.n; i++) {
        if (plan->nodes[i].fusion.storage == i) MIEN_GO(add_value(&p, i));
        if (plan->training && plan->nodes[i].fusion.grad_storage == i) MIEN_GO(add_gradient(&p, i));
        MIEN_GO(add_saved(&p, i));
    }
    MIEN_GO(add(&p, row, true, 0, 2 * p.n, &plan->targets));
    MIEN_GO(add(&p, row, true, 0, 2 * p.n, &plan->probabilities));
    assign_offsets(&p, sizes);
    plan->act_bytes = sizes[0];
    plan->chunk_scale = 1;
    if (plan->carries) {
        plan->slice_bytes = sizes[1];
        plan->chunk_start = sizes[0];
        plan->chunk_scale = (size_t)((plan->micro_batch + plan->slice - 1) / plan->slice);
        plan->act_bytes += sizes[1] * slices_held(plan);
    }
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
