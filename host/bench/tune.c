/* Times the algorithms for each convolution of a network on this machine. */
#include "host/bench/tune.h"

#include <stdio.h>
#include <string.h>

#include "host/backend/cpu.h"
#include "host/base/clock.h"
#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/bench/modes.h"

/* Another algorithm must take less than this fraction of the default's time; less is noise. */
static const double worthwhile = 0.97;

typedef struct subject {
    mien_backend *backend;
    mien_linear *op;
    mien_tensor x, y, dy, dx;
    void *w, *dw, *b, *db, *scratch;
} subject;

static mien_status buffer_for(mien_backend *b, mien_shape s, int n, mien_tensor *t) {
    s.n = n;
    *t = (mien_tensor){s, b->dtype, b->ops->channel_block(b, s), NULL};
    return b->ops->alloc(b, mien_shape_count(s) * mien_dtype_bytes(b->dtype), &t->data);
}

static mien_status open_subject(mien_backend *b, const mien_linear_desc *d, int n, subject *s) {
    const mien_ops *ops = b->ops;
    const size_t vector = (size_t)d->out.c * mien_dtype_bytes(b->dtype);
    *s = (subject){.backend = b};
    MIEN_TRY(ops->linear_create(b, d, &s->op));
    MIEN_TRY(ops->linear_prepare(s->op, n));
    MIEN_TRY(buffer_for(b, d->in, n, &s->x));
    MIEN_TRY(buffer_for(b, d->in, n, &s->dx));
    MIEN_TRY(buffer_for(b, d->out, n, &s->y));
    MIEN_TRY(buffer_for(b, d->out, n, &s->dy));
    MIEN_TRY(ops->alloc(b, ops->linear_weight_bytes(s->op), &s->w));
    MIEN_TRY(ops->alloc(b, ops->linear_weight_bytes(s->op), &s->dw));
    MIEN_TRY(ops->alloc(b, vector, &s->b));
    MIEN_TRY(ops->alloc(b, vector, &s->db));
    return ops->alloc(b, ops->linear_scratch_bytes(s->op), &s->scratch);
}

static void close_subject(subject *s) {
    void *const blocks[] = {s->x.data, s->y.data, s->dy.data, s->dx.data, s->w,
                            s->dw,     s->b,      s->db,      s->scratch};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        if (blocks[i]) s->backend->ops->free(s->backend, blocks[i]);
    if (s->op) s->backend->ops->linear_free(s->op);
}

static mien_status run_once(subject *s, mien_direction direction) {
    const mien_ops *ops = s->backend->ops;
    switch (direction) {
    case MIEN_FORWARD:
        return ops->linear_forward(s->op, &s->y, &s->x, s->w, s->b, s->scratch);
    case MIEN_DATA:
        return ops->linear_backward_data(s->op, &s->dx, &s->dy, s->w, NULL, s->scratch, false);
    default:
        return ops->linear_backward_filter(s->op, s->dw, s->db, &s->dy, &s->x, s->scratch, false);
    }
}

/* Runs both algorithms alternately, so that disturbances affect both; keeps each one's best time.
 */
static mien_status race(subject *both, mien_direction direction, const mien_bench_request *request,
                        double *seconds) {
    const double end = mien_seconds() + request->seconds;
    seconds[0] = seconds[1] = 0;
    for (int round = 0; round < 3 || mien_seconds() < end; round++)
        for (int i = 0; i < 2; i++) {
            const double start = mien_seconds();
            MIEN_TRY(run_once(&both[i], direction));
            MIEN_TRY(both[i].backend->ops->sync(both[i].backend));
            const double took = mien_seconds() - start;
            /* the first round warms up */
            if (round && (seconds[i] == 0 || took < seconds[i])) seconds[i] = took;
            if (request->stop && *request->stop)
                return MIEN_FAIL(INTERRUPTED, "interrupted while timing");
        }
    return MIEN_OK;
}

static mien_status tune_one(const mien_bench_request *request, mien_linear_desc d, int n,
                            mien_tune_row *row) {
    subject both[2] = {{0}, {0}};
    mien_status status = MIEN_OK;
    for (int i = 0; i < 2 && status == MIEN_OK; i++) {
        for (int k = 0; k < MIEN_DIRECTIONS; k++)
            d.algorithm[k] = i ? MIEN_WINOGRAD : MIEN_DIRECT;
        status = open_subject(request->backend, &d, n, &both[i]);
    }
    const mien_ops *ops = request->backend->ops;
    const bool choice =
        status == MIEN_OK && ops->linear_algorithm(both[1].op, MIEN_FORWARD) == MIEN_WINOGRAD;
    for (int k = 0; choice && k < MIEN_DIRECTIONS && status == MIEN_OK; k++) {
        if (k == MIEN_DATA && !d.needs_dx) continue;
        double *seconds = row->seconds[k];
        status = race(both, (mien_direction)k, request, seconds);
        const mien_algorithm usual = row->usual[k];
        const int other = usual == MIEN_WINOGRAD ? 0 : 1;
        row->chosen[k] = seconds[other] < worthwhile * seconds[1 - other]
                             ? (other ? MIEN_WINOGRAD : MIEN_DIRECT)
                             : usual;
    }
    row->measured = choice && status == MIEN_OK;
    close_subject(&both[0]);
    close_subject(&both[1]);
    return status;
}

/* Stores the default algorithms, which are chosen without measuring. */
static mien_status find_defaults(const mien_bench_request *request, mien_linear_desc d,
                                 mien_tune_row *row) {
    mien_linear *op;
    const mien_ops *ops = request->backend->ops;
    for (int k = 0; k < MIEN_DIRECTIONS; k++)
        d.algorithm[k] = MIEN_BY_TABLE;
    MIEN_TRY(ops->linear_create(request->backend, &d, &op));
    for (int k = 0; k < MIEN_DIRECTIONS; k++)
        row->usual[k] = row->chosen[k] = ops->linear_algorithm(op, (mien_direction)k);
    ops->linear_free(op);
    return MIEN_OK;
}

static mien_status tune_plan(const mien_bench_request *request, const mien_plan *plan,
                             mien_tune_result *result) {
    mien_tuning *tuning = &cpu_of(request->backend)->tuning;
    for (int i = 0; i < plan->graph->count; i++) {
        mien_linear_desc d;
        if (!mien_plan_linear_desc(plan, i, &d) || d.dense) continue;
        mien_tune_row *row = &result->rows[result->count++];
        snprintf(row->name, sizeof row->name, "%s", d.name);
        row->in = d.in;
        row->out = d.out;
        MIEN_TRY(find_defaults(request, d, row));
        MIEN_TRY(tune_one(request, d, i < plan->cut ? plan->micro_batch : plan->max_batch, row));
        if (row->measured) MIEN_TRY(mien_tuning_put(tuning, &d, row->chosen));
    }
    return MIEN_OK;
}

mien_status mien_tune(const mien_bench_request *request, mien_tune_result *result) {
    const body_rule rule = {.kind = BODY_ADAM};
    const mien_plan_options options = {
        .training = true, .max_batch = request->batch, .rule = &rule};
    mien_model model = {0};
    mien_plan *plan = NULL;
    mien_status status;
    *result = (mien_tune_result){0};
    if (strcmp(request->backend->ops->name, "cpu") != 0)
        return MIEN_FAIL(UNSUPPORTED,
                         "tune is only for the CPU: use --device cpu (a GPU's algorithms "
                         "are timed on first use)");
    const unsigned mode = mien_float_enter();
    MIEN_GO(bench_model(request, &model));
    MIEN_GO(mien_new(&result->rows, (size_t)model.graph.count, sizeof *result->rows));
    MIEN_GO(mien_plan_create(&model.graph, request->backend, &options, &plan));
    MIEN_GO(tune_plan(request, plan, result));
    snprintf(result->path, sizeof result->path, "%s", cpu_of(request->backend)->tuning.path);
    status = mien_tuning_save(&cpu_of(request->backend)->tuning);
out:
    mien_float_leave(mode);
    mien_plan_free(plan);
    mien_model_release(&model);
    return status;
}

void mien_tune_release(mien_tune_result *result) {
    mien_free(result->rows);
    *result = (mien_tune_result){0};
}
