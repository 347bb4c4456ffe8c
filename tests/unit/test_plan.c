/* Plans: shared buffers, micro-batches, allocation, reproducibility, fused sums; and the graph's
 * messages about invalid models. */
#include "tests/support/reference.h"
#include "tests/unit/plan_nets.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/base/yaml.h"
#include "host/backend/isa.h"
#include "tests/support/test.h"

static mien_backend *f64, *direct, *two_threads;

static int open_backends(void **state) {
    (void)state;
    const mien_backend_options fixed = {.threads = 1, .deterministic = true};
    expect_ok(reference_open(true, &f64));
    expect_ok(mien_cpu_open(&fixed, &direct));
    return 0;
}

static int close_backends(void **state) {
    (void)state;
    mien_backend_close(f64);
    mien_backend_close(direct);
    return 0;
}

/* Gradients of n rows, by a plan for `batch` rows in micro-batches of `micro`. */
static double *gradients_of(mien_backend *b, const char *model, mien_graph_io io, int batch,
                            int micro, int n, size_t *count, double *loss) {
    test_net net;
    net_open(&net, b, model, io, (net_options){.batch = batch, .micro = micro, .seed = 11});
    expect_ok(mien_plan_prepare(net.plan, n));
    const unsigned saved = mien_float_enter();
    *loss = plan_pass(&net, n);
    mien_float_leave(saved);
    double *out = plan_gradients(&net, count);
    net_close(&net);
    return out;
}

/* The same n rows must give the same gradients with other batch and micro-batch sizes. */
static double compare_cuts(mien_backend *b, const char *model, mien_graph_io io, int n,
                           const int (*cuts)[2], int cut_count) {
    size_t count;
    double loss, worst = 0;
    double *want = gradients_of(b, model, io, n, n, n, &count, &loss);
    for (int i = 0; i < cut_count; i++) {
        size_t other_count;
        double other_loss;
        double *got =
            gradients_of(b, model, io, cuts[i][0], cuts[i][1], n, &other_count, &other_loss);
        const double gap = relative_distance(got, want, count);
        assert_int_equal(count, other_count);
        if (!(gap <= 1e-6) || !(fabs(loss - other_loss) <= 1e-6 * loss))
            fail_msg("%s\nbatch %d, cut into %d, %d rows on %s: gradients differ by %.3g of the "
                     "norm, losses %.9g and %.9g",
                     model, cuts[i][0], cuts[i][1], n, b->ops->name, gap, loss, other_loss);
        worst = fmax(worst, gap);
        free(got);
    }
    free(want);
    return worst;
}

static void test_micro_batches(void **state) {
    (void)state;
    static const int cuts[][2] = {{18, 1},  {18, 3},  {18, 16}, {18, 18},
                                  {40, 16}, {20, 20}, {19, 7}};
    enum { CUTS = sizeof cuts / sizeof cuts[0] };
    mien_backend *const backends[] = {f64, direct};
    for (int i = 0; i < 2; i++)
        print_message("# %s: gradients of other micro-batches within %.2g\n",
                      backends[i]->ops->name,
                      compare_cuts(backends[i], plan_classic, plan_classic_io, 18, cuts, CUTS));
}

/* The derivative along the gradient must be the gradient's squared norm. */
static void check_slope(const char *model, mien_graph_io io, int micro) {
    test_net net;
    size_t count;
    double squares = 0, slope = 0;
    net_open(&net, f64, model, io, (net_options){.batch = 4, .micro = micro, .seed = 11});
    plan_pass(&net, 4);
    double *g = plan_gradients(&net, &count);
    for (size_t i = 0; i < count; i++)
        squares += g[i] * g[i];
    const double step = 1e-7 / sqrt(squares + 1e-300);
    double *base = malloc(net.plan->trained * sizeof *base), *at = (double *)net.plan->param;
    double *direction = malloc(net.plan->trained * sizeof *direction);
    assert_true(base && direction);
    memcpy(base, at, net.plan->trained * sizeof *base);
    memcpy(direction, net.plan->grad, net.plan->trained * sizeof *direction);
    for (int sign = -1; sign < 2; sign += 2) {
        for (size_t i = 0; i < net.plan->trained; i++)
            at[i] = base[i] + sign * step * direction[i];
        slope += sign * plan_pass(&net, 4) / (2 * step);
    }
    if (!(fabs(slope - squares) <= 1e-5 * squares + 1e-9))
        fail_msg("%s\nmicro-batch %d: slope %.9g along the gradient, not %.9g", model, micro, slope,
                 squares);
    free(base);
    free(direction);
    free(g);
    net_close(&net);
}

/* Random networks: if two live buffers overlapped, or a value were read before it is written, the
 * slope would be wrong or NaN. */
static void test_random_networks(void **state) {
    (void)state;
    const mien_graph_io io = {7, 6, 2, 3};
    static const int cuts[][2] = {{4, 1}, {4, 3}, {9, 2}};
    for (uint32_t seed = 1; seed <= 120; seed++) {
        char *model = plan_random_model(seed, seed % 3 == 0);
        check_slope(model, io, 4);
        check_slope(model, io, 1 + (int)(seed % 3));
        if (seed % 4 == 0) compare_cuts(direct, model, io, 4, cuts, 3);
        free(model);
    }
}

/* Frozen first layers keep no pooling indices for backward: each micro-batch reuses the same
 * buffer. */
static void test_frozen_micro_batches(void **state) {
    (void)state;
    static const char model[] = "layers:\n"
                                "  - conv2d: {filters: 16, kernel_size: 3, trainable: false}\n"
                                "  - max_pooling2d: {pool_size: 2}\n"
                                "  - conv2d: {filters: 16, kernel_size: 3, activation: relu}\n"
                                "  - global_max_pooling2d\n"
                                "  - dense: {units: classes, activation: softmax}\n";
    static const int cuts[][2] = {{18, 1}, {18, 5}, {18, 16}};
    const mien_graph_io io = {12, 12, 1, 3};
    test_net net;
    net_open(&net, f64, model, io, (net_options){.batch = 18, .micro = 1, .seed = 1});
    const mien_node_plan *pool = &net.plan->nodes[mien_graph_find(&net.graph, "max_pooling2d")];
    const mien_node *node = &net.graph.nodes[mien_graph_find(&net.graph, "max_pooling2d")];
    mien_pass pass;
    mien_plan_pass(net.plan, &(mien_walk){.first = 17, .rows = 1}, node->index, false, &pass);
    const char *last = (char *)pass.index + mien_shape_sample(node->out) * mien_index_bytes(node);
    assert_false(pool->requires_grad); /* so the buffer holds one micro-batch's indices */
    assert_true(last <= net.plan->act + net.plan->act_bytes);
    assert_ptr_equal(pass.index, net.plan->act + pool->memory.index);
    net_close(&net);
    compare_cuts(f64, model, io, 18, cuts, 3);
    compare_cuts(direct, model, io, 18, cuts, 3);
}

/* An index takes one byte per output element where a window has at most 255 positions: one more
 * number than positions is needed. */
static void test_index_bytes(void **state) {
    (void)state;
    static const char model[] =
        "layers:\n"
        "  - conv2d: {filters: 3, kernel_size: 3, padding: same}\n"
        "  - max_pooling2d: {name: p1, pool_size: [15, 17], strides: 2, padding: same}\n"
        "  - max_pooling2d: {name: p2, pool_size: 16, strides: 1, padding: same}\n"
        "  - global_max_pooling2d: {name: p1_global}\n"
        "  - dense: {units: classes, activation: softmax}\n";
    const mien_graph_io io = {18, 17, 1, 3};
    test_net net;
    int found = 0;
    net_open(&net, f64, model, io, (net_options){.batch = 6, .micro = 2, .seed = 1});
    for (int i = 0; i < net.graph.count; i++) {
        const mien_node *node = &net.graph.nodes[i];
        const bool saves = node->def->flags & MIEN_SAVES_INDEX;
        const size_t bytes = saves ? (size_t)(node->name[1] - '0') : 0;
        mien_pass first, third;
        assert_int_equal(mien_index_bytes(node), bytes);
        if (!saves) continue;
        mien_plan_pass(net.plan, &(mien_walk){.first = 0, .rows = 2}, i, false, &first);
        mien_plan_pass(net.plan, &(mien_walk){.first = 2, .rows = 2}, i, false, &third);
        assert_int_equal((char *)third.index - (char *)first.index,
                         2 * mien_shape_sample(node->out) * bytes);
        found++;
    }
    assert_int_equal(found, 3);
    net_close(&net);
    check_slope(model, io, 4);
    check_slope(model, io, 1);
}

static const body_rule adam = {.kind = BODY_ADAMW,
                               .beta_1 = 0.9,
                               .beta_2 = 0.999,
                               .epsilon = 1e-7,
                               .weight_decay = 0.01,
                               .ema = 0.99};

static void train_step(const test_net *net, int n) {
    body_step step = net_step(net);
    step.learning_rate = 0.003;
    net_set_step(net, &step);
    expect_ok(mien_plan_forward(net->plan, n, true, 0));
    expect_ok(mien_plan_loss(net->plan, n, n, NULL, true));
    expect_ok(mien_plan_backward(net->plan, n, 0));
    expect_ok(mien_plan_update(net->plan, n));
}

static void test_no_allocation_in_a_step(void **state) {
    (void)state;
    mien_backend *const backends[] = {f64, direct};
    for (int i = 0; i < 2; i++) {
        test_net net;
        net_open(&net, backends[i], plan_classic, plan_classic_io,
                 (net_options){.batch = 18, .micro = 4, .rule = &adam});
        expect_ok(mien_plan_prepare(net.plan, 5));
        for (int n = 18; n > 0; n -= 13) {
            plan_batch(&net, n);
            const uint64_t before = mien_allocation_count();
            train_step(&net, n);
            assert_int_equal(mien_allocation_count(), before);
        }
        assert_int_equal(net_step(&net).step, 2);
        net_close(&net);
    }
}

static int slopes; /* separate passes for the slope of an activation */

static mien_status count_slope(mien_backend *b, const mien_tensor *dx, const mien_tensor *dy,
                               const mien_tensor *x, const mien_tensor *y, int activation,
                               float alpha, bool accumulate) {
    slopes++;
    return direct->ops->activation_backward(b, dx, dy, x, y, activation, alpha, accumulate);
}

/* What runs after a ReLU applies its slope, too: pooling, dropout, a layer with weights. */
static void test_no_pass_for_a_slope(void **state) {
    (void)state;
    static const char model[] = "layers:\n"
                                "  - conv2d: {filters: 16, kernel_size: 3, activation: relu}\n"
                                "  - dropout: {rate: 0.25}\n"
                                "  - conv2d: {filters: 16, kernel_size: 3, activation: relu}\n"
                                "  - max_pooling2d\n"
                                "  - flatten\n"
                                "  - dense: {units: 24, activation: relu}\n"
                                "  - dropout: {rate: 0}\n"
                                "  - dense: {units: 24, activation: relu}\n"
                                "  - dropout: {rate: 0.5}\n"
                                "  - dense: {units: 24, activation: relu}\n"
                                "  - dense: {units: classes, activation: softmax}\n";
    test_net net;
    net_open(&net, direct, model, plan_classic_io, (net_options){.batch = 6, .rule = &adam});
    mien_ops counting = *direct->ops;
    counting.activation_backward = count_slope;
    net.plan->ops = &counting;
    plan_batch(&net, 6);
    slopes = 0;
    train_step(&net, 6);
    assert_int_equal(slopes, 0);
    net_close(&net);
}

/* The shipped networks whose channels fill blocks keep one layout from the first convolution to the
 * last layer, in both passes, so no reorder is needed. */
static void test_no_reorder_in_a_step(void **state) {
    (void)state;
    static const char *const files[] = {"configs/models/classic.yaml", "configs/models/vgg.yaml"};
    const mien_backend_options options = {.threads = 2};
    mien_backend *b;
    mien_isa isa;
    bool held_back;
    expect_ok(mien_isa_choose(&isa, &held_back));
    if (isa == MIEN_ISA_V2) {
        print_message("skipped: without AVX2, oneDNN reorders for some of its convolutions\n");
        skip();
    }
    expect_ok(mien_cpu_open(&options, &b));
    for (int i = 0; i < 2; i++) {
        char *model;
        size_t size;
        test_net net;
        expect_ok(mien_file_read(files[i], 1 << 16, &model, &size));
        net_open(&net, b, model, (mien_graph_io){48, 48, 1, 7},
                 (net_options){.batch = 4, .micro = 2, .rule = &adam});
        plan_batch(&net, 4);
        const long long before = cpu_of(b)->reorders;
        train_step(&net, 4);
        assert_int_equal(cpu_of(b)->reorders, before);
        net_close(&net);
        mien_free(model);
    }
    mien_backend_close(b);
}

/* Raw memory of the weights after five steps. */
static char *five_steps(mien_backend *b, size_t *bytes) {
    test_net net;
    net_open(&net, b, plan_classic, plan_classic_io,
             (net_options){.batch = 18, .micro = 8, .rule = &adam, .seed = 4});
    const unsigned saved = mien_float_enter();
    for (int i = 0; i < 5; i++) {
        plan_poison(&net);
        plan_batch(&net, 18);
        train_step(&net, 18);
    }
    mien_float_leave(saved);
    assert_int_equal(net_step(&net).bad, 0);
    *bytes = net.plan->params * sizeof(float);
    char *out = malloc(2 * *bytes);
    assert_non_null(out);
    memcpy(out, net.plan->param, *bytes);
    memcpy(out + *bytes, net.plan->average, *bytes);
    net_close(&net);
    return out;
}

/* Same machine, threads and seed: same bits, Winograd included. */
static void test_repeatable(void **state) {
    (void)state;
    const mien_backend_options options = {.threads = 2};
    expect_ok(mien_cpu_open(&options, &two_threads));
    size_t bytes;
    char *first = five_steps(two_threads, &bytes), *second = five_steps(two_threads, &bytes);
    assert_memory_equal(first, second, 2 * bytes);
    assert_memory_not_equal(first, first + bytes, bytes); /* the weight average lags */
    free(first);
    free(second);
    mien_backend_close(two_threads);
    mien_threads_start(1, false);
}

/* In-place dropout and flatten from a blocked layout, against plain NHWC in double. */
static void test_blocked_layout(void **state) {
    (void)state;
    static const char model[] = "layers:\n"
                                "  - conv2d: {filters: 32, kernel_size: 3}\n"
                                "  - dropout: {rate: 0.4}\n"
                                "  - flatten\n"
                                "  - activation: {activation: softmax}\n";
    const mien_graph_io io = {6, 5, 1, 0};
    size_t count;
    test_net nets[2];
    double *logits[2], *gradients[2], losses[2];
    for (int i = 0; i < 2; i++) {
        net_open(&nets[i], i ? direct : f64, model, io, (net_options){.batch = 3, .seed = 2});
        const mien_node_plan *nodes = nets[i].plan->nodes;
        assert_int_equal(nodes[2].fusion.storage, 1); /* in place */
        assert_int_equal(nodes[1].fusion.grad_storage, nodes[2].fusion.grad_storage);
        logits[i] = numbers(3 * 4 * 3 * 32);
        losses[i] = plan_pass(&nets[i], 3);
        gradients[i] = plan_gradients(&nets[i], &count);
        plan_batch(&nets[i], 3);
        net_forward(&nets[i], true);
        const mien_tensor t = mien_plan_logits(nets[i].plan, 3);
        net_read(&nets[i], &t, logits[i]);
    }
    for (size_t i = 0; i < 3 * 4 * 3 * 32; i++) /* the same mask, element by element */
        assert_true((logits[0][i] == 0) == (logits[1][i] == 0));
    assert_true(relative_distance(logits[1], logits[0], 3 * 4 * 3 * 32) < 1e-6);
    assert_true(relative_distance(gradients[1], gradients[0], count) < 1e-6);
    assert_true(fabs(losses[0] - losses[1]) < 1e-5);
    for (int i = 0; i < 2; i++) {
        free(logits[i]);
        free(gradients[i]);
        net_close(&nets[i]);
    }
}

/* A residual block whose other summand, c, is computed before the normalisation, so that the sum is
 * fused into it, or after it. The arithmetic and its order are the same. */
static char *sum_block(bool before, bool relu, bool shared, int channels) {
    static const char value[] = "  - rescaling: {name: c, inputs: [r], scale: 1}\n";
    char text[2048];
    const int length = snprintf(
        text, sizeof text,
        "layers:\n"
        "  - conv2d: {name: r, filters: %d, kernel_size: 3, padding: same, activation: relu}\n"
        "%s"
        "  - conv2d: {name: x, inputs: [input], filters: %d, kernel_size: 3, padding: same}\n"
        "  - batch_normalization: {name: n}\n"
        "%s"
        "  - add: {name: sum, inputs: [%s]}\n"
        "%s%s"
        "  - flatten\n"
        "  - dense: {units: classes, activation: softmax}\n",
        channels, before ? value : "", channels, before ? "" : value, shared ? "c, n" : "n, c",
        relu ? "  - activation: {name: cut, activation: relu}\n" : "",
        !shared ? ""
        : relu  ? "  - multiply: {inputs: [cut, c]}\n"
                : "  - multiply: {inputs: [sum, c]}\n");
    assert_true(length > 0 && (size_t)length < sizeof text);
    return strdup(text);
}

/* Gradients, then the logits of an inference pass. */
static double *block_results(mien_backend *b, const char *model, bool fused, bool relu,
                             size_t *count, double *loss) {
    test_net net;
    net_open(&net, b, model, (mien_graph_io){6, 5, 2, 4}, (net_options){.batch = 5, .seed = 3});
    const int norm = mien_graph_find(&net.graph, "n"), sum = mien_graph_find(&net.graph, "sum");
    const mien_node_plan *norm_plan = &net.plan->nodes[norm];
    assert_int_equal(norm_plan->fusion.add, fused ? sum : 0);
    assert_int_equal(net.plan->nodes[sum].fusion.skipped, fused);
    assert_int_equal(norm_plan->fusion.activation, fused && relu ? BODY_RELU : BODY_LINEAR);
    for (int i = 0, at = 0; i < net.graph.count; i++)
        for (int k = 0; k < net.graph.nodes[i].param_count; k++, at++) {
            const size_t size = net_param_count(&net, i, k);
            const char *name = net.graph.nodes[i].params[k].name;
            const double middle = strcmp(name, "gamma") && strcmp(name, "moving_variance") ? 0 : 1;
            double *values = numbers(size);
            for (size_t j = 0; j < size; j++)
                values[j] = (double)(float)(middle + 0.4 * noise(70 + (uint32_t)at, j));
            net_set(&net, net.plan->param, i, k, values);
            free(values);
        }
    const unsigned saved = mien_float_enter();
    *loss = plan_pass(&net, 5);
    double *gradients = plan_gradients(&net, count);
    plan_poison(&net);
    plan_batch(&net, 5);
    net_forward(&net, false);
    mien_float_leave(saved);
    double *out = numbers(*count + 5 * 4);
    memcpy(out, gradients, *count * sizeof *out);
    const mien_tensor logits = mien_plan_logits(net.plan, 5);
    net_read(&net, &logits, out + *count);
    *count += 5 * 4;
    free(gradients);
    net_close(&net);
    return out;
}

static void test_sum_in_norm(void **state) {
    (void)state;
    static const int channels[] = {16, 5, 1, 32};
    mien_backend *const backends[] = {f64, direct};
    for (int i = 0; i < 2 * 2 * 2 * 4; i++) {
        const bool relu = i & 1, shared = i & 2;
        mien_backend *b = backends[i / 4 % 2];
        double losses[2], *results[2];
        size_t counts[2];
        for (int fused = 0; fused < 2; fused++) {
            char *model = sum_block(fused, relu, shared, channels[i / 8]);
            assert_non_null(model);
            results[fused] = block_results(b, model, fused, relu, &counts[fused], &losses[fused]);
            free(model);
        }
        assert_int_equal(counts[0], counts[1]);
        assert_true(losses[0] == losses[1]);
        for (size_t k = 0; k < counts[0]; k++)
            if (!(results[0][k] == results[1][k]))
                fail_msg("case %d: number %zu is %.9g in one pass, %.9g in several", i, k,
                         results[1][k], results[0][k]);
        free(results[0]);
        free(results[1]);
    }
}

/* Sums that cannot be fused, or whose gradient is needed for the other summand only. */
static void test_odd_sums(void **state) {
    (void)state;
    static const struct {
        const char *lines;
        bool fused;
    } cases[] = {
        {"  - batch_normalization: {name: n, inputs: [r]}\n  - add: {inputs: [n, r]}\n", false},
        {"  - batch_normalization: {name: n, inputs: [r]}\n  - add: {inputs: [n, n]}\n", false},
        {"  - batch_normalization: {name: n, inputs: [x]}\n  - add: {inputs: [n, r, x]}\n", false},
        {"  - batch_normalization: {name: n, inputs: [x]}\n  - add: {name: s, inputs: [n, r]}\n"
         "  - multiply: {inputs: [s, n]}\n",
         false},
        {"  - batch_normalization: {name: n, inputs: [x]}\n  - add: {inputs: [r, n]}\n", true},
        {"  - batch_normalization: {name: n, inputs: [y], trainable: false}\n"
         "  - add: {inputs: [r, n]}\n  - activation: {activation: relu}\n",
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char model[1024];
        test_net net;
        snprintf(model, sizeof model,
                 "layers:\n  - conv2d: {name: x, filters: 5, kernel_size: 3}\n"
                 "  - conv2d: {name: r, inputs: [input], filters: 5, kernel_size: 3}\n"
                 "  - conv2d: {name: y, inputs: [input], filters: 5, kernel_size: 3, "
                 "trainable: false}\n"
                 "  - add: {name: all, inputs: [x, r, y]}\n%s"
                 "  - dropout: {name: d, rate: 0.2}\n  - add: {inputs: [d, all]}\n"
                 "  - flatten\n  - dense: {units: classes, activation: softmax}\n",
                 cases[i].lines);
        const mien_graph_io io = {7, 6, 2, 3};
        net_open(&net, f64, model, io, (net_options){.batch = 4, .seed = 1});
        const int norm = mien_graph_find(&net.graph, "n");
        assert_int_equal(net.plan->nodes[norm].fusion.add != 0, cases[i].fused);
        net_close(&net);
        check_slope(model, io, 0);
    }
}

static void expect_refused(const char *model, const char *first, const char *second) {
    mien_tree tree;
    mien_graph graph;
    expect_ok(mien_yaml_parse(model, strlen(model), "m.yaml", &tree));
    const mien_status status =
        mien_graph_parse(tree.root, "m.yaml", (mien_graph_io){8, 6, 3, 4}, &graph);
    const char *message = mien_error_message();
    if (status == MIEN_OK || !strstr(message, first) || !strstr(message, second))
        fail_msg("expected '%s' and '%s' in: %s", first, second, status ? message : "no error");
    mien_graph_release(&graph);
    mien_tree_release(&tree);
}

static void test_messages_of_shapes(void **state) {
    (void)state;
    expect_refused("layers:\n  - conv2d: {name: a, filters: 3, kernel_size: 3}\n"
                   "  - concatenate: {name: c, inputs: [a, input]}\n",
                   "layer 2 'c' (concatenate)", "6x4 and 8x6 cannot be concatenated");
    expect_refused("layers:\n  - concatenate: {inputs: [input, input], axis: 1}\n",
                   "layer 1 'concatenate'", "axis 1: only the channel axis, -1 or 3, is supported");
    expect_refused("layers:\n  - conv2d: {name: a, filters: 4, kernel_size: 1}\n"
                   "  - maximum: {name: m, inputs: [a, input]}\n",
                   "layer 2 'm' (maximum)", "shapes: 8x6x4 and 8x6x3");
    expect_refused("layers:\n  - cropping2d: {name: c, cropping: [[4, 4], [0, 0]]}\n",
                   "layer 1 'c' (cropping2d)",
                   "[[4, 4], [0, 0]] leaves nothing of an image of 8x6");
    expect_refused("layers:\n  - zero_padding2d: {padding: [1, 2, 3]}\n", "m.yaml:2",
                   "'padding' must be a number or a list of two");
    expect_refused("layers:\n  - zero_padding2d: {padding: [[1, -2], 3]}\n", "m.yaml:2",
                   "a whole number from 0 to 4096, not '-2'");
    expect_refused("layers:\n  - flatten\n  - up_sampling2d: {name: u}\n", "layer 2 'u'",
                   "needs an image, not a flat input of 144 numbers");
    expect_refused("layers:\n  - resizing: {height: 3, width: 3, crop_to_aspect_ratio: true}\n",
                   "layer 1 'resizing'", "crop_to_aspect_ratio");
    expect_refused("layers:\n  - reshape: {name: r, target_shape: [8, 6, 4]}\n",
                   "layer 1 'r' (reshape)", "8x6x3 are 144 numbers");
    expect_refused("layers:\n  - reshape: {target_shape: [7, -1, 1]}\n", "'reshape'",
                   "do not fit target_shape");
    expect_refused("layers:\n  - reshape: {target_shape: [-1, -1, 1]}\n", "'reshape'", "one -1");
    expect_refused("layers:\n  - reshape: {target_shape: [48, 3]}\n", "'reshape'",
                   "2 numbers; only 1 or 3 are supported");
    expect_refused("layers:\n  - permute: {name: p, dims: [1, 1, 3]}\n", "layer 1 'p'",
                   "each of the 3 axes once");
    expect_refused("layers:\n  - normalization: {mean: [1, 2]}\n", "'normalization'",
                   "its mean has 2 numbers, but its input has 3 channels");
    expect_refused("layers:\n  - normalization: {mean: 0.5, variance: low}\n",
                   "layer 1 'normalization' (normalization)",
                   "'variance' must be a number or a list of numbers, not 'low'");
    expect_refused("layers:\n  - flatten\n  - prelu: {name: p, shared_axes: [2]}\n", "layer 2 'p'",
                   "names axis 2, but flat input has only axis 1");
    expect_refused("layers:\n  - relu: {max_value: low}\n", "m.yaml:2",
                   "'max_value' must be a number from 0 to 1e+30 or one of none, not 'low'");
}

static void test_messages(void **state) {
    (void)state;
    expect_refused("layers:\n  - conv2: {filters: 3, kernel_size: 3}\n", "m.yaml:2",
                   "unknown layer 'conv2'; did you mean 'conv2d'?");
    expect_refused("layers:\n  - conv2d: {filter: 3, kernel_size: 3}\n", "filter", "filters");
    expect_refused("layers:\n  - conv2d: {kernel_size: 3}\n", "m.yaml:2", "'filters'");
    expect_refused("layers:\n  - conv2d: {filters: 3, kernel_size: 9}\n", "layer 1 'conv2d'",
                   "kernel of 9x9 does not fit an image of 8x6");
    expect_refused("layers:\n  - dense: {units: 3}\n", "layer 1 'dense'",
                   "needs flat input, not 8x6x3");
    expect_refused("layers:\n  - conv2d: {name: a, filters: 3, kernel_size: 3}\n"
                   "  - add: {name: s, inputs: [a, input]}\n",
                   "layer 2 's' (add)", "its inputs have different shapes: 6x4x3 and 8x6x3");
    expect_refused("layers:\n  - conv2d: {name: a, filters: 4, kernel_size: 1}\n"
                   "  - multiply: {name: m, inputs: [a, input]}\n",
                   "layer 2 'm' (multiply)", "cannot multiply 8x6x4 by 8x6x3");
    expect_refused("layers:\n  - max_pooling2d: {name: p, pool_size: 9}\n", "layer 1 'p'",
                   "window of 9x9 does not fit an image of 8x6");
    expect_refused("layers:\n  - conv2d: {name: stem, filters: 4, kernel_size: 1}\n"
                   "  - flatten: {inputs: [stm]}\n",
                   "m.yaml:3", "'stm' is not a layer before it; did you mean 'stem'?");
    expect_refused("layers:\n  - flatten: {name: a}\n  - dense: {name: a, units: 2}\n", "m.yaml:3",
                   "two layers are named 'a'");
    expect_refused("layers:\n  - flatten\n  - dense: {units: 3}\n", "softmax", "last layer");
    expect_refused("layers:\n  - flatten: {name: a}\n  - flatten: {name: b, inputs: [input]}\n"
                   "  - activation: {activation: softmax}\n",
                   "nothing reads", "'a'");
    expect_refused("layers:\n  - flatten\n  - dense: {units: 0}\n", "units", "m.yaml:3");
}

int main(int argc, char **argv) {
    (void)argc;
    reference_wait_passively(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_micro_batches),
        cmocka_unit_test(test_random_networks),
        cmocka_unit_test(test_frozen_micro_batches),
        cmocka_unit_test(test_index_bytes),
        cmocka_unit_test(test_no_allocation_in_a_step),
        cmocka_unit_test(test_no_pass_for_a_slope),
        cmocka_unit_test(test_no_reorder_in_a_step),
        cmocka_unit_test(test_repeatable),
        cmocka_unit_test(test_blocked_layout),
        cmocka_unit_test(test_sum_in_norm),
        cmocka_unit_test(test_odd_sums),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_messages_of_shapes),
    };
    return cmocka_run_group_tests_name("plan", tests, open_backends, close_backends);
}
