#include "tests/golden/golden_layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

/* A running case: its network and the nodes of its tensors. */
typedef struct layer_case {
    const golden_file *file;
    const char *name;
    test_net net;
    int node; /* the layer itself */
    double bound, *worst;
} layer_case;

/* The shape of a tensor of rank 2 or 4: [n, c] is [n,1,1,c]. */
static mien_shape shape_of(const mien_st_tensor *t) {
    assert_true(t->rank == 2 || t->rank == 4);
    const long long *s = t->shape;
    return t->rank == 4 ? (mien_shape){(int)s[0], (int)s[1], (int)s[2], (int)s[3]}
                        : (mien_shape){(int)s[0], 1, 1, (int)s[1]};
}

static bool two_inputs(const layer_case *c) {
    return golden_find(c->file, "%s/x2", c->name) != NULL;
}

/* The layer's line with a name inserted, followed by the inputs when there are two: these come from
 * 1x1 convolutions that select the first and the last channels of the network's input. A 1x1 second
 * input is the maximum of a constant image. */
static void write_lines(const layer_case *c, const char *layer, int channels, bool spread,
                        char *out, size_t size) {
    const char *brace = strchr(layer, '{');
    assert_non_null(brace);
    const bool empty = brace[1] == '}';
    if (!two_inputs(c)) {
        snprintf(out, size, "  - %.*s{name: it%s%s\n", (int)(brace - layer), layer,
                 empty ? "" : ", ", brace + 1);
        return;
    }
    int at = 0;
    for (int i = 0; i < 2; i++)
        at += snprintf(out + at, size - (size_t)at,
                       "  - conv2d: {name: %c, inputs: [input], filters: %d, kernel_size: 1, "
                       "use_bias: false}\n",
                       'a' + i, channels);
    if (spread)
        at += snprintf(out + at, size - (size_t)at,
                       "  - global_max_pooling2d: {name: g, keepdims: true}\n");
    snprintf(out + at, size - (size_t)at, "  - %.*s{name: it, inputs: [a, %s]%s%s\n",
             (int)(brace - layer), layer, spread ? "g" : "b", empty ? "" : ", ", brace + 1);
}

/* Kernel [2c, c] that takes channel `first` + k as output k. */
static void set_selector(const test_net *net, const char *name, int channels, int first) {
    int node, param;
    net_find(net, name, &node, &param);
    double *kernel = numbers((size_t)(2 * channels * channels));
    for (int k = 0; k < channels; k++)
        kernel[(first + k) * channels + k] = 1;
    net_set(net, net->plan->param, node, param, kernel);
    free(kernel);
}

/* x, or x and x2 side by side in the channels. */
static double *input_of(const layer_case *c, mien_shape shape) {
    double *x = golden_numbers(golden_find(c->file, "%s/x", c->name));
    if (!two_inputs(c)) return x;
    double *x2 = golden_numbers(golden_find(c->file, "%s/x2", c->name));
    const size_t count = mien_shape_count(shape), channels = (size_t)shape.c;
    const size_t area = (size_t)shape.h * (size_t)shape.w;
    const size_t other = golden_find(c->file, "%s/x2", c->name)->count;
    double *both = numbers(2 * count);
    for (size_t i = 0; i < count; i++) {
        const size_t pixel = i / channels, k = i % channels;
        const size_t from = other == count ? i : pixel / area * channels + k;
        both[pixel * 2 * channels + k] = x[i];
        both[pixel * 2 * channels + channels + k] = x2[from];
    }
    free(x);
    free(x2);
    return both;
}

static void compare(layer_case *c, const char *what, const double *got, double *worst) {
    const mien_st_tensor *t = golden_find(c->file, "%s/%s", c->name, what);
    if (!t) fail_msg("%s/%s is missing", c->name, what);
    double *want = golden_numbers(t);
    const double gap = relative_distance(got, want, t->count);
    free(want);
    if (gap > *worst) *worst = gap;
    if (!(gap <= c->bound))
        fail_msg("%s/%s on %s: %.3g of the norm away from Keras", c->name, what,
                 c->net.backend->description, gap);
}

/* Splits the gradient of side-by-side inputs; that of a spread input is its sum over the image. */
static void compare_input_gradients(layer_case *c, mien_shape shape, layer_stats *stats) {
    const mien_tensor t = mien_plan_input_gradient(c->net.plan, c->net.batch);
    double *dx = numbers(mien_shape_count(t.shape));
    net_read(&c->net, &t, dx);
    if (!two_inputs(c)) {
        compare(c, "dx", dx, &stats->gradient);
        free(dx);
        return;
    }
    const size_t count = mien_shape_count(shape), channels = (size_t)shape.c;
    const size_t area = (size_t)shape.h * (size_t)shape.w;
    const bool spread = golden_find(c->file, "%s/x2", c->name)->count != count;
    double *first = numbers(count), *second = numbers(count);
    for (size_t i = 0; i < count; i++) {
        const size_t pixel = i / channels, k = i % channels;
        first[i] = dx[pixel * 2 * channels + k];
        second[spread ? pixel / area * channels + k : i] += dx[pixel * 2 * channels + channels + k];
    }
    compare(c, "dx", first, &stats->gradient);
    compare(c, "dx2", second, &stats->gradient);
    free(dx);
    free(first);
    free(second);
}

static void load_node(const layer_case *c, int index) {
    const mien_node *node = &c->net.graph.nodes[index];
    for (int k = 0; k < node->param_count; k++) {
        const mien_st_tensor *t = golden_find(c->file, "%s/%s", c->name, node->params[k].name);
        if (!t) fail_msg("%s/%s is missing", c->name, node->params[k].name);
        assert_int_equal(t->count, net_param_count(&c->net, index, k));
        double *values = golden_numbers(t);
        net_set(&c->net, c->net.plan->param, index, k, values);
        free(values);
    }
}

static void compare_node(layer_case *c, int index, layer_stats *stats) {
    const mien_node *node = &c->net.graph.nodes[index];
    for (int k = 0; k < node->param_count; k++) {
        char what[64];
        const bool trained = node->params[k].trained;
        double *values = numbers(net_param_count(&c->net, index, k));
        net_get(&c->net, c->net.plan->grad, index, k, values);
        snprintf(what, sizeof what, trained ? "d%s" : "%s_after", node->params[k].name);
        compare(c, what, values, trained ? &stats->gradient : &stats->statistics);
        free(values);
    }
}

/* The parameters of the layer, including those of nodes split off from it. */
static void load_params(const layer_case *c) {
    for (int i = c->node; i < mien_layer_end(&c->net.graph, c->node); i++)
        load_node(c, i);
}

static void compare_params(layer_case *c, layer_stats *stats) {
    for (int i = c->node; i < mien_layer_end(&c->net.graph, c->node); i++)
        compare_node(c, i, stats);
}

static void compare_output(layer_case *c, const char *what, layer_stats *stats) {
    const mien_tensor t = mien_plan_logits(c->net.plan, c->net.batch);
    double *y = numbers(mien_shape_count(t.shape));
    net_read(&c->net, &t, y);
    compare(c, what, y, &stats->output);
    free(y);
}

static void write_input(const layer_case *c, const double *input) {
    const mien_tensor t = mien_plan_input(c->net.plan, c->net.batch);
    net_write(&c->net, &t, input);
}

static void run_case(layer_case *c, mien_shape shape, layer_stats *stats) {
    double *input = input_of(c, shape);
    double *dy = golden_numbers(golden_find(c->file, "%s/dy", c->name));
    if (golden_find(c->file, "%s/y_infer", c->name)) {
        write_input(c, input);
        net_forward(&c->net, false);
        compare_output(c, "y_infer", stats);
    }
    write_input(c, input);
    net_forward(&c->net, true);
    compare_output(c, "y", stats);
    const mien_tensor dlogits = mien_plan_logits_gradient(c->net.plan, c->net.batch);
    net_write(&c->net, &dlogits, dy);
    net_backward(&c->net);
    compare_input_gradients(c, shape, stats);
    compare_params(c, stats);
    stats->cases++;
    free(input);
    free(dy);
}

static void check_case(const golden_file *file, const char *name, const char *layer,
                       mien_backend *backend, double bound, layer_stats *stats) {
    layer_case c = {.file = file, .name = name, .bound = bound};
    char lines[1024];
    const mien_st_tensor *x = golden_find(file, "%s/x", name);
    if (!x) fail_msg("%s/x is missing", name);
    const mien_shape shape = shape_of(x);
    const bool two = two_inputs(&c);
    const bool spread = two && golden_find(file, "%s/x2", name)->count != x->count;
    write_lines(&c, layer, shape.c, spread, lines, sizeof lines);
    char *model = net_probe(lines);
    const mien_graph_io io = {shape.h, shape.w, two ? 2 * shape.c : shape.c, 0};
    net_open(&c.net, backend, model, io,
             (net_options){.batch = shape.n, .input_gradient = true, .seed = 1});
    free(model);
    c.node = mien_graph_find(&c.net.graph, "it");
    assert_true(c.node > 0);
    if (two) {
        set_selector(&c.net, "a/kernel", shape.c, 0);
        set_selector(&c.net, "b/kernel", shape.c, shape.c);
    }
    load_params(&c);
    run_case(&c, shape, stats);
    net_close(&c.net);
}

void golden_check_layers(const golden_file *file, mien_backend *backend, double bound,
                         layer_stats *stats) {
    assert_non_null(file->file.metadata);
    for (const mien_value *m = file->file.metadata->first; m; m = m->next)
        if (strcmp(m->key, "backend") != 0)
            check_case(file, m->key, m->text, backend, bound, stats);
}
