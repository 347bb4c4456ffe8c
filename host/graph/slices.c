/* Inference in slices of a batch: a thread takes the next few images and carries them through the
 * whole network, in memory and operators of its own. Threads meet once a batch, not after every
 * layer, so that one whose CPU is busy holds up no other; and the activations of a few images stay
 * in its cache. How a batch is cut depends on its size and the number of threads alone, and no
 * result on which thread took which slice. */
#include "host/base/clock.h"
#include "host/base/crew.h"
#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/graph/plan.h"

enum {
    ROWS_MAX = 8, /* of a slice: more gain nothing, and fit the caches worse */
    /* images until the other way of running a single one is timed again: from few to, where it
     * keeps losing, many */
    TRIAL_FIRST = 4,
    TRIAL_LAST = 4096
};

/* A thread's plan, which reads the parameters of the sliced one. */
typedef struct lane {
    mien_plan *plan;
    unsigned prepared; /* bit r: for slices of r rows */
} lane;

struct mien_slices {
    mien_crew *crew;
    /* a single image: by all threads together, or by one alone, which waits for no other */
    double seconds[2];         /* by all, by one: mean of the last few; 0: not timed yet */
    int until_trial, interval; /* images */
    int count;
    lane lanes[];
};

int mien_plan_uncut(const mien_backend *backend, int most) {
    const int lanes = backend->ops->lanes(backend), few = lanes > 1 ? lanes - 1 : 1;
    return lanes && most > few ? few : most;
}

bool mien_plan_cuts(const mien_plan *plan, int n) {
    return n > plan->max_batch && n <= plan->most;
}

/* Rows of the large slices: a power of two, which keeps the number of prepared sizes small. A small
 * batch gives every thread one; of a larger one they take several, a thread with a busy CPU fewer.
 */
static int slice_rows(int n, int lanes) {
    const int share = n >= 4 * lanes ? n / (2 * lanes) : (n + lanes - 1) / lanes;
    int rows = 1;
    while (2 * rows <= share && rows < ROWS_MAX)
        rows *= 2;
    return rows;
}

/* Rows and first row of slice `index`: large ones, then one for each bit of the rest. */
static int slice_at(int n, int rows, int index, int *first) {
    const int whole = n / rows;
    *first = index * rows;
    if (index < whole) return rows;
    *first = whole * rows;
    for (int left = index - whole, bit = rows / 2; bit; bit /= 2) {
        if (!(n % rows & bit)) continue;
        if (left-- == 0) return bit;
        *first += bit;
    }
    return 0;
}

static int slice_count(int n, int rows) {
    return n / rows + __builtin_popcount((unsigned)(n % rows));
}

void mien_plan_slices_free(struct mien_slices *slices) {
    if (!slices) return;
    mien_crew_free(slices->crew);
    for (int i = 0; i < slices->count; i++)
        mien_plan_free(slices->lanes[i].plan);
    mien_free(slices);
}

/* Bytes that move between a core and memory, weighted by how far: `size` bytes used together, of
 * which `moved` pass. */
static double cost(double size, double moved) {
    static const double near = 1 << 20, far = 8 << 20; /* of a core's cache, of one core's share */
    return size <= near ? 0 : size <= far ? moved : 3 * moved;
}

/* Of one image: what node i reads and writes, and the weights. */
static double activations_of(const mien_plan *plan, int i) {
    double elements = (double)mien_shape_sample(plan->graph->nodes[i].out);
    for (int k = 0; k < mien_plan_operands(plan, i); k++)
        elements +=
            (double)mien_shape_sample(plan->graph->nodes[mien_plan_operand(plan, i, k)].out);
    return elements * (double)mien_dtype_bytes(plan->backend->dtype);
}

static double weights_of(const mien_plan *plan, int i) {
    const mien_node *node = &plan->graph->nodes[i];
    return node->def->linear ? (double)mien_shape_count(node->params[0].shape) *
                                   (double)mien_dtype_bytes(plan->backend->dtype)
                             : 0;
}

/* The first layers of a network for large images overflow the caches even with few images, its last
 * ones read large weights: those run image by image, these on the whole slice. */
int mien_plan_slice_cut(const mien_plan *plan, int *cut) {
    static const double large = 2 << 20;
    const double rows = plan->max_batch;
    double most = 0, weights = 0, sum = 0, best = 0;
    for (int i = 1; i < *cut; i++) {
        if (activations_of(plan, i) > most) most = activations_of(plan, i);
        weights += weights_of(plan, i);
    }
    if (most <= large) return plan->max_batch;
    int best_cut = 1;
    for (int i = 1; i < *cut; i++) {
        if (plan->nodes[i].fusion.skipped) continue;
        const double each = activations_of(plan, i), own = weights_of(plan, i);
        sum += cost(each, rows * each) - cost(rows * each, rows * each);
        sum += (rows - 1) * cost(weights, own);
        if (sum < best) {
            best = sum;
            best_cut = i + 1;
        }
    }
    *cut = best_cut;
    return 1;
}

static mien_status open(mien_plan *plan) {
    const int count = plan->ops->lanes(plan->backend);
    struct mien_slices *slices;
    MIEN_TRY(mien_new(&slices, 1, sizeof *slices + (size_t)count * sizeof(lane)));
    slices->count = count;
    slices->until_trial = slices->interval = TRIAL_FIRST;
    plan->slices = slices;
    return mien_crew_create(count, &slices->crew);
}

/* Called by the thread that runs it, for the size of whose teams the operators are built. */
static mien_status open_lane(const mien_plan *base, lane *own) {
    const int rows = slice_rows(base->most, base->slices->count);
    const mien_plan_options options = {
        .max_batch = rows, .micro_batch = rows, .quant = base->quant, .shares = base};
    return mien_plan_create(base->graph, base->backend, &options, &own->plan);
}

typedef struct batch {
    const mien_plan *base;
    int n, rows; /* of the batch, of a large slice */
    mien_plan_fill fill;
    void *context;
    float *logits;
} batch;

static mien_status run_slice(void *context, int slice, int thread) {
    const batch *b = context;
    lane *own = &b->base->slices->lanes[thread];
    int first;
    const int rows = slice_at(b->n, b->rows, slice, &first);
    if (!own->plan) MIEN_TRY(open_lane(b->base, own));
    mien_plan *plan = own->plan;
    const mien_tensor x = mien_plan_input(plan, rows), y = mien_plan_logits(plan, rows);
    if (!(own->prepared >> rows & 1)) MIEN_TRY(mien_plan_prepare(plan, rows));
    own->prepared |= 1U << rows;
    MIEN_TRY(b->fill(b->context, first, &x));
    MIEN_TRY(mien_plan_forward(plan, rows, false, 0));
    return plan->ops->download(plan->backend,
                               b->logits + (size_t)first * (size_t)plan->graph->classes, &y);
}

static mien_status run_slices(const mien_plan *plan, int n, mien_plan_fill fill, void *context,
                              float *logits) {
    const int rows = slice_rows(n, plan->slices->count);
    batch b = {plan, n, rows, fill, context, logits};
    return mien_crew_run(plan->slices->crew, slice_count(n, rows), run_slice, &b);
}

static mien_status run_whole(mien_plan *plan, int n, mien_plan_fill fill, void *context,
                             float *logits) {
    const mien_tensor x = mien_plan_input(plan, n), y = mien_plan_logits(plan, n);
    MIEN_TRY(mien_plan_prepare(plan, mien_plan_rows(plan, n)));
    MIEN_TRY(fill(context, 0, &x));
    MIEN_TRY(mien_plan_infer(plan, n));
    return plan->ops->download(plan->backend, logits, &y);
}

/* One image: all threads work on each layer, unless one alone was quicker lately, as beside
 * programs that keep a CPU busy. The bits are the same. */
static mien_status run_single(mien_plan *plan, mien_plan_fill fill, void *context, float *logits) {
    struct mien_slices *s = plan->slices;
    bool alone = s->seconds[1] > 0 && s->seconds[1] < s->seconds[0];
    const bool trial = --s->until_trial <= 0;
    if (trial) alone = !alone;
    const double start = mien_seconds();
    MIEN_TRY(alone ? run_slices(plan, 1, fill, context, logits)
                   : run_whole(plan, 1, fill, context, logits));
    const double took = mien_seconds() - start;
    double *mean = &s->seconds[alone];
    *mean += *mean > 0 ? (took - *mean) / 8 : took;
    if (!trial) return MIEN_OK;
    const bool won = s->seconds[alone] < s->seconds[!alone];
    s->interval = won ? TRIAL_FIRST : s->interval < TRIAL_LAST ? 2 * s->interval : TRIAL_LAST;
    s->until_trial = s->interval;
    return MIEN_OK;
}

mien_status mien_plan_run(mien_plan *plan, int n, mien_plan_fill fill, void *context,
                          float *logits) {
    if (n < 1 || n > plan->most)
        return MIEN_FAIL(INVALID, "a batch of %d exceeds the plan's maximum of %d", n, plan->most);
    const bool cuts = mien_plan_cuts(plan, n);
    const bool chooses = n == 1 && plan->sliced && plan->ops->lanes(plan->backend) > 1;
    if ((cuts || chooses) && !plan->slices) MIEN_TRY(open(plan));
    if (cuts) return run_slices(plan, n, fill, context, logits);
    return chooses ? run_single(plan, fill, context, logits)
                   : run_whole(plan, n, fill, context, logits);
}
