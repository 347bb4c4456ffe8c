/* Training in slices: a thread takes the next few images and carries them through all layers before
 * the first that works on the whole batch, forward, and after the loss backward, with operators and
 * memory of its own. Threads meet a few times a step, not after every layer, and one whose CPU is
 * busy takes fewer slices. Every slice has its own gradients, which are added in the order of the
 * rows: which thread took which slice changes no bit, nor does running layer by layer instead. */
#include <string.h>

#include "host/base/memory.h"
#include "host/graph/plan.h"

enum {
    ROUND = 8,               /* slices whose gradients are kept before they are added */
    ROWS_MIN = 4,            /* of a slice; fewer read the weights too often */
    GRADIENTS_MAX = 4 << 20, /* bytes, of a slice */
    /* bytes, of one layer: from here on several slices share their sums (winograd_filter.c) */
    LAYER_MAX = 2 << 20,
    PART = 8192 /* elements added at a time */
};

/* What a thread carries slices with: the plan with operators and buffers of its own. */
typedef struct mien_carriers {
    mien_crew *crew;
    size_t decayed, plain; /* gradients of a slice, elements: with weight decay and without */
    char *gradients;       /* of a round's slices, one after another */
    int count;
    mien_plan carriers[];
} mien_carriers;

static size_t element_bytes(const mien_plan *plan) {
    return mien_dtype_bytes(plan->backend->param_dtype);
}

static double gradient_bytes(const mien_plan *plan, int i) {
    const mien_node *node = &plan->graph->nodes[i];
    double elements = 0;
    for (int k = 0; k < node->param_count; k++)
        elements += (double)mien_shape_count(node->params[k].shape);
    return elements * (double)element_bytes(plan);
}

static int slices_of(const mien_plan *plan, int n) {
    return (n + plan->slice - 1) / plan->slice;
}

/* With fewer than two slices for a thread too many would end with nothing to do: then, and where a
 * layer is large, all threads work on each layer. */
bool mien_plan_can_carry(const mien_plan *plan) {
    const int lanes = plan->ops->lanes(plan->backend);
    double all = 0;
    if (!plan->training || !lanes || plan->cut == 1 || plan->slice < ROWS_MIN) return false;
    if (2 * lanes > slices_of(plan, plan->max_batch)) return false;
    for (int i = 0; i < plan->cut; i++) {
        if (gradient_bytes(plan, i) > LAYER_MAX) return false;
        all += gradient_bytes(plan, i);
    }
    return all <= GRADIENTS_MAX;
}

static void close_carrier(mien_plan *own, const mien_plan *base) {
    for (int i = 0; own->nodes && i < base->cut; i++)
        if (own->nodes[i].linear) base->ops->linear_free(own->nodes[i].linear);
    if (own->scratch) base->ops->free(base->backend, own->scratch);
    mien_free(own->nodes);
}

void mien_plan_carriers_free(mien_plan *plan) {
    mien_carriers *c = plan->carriers;
    if (!c) return;
    mien_crew_free(c->crew);
    for (int i = 0; i < c->count; i++)
        close_carrier(&c->carriers[i], plan);
    if (c->gradients) plan->ops->free(plan->backend, c->gradients);
    mien_free(c);
}

static mien_status open_carrier(const mien_plan *base, int index, mien_plan *own) {
    const size_t nodes = (size_t)base->graph->count;
    *own = *base;
    own->nodes = NULL;
    own->scratch = NULL;
    own->scratch_bytes = 0;
    own->micro_batch = base->slice;
    own->chunk = base->act + base->chunk_start + (size_t)index * base->slice_bytes;
    own->chunk_scale = 1;
    MIEN_TRY(mien_new(&own->nodes, nodes, sizeof *own->nodes));
    memcpy(own->nodes, base->nodes, nodes * sizeof *own->nodes);
    for (int i = 0; i < base->graph->count; i++)
        own->nodes[i].linear = NULL;
    for (int i = 0; i < base->cut; i++)
        MIEN_TRY(mien_plan_linear_beside(base, i, &own->nodes[i].linear));
    return MIEN_OK;
}

/* The gradients of the nodes before `cut` are the first of both kinds. */
static void count_gradients(const mien_plan *plan, mien_carriers *c) {
    for (int i = 0; i < plan->cut; i++)
        for (int k = 0; k < plan->graph->nodes[i].param_count; k++) {
            if (!mien_plan_param_grad(plan, i, k)) continue;
            const size_t end = plan->nodes[i].param[k] + mien_plan_param_elements(plan, i, k);
            if (end <= plan->decayed)
                c->decayed = end;
            else
                c->plain = end - plan->decayed;
        }
}

/* Of a slice's gradients. */
static size_t slice_bytes(const mien_plan *plan) {
    return (plan->carriers->decayed + plan->carriers->plain) * element_bytes(plan);
}

mien_status mien_plan_carriers_create(mien_plan *plan) {
    const int count = plan->ops->lanes(plan->backend);
    mien_carriers *c;
    MIEN_TRY(mien_new(&c, 1, sizeof *c + (size_t)count * sizeof(mien_plan)));
    plan->carriers = c;
    count_gradients(plan, c);
    MIEN_TRY(plan->ops->alloc(plan->backend, ROUND * slice_bytes(plan), (void **)&c->gradients));
    for (; c->count < count; c->count++) {
        const mien_status status = open_carrier(plan, c->count, &c->carriers[c->count]);
        if (status == MIEN_OK) continue;
        close_carrier(&c->carriers[c->count], plan);
        return status;
    }
    return mien_crew_create(count, &c->crew);
}

mien_status mien_plan_carriers_prepare(mien_plan *plan, int n) {
    for (int i = 0; i < plan->carriers->count; i++)
        MIEN_TRY(mien_plan_prepare_nodes(&plan->carriers->carriers[i], 0, plan->cut, n));
    return MIEN_OK;
}

mien_crew_post mien_plan_begin_step(const mien_plan *plan) {
    return mien_crew_lead(plan->carriers ? plan->carriers->crew : NULL);
}

void mien_plan_end_step(mien_crew_post post) {
    mien_crew_leave(post);
}

typedef struct batch {
    const mien_plan *plan;
    mien_walk walk; /* of all rows */
    int first;      /* slice of a round, and how many it has */
    int count;
    mien_direction direction;
} batch;

static mien_walk slice_of(const batch *b, int slice) {
    const int size = b->plan->slice, first = slice * size, left = b->walk.rows - first;
    mien_walk walk = b->walk;
    walk.first = first;
    walk.rows = left < size ? left : size;
    return walk;
}

/* The thread's own plan, with what changes from step to step. */
static mien_plan *carrier_of(const mien_plan *plan, int thread) {
    mien_plan *own = &plan->carriers->carriers[thread];
    own->weights = plan->weights;
    own->rule = plan->rule;
    return own;
}

/* Node index + 1, if it has an operator whose weights are used in another form. */
static mien_status derive_weights(void *context, int index, int thread) {
    const batch *b = context;
    const mien_plan *plan = b->plan;
    const int node = index + 1;
    (void)thread;
    if (plan->nodes[node].linear)
        plan->ops->linear_weights_for(plan->nodes[node].linear, b->direction,
                                      mien_plan_param(plan, node, 0));
    return MIEN_OK;
}

static mien_status run(batch *b, int count, mien_crew_work work) {
    return mien_crew_run(b->plan->carriers->crew, count, work, b);
}

static mien_status carry_forward(void *context, int slice, int thread) {
    const batch *b = context;
    const mien_walk walk = slice_of(b, slice);
    return mien_plan_walk_forward(carrier_of(b->plan, thread), &walk, 1, b->plan->cut);
}

mien_status mien_plan_carry_forward(mien_plan *plan, int n, bool training, uint64_t offset) {
    batch b = {.plan = plan,
               .walk = {.training = training, .rows = n, .offset = offset},
               .direction = MIEN_FORWARD};
    MIEN_TRY(run(&b, plan->cut - 1, derive_weights));
    return run(&b, slices_of(plan, n), carry_forward);
}

/* The gradients of the batch's first slice are written where the sum will be, the others beside. */
static mien_status carry_backward(void *context, int index, int thread) {
    const batch *b = context;
    const mien_carriers *c = b->plan->carriers;
    const mien_walk walk = slice_of(b, b->first + index);
    const bool in_place = b->first + index == 0;
    mien_plan *own = carrier_of(b->plan, thread);
    own->gap = in_place ? 0 : b->plan->decayed - c->decayed;
    own->grad = in_place ? b->plan->grad : c->gradients + (size_t)index * slice_bytes(b->plan);
    return mien_plan_walk_backward(own, &walk, 1, b->plan->cut);
}

static int parts_of(size_t count) {
    return (int)((count + PART - 1) / PART);
}

static mien_tensor vector_at(const mien_plan *plan, char *data, size_t at, size_t count) {
    const int c = (int)count;
    return (mien_tensor){
        {1, 1, 1, c}, plan->backend->param_dtype, c, data + at * element_bytes(plan)};
}

/* Adds a part of the gradients of a round, slice by slice. */
static mien_status add_part(void *context, int index, int thread) {
    const batch *b = context;
    const mien_plan *plan = b->plan;
    const mien_carriers *c = plan->carriers;
    const int decayed = parts_of(c->decayed);
    const bool plain = index >= decayed;
    const size_t at = (size_t)(plain ? index - decayed : index) * PART;
    const size_t left = (plain ? c->plain : c->decayed) - at, count = left < PART ? left : PART;
    const mien_tensor sum = vector_at(plan, plan->grad, at + (plain ? plan->decayed : 0), count);
    (void)thread;
    for (int i = b->first == 0 ? 1 : 0; i < b->count; i++) {
        const mien_tensor own = vector_at(plan, c->gradients + (size_t)i * slice_bytes(plan),
                                          at + (plain ? c->decayed : 0), count);
        MIEN_TRY(plan->ops->add(plan->backend, &sum, &sum, &own));
    }
    return MIEN_OK;
}

mien_status mien_plan_carry_backward(mien_plan *plan, int n, uint64_t offset) {
    const mien_carriers *c = plan->carriers;
    const int slices = slices_of(plan, n);
    batch b = {.plan = plan,
               .walk = {.training = true, .rows = n, .offset = offset},
               .direction = MIEN_DATA};
    if (c->decayed + c->plain == 0) return MIEN_OK;
    MIEN_TRY(run(&b, plan->cut - 1, derive_weights));
    for (; b.first < slices; b.first += b.count) {
        b.count = slices - b.first < ROUND ? slices - b.first : ROUND;
        MIEN_TRY(run(&b, b.count, carry_backward));
        MIEN_TRY(run(&b, parts_of(c->decayed) + parts_of(c->plain), add_part));
    }
    return MIEN_OK;
}
