/* Inference in slices of a batch: a thread takes the next few images and carries them through the
 * whole network, in memory and operators of its own. Threads meet once a batch, not after every
 * layer, so that one whose CPU is busy holds up no other; and the activations of a few images stay
 * in its cache. How a batch is cut depends on its size and the number of threads alone, and no
 * result on which thread took which slice. */
#include "host/base/crew.h"
#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/graph/plan.h"

enum { ROWS_MAX = 8 }; /* of a slice: more gain nothing, and fit the caches worse */

/* A thread's plan, which reads the parameters of the sliced one. */
typedef struct lane {
    mien_plan *plan;
    unsigned prepared; /* bit r: for slices of r rows */
} lane;

struct mien_slices {
    mien_crew *crew;
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

static mien_status open_lanes(mien_plan *plan, struct mien_slices *slices) {
    const int rows = slice_rows(plan->most, slices->count);
    const mien_plan_options options = {
        .max_batch = rows, .micro_batch = rows, .quant = plan->quant, .shares = plan};
    MIEN_TRY(mien_crew_create(slices->count, &slices->crew));
    for (int i = 0; i < slices->count; i++) {
        MIEN_TRY(mien_plan_create(plan->graph, plan->backend, &options, &slices->lanes[i].plan));
        slices->lanes[i].prepared = 1U << rows;
    }
    return MIEN_OK;
}

static mien_status open(mien_plan *plan) {
    const int count = plan->ops->lanes(plan->backend);
    struct mien_slices *slices;
    MIEN_TRY(mien_new(&slices, 1, sizeof *slices + (size_t)count * sizeof(lane)));
    slices->count = count;
    const int team = mien_threads_limit(1); /* operators are built for the threads that run them */
    const mien_status status = open_lanes(plan, slices);
    mien_threads_limit(team);
    if (status != MIEN_OK) {
        mien_plan_slices_free(slices);
        return status;
    }
    plan->slices = slices;
    return MIEN_OK;
}

typedef struct batch {
    struct mien_slices *slices;
    int n, rows; /* of the batch, of a large slice */
    mien_plan_fill fill;
    void *context;
    float *logits;
} batch;

static mien_status run_slice(void *context, int slice, int thread) {
    const batch *b = context;
    lane *own = &b->slices->lanes[thread];
    mien_plan *plan = own->plan;
    int first;
    const int rows = slice_at(b->n, b->rows, slice, &first);
    const mien_tensor x = mien_plan_input(plan, rows), y = mien_plan_logits(plan, rows);
    if (!(own->prepared >> rows & 1)) MIEN_TRY(mien_plan_prepare(plan, rows));
    own->prepared |= 1U << rows;
    MIEN_TRY(b->fill(b->context, first, &x));
    MIEN_TRY(mien_plan_forward(plan, rows, false, 0));
    return plan->ops->download(plan->backend,
                               b->logits + (size_t)first * (size_t)plan->graph->classes, &y);
}

mien_status mien_plan_run(mien_plan *plan, int n, mien_plan_fill fill, void *context,
                          float *logits) {
    if (n < 1 || n > plan->most)
        return MIEN_FAIL(INVALID, "a batch of %d exceeds the plan's maximum of %d", n, plan->most);
    if (!mien_plan_cuts(plan, n)) {
        const mien_tensor x = mien_plan_input(plan, n), y = mien_plan_logits(plan, n);
        MIEN_TRY(fill(context, 0, &x));
        MIEN_TRY(mien_plan_infer(plan, n));
        return plan->ops->download(plan->backend, logits, &y);
    }
    if (!plan->slices) MIEN_TRY(open(plan));
    const int rows = slice_rows(n, plan->slices->count);
    batch b = {plan->slices, n, rows, fill, context, logits};
    return mien_crew_run(plan->slices->crew, slice_count(n, rows), run_slice, &b);
}
