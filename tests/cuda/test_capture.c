/* Capture: replays do what the calls would do, capturing itself runs nothing, and a failed capture
 * leaves the device unchanged. Also the profiler ranges. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/graph/replay.h"
#include "include/mien/log.h"
#include "tests/cuda/counted.h"
#include "tests/cuda/fake/nvtx.h"
#include "tests/cuda/words.h"
#include "tests/support/device.h"
#include "tests/support/net.h"
#include "tests/support/reference.h"
#include "tests/support/test.h"

enum { N = 5, IN = 17, OUT = 7 };

/* A dense layer and other operations; every run accumulates into the same tensors. */
typedef struct bench {
    mien_backend *b;
    mien_linear *op;
    mien_tensor x, y, sum;
    void *w, *dw, *db, *scratch;
} bench;

static mien_tensor make(mien_backend *b, int c, uint32_t seed) {
    mien_tensor t = {{N, 1, 1, c}, MIEN_F32, c, NULL};
    float values[N * IN];
    for (size_t i = 0; i < (size_t)N * (size_t)c; i++)
        values[i] = seed ? (float)noise(seed, i) : 0;
    expect_ok(b->ops->alloc(b, (size_t)N * (size_t)c * sizeof(float), &t.data));
    expect_ok(b->ops->upload(b, &t, values));
    return t;
}

static void start(bench *t) {
    const mien_linear_desc d = {.name = "fc",
                                .dense = true,
                                .in = {1, 1, 1, IN},
                                .out = {1, 1, 1, OUT},
                                .kernel_h = 1,
                                .kernel_w = 1,
                                .stride_h = 1,
                                .stride_w = 1,
                                .bias = true,
                                .activation = BODY_RELU,
                                .training = true,
                                .needs_dx = true,
                                .masks_dx = true,
                                .accumulates_dx = true,
                                .accumulates_dw = true};
    float w[IN * OUT];
    for (size_t i = 0; i < (size_t)IN * OUT; i++)
        w[i] = (float)noise(9, i);
    mien_backend *b = t->b = device_open(MIEN_COMPUTE_F32, true);
    expect_ok(b->ops->linear_create(b, &d, &t->op));
    expect_ok(b->ops->linear_prepare(t->op, N));
    expect_ok(b->ops->alloc(b, b->ops->linear_weight_bytes(t->op), &t->w));
    expect_ok(b->ops->alloc(b, b->ops->linear_weight_bytes(t->op), &t->dw));
    expect_ok(b->ops->alloc(b, OUT * sizeof(float), &t->db));
    expect_ok(b->ops->alloc(b, b->ops->linear_scratch_bytes(t->op), &t->scratch));
    expect_ok(b->ops->weights_upload(t->op, t->w, w));
    t->x = make(b, IN, 1);
    t->y = make(b, OUT, 2);
    t->sum = make(b, OUT, 3);
}

static void finish(bench *t) {
    void *const blocks[] = {t->x.data, t->y.data, t->sum.data, t->w, t->dw, t->db, t->scratch};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        t->b->ops->free(t->b, blocks[i]);
    t->b->ops->linear_free(t->op);
    mien_backend_close(t->b);
}

static mien_status work(const bench *t) {
    const mien_ops *ops = t->b->ops;
    MIEN_TRY(ops->linear_forward(t->op, &t->y, &t->x, t->w, t->db, t->scratch));
    MIEN_TRY(ops->add(t->b, &t->sum, &t->sum, &t->y));
    MIEN_TRY(ops->linear_backward_filter(t->op, t->dw, t->db, &t->sum, &t->x, t->scratch, true));
    return ops->linear_backward_data(t->op, &t->x, &t->sum, t->w, NULL, t->scratch, true);
}

/* Everything that `work` changes. */
static void state_of(const bench *t, float out[N * IN + N * OUT]) {
    expect_ok(t->b->ops->download(t->b, out, &t->x));
    expect_ok(t->b->ops->download(t->b, out + N * IN, &t->sum));
}

static void test_replay(void **state) {
    (void)state;
    float before[N * IN + N * OUT], after[N * IN + N * OUT], want[N * IN + N * OUT];
    mien_capture *capture = NULL;
    bench eager, replayed;
    start(&eager);
    start(&replayed);
    const mien_capture_ops *ops = replayed.b->ops->capture;
    assert_non_null(ops);
    expect_ok(work(&eager)); /* libraries load their code on the first call */
    expect_ok(work(&replayed));
    state_of(&replayed, before);
    expect_ok(ops->begin(replayed.b));
    expect_ok(work(&replayed));
    expect_ok(ops->end(replayed.b, &capture));
    state_of(&replayed, after);
    assert_memory_equal(before, after, sizeof before);
    for (int i = 0; i < 3; i++) {
        expect_ok(work(&eager));
        expect_ok(ops->replay(replayed.b, capture));
    }
    state_of(&eager, want);
    state_of(&replayed, after);
    assert_memory_equal(after, want, sizeof want);
    assert_memory_not_equal(after, before, sizeof before);
    ops->free(replayed.b, capture);
    finish(&eager);
    finish(&replayed);
}

/* A capture cannot contain a wait. */
static void test_failing(void **state) {
    (void)state;
    float before[N * IN + N * OUT], after[N * IN + N * OUT];
    mien_capture *capture;
    bench t;
    start(&t);
    const mien_capture_ops *ops = t.b->ops->capture;
    expect_ok(work(&t));
    state_of(&t, before);
    expect_ok(ops->begin(t.b));
    expect_ok(work(&t));
    assert_int_not_equal(t.b->ops->sync(t.b), MIEN_OK);
    capture = (mien_capture *)before; /* anything */
    assert_int_not_equal(ops->end(t.b, &capture), MIEN_OK);
    assert_null(capture);
    state_of(&t, after);
    assert_memory_equal(before, after, sizeof before);
    expect_ok(work(&t));
    expect_ok(t.b->ops->sync(t.b));
    expect_ok(ops->begin(t.b));
    expect_ok(work(&t));
    expect_ok(ops->end(t.b, &capture));
    expect_ok(ops->replay(t.b, capture));
    expect_ok(t.b->ops->sync(t.b));
    ops->free(t.b, capture);
    finish(&t);
}

/* Work that waits, as an engine may that loads its code: it cannot be recorded. */
static mien_status work_and_wait(void *context) {
    const bench *t = context;
    MIEN_TRY(work(t));
    return t->b->ops->sync(t->b);
}

static char news[2048];

static void keep_news(void *context, mien_log_level level, const char *line) {
    (void)context;
    const size_t at = strlen(news);
    if (level == MIEN_LOG_INFO) snprintf(news + at, sizeof news - at, "%s\n", line);
}

/* Such work runs directly every time, with the same result, and one line says so; a new version of
 * it is recorded again. */
static void test_unrecordable(void **state) {
    (void)state;
    float want[N * IN + N * OUT], got[N * IN + N * OUT];
    mien_replay replay = {.rows = N};
    bench eager, replayed;
    start(&eager);
    start(&replayed);
    mien_log_sink(keep_news, NULL);
    news[0] = 0;
    for (int i = 0; i < 4; i++) {
        expect_ok(work(&eager));
        expect_ok(mien_replay_run(&replay, replayed.b, 1, work_and_wait, &replayed));
    }
    assert_true(replay.direct);
    assert_null(replay.capture);
    assert_int_equal(occurrences(news, "cannot be recorded"), 1);
    state_of(&eager, want);
    state_of(&replayed, got);
    assert_memory_equal(got, want, sizeof want);
    for (int i = 0; i < 2; i++)
        expect_ok(mien_replay_run(&replay, replayed.b, 2, work_and_wait, &replayed));
    assert_int_equal(occurrences(news, "cannot be recorded"), 2);
    mien_log_sink(NULL, NULL);
    mien_replay_release(&replay, replayed.b);
    finish(&eager);
    finish(&replayed);
}

/* A device that fails while work is recorded ends the run. */
static void test_fault_while_recording(void **state) {
    (void)state;
    mien_replay replay = {.rows = N};
    fake_counts now;
    bench t;
    start(&t);
    expect_ok(mien_replay_run(&replay, t.b, 1, work_and_wait, &t));
    setenv("FAKE_CUDA_STICKY", "cudaStreamEndCapture:1", 1);
    const mien_status status = mien_replay_run(&replay, t.b, 1, work_and_wait, &t);
    unsetenv("FAKE_CUDA_STICKY");
    mien_replay_release(&replay, t.b);
    finish(&t);
    if (counted(&now)) assert_int_equal(status, MIEN_DEVICE);
}

static void test_order(void **state) {
    (void)state;
    mien_capture *capture;
    bench t;
    start(&t);
    const mien_capture_ops *ops = t.b->ops->capture;
    assert_int_equal(ops->end(t.b, &capture), MIEN_INVALID);
    assert_null(capture);
    expect_ok(work(&t));
    expect_ok(ops->begin(t.b));
    assert_int_equal(ops->begin(t.b), MIEN_INVALID);
    expect_ok(work(&t));
    expect_ok(ops->end(t.b, &capture));
    ops->free(t.b, capture);
    ops->free(t.b, NULL);
    finish(&t);
}

/* The counts of the fake module's profiler; NULL on hardware. */
static const fake_range_counts *profiler(void) {
    const fake_range_counts *(*counts)(void);
    const char *folder = getenv("MIEN_MODULES");
    char path[4096];
    snprintf(path, sizeof path, "%s/mien-cuda.so", folder ? folder : ".");
    void *module = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    void *symbol = module ? dlsym(module, "fake_ranges") : NULL;
    if (!symbol) return NULL;
    memcpy(&counts, &symbol, sizeof counts);
    return counts();
}

static void test_ranges(void **state) {
    (void)state;
    char longest[300];
    bench t;
    start(&t);
    const fake_range_counts *seen = profiler();
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    t.b->ops->range_push(t.b, "step", NULL);
    t.b->ops->range_push(t.b, "forward", "fc");
    if (seen) assert_string_equal(seen->last, "forward/fc");
    t.b->ops->range_pop(t.b);
    t.b->ops->range_push(t.b, "loss", NULL);
    if (seen) assert_string_equal(seen->last, "loss");
    if (seen) assert_int_equal(seen->depth, 2);
    t.b->ops->range_pop(t.b);
    t.b->ops->range_push(t.b, "backward", longest);
    t.b->ops->range_pop(t.b);
    t.b->ops->range_pop(t.b);
    if (seen) assert_int_equal(seen->depth, 0);
    if (seen) assert_int_equal(seen->pushes, 4);
    if (seen) assert_int_equal(seen->pops, 4);
    finish(&t);
    if (!seen) skip();
}

int main(int argc, char **argv) {
    (void)argc;
    reference_wait_passively(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_failing),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_unrecordable),
        cmocka_unit_test(test_fault_while_recording),
        cmocka_unit_test(test_ranges),
    };
    return cmocka_run_group_tests_name("capture", tests, NULL, NULL);
}
