/* The flat optimiser against the CPU's loops: the same bits of weights and moments, except with
 * clipping, which needs the norm, a sum in the device's own order. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/pair.h"
#include "tests/support/test.h"

enum { STEPS = 3, BATCH = 32 };
enum { NO_MOMENT = 1, NESTEROV = 2, CLIP = 4, EMA = 8, TINY = 16, SHIFTED = 32, WARM = 64 };
enum fault { NONE, NAN_GRADIENT, INFINITE_GRADIENT, HUGE_WEIGHT };

typedef struct row {
    size_t count, decayed;
    int kind, flags;
    enum fault fault;
    double scale; /* loss scale */
} row;

static const row rows[] = {
    {1, 0, BODY_ADAM, 0, NONE, 0},
    {3, 3, BODY_ADAMW, EMA, NONE, 0},
    {5, 2, BODY_SGD, 0, NONE, 0},
    {5, 2, BODY_SGD, EMA | WARM, NONE, 0},
    {1027, 500, BODY_ADAM, EMA | TINY, NONE, 0},
    {1027, 501, BODY_ADAMW, TINY | SHIFTED, NONE, 1024},
    {4096, 4096, BODY_SGD, NESTEROV | EMA, NONE, 0},
    {4099, 7, BODY_SGD, NO_MOMENT, NONE, 8},
    {4099, 7, BODY_SGD, NO_MOMENT | NESTEROV | SHIFTED, NONE, 0},
    {70001, 33, BODY_ADAM, CLIP, NONE, 0},
    {70001, 33, BODY_ADAM, 0, NONE, 65536},
    {2100000, 2000000, BODY_ADAMW, 0, NONE, 0}, /* more than one pass of the summing blocks */
    {129, 65, BODY_ADAM, EMA, NAN_GRADIENT, 0},
    {129, 65, BODY_ADAM, 0, INFINITE_GRADIENT, 1024}, /* an overflow: the scale is halved */
    {129, 65, BODY_SGD, 0, NAN_GRADIENT, 1},          /* cannot be halved further: a fault */
    {129, 65, BODY_ADAM, EMA, HUGE_WEIGHT, 0},
};

/* The vectors of an update. */
enum { W, G, M, V, AVERAGE, VECTORS };

typedef struct outcome {
    float *vector[VECTORS], *half;
    body_step state;
} outcome;

static float *start_of(const row *r, int which) {
    const float scale = which == G ? 0.01f * (r->scale > 0 ? (float)r->scale : 1)
                                   : (which == W || which == AVERAGE ? 1 : 0.01f);
    float *x = device_numbers(r->count, scale, (uint32_t)which + 1, MIEN_F32);
    const size_t last = r->count - 1;
    for (size_t i = 0; i < r->count; i++)
        x[i] = which == V ? fabsf(x[i]) * 1e-3f : x[i];
    /* moments that become subnormal */
    for (size_t i = 0; r->flags & TINY && which > W && which < AVERAGE && i < r->count; i += 3)
        x[i] = which == G ? 0 : FLT_MIN;
    if (r->fault == NAN_GRADIENT && which == G) x[last] = NAN;
    if (r->fault == INFINITE_GRADIENT && which == G) x[last / 2] = -INFINITY;
    if (r->fault == HUGE_WEIGHT && which == W) x[last] = FLT_MAX;
    if (r->fault == HUGE_WEIGHT && which == M) x[last] = -FLT_MAX;
    if (r->fault == HUGE_WEIGHT && which == V) x[last] = 0;
    return x;
}

/* With SHIFTED the vectors are not aligned to 16 bytes. */
static size_t before(const row *r) {
    return r->flags & SHIFTED ? 1 : 0;
}

static mien_tensor vector_of(mien_backend *b, const row *r, int which) {
    float *x = start_of(r, which), *all = malloc((r->count + 1) * sizeof *all);
    assert_non_null(all);
    all[0] = 0;
    memcpy(all + before(r), x, r->count * sizeof *x);
    mien_tensor t = device_params(b, r->count + before(r), all);
    free(all);
    free(x);
    return t;
}

static bool has(const row *r, int which) {
    return which == W || which == G || (which == M && !(r->flags & NO_MOMENT)) ||
           (which == V && r->kind != BODY_SGD) || (which == AVERAGE && r->flags & EMA);
}

static void take(mien_backend *b, const row *r, mien_tensor *t, outcome *out) {
    for (int i = 0; i < VECTORS; i++) {
        float *all = device_take(b, &t[i]);
        memmove(all, all + before(r), r->count * sizeof *all);
        out->vector[i] = all;
        device_release(b, &t[i]);
    }
}

static outcome run(mien_backend *b, const row *r) {
    const body_rule rule = {.kind = r->kind,
                            .beta_1 = 0.9,
                            .beta_2 = 0.999,
                            .epsilon = 1e-7,
                            .weight_decay = 0.01,
                            .momentum = 0.9,
                            .clip_norm = r->flags & CLIP ? 0.1 : 0,
                            .ema = r->flags & EMA ? 0.99 : 0,
                            .nesterov = (r->flags & NESTEROV) != 0,
                            .warm_averages = (r->flags & WARM) != 0};
    const double rates[STEPS + 1] = {1, 0.01, 0.003, 0.02}; /* the first belongs to another step */
    mien_tensor t[VECTORS], half = device_tensor(b, (mien_shape){1, 1, 1, (int)r->count}, NULL);
    void *at[VECTORS];
    for (int i = 0; i < VECTORS; i++) {
        t[i] = vector_of(b, r, i);
        at[i] = has(r, i) ? (float *)t[i].data + before(r) : NULL;
    }
    outcome out;
    body_step_start(&out.state, 3, rule.beta_1, rule.beta_2);
    out.state.tick = 1;
    out.state.loss_scale = r->scale;
    const mien_update update = {.w = at[W],
                                .g = at[G],
                                .m = at[M],
                                .v = at[V],
                                .average = at[AVERAGE],
                                .half = b->dtype == b->param_dtype ? NULL : half.data,
                                .rates = device_copy(b, rates, sizeof rates),
                                .decayed = r->decayed,
                                .count = r->count,
                                .rule = &rule,
                                .state = device_copy(b, &out.state, sizeof out.state)};
    for (int step = 0; step < STEPS; step++)
        expect_ok(b->ops->optimize(b, &update, BATCH));
    expect_ok(b->ops->copy_out(b, &out.state, update.state, sizeof out.state));
    take(b, r, t, &out);
    out.half = device_take(b, &half);
    b->ops->free(b, (void *)update.rates);
    b->ops->free(b, update.state);
    device_release(b, &half);
    return out;
}

static void release(outcome *o) {
    for (int i = 0; i < VECTORS; i++)
        free(o->vector[i]);
    free(o->half);
}

static void check_state(const row *r, const body_step *got, const body_step *want) {
    body_step rest = *got;
    rest.gradient_norm = want->gradient_norm;
    assert_memory_equal(&rest, want, sizeof rest);
    if (isfinite(want->gradient_norm))
        assert_true(fabs(got->gradient_norm - want->gradient_norm) <= 1e-12 * want->gradient_norm);
    else
        assert_false(isfinite(got->gradient_norm));
    assert_int_equal(got->bad, r->fault != NONE && r->fault != INFINITE_GRADIENT);
    assert_int_equal(got->cursor, STEPS * BATCH);
}

/* The half-precision copy is the rounded weights, and is unchanged after a skipped step. */
static void check_half_copy(const row *r, const outcome *got) {
    if (pair_cuda()->dtype == MIEN_F32 || got->state.skipped == STEPS) return;
    float *want = malloc(r->count * sizeof *want);
    assert_non_null(want);
    for (size_t i = 0; i < r->count; i++)
        want[i] = pair_round(got->vector[W][i]);
    device_same(got->half, want, r->count, "the half-precision copy");
    free(want);
}

static void test_optimize(void **state) {
    (void)state;
    static const char *const names[] = {"w", "g", "m", "v", "average"};
    mien_backend *cuda = pair_cuda();
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        const row *r = &rows[k];
        outcome want = run(pair_plain(), r), got = run(cuda, r);
        check_state(r, &got.state, &want.state);
        for (int i = 0; i < VECTORS; i++)
            if (r->flags & CLIP)
                device_near(got.vector[i], want.vector[i], r->count, 1e-6, names[i]);
            else
                device_same(got.vector[i], want.vector[i], r->count, names[i]);
        check_half_copy(r, &got);
        release(&want);
        release(&got);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_optimize)};
    return pair_run_all_types(tests, 1);
}
