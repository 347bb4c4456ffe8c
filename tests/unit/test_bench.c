/* Benchmarks: statistics of known samples, operation counts of known networks, warm-up and stopping
 * of the clock, and the fields of the JSON document. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/clock.h"
#include "host/base/json.h"
#include "host/bench/bench.h"
#include "host/bench/peak.h"
#include "tests/support/net.h"
#include "tests/support/test.h"

static mien_backend *backend;

static int open_backend(void **state) {
    (void)state;
    const mien_backend_options options = {.threads = 1};
    return mien_backend_open("cpu", &options, &backend) != MIEN_OK;
}

static int close_backend(void **state) {
    (void)state;
    mien_backend_close(backend);
    return 0;
}

static mien_statistics of_reversed(int count) {
    mien_samples samples = {0};
    for (int i = count; i > 0; i--)
        expect_ok(mien_samples_add(&samples, i));
    const mien_statistics s = mien_samples_statistics(&samples);
    mien_samples_release(&samples);
    assert_int_equal(s.n, count);
    return s;
}

static void statistics_of_known_samples(void **state) {
    (void)state;
    mien_statistics s = of_reversed(10);
    assert_true(s.min == 1 && s.median == 5.5 && s.p90 == 9 && s.p99 == 10 && s.max == 10 &&
                s.mean == 5.5);
    s = of_reversed(200);
    assert_true(s.min == 1 && s.median == 100.5 && s.p90 == 180 && s.p99 == 198 && s.max == 200);
    s = of_reversed(3);
    assert_true(s.min == 1 && s.median == 2 && s.p90 == 3 && s.p99 == 3 && s.max == 3);
    s = of_reversed(1);
    assert_true(s.min == 1 && s.median == 1 && s.p90 == 1 && s.p99 == 1 && s.max == 1);
    s = of_reversed(0);
    assert_true(s.min == 0 && s.median == 0 && s.max == 0);
}

typedef struct counted {
    int works, betweens, fail_at;
    volatile int *stop;
} counted;

static mien_status work(void *context) {
    counted *c = context;
    c->works++;
    if (c->stop && c->works == 4) *c->stop = 1;
    if (c->works == c->fail_at) return MIEN_FAIL(DIVERGED, "as told");
    usleep(2000);
    return MIEN_OK;
}

static mien_status between(void *context) {
    ((counted *)context)->betweens++;
    return MIEN_OK;
}

static void the_clock_warms_up_and_stops(void **state) {
    (void)state;
    volatile int stop = 0;
    counted c = {0};
    mien_samples samples = {0};
    mien_clock clock = {.seconds = 0.1, .between = between, .between_context = &c, .stop = &stop};
    expect_ok(mien_measure(&clock, work, &c, &samples));
    const mien_statistics s = mien_samples_statistics(&samples);
    assert_int_equal(c.betweens, 5);
    assert_true(clock.warmup >= 2);
    assert_int_equal(c.works, clock.warmup + (int)s.n);
    assert_true(s.n >= 1 && s.n <= 50);
    assert_true(s.min >= 0.002);

    clock.seconds = 1e-9; /* too short for one run: runs once anyway */
    samples.count = 0;
    expect_ok(mien_measure(&clock, work, &c, &samples));
    assert_int_equal(samples.count, 1);

    c = (counted){.stop = &stop};
    clock.seconds = 100;
    assert_int_equal(mien_measure(&clock, work, &c, &samples), MIEN_INTERRUPTED);
    assert_int_equal(c.works, 4);
    stop = 0;
    c = (counted){.fail_at = 3};
    assert_int_equal(mien_measure(&clock, work, &c, &samples), MIEN_DIVERGED);
    mien_samples_release(&samples);
}

/* `frozen`: bit i for node i of the graph. */
static double operations(const char *file, bool training, unsigned frozen) {
    mien_graph graph;
    mien_plan *plan;
    const mien_graph_io io = {48, 48, 1, 7};
    const body_rule rule = {.kind = BODY_SGD};
    const mien_plan_options options = {.training = training, .max_batch = 1, .rule = &rule};
    expect_ok(mien_graph_read(file, io, &graph));
    for (int i = 1; i < graph.count && i < 32; i++)
        if (frozen >> i & 1) ((mien_layer_common *)graph.nodes[i].attrs)->trainable = false;
    expect_ok(mien_plan_create(&graph, backend, &options, &plan));
    const double flops = mien_bench_plan_flops(plan);
    mien_plan_free(plan);
    mien_graph_release(&graph);
    return flops;
}

/* 2 * 9 * inputs * outputs * pixels for each convolution, three times but for the first. */
static void operations_of_the_networks(void **state) {
    (void)state;
    const double first = 2.0 * 9 * 32 * 46 * 46, second = 2.0 * 9 * 32 * 64 * 44 * 44;
    const double classic = first + second + 2.0 * 9 * 64 * 128 * 20 * 20 +
                           2.0 * 9 * 128 * 128 * 8 * 8 + 2.0 * 2048 * 1024 + 2.0 * 1024 * 7;
    assert_true(operations("configs/models/classic.yaml", false, 0) == classic);
    assert_true(operations("configs/models/classic.yaml", true, 0) == 3 * classic - first);
    /* first layer frozen: no gradient of its weights, nor of the second layer's input */
    assert_true(operations("configs/models/classic.yaml", true, 1u << 1) ==
                3 * classic - 2 * first - second);
    /* second layer frozen (node 3, after the first's ReLU): it still passes the gradient on */
    assert_true(operations("configs/models/classic.yaml", true, 1u << 3) ==
                3 * classic - first - second);
    assert_true(fabs(operations("configs/models/classic.yaml", true, 0) / 462.7e6 - 1) < 1e-3);
    assert_true(fabs(operations("configs/models/vgg.yaml", true, 0) / 3022e6 - 1) < 1e-3);
}

static void peak_rates(void **state) {
    (void)state;
    double bandwidth, best = 0;
    mien_peak peak = {.backend = backend};
    for (int i = 1; i <= 3; i++) {
        const double begin = mien_seconds();
        expect_ok(mien_peak_window(&peak));
        assert_true(mien_seconds() - begin > 0.02);
        assert_int_equal(peak.windows, i);
        assert_true(peak.flops_per_second >= best);
        best = peak.flops_per_second;
    }
    assert_true(best > 1e8 &&
                best < 1e13); /* plausible for one thread: the loop was not optimised away */
    assert_true(strcmp(mien_peak_isa(backend), "v2") >= 0);
    assert_true(strcmp(mien_peak_isa(backend), "v4") <= 0);
    expect_ok(mien_copy_bandwidth(backend, &bandwidth));
    assert_true(bandwidth > 1e7 && bandwidth < 1e13);
}

/* The peak is measured with no wider registers than MIEN_ISA allows the library. */
static void peak_follows_isa_limit(void **state) {
    (void)state;
    mien_backend *lesser = NULL;
    setenv("MIEN_ISA", "v2", 1);
    expect_ok(mien_backend_open("cpu", NULL, &lesser));
    unsetenv("MIEN_ISA");
    assert_string_equal(mien_peak_isa(lesser), "v2");
    mien_backend_close(lesser);
}

/* The profiled times add up to most of the elapsed time, and not to more. */
static void the_profile_adds_up(void **state) {
    (void)state;
    mien_graph graph;
    mien_plan *plan;
    const mien_graph_io io = {48, 48, 1, 7};
    const body_rule rule = {.kind = BODY_ADAM};
    const mien_plan_options options = {.training = true, .max_batch = 32, .rule = &rule};
    static double forward[MIEN_NODES_MAX], backward[MIEN_NODES_MAX];
    mien_profile profile = {.forward = forward, .backward = backward};
    expect_ok(mien_graph_read("configs/models/classic.yaml", io, &graph));
    expect_ok(mien_plan_create(&graph, backend, &options, &plan));
    double around = 0;
    for (int i = 0; i < 6; i++) {
        plan->profile = i ? &profile : NULL; /* the first iteration is an unprofiled warm-up */
        const double begin = mien_seconds();
        expect_ok(mien_plan_forward(plan, 32, true, 0));
        expect_ok(mien_plan_loss(plan, 32, 32, NULL, true));
        expect_ok(mien_plan_backward(plan, 32, 0));
        expect_ok(mien_plan_update(plan, 32));
        expect_ok(mien_plan_profile_read(plan));
        if (i) around += mien_seconds() - begin;
        if (!i) assert_true(forward[1] == 0 && profile.update == 0);
    }
    double sum = profile.loss + profile.update;
    assert_true(profile.loss > 0 && profile.update > 0 && profile.gather == 0);
    for (int i = 0; i < graph.count; i++) {
        const bool runs = i > 0 && !plan->nodes[i].fusion.skipped;
        assert_true((forward[i] > 0) == runs && (backward[i] > 0) == runs);
        sum += forward[i] + backward[i];
    }
    assert_true(sum <= around && sum > 0.7 * around);
    mien_plan_free(plan);
    mien_graph_release(&graph);
}

static const char *const fields[] = {"schema",
                                     "mode",
                                     "model",
                                     "version",
                                     "commit",
                                     "compiler",
                                     "flags",
                                     "device",
                                     "isa",
                                     "cpu",
                                     "gpu",
                                     "driver",
                                     "libraries",
                                     "threads",
                                     "seed",
                                     "batch",
                                     "dtype",
                                     "warmup",
                                     "n",
                                     "min",
                                     "median",
                                     "p90",
                                     "p99",
                                     "max",
                                     "mean",
                                     "flops",
                                     "peak_flops",
                                     "peak_windows",
                                     "images_per_second",
                                     "peak_memory",
                                     "layers",
                                     "layer_steps",
                                     "flops_per_second",
                                     "beside_layers",
                                     "copy_bandwidth",
                                     "fraction_of_peak"};

/* Runs a mode and passes the parsed document to `check`. */
static void with_document(const char *mode, const mien_bench_request *request,
                          void (*check)(const mien_value *root)) {
    mien_bench_result result;
    const mien_bench_build build = {"c0ffee", "gcc \"12\"", "-O2"};
    mien_text text = {0};
    mien_tree tree;
    expect_ok(mien_bench_run(mode, request, &result));
    mien_bench_document(request, &result, &build, &text);
    expect_ok(text.status);
    expect_ok(mien_json_parse(text.data, text.size, "document", &tree));
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (!mien_value_get(tree.root, fields[i])) fail_msg("%s: no field %s", mode, fields[i]);
    assert_string_equal(mien_value_string(tree.root, "mode"), mode);
    assert_string_equal(mien_value_string(tree.root, "commit"), "c0ffee");
    assert_true(mien_value_number(tree.root, "n", 0) >= 1);
    assert_true(mien_value_number(tree.root, "median", 0) > 0);
    assert_true(mien_value_number(tree.root, "images_per_second", 0) > 0);
    check(tree.root);
    mien_tree_release(&tree);
    mien_text_release(&text);
    mien_bench_release(&result);
}

static const mien_value *first_layer(const mien_value *root) {
    const mien_value *layers = mien_value_get(root, "layers");
    assert_true(layers->count > 8);
    assert_string_equal(mien_value_string(layers->first, "name"), "conv2d");
    return layers->first;
}

static void check_train(const mien_value *root) {
    const double rate = mien_value_number(root, "images_per_second", 0);
    const double fraction = mien_value_number(root, "fraction_of_peak", 0);
    assert_true(mien_value_number(root, "flops", 0) == 462739968);
    assert_true(mien_value_number(root, "peak_windows", 0) == 5);
    assert_true(fabs(rate * mien_value_number(root, "median", 0) / 4 - 1) < 1e-6);
    assert_true(fabs(rate * 462739968 / mien_value_number(root, "peak_flops", 1) / fraction - 1) <
                1e-6);
    const mien_value *layer = first_layer(root);
    const double seconds = mien_value_number(mien_value_get(layer, "backward"), "seconds", 0);
    assert_true(fabs(mien_value_number(mien_value_get(layer, "backward"), "flops_per_second", 0) *
                         seconds / (4 * 2.0 * 9 * 32 * 46 * 46) -
                     1) < 1e-6);
    assert_true(mien_value_number(mien_value_get(root, "beside_layers"), "gather", 0) > 0);
}

static void check_infer(const mien_value *root) {
    assert_true(mien_value_number(root, "flops", 0) == 154652928);
    assert_int_equal(mien_value_get(first_layer(root), "backward")->kind, MIEN_VALUE_NULL);
}

static void check_augment(const mien_value *root) {
    const mien_value *plain = mien_value_get(root, "plain");
    assert_int_equal(mien_value_get(root, "flops")->kind, MIEN_VALUE_NULL);
    assert_true(mien_value_number(plain, "images_per_second", 0) > 0);
    assert_true(mien_value_number(plain, "n", 0) >= 1);
}

static void documents_have_every_field(void **state) {
    (void)state;
    mien_bench_request request = {
        .backend = backend, .batch = 4, .seconds = 0.05, .layers = true, .dtype = "f32"};
    with_document("train", &request, check_train);
    with_document("op", &request, check_train);
    with_document("infer", &request, check_infer);
    request.size = 30;
    with_document("augment", &request, check_augment);
}

static void check_load(const mien_value *root) {
    const double rate = mien_value_number(root, "images_per_second", 0);
    assert_true(fabs(rate * mien_value_number(root, "median", 0) / 50 - 1) < 1e-6);
    assert_true(mien_value_number(root, "file_bytes", 0) > 50 * 2304 * 2);
    assert_true(mien_value_number(root, "bytes_per_second", 0) > 0);
}

/* The generated file is in $TMPDIR and is removed afterwards, even when reading was interrupted. */
static void generated_rows_leave_nothing(void **state) {
    (void)state;
    char folder[] = "/tmp/mien-test-XXXXXX";
    int stop = 1;
    mien_bench_result result;
    mien_bench_request request = {.backend = backend, .seconds = 0.01, .rows = 50};
    assert_non_null(mkdtemp(folder));
    setenv("TMPDIR", folder, 1);
    with_document("load", &request, check_load);
    request.stop = &stop;
    assert_int_equal(mien_bench_run("load", &request, &result), MIEN_INTERRUPTED);
    mien_bench_release(&result);
    request.stop = NULL;
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(mien_bench_run("load", &request, &result),
                     MIEN_IO); /* $TMPDIR does not exist */
    mien_bench_release(&result);
    unsetenv("TMPDIR");
}

static void refused(const char *mode, const mien_bench_request *request, mien_status status,
                    const char *pattern) {
    mien_bench_result result;
    assert_int_equal(mien_bench_run(mode, request, &result), status);
    if (!strstr(mien_error_message(), pattern))
        fail_msg("'%s' is not in: %s", pattern, mien_error_message());
    mien_bench_release(&result);
}

static void what_cannot_be_measured(void **state) {
    (void)state;
    const mien_bench_request good = {.backend = backend, .batch = 4, .seconds = 0.01};
    mien_bench_request r = good;
    refused("trian", &r, MIEN_INVALID, "'trian'");
    r.dtype = "int8";
    refused("infer", &r, MIEN_UNSUPPORTED, "int8");
    r = good;
    r.model = "absent";
    refused("train", &r, MIEN_NOT_FOUND, "'absent'");
    r = good;
    r.size = 8;
    refused("infer", &r, MIEN_INVALID, "does not fit");
    r.model = "some.h5";
    refused("infer", &r, MIEN_INVALID, "--size");
    r = good;
    r.model = "seresnet";
    r.size = 1024;
    r.batch = 4096; /* 1.5 TB of activations */
    refused("train", &r, MIEN_NO_MEMORY, "--batch");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(statistics_of_known_samples),
                                       cmocka_unit_test(the_clock_warms_up_and_stops),
                                       cmocka_unit_test(operations_of_the_networks),
                                       cmocka_unit_test(peak_rates),
                                       cmocka_unit_test(peak_follows_isa_limit),
                                       cmocka_unit_test(the_profile_adds_up),
                                       cmocka_unit_test(documents_have_every_field),
                                       cmocka_unit_test(generated_rows_leave_nothing),
                                       cmocka_unit_test(what_cannot_be_measured)};
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
