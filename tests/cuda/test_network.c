/* Whole networks on the GPU: against the CPU, and for repeatability with and without captured
 * steps.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/counted.h"
#include "tests/cuda/run_steps.h"
#include "tests/support/device.h"
#include "tests/support/reference.h"
#include "tests/support/test.h"

static const char everything[] = "layers:\n"
                                 "  - conv2d: {filters: 8, kernel_size: 3, activation: relu}\n"
                                 "  - conv2d: {filters: 16, kernel_size: 3, padding: same}\n"
                                 "  - batch_normalization\n"
                                 "  - activation: {activation: relu}\n"
                                 "  - max_pooling2d\n"
                                 "  - dropout: {rate: 0.25}\n"
                                 "  - conv2d: {filters: 8, kernel_size: 3, strides: 2, "
                                 "padding: same, activation: swish}\n"
                                 "  - flatten\n"
                                 "  - dense: {units: 24, activation: relu}\n"
                                 "  - dropout: {rate: 0.5}\n"
                                 "  - dense: {units: classes, activation: softmax}\n";

static const body_augment ranges = {
    .flip = 1, .rotate = 10, .shift = 0.1f, .zoom = 0.1f, .brightness = 0.2f, .contrast = 0.2f};

static const body_rule adam = {
    .kind = BODY_ADAM, .beta_1 = 0.9, .beta_2 = 0.999, .epsilon = 1e-7, .ema = 0.9};
static const body_rule sgd = {.kind = BODY_SGD, .beta_1 = 0.9, .beta_2 = 0.999};

/* 21 images in batches of 8, 8 and 5. */
static steps_case usual(void) {
    return (steps_case){.model = everything,
                        .io = {12, 11, 1, 5},
                        .images = 21,
                        .batch = 8,
                        .steps = 9,
                        .rule = adam,
                        .rate = 0.003,
                        .ranges = ranges};
}

static double float_distance(const float *a, const float *b, size_t count) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    return sqrt(difference / (norm > 0 ? norm : 1));
}

/* Expects losses, weights and logits within `most` of the reference's. */
static void expect_near(const steps_case *c, mien_compute compute, double most, const char *what) {
    mien_backend *plain, *gpu = device_open(compute, false);
    expect_ok(reference_open(false, &plain));
    steps_result want = steps_run(plain, c), got = steps_run(gpu, c);
    assert_int_equal(got.state.bad, 0);
    assert_int_equal(got.state.step, c->steps);
    for (int i = 0; i < c->steps; i++)
        if (!(fabs(got.loss[i] - want.loss[i]) <= most * (1 + fabs(want.loss[i]))))
            fail_msg("%s: loss of step %d is %.7g, not %.7g", what, i, got.loss[i], want.loss[i]);
    const double weights = relative_distance(got.weights, want.weights, want.count);
    const double logits = float_distance(got.logits, want.logits, want.logit_count);
    if (!(weights <= most) || !(logits <= 10 * most))
        fail_msg("%s: weights differ by %.3g, logits by %.3g of the norm", what, weights, logits);
    steps_release(&want);
    steps_release(&got);
    mien_backend_close(gpu);
    mien_backend_close(plain);
}

/* Twenty steps of plain SGD: the loss curve of numerics.md. */
static void test_curve(void **state) {
    (void)state;
    steps_case c = usual();
    c.rule = sgd;
    c.rate = 0.01;
    c.steps = 20;
    expect_near(&c, MIEN_COMPUTE_F32, 1e-4, "f32");
}

static void test_precisions(void **state) {
    (void)state;
    const steps_case c = usual();
    expect_near(&c, MIEN_COMPUTE_F32, 2e-3, "f32, Adam");
    expect_near(&c, MIEN_COMPUTE_TF32, 2e-2, "tf32");
    expect_near(&c, MIEN_COMPUTE_BF16, 8e-2, "bf16");
    expect_near(&c, MIEN_COMPUTE_F16, 3e-2, "f16");
}

static void expect_same(const steps_result *a, const steps_result *b, const char *what) {
    if (memcmp(a->weights, b->weights, a->count * sizeof *a->weights) != 0 ||
        memcmp(a->loss, b->loss, sizeof a->loss) != 0 ||
        memcmp(a->logits, b->logits, a->logit_count * sizeof *a->logits) != 0 ||
        memcmp(&a->state, &b->state, sizeof a->state) != 0)
        fail_msg("%s: the bits differ (losses %.9g, %.9g)", what, a->loss[1], b->loss[1]);
}

/* Captured steps, single launches and a second run give the same bits. */
static void test_repeats(void **state) {
    (void)state;
    static const mien_compute computes[] = {MIEN_COMPUTE_F32, MIEN_COMPUTE_BF16};
    for (int i = 0; i < 2; i++) {
        const steps_case c = usual();
        mien_backend *b = device_open(computes[i], true);
        assert_non_null(b->ops->capture);
        steps_result first = steps_run(b, &c), second = steps_run(b, &c);
        mien_backend_close(b);
        setenv("MIEN_CUDA_GRAPHS", "0", 1);
        b = device_open(computes[i], true);
        unsetenv("MIEN_CUDA_GRAPHS");
        assert_null(b->ops->capture);
        steps_result eager = steps_run(b, &c);
        mien_backend_close(b);
        expect_same(&second, &first, "a second run");
        expect_same(&eager, &first, "without graphs");
        steps_release(&first);
        steps_release(&second);
        steps_release(&eager);
    }
}

/* An engine that allocates while it runs costs the recording, not the run: the same bits. */
static void test_engines_that_allocate(void **state) {
    (void)state;
    const steps_case c = usual();
    fake_counts before = {0}, after = {0};
    mien_backend *b = device_open(MIEN_COMPUTE_BF16, true);
    steps_result recorded = steps_run(b, &c);
    mien_backend_close(b);
    setenv("FAKE_CUDNN_ALLOCATES", "1", 1);
    b = device_open(MIEN_COMPUTE_BF16, true);
    counted(&before);
    steps_result direct = steps_run(b, &c);
    counted(&after);
    unsetenv("FAKE_CUDNN_ALLOCATES");
    mien_backend_close(b);
    assert_int_equal(after.graph_launches, before.graph_launches);
    expect_same(&direct, &recorded, "engines that allocate");
    steps_release(&recorded);
    steps_release(&direct);
}

/* Sizes that fill no block, tile or vector. */
static void test_odd_networks(void **state) {
    (void)state;
    static const struct {
        const char *what, *model;
        mien_graph_io io;
        int images, batch;
    } cases[] = {
        {"1x1 images, 3 classes",
         "layers:\n  - conv2d: {filters: 5, kernel_size: 1, activation: relu}\n  - flatten\n"
         "  - dense: {units: classes, activation: softmax}\n",
         {1, 1, 1, 3},
         7,
         3},
        {"1,000 classes",
         "layers:\n  - conv2d: {filters: 17, kernel_size: 3, padding: same, activation: relu}\n"
         "  - global_average_pooling2d\n  - dense: {units: classes, activation: softmax}\n",
         {5, 4, 3, 1000},
         6,
         4},
        {"channels 3, 5, 17, batch 1",
         "layers:\n  - conv2d: {filters: 3, kernel_size: 3}\n"
         "  - conv2d: {filters: 5, kernel_size: 3, padding: same, strides: 2, activation: relu}\n"
         "  - max_pooling2d: {pool_size: 3, strides: 2, padding: same}\n"
         "  - conv2d: {filters: 17, kernel_size: [2, 3], padding: same, use_bias: false}\n"
         "  - batch_normalization\n  - activation: {activation: relu}\n"
         "  - average_pooling2d: {padding: same}\n  - flatten\n"
         "  - dense: {units: classes, activation: softmax}\n",
         {13, 9, 3, 4},
         5,
         1},
        {"pooled batch normalisations, windows of 3x2 and 2x2",
         "layers:\n  - conv2d: {filters: 8, kernel_size: 3, padding: same, use_bias: false}\n"
         "  - batch_normalization\n  - activation: {activation: relu}\n"
         "  - max_pooling2d: {pool_size: [3, 2]}\n  - dropout: {rate: 0.2}\n"
         "  - conv2d: {filters: 5, kernel_size: 3, padding: same, use_bias: false}\n"
         "  - batch_normalization: {scale: false}\n  - max_pooling2d\n  - flatten\n"
         "  - dense: {units: classes, activation: softmax}\n",
         {11, 9, 1, 3},
         9,
         4},
        {"sums in batch normalisations",
         "layers:\n  - conv2d: {name: r, filters: 16, kernel_size: 3, activation: relu}\n"
         "  - conv2d: {filters: 16, kernel_size: 3, padding: same, use_bias: false}\n"
         "  - batch_normalization: {name: n}\n  - add: {inputs: [n, r]}\n"
         "  - activation: {name: a, activation: relu}\n"
         "  - conv2d: {filters: 5, kernel_size: 3, strides: 2, padding: same, use_bias: false}\n"
         "  - batch_normalization: {name: s}\n"
         "  - conv2d: {inputs: [a], filters: 5, kernel_size: 1, strides: 2, use_bias: false}\n"
         "  - batch_normalization: {name: t}\n  - add: {inputs: [s, t]}\n"
         "  - flatten\n  - dense: {units: classes, activation: softmax}\n",
         {9, 8, 1, 3},
         9,
         4},
        {"a last batch of 1",
         "layers:\n  - conv2d: {filters: 8, kernel_size: 5, activation: tanh}\n  - flatten\n"
         "  - dense: {units: 1, activation: relu}\n"
         "  - dense: {units: classes, activation: softmax}\n",
         {8, 8, 1, 2},
         9,
         4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const steps_case c = {.model = cases[i].model,
                              .io = cases[i].io,
                              .images = cases[i].images,
                              .batch = cases[i].batch,
                              .steps = 5,
                              .rule = sgd,
                              .rate = 0.01,
                              .ranges = ranges};
        expect_near(&c, MIEN_COMPUTE_F32, 1e-4, cases[i].what);
        expect_near(&c, MIEN_COMPUTE_BF16, 5e-2, cases[i].what);
        expect_near(&c, MIEN_COMPUTE_F16, 2e-2, cases[i].what);
    }
}

/* An overflowing gradient halves the loss scale and skips the update; training continues. */
static void test_loss_scale(void **state) {
    (void)state;
    steps_case c = usual();
    mien_backend *b = device_open(MIEN_COMPUTE_F16, false);
    steps_result r = steps_run(b, &c);
    assert_int_equal(r.state.bad, 0);
    assert_true(r.state.loss_scale > 0);
    assert_int_equal(r.state.good + r.state.skipped, c.steps);
    steps_release(&r);
    mien_backend_close(b);
}

typedef struct watch {
    fake_counts before;
    int steps; /* steps that were a single graph launch and nothing else */
} watch;

static void watch_step(void *context, int step, bool before) {
    watch *w = context;
    fake_counts now;
    (void)step;
    if (!counted(&now)) return;
    if (before)
        w->before = now;
    else
        w->steps += now.graph_launches - w->before.graph_launches == 1 &&
                    now.launches == w->before.launches && now.copies == w->before.copies &&
                    now.syncs == w->before.syncs && now.mallocs == w->before.mallocs &&
                    now.memsets == w->before.memsets;
}

/* The first step of each batch size is launched directly, the second captured; every other one is a
 * single launch without copy, wait or allocation. */
static void test_one_launch_a_step(void **state) {
    (void)state;
    watch w = {0};
    fake_counts now;
    steps_case c = usual();
    c.steps = 12;
    c.around = watch_step;
    c.context = &w;
    mien_backend *b = device_open(MIEN_COMPUTE_BF16, false);
    if (counted(&now)) {
        steps_result r = steps_run(b, &c);
        assert_int_equal(w.steps, 12 - 2 - 2);
        steps_release(&r);
    }
    mien_backend_close(b);
}

static const char folding[] = "layers:\n"
                              "  - conv2d: {filters: 16, kernel_size: 3, activation: relu}\n"
                              "  - conv2d: {filters: 24, kernel_size: 3, use_bias: false}\n"
                              "  - batch_normalization\n"
                              "  - activation: {activation: relu}\n"
                              "  - conv2d: {filters: 8, kernel_size: 3, activation: relu}\n"
                              "  - flatten\n"
                              "  - dense: {units: 40, activation: relu}\n"
                              "  - dense: {units: classes, activation: softmax}\n";

/* Logits of three images; weights, biases and statistics are random. `kernels`: those of the pass,
 * ours and cuBLASLt's, 0 on a real GPU. */
static void infer(mien_backend *b, float logits[3 * 5], uint64_t *kernels) {
    test_net net;
    mien_weights weights;
    fake_counts before, after;
    float images[3 * 9 * 10];
    net_open(&net, b, folding, (mien_graph_io){9, 10, 1, 5},
             (net_options){.batch = 3, .infer = true, .seed = 3});
    expect_ok(mien_weights_create(&net.graph, 3, &weights));
    for (int i = 0; i < net.graph.count; i++)
        for (int k = 0; k < net.graph.nodes[i].param_count; k++) {
            float *values = mien_weights_get(&weights, i, k);
            const bool norm = net.graph.nodes[i].def->flags & MIEN_NORMALISES;
            for (size_t at = 0; (norm || k == 1) && at < net_param_count(&net, i, k); at++)
                values[at] = (float)(norm ? 0.6 + 0.5 * noise(7 + (uint32_t)k, at) : noise(6, at));
        }
    expect_ok(mien_plan_load(net.plan, &weights));
    mien_weights_release(&weights);
    for (size_t i = 0; i < sizeof images / sizeof images[0]; i++)
        images[i] = (float)noise(5, i);
    const mien_tensor x = mien_plan_input(net.plan, 3), y = mien_plan_logits(net.plan, 3);
    expect_ok(b->ops->upload(b, &x, images));
    *kernels = 0;
    const bool fake = counted(&before);
    expect_ok(mien_plan_infer(net.plan, 3));
    if (fake && counted(&after))
        *kernels = after.launches - before.launches + after.products - before.products;
    expect_ok(b->ops->download(b, logits, &y));
    net_close(&net);
}

/* Every bias, that of a folded batch normalisation too, is rounded when the weights are loaded, not
 * in the pass: the stem and both dense layers are one kernel each, and cuDNN's two are alone. */
static void test_biases_in_inference(void **state) {
    (void)state;
    float want[3 * 5], got[3 * 5];
    uint64_t kernels;
    mien_backend *plain;
    expect_ok(reference_open(false, &plain));
    infer(plain, want, &kernels);
    mien_backend_close(plain);
    setenv("MIEN_CUDA_GRAPHS", "0", 1);
    static const mien_compute computes[] = {MIEN_COMPUTE_F32, MIEN_COMPUTE_BF16, MIEN_COMPUTE_F16};
    for (int i = 0; i < 3; i++) {
        mien_backend *b = device_open(computes[i], true);
        infer(b, got, &kernels);
        const double off = float_distance(got, want, sizeof want / sizeof want[0]);
        if (!(off < (i == 0 ? 1e-5 : 1e-2))) fail_msg("logits differ by %g of the norm", off);
        if (kernels) assert_int_equal(kernels, 3);
        mien_backend_close(b);
    }
    unsetenv("MIEN_CUDA_GRAPHS");
}

static void test_too_large(void **state) {
    (void)state;
    mien_graph graph;
    mien_plan *plan;
    setenv("FAKE_CUDA_MEMORY", "150000000", 1);
    mien_backend *b = device_open(MIEN_COMPUTE_BF16, false);
    unsetenv("FAKE_CUDA_MEMORY");
    const body_rule rule = adam;
    const mien_plan_options options = {.training = true, .max_batch = 4096, .rule = &rule};
    size_t left, all;
    b->ops->memory(b, &left, &all);
    if (all < 1000000000) {
        expect_ok(
            mien_graph_read("configs/models/classic.yaml", (mien_graph_io){48, 48, 1, 7}, &graph));
        assert_int_equal(mien_plan_create(&graph, b, &options, &plan), MIEN_NO_MEMORY);
        assert_non_null(strstr(mien_error_message(), "conv2d"));
        assert_non_null(strstr(mien_error_message(), "try a batch size of"));
        mien_graph_release(&graph);
    }
    mien_backend_close(b);
}

int main(int argc, char **argv) {
    (void)argc;
    reference_wait_passively(argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_curve),
                                       cmocka_unit_test(test_precisions),
                                       cmocka_unit_test(test_repeats),
                                       cmocka_unit_test(test_engines_that_allocate),
                                       cmocka_unit_test(test_odd_networks),
                                       cmocka_unit_test(test_loss_scale),
                                       cmocka_unit_test(test_one_launch_a_step),
                                       cmocka_unit_test(test_biases_in_inference),
                                       cmocka_unit_test(test_too_large)};
    return cmocka_run_group_tests_name("network on a GPU", tests, NULL, NULL);
}
