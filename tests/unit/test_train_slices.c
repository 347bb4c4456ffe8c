/* Slices carried through the layers by threads give the gradients of running layer by layer, bit
 * for bit: with any number of threads, a last slice that is smaller, frozen layers, and more slices
 * than gradients are kept of. */
#include <stdlib.h>
#include <string.h>

#include "host/base/threads.h"
#include "tests/support/test.h"
#include "tests/unit/plan_nets.h"

enum { BATCH = 84 }; /* eleven slices */

static const mien_graph_io io = {20, 20, 1, 5};

/* The stem's loops, oneDNN's convolutions and Winograd's; parameters with and without decay. */
static const char whole[] = "layers:\n"
                            "  - conv2d: {filters: 32, kernel_size: 3, activation: relu}\n"
                            "  - conv2d: {filters: 32, kernel_size: 3, activation: relu}\n"
                            "  - prelu\n"
                            "  - max_pooling2d\n"
                            "  - dropout: {rate: 0.25}\n"
                            "  - conv2d: {filters: 24, kernel_size: 2, activation: elu}\n"
                            "  - flatten\n"
                            "  - dense: {units: 200, activation: relu}\n"
                            "  - dropout: {rate: 0.5}\n"
                            "  - dense: {units: classes, activation: softmax}\n";
/* What stays is behind frozen layers, whose pooling keeps nothing for backward. */
static const char frozen[] =
    "layers:\n"
    "  - conv2d: {filters: 16, kernel_size: 3, activation: relu, trainable: false}\n"
    "  - max_pooling2d\n"
    "  - conv2d: {filters: 32, kernel_size: 3, activation: relu}\n"
    "  - max_pooling2d\n"
    "  - flatten\n"
    "  - dense: {units: classes, activation: softmax}\n";
/* Layers that need the whole batch are between the others. */
static const char norm[] =
    "layers:\n"
    "  - conv2d: {filters: 16, kernel_size: 3, use_bias: false}\n"
    "  - batch_normalization\n"
    "  - relu: {name: early}\n"
    "  - separable_conv2d: {filters: 32, kernel_size: 3, padding: same}\n"
    "  - batch_normalization\n"
    "  - relu\n"
    "  - max_pooling2d: {name: trunk}\n"
    "  - conv2d: {inputs: early, filters: 32, kernel_size: 1, strides: 2, padding: same}\n"
    "  - batch_normalization\n"
    "  - add: {inputs: [trunk, batch_normalization_2]}\n"
    "  - dropout: {rate: 0.25}\n"
    "  - conv2d: {filters: 24, kernel_size: 3, activation: relu}\n"
    "  - global_average_pooling2d\n"
    "  - dense: {units: 40, activation: relu}\n"
    "  - dropout: {rate: 0.5}\n"
    "  - dense: {units: classes, activation: softmax}\n";
static const char all_frozen[] =
    "layers:\n"
    "  - conv2d: {filters: 16, kernel_size: 3, activation: relu, trainable: false}\n"
    "  - max_pooling2d\n"
    "  - flatten\n"
    "  - dense: {units: classes, activation: softmax}\n";

/* The gradients after steps of n rows and of all. */
static double *gradients(const char *model, int threads, bool carries, bool timed, int n,
                         size_t *count) {
    mien_backend *b;
    test_net net;
    expect_ok(mien_backend_open("cpu", &(mien_backend_options){.threads = threads}, &b));
    net_open(&net, b, model, io,
             (net_options){.batch = BATCH, .micro = carries ? NET_MICRO_AUTOMATIC : 16, .seed = 3});
    assert_int_equal(net.plan->carries, carries);
    const size_t nodes = (size_t)net.graph.count;
    double *times = numbers(2 * nodes);
    mien_profile profile = {.forward = times, .backward = times + nodes};
    if (timed) net.plan->profile = &profile;
    expect_ok(mien_plan_prepare(net.plan, n));
    plan_pass(&net, BATCH);
    plan_pass(&net, n);
    double *out = plan_gradients(&net, count);
    if (timed) {
        expect_ok(mien_plan_profile_read(net.plan));
        assert_true(profile.forward[1] > 0);
    }
    free(times);
    net_close(&net);
    mien_backend_close(b);
    return out;
}

static void compare(const char *model, int n) {
    size_t count, other;
    double *want = gradients(model, 2, false, false, n, &count);
    for (int threads = 1; threads <= 4; threads++)
        for (int timed = 0; timed < 2; timed++) {
            double *got = gradients(model, threads, true, timed, n, &other);
            assert_int_equal(count, other);
            for (size_t i = 0; i < count; i++)
                if (memcmp(&got[i], &want[i], sizeof *got) != 0)
                    fail_msg("%s\n%d rows, %d threads: gradient %zu is %.9g, layer by layer %.9g",
                             model, n, threads, i, got[i], want[i]);
            free(got);
        }
    free(want);
}

static void the_gradients_are_those_of_layers(void **state) {
    (void)state;
    static const int rows[] = {BATCH, 64, 41, 7, 1};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        compare(whole, rows[i]);
    compare(norm, 64);
    compare(norm, 41);
}

static void frozen_layers_have_none(void **state) {
    (void)state;
    compare(frozen, 64);
    compare(all_frozen, 41);
}

/* Large gradients, small batches, and more threads than half the slices. */
static void some_run_layer_by_layer(void **state) {
    (void)state;
    static const char *const models[] = {
        "layers:\n  - conv2d: {filters: 256, kernel_size: 3}\n"
        "  - conv2d: {filters: 256, kernel_size: 3}\n"
        "  - flatten\n  - dense: {units: classes, activation: softmax}\n",
        whole,
        whole,
    };
    static const int batches[] = {64, 16, 64}, threads[] = {2, 2, 5};
    for (int i = 0; i < 3; i++) {
        mien_backend *b;
        test_net net;
        expect_ok(mien_backend_open("cpu", &(mien_backend_options){.threads = threads[i]}, &b));
        net_open(&net, b, models[i], io,
                 (net_options){.batch = batches[i], .micro = NET_MICRO_AUTOMATIC});
        assert_false(net.plan->carries);
        net_close(&net);
        mien_backend_close(b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_gradients_are_those_of_layers),
                                       cmocka_unit_test(frozen_layers_have_none),
                                       cmocka_unit_test(some_run_layer_by_layer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
