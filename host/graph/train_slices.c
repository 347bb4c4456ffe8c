/* Training in slices: a thread takes the next few images and carries them through several layers,
 * forward and, after the loss, backward, with operators and memory of its own. Where a layer works
 * on the whole batch (dense, batch normalisation) the threads meet; between two of those they do
 * not, and one whose CPU is busy takes fewer slices. Every slice has its own gradients, which are
 * added in the order of the rows: which thread took which slice changes no bit, nor does running
 * layer by layer instead. */
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

/* Nodes that run one after another on a slice, or a single one that runs on the whole batch. */
typedef struct stretch {
    int from, to;
    bool whole;
    int first_part, parts; /* of its gradients */
} stretch;

/* Elements of a slice's gradients, and of the plan's, to which they are added. */
typedef struct part {
    size_t own, sum, count;
} part;

typedef struct mien_carriers {
    mien_crew *crew;
    stretch *stretches;
    part *parts;
    size_t stretch_count, part_count, stretch_capacity, part_capacity;
    size_t elements; /* of a slice's gradients */
    char *gradients; /* of a round's slices, one after another */
    int count;
    mien_plan carriers[]; /* the plan with operators and buffers of its own, one for each thread */
} mien_carriers;

static size_t element_bytes(const mien_plan *plan) {
    return mien_dtype_bytes(plan->backend->param_dtype);
}

bool mien_plan_is_whole(const mien_plan *plan, int i) {
    const unsigned whole = MIEN_WHOLE_BATCH | MIEN_ENDS_MICRO_BATCHES;
    return !plan->nodes[i].fusion.skipped && plan->graph->nodes[i].def->flags & whole;
}

static double parameter_bytes(const mien_plan *plan, int i) {
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
    if (!plan->training || !lanes || plan->slice < ROWS_MIN) return false;
    if (2 * lanes > slices_of(plan, plan->max_batch)) return false;
    for (int i = 1; i < plan->graph->count; i++) {
        const double own = mien_plan_is_whole(plan, i) ? 0 : parameter_bytes(plan, i);
        if (own > LAYER_MAX) return false;
        all += own;
    }
    return all > 0 && all <= GRADIENTS_MAX;
}

static void close_carrier(mien_plan *own, const mien_plan *base) {
    for (int i = 0; own->nodes && i < base->graph->count; i++)
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
    mien_free(c->stretches);
    mien_free(c->parts);
    mien_free(c);
}

/* A gradient of `count` elements, the next ones of a slice's. */
static mien_status add_parts(mien_carriers *c, size_t sum, size_t count) {
    for (size_t i = 0; i < count; i += PART) {
        MIEN_TRY(mien_grow(&c->parts, &c->part_capacity, c->part_count + 1, sizeof *c->parts));
        c->parts[c->part_count++] =
            (part){c->elements + i, sum + i, count - i < PART ? count - i : PART};
    }
    c->elements += count;
    return MIEN_OK;
}

static mien_status add_node(const mien_plan *plan, mien_carriers *c, int i) {
    const bool whole = mien_plan_is_whole(plan, i);
    if (plan->nodes[i].fusion.skipped) return MIEN_OK;
    stretch *last = c->stretch_count ? &c->stretches[c->stretch_count - 1] : NULL;
    if (!last || whole || last->whole) {
        MIEN_TRY(mien_grow(&c->stretches, &c->stretch_capacity, c->stretch_count + 1,
                           sizeof *c->stretches));
        last = &c->stretches[c->stretch_count++];
        *last = (stretch){.from = i, .whole = whole, .first_part = (int)c->part_count};
    }
    last->to = i + 1;
    for (int k = 0; !whole && k < plan->graph->nodes[i].param_count; k++) {
        if (!mien_plan_param_grad(plan, i, k)) continue;
        for (int t = 0; t < c->count; t++)
            c->carriers[t].nodes[i].grad[k] = c->elements;
        MIEN_TRY(add_parts(c, plan->nodes[i].grad[k], mien_plan_param_elements(plan, i, k)));
    }
    last->parts = (int)c->part_count - last->first_part;
    return MIEN_OK;
}

/* The nodes that run on slices have operators for one thread. */
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
    for (int i = 1; i < base->graph->count; i++)
        if (!mien_plan_is_whole(base, i))
            MIEN_TRY(mien_plan_linear_beside(base, i, &own->nodes[i].linear));
    return MIEN_OK;
}

mien_status mien_plan_carriers_create(mien_plan *plan) {
    const int count = plan->ops->lanes(plan->backend);
    mien_carriers *c;
    MIEN_TRY(mien_new(&c, 1, sizeof *c + (size_t)count * sizeof(mien_plan)));
    plan->carriers = c;
    for (; c->count < count; c->count++) {
        const mien_status status = open_carrier(plan, c->count, &c->carriers[c->count]);
        if (status == MIEN_OK) continue;
        close_carrier(&c->carriers[c->count], plan);
        return status;
    }
    for (int i = 1; i < plan->graph->count; i++)
        MIEN_TRY(add_node(plan, c, i));
    MIEN_TRY(plan->ops->alloc(plan->backend, ROUND * c->elements * element_bytes(plan),
                              (void **)&c->gradients));
    return mien_crew_create(count, &c->crew);
}

mien_status mien_plan_carriers_prepare(mien_plan *plan, int n) {
    mien_carriers *c = plan->carriers;
    const int slice = plan->slice, rest = n % slice, nodes = plan->graph->count;
    for (size_t i = 0; i < c->stretch_count; i++) {
        const stretch *s = &c->stretches[i];
        if (s->whole) MIEN_TRY(mien_plan_prepare_nodes(plan, s->from, s->to, n));
    }
    for (int i = 0; i < c->count; i++) {
        if (n >= slice) MIEN_TRY(mien_plan_prepare_nodes(&c->carriers[i], 0, nodes, slice));
        if (rest) MIEN_TRY(mien_plan_prepare_nodes(&c->carriers[i], 0, nodes, rest));
    }
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
    mien_direction direction;
    const stretch *on;
    int first, count; /* slices of a round */
    int first_part;   /* of the gradients to be added */
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

static mien_status run(batch *b, int count, mien_crew_work work) {
    return mien_crew_run(b->plan->carriers->crew, count, work, b);
}

static mien_status derive_weights(void *context, int index, int thread) {
    const batch *b = context;
    const mien_plan *plan = b->plan;
    const int node = index + 1;
    (void)thread;
    if (plan->nodes[node].linear && !mien_plan_is_whole(plan, node))
        plan->ops->linear_weights_for(plan->nodes[node].linear, b->direction,
                                      mien_plan_param(plan, node, 0));
    return MIEN_OK;
}

static mien_status carry_forward(void *context, int slice, int thread) {
    const batch *b = context;
    const mien_walk walk = slice_of(b, slice);
    return mien_plan_walk_forward(carrier_of(b->plan, thread), &walk, b->on->from, b->on->to);
}

static mien_status forward(mien_plan *plan, int n, bool training, uint64_t offset) {
    const mien_carriers *c = plan->carriers;
    batch b = {.plan = plan,
               .walk = {.training = training, .rows = n, .offset = offset},
               .direction = MIEN_FORWARD};
    MIEN_TRY(run(&b, plan->graph->count - 1, derive_weights));
    for (size_t i = 0; i < c->stretch_count; i++) {
        b.on = &c->stretches[i];
        MIEN_TRY(b.on->whole ? mien_plan_walk_forward(plan, &b.walk, b.on->from, b.on->to)
                             : run(&b, slices_of(plan, n), carry_forward));
    }
    return MIEN_OK;
}

mien_status mien_plan_carry_forward(mien_plan *plan, int n, bool training, uint64_t offset) {
    const mien_crew_post post = mien_plan_begin_step(plan);
    const mien_status status = forward(plan, n, training, offset);
    mien_plan_end_step(post);
    return status;
}

static char *gradients_of(const mien_plan *plan, int index) {
    const mien_carriers *c = plan->carriers;
    return c->gradients + (size_t)index * c->elements * element_bytes(plan);
}

static mien_status carry_backward(void *context, int index, int thread) {
    const batch *b = context;
    const mien_walk walk = slice_of(b, b->first + index);
    mien_plan *own = carrier_of(b->plan, thread);
    own->grad = gradients_of(b->plan, index);
    return mien_plan_walk_backward(own, &walk, b->on->from, b->on->to);
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
    const part *p = &plan->carriers->parts[b->first_part + index];
    const mien_tensor sum = vector_at(plan, plan->grad, p->sum, p->count);
    (void)thread;
    for (int i = 0; i < b->count; i++) {
        const mien_tensor own = vector_at(plan, gradients_of(plan, i), p->own, p->count);
        MIEN_TRY(b->first + i == 0 ? plan->ops->copy(plan->backend, &sum, &own, false)
                                   : plan->ops->add(plan->backend, &sum, &sum, &own));
    }
    return MIEN_OK;
}

static bool runs_backward(const mien_plan *plan, const stretch *s) {
    for (int i = s->from; i < s->to; i++)
        if (plan->nodes[i].requires_grad) return true;
    return false;
}

static mien_status add_gradients(batch *b, int first_part, int parts) {
    b->first_part = first_part;
    return run(b, parts, add_part);
}

/* Where a batch is more than one round, its gradients are added after each. */
static mien_status backward_in_slices(batch *b, int slices) {
    if (!runs_backward(b->plan, b->on)) return MIEN_OK;
    for (b->first = 0; b->first < slices; b->first += b->count) {
        b->count = slices - b->first < ROUND ? slices - b->first : ROUND;
        MIEN_TRY(run(b, b->count, carry_backward));
        if (slices > ROUND) MIEN_TRY(add_gradients(b, b->on->first_part, b->on->parts));
    }
    return MIEN_OK;
}

static mien_status backward(mien_plan *plan, int n, uint64_t offset) {
    const mien_carriers *c = plan->carriers;
    const int slices = slices_of(plan, n);
    batch b = {.plan = plan,
               .walk = {.training = true, .rows = n, .offset = offset},
               .direction = MIEN_DATA};
    MIEN_TRY(run(&b, plan->graph->count - 1, derive_weights));
    for (size_t i = c->stretch_count; i-- > 0;) {
        b.on = &c->stretches[i];
        MIEN_TRY(b.on->whole ? mien_plan_walk_backward(plan, &b.walk, b.on->from, b.on->to)
                             : backward_in_slices(&b, slices));
    }
    b.first = 0;
    b.count = slices;
    return slices > ROUND ? MIEN_OK : add_gradients(&b, 0, (int)c->part_count);
}

mien_status mien_plan_carry_backward(mien_plan *plan, int n, uint64_t offset) {
    const mien_crew_post post = mien_plan_begin_step(plan);
    const mien_status status = backward(plan, n, offset);
    mien_plan_end_step(post);
    return status;
}
