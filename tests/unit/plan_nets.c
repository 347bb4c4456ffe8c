#include "tests/unit/plan_nets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

const mien_graph_io plan_classic_io = {20, 20, 1, 5};
const char plan_classic[] =
    "layers:\n"
    "  - conv2d: {filters: 16, kernel_size: 3, activation: relu}\n"
    "  - conv2d: {filters: 16, kernel_size: 3, activation: relu}\n"
    "  - max_pooling2d: {pool_size: 2}\n"
    "  - dropout: {rate: 0.25}\n"
    "  - conv2d: {filters: 16, kernel_size: 3, padding: same, activation: swish}\n"
    "  - max_pooling2d: {pool_size: 2}\n"
    "  - conv2d: {filters: 32, kernel_size: 3, padding: same, activation: relu}\n"
    "  - dropout: {rate: 0.25}\n"
    "  - flatten\n"
    "  - dense: {units: 24, activation: relu}\n"
    "  - dropout: {rate: 0.5}\n"
    "  - dense: {units: classes, activation: softmax}\n";

/* Writes a model file; values are named v0, v1, ... */
typedef struct writer {
    mien_text text;
    uint32_t seed;
    int draws, count;
    bool read[128]; /* has the value a consumer? */
} writer;

static int draw(writer *w, int below) {
    return (int)((noise(w->seed, (size_t)w->draws++) + 1) / 2 * below) % below;
}

/* An existing value, mostly the last one, so that chains that share a buffer appear. */
static int source(writer *w) {
    const int value = draw(w, 3) ? w->count - 1 : draw(w, w->count);
    w->read[value] = true;
    return value;
}

static void unary(writer *w, const char *layer, const char *keys) {
    const int from = source(w);
    const char *frozen = draw(w, 5) ? "" : ", trainable: false";
    mien_text_printf(&w->text, "  - %s: {name: v%d, inputs: [v%d]%s%s}\n", layer, w->count++, from,
                     keys, frozen);
}

static void binary(writer *w) {
    const int a = source(w), b = source(w);
    mien_text_printf(&w->text, "  - %s: {name: v%d, inputs: [v%d, v%d]}\n",
                     draw(w, 3) ? "add" : "multiply", w->count++, a, b);
}

/* Channel-wise scaling: one value times the mean of another over the image. */
static void channel_scale(writer *w) {
    const int a = source(w), b = source(w), g = w->count++;
    mien_text_printf(&w->text,
                     "  - global_average_pooling2d: {name: g%d, inputs: [v%d], keepdims: true}\n"
                     "  - multiply: {name: v%d, inputs: [v%d, g%d]}\n",
                     g, a, g, b, g);
}

/* A normalised value; half of the time an earlier value is added to it. */
static void norm_block(writer *w) {
    unary(w, "batch_normalization", "");
    if (draw(w, 2)) return;
    const int norm = w->count - 1, other = draw(w, norm);
    w->read[norm] = w->read[other] = true;
    const bool first = draw(w, 2);
    mien_text_printf(&w->text, "  - add: {name: v%d, inputs: [v%d, v%d]}\n", w->count++,
                     first ? norm : other, first ? other : norm);
}

/* A layer that changes the shape of the 5x4 image, followed by one that changes it back. */
static void reshape_pair(writer *w) {
    static const char *const pairs[][2] = {
        {"zero_padding2d: {padding: [[1, 0], [2, 1]], ",
         "cropping2d: {cropping: [[1, 0], [2, 1]], "},
        {"up_sampling2d: {size: [2, 3], ", "resizing: {height: 5, width: 4, "},
        {"permute: {dims: [2, 3, 1], ", "permute: {dims: [3, 1, 2], "},
        {"reshape: {target_shape: [2, -1, 20], ", "reshape: {target_shape: [5, 4, 16], "}};
    const char *const *pair = pairs[draw(w, 4)];
    const int from = source(w), between = w->count++;
    mien_text_printf(&w->text, "  - %sname: t%d, inputs: [v%d]}\n  - %sname: v%d}\n", pair[0],
                     between, from, pair[1], between);
}

/* Two concatenated values, reduced to 16 channels. */
static void concatenation(writer *w) {
    const int a = source(w), b = source(w), c = w->count++;
    mien_text_printf(&w->text,
                     "  - concatenate: {name: c%d, inputs: [v%d, v%d]}\n"
                     "  - conv2d: {name: v%d, filters: 16, kernel_size: 1}\n",
                     c, a, b, c);
}

static void append_other_layer(writer *w) {
    const int kind = draw(w, 9);
    if (kind < 2) {
        reshape_pair(w);
    } else if (kind == 2) {
        concatenation(w);
    } else if (kind == 3) {
        const int a = source(w), b = source(w), c = source(w);
        mien_text_printf(&w->text, "  - %s: {name: v%d, inputs: [v%d, v%d, v%d]}\n",
                         draw(w, 2) ? "maximum" : "average", w->count++, a, b, c);
    } else {
        static const char *const layers[][2] = {
            {"spatial_dropout2d", ", rate: 0.3"},
            {"relu", ", max_value: 0.5"},
            {"leaky_relu", ""},
            {"prelu", ", shared_axes: [1, 2], alpha_initializer: ones"},
            {"normalization", ", mean: [0.1], variance: [2]"}};
        unary(w, layers[kind - 4][0], layers[kind - 4][1]);
    }
}

static void append_layer(writer *w, bool norm) {
    static const char *const activations[] = {", activation: relu", ", activation: tanh",
                                              ", activation: swish", ", activation: linear"};
    static const char conv[] = ", filters: 16, kernel_size: 3, padding: same";
    char keys[128];
    if (draw(w, 4) == 0) {
        append_other_layer(w);
        return;
    }
    switch (draw(w, norm ? 13 : 9)) {
    case 0:
    case 1:
        snprintf(keys, sizeof keys, "%s%s", conv, activations[draw(w, 4)]);
        unary(w, "conv2d", keys);
        break;
    case 2:
        unary(w, "activation", activations[draw(w, 3)]);
        break;
    case 3:
    case 4:
        unary(w, "dropout", ", rate: 0.3");
        break;
    case 5:
        unary(w, "rescaling", ", scale: 0.7, offset: 0.1");
        break;
    case 6:
        unary(w, draw(w, 2) ? "max_pooling2d" : "average_pooling2d",
              ", pool_size: 3, strides: 1, padding: same");
        break;
    case 7:
        binary(w);
        break;
    case 8:
        channel_scale(w);
        break;
    default:
        norm_block(w);
    }
}

/* Adds up all values without a consumer, eight at a time, the most that an add takes. */
static void sum_unread(writer *w) {
    for (;;) {
        int rest[8], n = 0, last = w->count - 1;
        for (int i = 0; i <= last && n < 8; i++)
            if (!w->read[i]) rest[n++] = i;
        if (n == 1) return;
        mien_text_printf(&w->text, "  - add: {name: v%d, inputs: [", w->count++);
        for (int i = 0; i < n; i++) {
            mien_text_printf(&w->text, "%sv%d", i ? ", " : "", rest[i]);
            w->read[rest[i]] = true;
        }
        mien_text_puts(&w->text, "]}\n");
    }
}

char *plan_random_model(uint32_t seed, bool norm) {
    writer w = {.seed = seed, .count = 1};
    mien_text_puts(&w.text, "layers:\n  - conv2d: {name: v0, filters: 16, kernel_size: 3}\n");
    const int layers = 3 + draw(&w, 10);
    for (int i = 0; i < layers; i++)
        append_layer(&w, norm);
    sum_unread(&w);
    mien_text_puts(&w.text, "  - max_pooling2d: {pool_size: 2}\n  - dropout: {rate: 0.2}\n"
                            "  - flatten\n  - dense: {units: 6, activation: relu}\n"
                            "  - dense: {units: classes, activation: softmax}\n");
    assert_int_equal(w.text.status, MIEN_OK);
    char *copy = strdup(w.text.data);
    assert_non_null(copy);
    mien_text_release(&w.text);
    return copy;
}

void plan_poison(const test_net *net) {
    memset(net->plan->act, 0xff, net->plan->act_bytes); /* all bits set is a NaN */
}

void plan_batch(const test_net *net, int n) {
    const mien_tensor input = mien_plan_input(net->plan, n);
    const mien_tensor targets = mien_plan_targets(net->plan, n);
    const size_t pixels = mien_shape_count(input.shape), rows = mien_shape_count(targets.shape);
    const size_t classes = (size_t)net->graph.classes;
    double *x = numbers(pixels), *t = numbers(rows);
    for (size_t i = 0; i < pixels; i++)
        x[i] = 2 * noise(50, i);
    for (size_t i = 0; i < (size_t)n; i++) {
        t[i * classes + i % classes] = 0.75;
        t[i * classes + (i * i + 1) % classes] += 0.25;
    }
    net_write(net, &input, x);
    net_write(net, &targets, t);
    free(x);
    free(t);
}

double plan_pass(const test_net *net, int n) {
    body_step before = net_step(net);
    before.loss_sum = 0;
    before.rows = before.correct = 0;
    before.bad = 0;
    net_set_step(net, &before);
    plan_poison(net);
    plan_batch(net, n);
    expect_ok(mien_plan_forward(net->plan, n, true, 0));
    expect_ok(mien_plan_loss(net->plan, n, n, NULL, true));
    expect_ok(mien_plan_backward(net->plan, n, 0));
    const body_step after = net_step(net);
    assert_int_equal(after.bad, 0);
    return after.loss_sum / n;
}

double *plan_gradients(const test_net *net, size_t *count) {
    size_t total = 0, at = 0;
    for (int i = 0; i < net->graph.count; i++)
        for (int k = 0; k < net->graph.nodes[i].param_count; k++)
            total += net_param_count(net, i, k);
    double *out = numbers(total);
    for (int i = 0; i < net->graph.count; i++)
        for (int k = 0; k < net->graph.nodes[i].param_count; k++) {
            const mien_node *node = &net->graph.nodes[i];
            if (!node->params[k].trained || !((mien_layer_common *)node->attrs)->trainable)
                continue;
            net_get(net, net->plan->grad, i, k, out + at);
            at += net_param_count(net, i, k);
        }
    *count = at;
    return out;
}
