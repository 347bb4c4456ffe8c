/* Optimisations of inference plans: batch normalisation is folded into the weights of the layer
 * before it, a following ReLU into that layer's epilogue, and dropout is removed. The logits must
 * be those of the unfolded network, which a training plan computes in double. */
#include "tests/support/net.h"
#include "tests/support/reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/threads.h"
#include "tests/support/test.h"

enum { ROWS = 5 };
static mien_backend *f64, *cpu;

static int open_backends(void **state) {
    (void)state;
    const mien_backend_options one = {.threads = 1};
    expect_ok(reference_open(true, &f64));
    expect_ok(mien_cpu_open(&one, &cpu));
    return 0;
}

static int close_backends(void **state) {
    (void)state;
    mien_backend_close(f64);
    mien_backend_close(cpu);
    return 0;
}

/* Makes weights look trained: no vector keeps its initial values. */
static void perturb(const mien_graph *graph, mien_weights *weights) {
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].param_count; k++) {
            const mien_param *p = &graph->nodes[i].params[k];
            float *to = mien_weights_get(weights, i, k);
            const bool positive = strcmp(p->name, "moving_variance") == 0;
            for (size_t e = 0; !p->linear && e < mien_shape_count(p->shape); e++) {
                const float r = (float)noise((uint32_t)(100 * i + k), e);
                to[e] = positive ? 0.6f + 0.5f * r : to[e] + 0.4f * r;
            }
        }
}

/* Logits of a plan. `passes`: the expected number of layers that run, counting every layer that
 * only reshapes; 0: any number. */
static double *logits_of(mien_backend *b, const char *model, mien_graph_io io, bool infer,
                         int passes) {
    test_net net;
    mien_weights weights;
    net_open(&net, b, model, io, (net_options){.batch = ROWS, .infer = infer, .micro = 3});
    expect_ok(mien_weights_create(&net.graph, 9, &weights));
    perturb(&net.graph, &weights);
    expect_ok(mien_plan_load(net.plan, &weights));
    const mien_tensor x = mien_plan_input(net.plan, ROWS), y = mien_plan_logits(net.plan, ROWS);
    double *in = numbers(mien_shape_count(x.shape)), *out = numbers(mien_shape_count(y.shape));
    for (size_t i = 0; i < mien_shape_count(x.shape); i++)
        in[i] = noise(3, i);
    net_write(&net, &x, in);
    const unsigned saved = mien_float_enter();
    for (int i = 0; i < 2; i++) /* twice: a pass must not overwrite the input */
        net_forward(&net, false);
    mien_float_leave(saved);
    net_read(&net, &y, out);
    int count = 0;
    for (int i = 1; i < net.graph.count; i++)
        count +=
            !net.plan->nodes[i].fusion.skipped || net.graph.nodes[i].def->flags & MIEN_RESHAPES;
    if (passes && count != passes) fail_msg("%d passes, not %d\n%s", count, passes, model);
    mien_status stored = mien_plan_store(net.plan, false, &weights);
    assert_int_equal(stored, infer ? MIEN_INVALID : MIEN_OK);
    mien_weights_release(&weights);
    net_close(&net);
    free(in);
    return out;
}

/* `fused`: passes on the CPU, which fuses sums into convolutions; the reference does not. */
static void check(const char *model, mien_graph_io io, int passes, int fused) {
    const size_t count = (size_t)ROWS * (size_t)io.classes;
    double *want = logits_of(f64, model, io, false, 0);
    double *exact = logits_of(f64, model, io, true, passes);
    double *fast = logits_of(cpu, model, io, true, fused);
    const double a = relative_distance(exact, want, count);
    const double b = relative_distance(fast, want, count);
    if (!(a <= 1e-6) || !(b <= 2e-5))
        fail_msg("%s\nfolded logits differ by %.3g (double) and %.3g (float) of the norm", model, a,
                 b);
    free(want);
    free(exact);
    free(fast);
}

#define CONV  "conv2d: {filters: 16, kernel_size: 3, padding: same"
#define BN    "  - batch_normalization"
#define TAIL  "  - flatten\n  - dense: {units: classes, activation: softmax}\n"
#define START "layers:\n  - " CONV

static void test_small_networks(void **state) {
    (void)state;
    static const struct {
        const char *model;
        int passes;
    } cases[] = {
        {START ", name: a}\n" BN "\n  - activation: {activation: relu}\n" TAIL, 3},
        {START "}\n" BN "\n" TAIL, 3},
        {START ", use_bias: false}\n" BN "\n  - activation: {activation: relu}\n" TAIL, 3},
        {START ", use_bias: false}\n" BN ": {center: false}\n" TAIL, 3},
        {START "}\n" BN ": {scale: false}\n" TAIL, 3},
        {START "}\n" BN ": {scale: false, center: false, epsilon: 0.1}\n" TAIL, 3},
        {START "}\n" BN "\n  - activation: {activation: swish}\n" TAIL, 4},
        {START "}\n" BN "\n" BN "\n" TAIL, 4},
        /* not foldable: a layer in between, or another consumer of the value */
        {START ", activation: relu}\n" BN "\n" TAIL, 4},
        {START "}\n  - max_pooling2d\n" BN "\n" TAIL, 5},
        {"layers:\n" BN "\n  - " CONV "}\n" TAIL, 4},
        {START ", name: a}\n" BN ": {name: n}\n  - add: {inputs: [a, n]}\n" TAIL, 5},
        {START ", name: a}\n" BN ": {name: n}\n  - activation: {name: r, activation: relu}\n"
               "  - add: {inputs: [r, n]}\n" TAIL,
         5},
        {START ", name: a}\n" BN ": {name: n, inputs: [a]}\n" BN
               ": {name: m, inputs: [a]}\n  - add: {inputs: [n, m]}\n" TAIL,
         6},
        /* dense, also where the normalised values are the logits */
        {START "}\n  - flatten\n  - dense: {units: 12}\n" BN
               "\n  - activation: {activation: relu}\n"
               "  - dense: {units: classes, activation: softmax}\n",
         4},
        {START "}\n  - flatten\n  - dense: {units: classes, use_bias: false}\n" BN
               "\n  - activation: {activation: softmax}\n",
         3},
        /* dropout of a value with one or two consumers, and of the input */
        {START "}\n  - dropout: {rate: 0.3}\n  - activation: {activation: tanh}\n" TAIL, 4},
        {START ", name: a}\n  - dropout: {name: d, rate: 0.3}\n"
               "  - activation: {name: t, activation: tanh}\n  - add: {inputs: [t, a]}\n" TAIL,
         6},
        {"layers:\n  - dropout: {rate: 0.5}\n  - activation: {activation: tanh}\n  - " CONV
         "}\n" TAIL,
         5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(cases[i].model, (mien_graph_io){9, 9, 1, 4}, cases[i].passes, cases[i].passes);
}

/* Channel counts that fill no block, and a kernel that uses Winograd. */
static void test_odd_channels(void **state) {
    (void)state;
    static const int channels[] = {3, 7, 24, 32};
    for (int i = 0; i < 4; i++) {
        char model[600];
        snprintf(model, sizeof model,
                 "layers:\n  - conv2d: {filters: %d, kernel_size: 3}\n" BN "\n"
                 "  - activation: {activation: relu}\n"
                 "  - conv2d: {filters: %d, kernel_size: 3, use_bias: false}\n" BN "\n" TAIL,
                 channels[i], channels[i]);
        check(model, (mien_graph_io){10, 10, 2, 3}, 4, 4);
    }
}

/* All kinds of convolution, whose kernels keep output channels on different axes. */
static void test_convolutions(void **state) {
    (void)state;
    static const struct {
        const char *layer;
        int passes;
    } cases[] = {
        {"conv2d: {filters: 12, kernel_size: 3, groups: 3}", 4},
        {"conv2d: {filters: 16, kernel_size: 3, dilation_rate: 2, use_bias: false}", 4},
        {"depthwise_conv2d: {kernel_size: 3, depth_multiplier: 2}", 4},
        {"depthwise_conv2d: {kernel_size: 3, use_bias: false}", 4},
        {"separable_conv2d: {filters: 7, kernel_size: 3, depth_multiplier: 2}", 5},
        {"conv2d_transpose: {filters: 5, kernel_size: 3, strides: 2}", 4},
        {"conv2d_transpose: {filters: 16, kernel_size: 2, use_bias: false}", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char model[600];
        snprintf(model, sizeof model,
                 "layers:\n  - conv2d: {filters: 6, kernel_size: 3, activation: relu}\n  - %s\n" BN
                 "\n  - activation: {activation: relu}\n" TAIL,
                 cases[i].layer);
        check(model, (mien_graph_io){9, 8, 1, 3}, cases[i].passes, cases[i].passes);
    }
}

/* A convolution does the zero padding before it, unless that has another consumer or is wider than
 * the kernel's reach. */
static void test_padding(void **state) {
    (void)state;
#define PAD(sides) "  - zero_padding2d: {name: p, padding: " sides "}\n"
    static const struct {
        const char *lines;
        int passes;
    } cases[] = {
        {"  - " CONV "}\n" PAD("[[0, 1], [0, 1]]") "  - conv2d: {filters: 16, kernel_size: 3, "
                                                   "strides: 2}\n" BN "\n",
         4},
        {"  - " CONV "}\n" PAD("1") "  - depthwise_conv2d: {kernel_size: 3, strides: 2}\n", 4},
        {"  - " CONV "}\n" PAD("2") "  - conv2d: {filters: 6, kernel_size: 3, dilation_rate: 2}\n",
         4},
        {PAD("3") "  - conv2d: {filters: 16, kernel_size: 7, strides: 2}\n", 3}, /* of the image */
        {"  - " CONV "}\n" PAD("1") "  - conv2d: {filters: 4, kernel_size: 3, padding: same}\n", 4},
        {"  - " CONV "}\n" PAD("1") "  - conv2d: {filters: 4, kernel_size: 1}\n", 5},
        {"  - " CONV "}\n" PAD("1") "  - conv2d_transpose: {filters: 4, kernel_size: 3}\n", 5},
        {"  - " CONV "}\n" PAD("2") "  - conv2d: {filters: 4, kernel_size: 3, padding: same}\n", 5},
        {"  - " CONV "}\n" PAD("1") "  - conv2d: {name: a, filters: 4, kernel_size: 3}\n"
                                    "  - conv2d: {name: b, filters: 4, kernel_size: 3, inputs: "
                                    "[p]}\n  - multiply: {inputs: [a, b]}\n",
         7},
        /* the padded value is read again: its buffer must not be added to */
        {"  - conv2d: {name: s, filters: 16, kernel_size: 3, padding: same}\n" PAD(
             "1") "  - conv2d: {name: a, filters: 16, kernel_size: 3}\n  - add: {inputs: [a, s]}\n",
         5},
    };
#undef PAD
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char model[1000];
        snprintf(model, sizeof model, "layers:\n%s%s", cases[i].lines, TAIL);
        check(model, (mien_graph_io){9, 10, 3, 4}, cases[i].passes, cases[i].passes);
    }
}

/* ReLU6 at the end of each kind of operator, large enough to reach the limit. */
static void test_relu6(void **state) {
    (void)state;
    static const char *const layers[] = {
        "conv2d: {filters: 16, kernel_size: 3}", "conv2d: {filters: 24, kernel_size: 1}",
        "conv2d: {filters: 7, kernel_size: 3, strides: 2}", "depthwise_conv2d: {kernel_size: 3}",
        "conv2d_transpose: {filters: 16, kernel_size: 3}"};
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        char model[1000];
        snprintf(model, sizeof model,
                 "layers:\n  - " CONV "}\n  - rescaling: {scale: 30}\n"
                 "  - activation: {activation: relu6}\n  - rescaling: {scale: 9}\n  - %s\n" BN
                 "\n  - activation: {activation: relu6}\n" TAIL,
                 layers[i]);
        check(model, (mien_graph_io){9, 8, 1, 3}, 0, 0);
    }
}

/* 1x1 convolutions between channels that fill blocks and channels that do not, whose images fill
 * tiles of pixels or not, with what follows them: ReLU6, a sum, both. */
static void test_pointwise(void **state) {
    (void)state;
#define POINT(channels, name, more)                                                                \
    "  - conv2d: {filters: " #channels ", kernel_size: 1, name: " name more "}\n"
#define THEN(activation) "  - activation: {activation: " activation "}\n"
    static const struct {
        const char *lines;
        int passes, fused;
    } cases[] = {
        {POINT(24, "a", "") POINT(64, "b", ", activation: relu6") POINT(24, "c", "")
             POINT(80, "d", "") THEN("relu"),
         4, 4},
        {POINT(24, "a", "") POINT(64, "b", "") BN "\n" THEN("relu6") POINT(24, "c", "") BN
         ": {name: n}\n  - add: {inputs: [a, n]}\n" THEN("relu6"),
         5, 3},
        {POINT(20, "a", "") POINT(144, "b", ", use_bias: false")
             POINT(20, "c", ", use_bias: false") "  - add: {inputs: [a, c]}\n" THEN("tanh"),
         0, 0},
        {POINT(17, "a", "") POINT(64, "b", "") POINT(17, "c", "") POINT(96, "d", ""), 4, 4}};
    static const int sides[][2] = {{4, 3}, {5, 5}, {9, 10}, {20, 24}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int k = 0; k < 4; k++) {
            char model[2000];
            snprintf(model, sizeof model, "layers:\n  - " CONV "}\n  - rescaling: {scale: 3}\n%s%s",
                     cases[i].lines, TAIL);
            const int more = cases[i].passes ? 4 : 0; /* before and after */
            check(model, (mien_graph_io){sides[k][0], sides[k][1], 1, 4}, cases[i].passes + more,
                  cases[i].fused + more);
        }
#undef THEN
#undef POINT
}

/* The convolution of an image, also with stride 2, with values on both sides of 6. */
static void test_stem(void **state) {
    (void)state;
    for (int v = 0; v < 24; v++) {
        static const int sides[][2] = {{3, 4}, {7, 30}, {40, 33}};
        char model[1000];
        snprintf(model, sizeof model,
                 "layers:\n  - rescaling: {scale: 30}\n"
                 "  - conv2d: {filters: %d, kernel_size: 3, strides: %d, padding: %s, "
                 "activation: %s}\n" TAIL,
                 v % 3 ? 32 : 16, v % 2 + 1, v % 4 < 2 ? "same" : "valid",
                 v % 5 ? "relu6" : "linear");
        check(model, (mien_graph_io){sides[v % 3][0], sides[v % 3][1], v % 4 == 3 ? 1 : 3, 3}, 4,
              4);
    }
}

static void test_seresnet(void **state) {
    (void)state;
    char *text;
    size_t size;
    expect_ok(mien_file_read("configs/models/seresnet.yaml", 1 << 20, &text, &size));
    check(text, (mien_graph_io){24, 24, 1, 7}, 53, 49); /* 69 as written */
    free(text);
}

/* A sum with a convolution as input is fused: the convolution adds onto the other input's buffer,
 * unless that is still read, or is the image, or the channels fill no block. */
static void test_sums(void **state) {
    (void)state;
#define NAMED(channels, name, inputs)                                                              \
    "  - conv2d: {filters: " #channels ", kernel_size: 3, padding: same, name: " name              \
    ", inputs: [" inputs "]}\n"
    static const struct {
        const char *lines;
        int passes, fused;
    } cases[] = {
        /* identity shortcut with ReLU after the sum; the same with batch normalisation */
        {NAMED(32, "s", "input") NAMED(32, "a", "s")
             NAMED(32, "b", "a") "  - add: {inputs: [s, b]}\n  - activation: {activation: relu}\n",
         7, 5},
        {NAMED(32, "s", "input") NAMED(32, "a", "s") NAMED(32, "b", "a") BN
         ": {name: n, inputs: [b]}\n  - add: {inputs: [n, s]}\n  - activation: {activation: "
         "relu}\n",
         7, 5},
        /* projection: the later convolution adds onto the earlier one */
        {NAMED(32, "s", "input") NAMED(16, "a", "s")
             NAMED(16, "b", "s") "  - add: {inputs: [a, b]}\n  - activation: {activation: tanh}\n",
         7, 5},
        /* the same where both normalisations come after both convolutions, as in Keras's ResNet */
        {NAMED(32, "s", "input") NAMED(16, "a", "s") NAMED(16, "b", "s") BN
         ": {name: n, inputs: [a]}\n" BN ": {name: m, inputs: [b]}\n"
         "  - add: {inputs: [n, m]}\n  - activation: {activation: relu}\n",
         7, 5},
        /* 1x1 and stride 2: a library primitive */
        {NAMED(32, "s", "input") "  - conv2d: {filters: 16, kernel_size: 1, strides: 2, name: a}\n"
                                 "  - conv2d: {filters: 16, kernel_size: 3, strides: 2, padding: "
                                 "same, name: b, inputs: [s]}\n  - add: {inputs: [a, b]}\n",
         6, 5},
        /* not fused: the shortcut is read again later, both inputs are the same value, odd
         * channels, the convolution reads the buffer it would overwrite, its value is read twice */
        {NAMED(16, "s", "input") NAMED(16, "a", "s")
             NAMED(16, "b", "a") "  - add: {name: t, inputs: [s, b]}\n  - add: {inputs: [t, s]}\n",
         7, 7},
        {NAMED(16, "s", "input") "  - add: {inputs: [s, s]}\n", 4, 4},
        {NAMED(7, "s", "input") NAMED(7, "a", "s") NAMED(7, "b", "a") "  - add: {inputs: [s, b]}\n",
         6, 6},
        {NAMED(16, "s", "input") NAMED(16, "a", "s") "  - add: {inputs: [s, a]}\n", 5, 5},
        {NAMED(16, "s", "input") NAMED(16, "a", "s")
             NAMED(16, "b", "a") "  - add: {name: t, inputs: [s, b]}\n  - add: {inputs: [t, b]}\n",
         7, 7}};
#undef NAMED
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char model[2000];
        snprintf(model, sizeof model, "layers:\n%s%s", cases[i].lines, TAIL);
        check(model, (mien_graph_io){10, 9, 1, 4}, cases[i].passes, cases[i].fused);
    }
}

int main(int argc, char **argv) {
    (void)argc;
    reference_wait_passively(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_networks), cmocka_unit_test(test_odd_channels),
        cmocka_unit_test(test_sums),           cmocka_unit_test(test_convolutions),
        cmocka_unit_test(test_padding),        cmocka_unit_test(test_relu6),
        cmocka_unit_test(test_pointwise),      cmocka_unit_test(test_stem),
        cmocka_unit_test(test_seresnet)};
    return cmocka_run_group_tests(tests, open_backends, close_backends);
}
