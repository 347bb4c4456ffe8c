/* What a plan for a GPU runs in one pass that a plan for the CPU does not: by its flags, by the
 * number of kernels, and by gradients that agree with the CPU's. */
#include <stdlib.h>

#include "tests/cuda/counted.h"
#include "tests/cuda/pair.h"
#include "tests/support/test.h"

enum { ROWS = 5 };
static const mien_graph_io io = {13, 12, 1, 3};

/* The plan points to the graph in `net`, which must stay where it is. */
static void open_net(test_net *net, mien_backend *b, const char *model) {
    net_open(net, b, model, io, (net_options){.batch = ROWS, .seed = 3});
}

/* The same images and targets for every backend. */
static void fill_batch(const test_net *net) {
    const mien_tensor x = mien_plan_input(net->plan, ROWS);
    const mien_tensor t = mien_plan_targets(net->plan, ROWS);
    float *values = malloc(mien_shape_count(x.shape) * sizeof *values);
    float targets[3 * ROWS] = {0};
    assert_non_null(values);
    for (size_t i = 0; i < mien_shape_count(x.shape); i++)
        values[i] = (float)noise(5, i);
    for (int i = 0; i < ROWS; i++)
        targets[3 * i + i % 3] = 1;
    expect_ok(net->backend->ops->upload(net->backend, &x, values));
    expect_ok(net->backend->ops->upload(net->backend, &t, targets));
    free(values);
}

/* Kernels of a backward pass; 0 on a real GPU. */
static uint64_t run(const test_net *net) {
    fake_counts before = {0}, after = {0};
    fill_batch(net);
    net_forward(net, true);
    net_loss(net, NULL);
    counted(&before);
    net_backward(net);
    counted(&after);
    return after.launches - before.launches;
}

static uint64_t launches_of(const char *model) {
    test_net net;
    open_net(&net, pair_cuda(), model);
    const uint64_t n = run(&net);
    net_close(&net);
    return n;
}

/* All gradients, in the order of the graph. */
static double *gradients_of(mien_backend *b, const char *model, size_t *count) {
    test_net net;
    open_net(&net, b, model);
    double *out = numbers(1 << 16);
    *count = 0;
    run(&net);
    for (int i = 0; i < net.graph.count; i++)
        for (int k = 0; k < net.graph.nodes[i].param_count; k++) {
            if (!mien_plan_param_grad(net.plan, i, k)) continue;
            net_get(&net, net.plan->grad, i, k, out + *count);
            *count += net_param_count(&net, i, k);
        }
    const double scale = net_step(&net).loss_scale;
    for (size_t i = 0; i < *count; i++)
        out[i] /= scale > 0 ? scale : 1; /* 0: not scaled */
    net_close(&net);
    return out;
}

static void expect_gradients(const char *model) {
    size_t count, other;
    double *want = gradients_of(pair_plain(), model, &count);
    double *got = gradients_of(pair_cuda(), model, &other);
    const double most = pair_cuda()->dtype == MIEN_F32 ? 1e-5 : 5e-2;
    assert_int_equal(count, other);
    if (!(relative_distance(got, want, count) <= most))
        fail_msg("gradients differ by %.3g of their norm:\n%s", relative_distance(got, want, count),
                 model);
    free(want);
    free(got);
}

static const mien_fusion *fusion_of(const test_net *net, const char *name) {
    return &net->plan->nodes[mien_graph_find(&net->graph, name)].fusion;
}

#define STEM(activation)                                                                           \
    "layers:\n  - conv2d: {name: a, filters: 8, kernel_size: 3, activation: " activation "}\n"
#define HEAD          "  - flatten\n  - dense: {units: classes, activation: softmax}\n"
#define CONV          "  - conv2d: {name: b, filters: 8, kernel_size: 3, padding: same}\n"
#define PLAIN         "  - conv2d: {name: b, filters: 8, kernel_size: 3, padding: same, use_bias: false}\n"
#define NORM(trained) "  - batch_normalization: {name: n, trainable: " trained "}\n"
#define SUM           "  - add: {inputs: [a, b]}\n"

/* The next convolution's data gradient needs no ReLU mask, and there is no pass for it. */
static void test_stem_before_convolution(void **state) {
    (void)state;
    static const char model[] = STEM("relu") CONV HEAD;
    test_net net;
    open_net(&net, pair_cuda(), model);
    mien_linear_desc d;
    assert_true(fusion_of(&net, "a")->slope_by_filter);
    assert_false(fusion_of(&net, "a")->slope_by_consumer);
    assert_true(mien_plan_linear_desc(net.plan, mien_graph_find(&net.graph, "b"), &d));
    assert_false(d.masks_dx);
    net_close(&net);
    expect_gradients(model);
    setenv("FAKE_CUDNN_FUSION", "0", 1);
    assert_int_equal(launches_of(model), launches_of(STEM("linear") CONV HEAD));
    unsetenv("FAKE_CUDNN_FUSION");
}

/* With several consumers none applies the slope: the stem's gradient does, without a pass. */
static void test_stem_before_sum(void **state) {
    (void)state;
    static const char model[] = STEM("relu") CONV SUM HEAD;
    test_net net;
    open_net(&net, pair_cuda(), model);
    assert_true(fusion_of(&net, "a")->slope_by_filter);
    net_close(&net);
    expect_gradients(model);
    assert_int_equal(launches_of(model), launches_of(STEM("linear") CONV SUM HEAD));
}

/* Pooling's index has the slope at no cost. */
static void test_stem_before_pooling(void **state) {
    (void)state;
    static const char model[] = STEM("relu") "  - max_pooling2d\n" HEAD;
    test_net net;
    open_net(&net, pair_cuda(), model);
    assert_true(fusion_of(&net, "a")->slope_by_consumer);
    assert_false(fusion_of(&net, "a")->slope_by_filter);
    net_close(&net);
    expect_gradients(model);
}

/* Not if the gradient goes back further, nor for another activation, nor on the CPU. */
static void test_other_slopes(void **state) {
    (void)state;
    static const char model[] = STEM("relu") CONV HEAD;
    test_net net;
    net_open(&net, pair_cuda(), model, io, (net_options){.batch = ROWS, .input_gradient = true});
    assert_false(fusion_of(&net, "a")->slope_by_filter);
    assert_true(fusion_of(&net, "a")->slope_by_consumer);
    net_close(&net);
    open_net(&net, pair_cuda(), STEM("tanh") CONV HEAD);
    assert_false(fusion_of(&net, "a")->slope_by_filter);
    net_close(&net);
    open_net(&net, pair_plain(), model);
    assert_false(fusion_of(&net, "a")->slope_by_filter);
    assert_true(fusion_of(&net, "a")->slope_by_consumer);
    net_close(&net);
}

/* A bias that the batch's own mean cancels costs no launch; one before other means has a gradient.
 */
static void test_bias_before_norm(void **state) {
    (void)state;
    static const char model[] = STEM("relu") CONV NORM("true") HEAD;
    test_net net;
    open_net(&net, pair_cuda(), model);
    assert_true(fusion_of(&net, "b")->bias_cancels);
    assert_false(fusion_of(&net, "a")->bias_cancels);
    run(&net);
    double db[8];
    net_get(&net, net.plan->grad, mien_graph_find(&net.graph, "b"), 1, db);
    for (int c = 0; c < 8; c++)
        assert_true(db[c] == 0);
    net_close(&net);
    expect_gradients(model);
    assert_int_equal(launches_of(model), launches_of(STEM("relu") PLAIN NORM("true") HEAD));

    static const char frozen[] = STEM("relu") CONV NORM("false") HEAD;
    open_net(&net, pair_cuda(), frozen);
    assert_false(fusion_of(&net, "b")->bias_cancels);
    net_close(&net);
    expect_gradients(frozen);
    static const char both[] = STEM("relu") CONV NORM("true") "  - add: {inputs: [b, n]}\n" HEAD;
    open_net(&net, pair_cuda(), both);
    assert_false(fusion_of(&net, "b")->bias_cancels);
    net_close(&net);
    expect_gradients(both);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stem_before_convolution), cmocka_unit_test(test_stem_before_sum),
        cmocka_unit_test(test_stem_before_pooling),     cmocka_unit_test(test_other_slopes),
        cmocka_unit_test(test_bias_before_norm),
    };
    return pair_run_all_types(tests, sizeof tests / sizeof tests[0]);
}
