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
    ROWS_MAX = 8,      /* of a slice: more gain nothing, and fit the caches worse */
    WINDOW = 32,       /* single images that are timed together, at most */
    TRIAL = 3,         /* at least, in another way than the best */
    INTERVAL_MAX = 128 /* windows until another way of running them is tried again */
};
static const double window_seconds = 0.1; /* at most, but for an image that takes longer */
/* A trial this long has lost if its images took so many times as long as the best way's: other
 * programs' shares of the CPUs are shorter. */
static const double trial_seconds = 0.02, much_slower = 1.4;
static const double slower_at_best = 1.1; /* see lost_clearly */

/* Ways to run a single image: all threads work on each layer; one thread does it; or one does it,
 * and another does it again while that one is not let run. */
typedef enum single_way { TOGETHER, ALONE, RELIEVED, WAYS } single_way;

/* Which way is quickest depends on what else the machine does: now and then, and when images begin
 * to take longer, another one is tried. */
typedef struct single {
    double mean[WAYS]; /* seconds an image took; 0: not known yet */
    single_way best, now, last_tried;
    double seconds, least; /* of this window, of its quickest image */
    int images;
    int until_trial, interval; /* windows */
} single;

/* A thread's plan, which reads the parameters of the sliced one. */
typedef struct lane {
    mien_plan *plan;
    unsigned prepared; /* bit r: for slices of r rows */
    int first, rows;   /* its slice */
} lane;

struct mien_slices {
    mien_crew *crew;
    single single;
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
    slices->single.until_trial = slices->single.interval = 1;
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

static mien_status take(void *context, int slice, int thread) {
    const batch *b = context;
    lane *own = &b->base->slices->lanes[thread];
    own->rows = slice_at(b->n, b->rows, slice, &own->first);
    if (!own->plan) MIEN_TRY(open_lane(b->base, own));
    const mien_tensor x = mien_plan_input(own->plan, own->rows);
    if (!(own->prepared >> own->rows & 1)) MIEN_TRY(mien_plan_prepare(own->plan, own->rows));
    own->prepared |= 1U << own->rows;
    return b->fill(b->context, own->first, &x);
}

static mien_status work(void *lanes, int thread) {
    const lane *own = (lane *)lanes + thread;
    return mien_plan_forward(own->plan, own->rows, false, 0);
}

static mien_status give(void *context, int slice, int thread) {
    const batch *b = context;
    const lane *own = &b->base->slices->lanes[thread];
    const mien_tensor y = mien_plan_logits(own->plan, own->rows);
    (void)slice;
    return b->base->ops->download(
        b->base->backend, b->logits + (size_t)own->first * (size_t)b->base->graph->classes, &y);
}

static mien_status run_slice(void *context, int slice, int thread) {
    const batch *b = context;
    MIEN_TRY(take(context, slice, thread));
    MIEN_TRY(work(b->base->slices->lanes, thread));
    return give(context, slice, thread);
}

/* `relieved`: slices of threads that are not let run are done again by others. */
static mien_status run_slices(const mien_plan *plan, int n, bool relieved, mien_plan_fill fill,
                              void *context, float *logits) {
    const int rows = slice_rows(n, plan->slices->count), count = slice_count(n, rows);
    const mien_crew_parts parts = {take, work, give, plan->slices->lanes};
    batch b = {plan, n, rows, fill, context, logits};
    return relieved ? mien_crew_run_parts(plan->slices->crew, count, &parts, &b)
                    : mien_crew_run(plan->slices->crew, count, run_slice, &b);
}

static mien_status run_whole(mien_plan *plan, int n, mien_plan_fill fill, void *context,
                             float *logits) {
    const mien_tensor x = mien_plan_input(plan, n), y = mien_plan_logits(plan, n);
    MIEN_TRY(mien_plan_prepare(plan, mien_plan_rows(plan, n)));
    MIEN_TRY(fill(context, 0, &x));
    MIEN_TRY(mien_plan_infer(plan, n));
    return plan->ops->download(plan->backend, logits, &y);
}

/* Even the quickest image of a trial took longer than the best way's take on average: it is not
 * other programs, which delay only some of the images. */
static bool lost_clearly(const single *s) {
    return s->images >= TRIAL && s->least > slower_at_best * s->mean[s->best];
}

/* The way of the next window, after one whose images took `seconds` each. */
static void end_window(single *s, double seconds) {
    double *mean = &s->mean[s->now];
    const bool slower = *mean > 0 && seconds > 3 * *mean;
    *mean = *mean > 0 ? (*mean + seconds) / 2 : seconds;
    if (s->now != s->best) {
        const bool won = *mean < s->mean[s->best];
        const int longer = s->interval * (lost_clearly(s) ? 4 : 2);
        if (won) s->best = s->now;
        s->interval = won ? 1 : longer < INTERVAL_MAX ? longer : INTERVAL_MAX;
        s->until_trial = s->interval;
        s->now = s->best;
    } else if (slower || --s->until_trial <= 0) {
        do
            s->last_tried = (s->last_tried + 1) % WAYS;
        while (s->last_tried == s->best);
        s->now = s->last_tried;
    }
    s->seconds = 0;
    s->images = 0;
}

/* A trial ends when it has taken the time of a window, and already when it has lost. */
static bool window_ends(const single *s) {
    if (s->images >= WINDOW) return true;
    if (s->now == s->best) return s->seconds >= window_seconds;
    const double best = s->mean[s->best];
    return s->seconds >= WINDOW * best || lost_clearly(s) ||
           (s->seconds >= trial_seconds && s->seconds > much_slower * best * s->images);
}

/* The bits are the same in each way. */
static mien_status run_single(mien_plan *plan, mien_plan_fill fill, void *context, float *logits) {
    single *s = &plan->slices->single;
    const double start = mien_seconds();
    MIEN_TRY(s->now == TOGETHER ? run_whole(plan, 1, fill, context, logits)
                                : run_slices(plan, 1, s->now == RELIEVED, fill, context, logits));
    const double seconds = mien_seconds() - start;
    s->seconds += seconds;
    if (s->images == 0 || seconds < s->least) s->least = seconds;
    s->images++;
    if (window_ends(s)) end_window(s, s->seconds / s->images);
    return MIEN_OK;
}

void mien_plan_settle(const mien_plan *plan) {
    if (plan->slices) mien_crew_settle(plan->slices->crew);
}

mien_status mien_plan_run(mien_plan *plan, int n, mien_plan_fill fill, void *context,
                          float *logits) {
    if (n < 1 || n > plan->most)
        return MIEN_FAIL(INVALID, "a batch of %d exceeds the plan's maximum of %d", n, plan->most);
    const bool cuts = mien_plan_cuts(plan, n);
    const bool chooses = n == 1 && plan->sliced && plan->ops->lanes(plan->backend) > 1;
    if ((cuts || chooses) && !plan->slices) MIEN_TRY(open(plan));
    if (cuts) return run_slices(plan, n, false, fill, context, logits);
    return chooses ? run_single(plan, fill, context, logits)
                   : run_whole(plan, n, fill, context, logits);
}
