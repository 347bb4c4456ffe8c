#include "tests/support/net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/yaml.h"
#include "tests/support/test.h"

void expect_ok(mien_status status) {
    if (status != MIEN_OK) fail_msg("%s", mien_error_message());
}

static int micro_of(net_options options) {
    if (options.micro == NET_MICRO_AUTOMATIC) return 0;
    return options.micro ? options.micro : options.batch;
}

void net_open(test_net *net, mien_backend *backend, const char *model, mien_graph_io io,
              net_options options) {
    mien_tree tree;
    mien_weights weights;
    *net = (struct test_net){.backend = backend, .batch = options.batch};
    expect_ok(mien_yaml_parse(model, strlen(model), "model", &tree));
    expect_ok(mien_graph_parse(tree.root, "model", io, &net->graph));
    mien_tree_release(&tree);
    const mien_plan_options plan = {.training = !options.infer,
                                    .max_batch = options.batch,
                                    .micro_batch = micro_of(options),
                                    .rule = options.rule,
                                    .seed = options.seed,
                                    .pools_apart = options.pools_apart,
                                    .keeps_norms = options.keeps_norms,
                                    .input_gradient = options.input_gradient};
    expect_ok(mien_plan_create(&net->graph, backend, &plan, &net->plan));
    expect_ok(mien_weights_create(&net->graph, options.seed, &weights));
    expect_ok(mien_plan_load(net->plan, &weights));
    mien_weights_release(&weights);
}

void net_close(test_net *net) {
    mien_plan_free(net->plan);
    mien_graph_release(&net->graph);
}

char *net_probe(const char *lines) {
    static const char *const head = "layers:\n";
    static const char *const tail =
        "  - flatten: {name: probe}\n  - activation: {activation: softmax}\n";
    const size_t capacity = strlen(head) + strlen(lines) + strlen(tail) + 1;
    char *text = malloc(capacity);
    assert_non_null(text);
    snprintf(text, capacity, "%s%s%s", head, lines, tail);
    return text;
}

double *numbers(size_t count) {
    double *block = calloc(count ? count : 1, sizeof *block);
    assert_non_null(block);
    return block;
}

double noise(uint32_t seed, size_t index) {
    uint64_t z =
        ((uint64_t)seed << 40) + (uint64_t)index * 0x9E3779B97F4A7C15u + 1; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(float)((double)(z >> 41) / 4194304.0 - 1 + 1.0 / 8388608);
}

/* Storage index of logical element i of a tensor. */
static size_t index_of(const mien_tensor *t, size_t i) {
    const size_t c = (size_t)t->shape.c, block = (size_t)t->block;
    const size_t area = (size_t)t->shape.h * (size_t)t->shape.w;
    const size_t channel = i % c, pixel = i / c % area, n = i / c / area;
    return ((n * (c / block) + channel / block) * area + pixel) * block + channel % block;
}

void net_read(const test_net *net, const mien_tensor *tensor, double *out) {
    const size_t count = mien_shape_count(tensor->shape), bytes = mien_dtype_bytes(tensor->dtype);
    void *raw = malloc(count * bytes);
    assert_non_null(raw);
    expect_ok(net->backend->ops->copy_out(net->backend, raw, tensor->data, count * bytes));
    for (size_t i = 0; i < count; i++) {
        const size_t at = index_of(tensor, i);
        out[i] = tensor->dtype == MIEN_F64 ? ((double *)raw)[at] : (double)((float *)raw)[at];
    }
    free(raw);
}

void net_write(const test_net *net, const mien_tensor *tensor, const double *in) {
    const size_t count = mien_shape_count(tensor->shape), bytes = mien_dtype_bytes(tensor->dtype);
    void *raw = malloc(count * bytes);
    assert_non_null(raw);
    for (size_t i = 0; i < count; i++) {
        const size_t at = index_of(tensor, i);
        if (tensor->dtype == MIEN_F64)
            ((double *)raw)[at] = in[i];
        else
            ((float *)raw)[at] = (float)in[i];
    }
    expect_ok(net->backend->ops->copy_in(net->backend, tensor->data, raw, count * bytes));
    free(raw);
}

size_t net_param_count(const test_net *net, int node, int param) {
    return mien_shape_count(net->graph.nodes[node].params[param].shape);
}

/* The parameter as a plain row: correct for vectors, and for kernels of the reference backend. */
static mien_tensor param_row(const test_net *net, const char *role, int node, int param) {
    const mien_param *p = &net->graph.nodes[node].params[param];
    const char *base = p->trained ? role : net->plan->state;
    const size_t at =
        net->plan->nodes[node].param[param] * mien_dtype_bytes(net->backend->param_dtype);
    const mien_shape s = {1, 1, 1, (int)mien_shape_count(p->shape)};
    return (mien_tensor){s, net->backend->param_dtype, s.c, (char *)base + at};
}

/* Is the parameter in a layout that only the operator knows? */
static bool has_private_layout(const test_net *net, int node, int param) {
    return net->graph.nodes[node].params[param].linear && net->backend->param_dtype == MIEN_F32;
}

void net_get(const test_net *net, const char *role, int node, int param, double *out) {
    const mien_tensor row = param_row(net, role, node, param);
    if (!has_private_layout(net, node, param)) {
        net_read(net, &row, out);
        return;
    }
    const size_t count = net_param_count(net, node, param);
    float *hwio = malloc(count * sizeof *hwio);
    assert_non_null(hwio);
    expect_ok(net->backend->ops->weights_download(net->plan->nodes[node].linear, hwio, row.data));
    for (size_t i = 0; i < count; i++)
        out[i] = (double)hwio[i];
    free(hwio);
}

void net_set(const test_net *net, char *role, int node, int param, const double *in) {
    const mien_tensor row = param_row(net, role, node, param);
    if (!has_private_layout(net, node, param)) {
        net_write(net, &row, in);
        return;
    }
    const size_t count = net_param_count(net, node, param);
    float *hwio = malloc(count * sizeof *hwio);
    assert_non_null(hwio);
    for (size_t i = 0; i < count; i++)
        hwio[i] = (float)in[i];
    expect_ok(net->backend->ops->weights_upload(net->plan->nodes[node].linear, row.data, hwio));
    free(hwio);
}

void net_find(const test_net *net, const char *name, int *node, int *param) {
    for (int i = 0; i < net->graph.count; i++) {
        const mien_node *n = &net->graph.nodes[i];
        const size_t length = strlen(n->name);
        if (strncmp(n->name, name, length) != 0 || name[length] != '/') continue;
        for (int k = 0; k < n->param_count; k++)
            if (strcmp(n->params[k].name, name + length + 1) == 0) {
                *node = i;
                *param = k;
                return;
            }
    }
    fail_msg("the network has no parameter '%s'", name);
}

void net_forward(const test_net *net, bool training) {
    expect_ok(mien_plan_forward(net->plan, net->batch, training, 0));
}

void net_backward(const test_net *net) {
    expect_ok(mien_plan_backward(net->plan, net->batch, 0));
}

body_step net_step(const test_net *net) {
    body_step s;
    expect_ok(net->backend->ops->copy_out(net->backend, &s, net->plan->step, sizeof s));
    return s;
}

void net_set_step(const test_net *net, const body_step *step) {
    expect_ok(net->backend->ops->copy_in(net->backend, net->plan->step, step, sizeof *step));
}

double net_loss(const test_net *net, const void *class_weight) {
    body_step s = net_step(net);
    s.loss_sum = 0;
    s.rows = s.correct = 0;
    net_set_step(net, &s);
    expect_ok(mien_plan_loss(net->plan, net->batch, net->batch, class_weight, net->plan->training));
    s = net_step(net);
    assert_int_equal(s.rows, net->batch);
    return s.loss_sum / net->batch;
}

double distance(const double *a, const double *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum);
}

double relative_distance(const double *a, const double *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += b[i] * b[i];
    const double gap = distance(a, b, count);
    return gap == 0 ? 0 : gap / sqrt(sum);
}

int whole_below(uint32_t seed, size_t index, int limit) {
    return (int)((noise(seed, index) + 1) / 2 * limit) % limit;
}
