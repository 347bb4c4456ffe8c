#include "tests/grad/grad_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

static const double eps = 1e-6, absolute = 1e-7, relative = 1e-5;
enum { SAMPLES = 40 }; /* elements tested per tensor */

static void fill_params(const test_net *net) {
    for (int i = 0; i < net->graph.count; i++)
        for (int k = 0; k < net->graph.nodes[i].param_count; k++) {
            const mien_param *param = &net->graph.nodes[i].params[k];
            const size_t count = net_param_count(net, i, k);
            const bool variance = strstr(param->name, "variance") != NULL;
            const bool gamma = strcmp(param->name, "gamma") == 0;
            const double scale = param->fan_in ? 1.5 / sqrt(param->fan_in) : 0.5;
            double *values = numbers(count);
            for (size_t j = 0; j < count; j++) {
                const double u = noise((uint32_t)(17 * i + k + 1), j);
                values[j] = (double)(float)(u * scale + (variance || gamma ? 1 : 0));
            }
            net_set(net, net->plan->param, i, k, values);
            free(values);
        }
}

/* Soft targets with label smoothing, by the engine's own gather. */
static void fill_targets(const grad_problem *p, mien_backend *b) {
    const mien_tensor targets = mien_plan_targets(p->net.plan, p->net.batch);
    const mien_tensor image = mien_plan_input(p->net.plan, p->net.batch);
    const int classes = p->net.graph.classes, n = p->net.batch;
    const size_t sample = mien_shape_sample(image.shape), rows = (size_t)n * (size_t)classes;
    uint8_t *const pixels = calloc((size_t)n * sample, 1);
    uint32_t *const order = calloc((size_t)n, sizeof *order);
    float *const ones = calloc((size_t)image.shape.c, sizeof *ones);
    double *const soft = numbers(rows);
    float *const soft_f32 = calloc(rows, sizeof *soft_f32);
    for (int i = 0; i < n; i++) {
        order[i] = (uint32_t)(n - 1 - i);
        for (int k = 0; k < classes; k++) /* one-hot targets, and targets shared by two classes */
            soft[i * classes + k] = k == i % classes ? (i % 2 ? 0.75 : 1)
                                                     : (k == (i + 1) % classes && i % 2 ? 0.25 : 0);
    }
    for (size_t i = 0; i < rows; i++)
        soft_f32[i] = (float)soft[i];
    const mien_gather g = {.pixels = pixels,
                           .targets = b->dtype == MIEN_F64 ? (void *)soft : (void *)soft_f32,
                           .order = order,
                           .classes = classes,
                           .batch = n,
                           .scale = ones,
                           .shift = ones,
                           .label_smoothing = 0.125f,
                           .state = p->net.plan->step};
    expect_ok(b->ops->gather(b, &image, &targets, &g));
    free(pixels);
    free(order);
    free(ones);
    free(soft);
    free(soft_f32);
}

void grad_open(grad_problem *p, mien_backend *backend, const grad_case *row, bool classifier) {
    char *model = classifier ? NULL : net_probe(row->lines);
    *p = (grad_problem){.classifier = classifier};
    net_open(&p->net, backend, classifier ? row->lines : model, row->io,
             (net_options){.batch = row->batch, .input_gradient = true, .seed = 7});
    free(model);
    fill_params(&p->net);
    const size_t inputs = mien_shape_sample(p->net.graph.nodes[0].out) * (size_t)row->batch;
    const size_t logits = (size_t)p->net.graph.classes * (size_t)row->batch;
    p->input = numbers(inputs);
    p->dy = numbers(logits);
    for (size_t i = 0; i < inputs; i++)
        p->input[i] = 2 * noise(1001, i);
    for (size_t i = 0; i < logits; i++)
        p->dy[i] = noise(1002, i);
    for (int i = 0; i < 16; i++) {
        p->class_weight[i] = (float)(1 + noise(1003, (size_t)i) / 2);
        p->class_weight_f64[i] = (double)p->class_weight[i];
    }
}

void grad_close(grad_problem *p) {
    net_close(&p->net);
    free(p->input);
    free(p->dy);
}

/* The function whose gradient is tested, at p->input and the current parameters. */
static double evaluate(const grad_problem *p, double *logits) {
    const test_net *net = &p->net;
    const mien_tensor input = mien_plan_input(net->plan, net->batch);
    const bool f64 = net->backend->dtype == MIEN_F64;
    if (p->classifier) fill_targets(p, net->backend);
    net_write(net, &input, p->input);
    net_forward(net, true);
    const mien_tensor out = mien_plan_logits(net->plan, net->batch);
    net_read(net, &out, logits);
    if (p->classifier)
        return net_loss(net, f64 ? (const void *)p->class_weight_f64 : p->class_weight);
    double sum = 0;
    for (size_t i = 0; i < mien_shape_count(out.shape); i++)
        sum += p->dy[i] * logits[i];
    return sum;
}

void grad_run(grad_problem *p, grad_result *out) {
    const test_net *net = &p->net;
    *out = (grad_result){0};
    out->logit_count = (size_t)net->graph.classes * (size_t)net->batch;
    out->logits = numbers(out->logit_count);
    out->value = evaluate(p, out->logits);
    if (!p->classifier) {
        const mien_tensor dlogits = mien_plan_logits_gradient(net->plan, net->batch);
        net_write(net, &dlogits, p->dy);
    }
    net_backward(net);
    const mien_tensor dx = mien_plan_input_gradient(net->plan, net->batch);
    out->input_count = mien_shape_count(dx.shape);
    out->input = numbers(out->input_count);
    net_read(net, &dx, out->input);
    for (int i = 0; i < net->graph.count; i++)
        for (int k = 0; k < net->graph.nodes[i].param_count; k++) {
            const mien_node *node = &net->graph.nodes[i];
            if (!node->params[k].trained || !((mien_layer_common *)node->attrs)->trainable)
                continue;
            out->param_counts[out->count] = net_param_count(net, i, k);
            out->params[out->count] = numbers(out->param_counts[out->count]);
            net_get(net, net->plan->grad, i, k, out->params[out->count++]);
        }
}

void grad_free(grad_result *result) {
    free(result->logits);
    free(result->input);
    for (int i = 0; i < result->count; i++)
        free(result->params[i]);
}

/* The tensor being varied: the image or a parameter. */
typedef struct variable {
    const char *owner, *name;
    double *values;
    size_t count;
    int node, param; /* node 0: the image */
} variable;

static double value_at(grad_problem *p, const variable *v, size_t i, double x, double *logits) {
    const double before = v->values[i];
    v->values[i] = x;
    if (v->node) net_set(&p->net, p->net.plan->param, v->node, v->param, v->values);
    const double value = evaluate(p, logits);
    v->values[i] = before;
    return value;
}

static void check_variable(grad_problem *p, const grad_case *row, const variable *v,
                           const double *gradient, double centre, double *logits,
                           grad_stats *stats) {
    const size_t stride = v->count / SAMPLES + 1;
    for (size_t i = stride / 2; i < v->count; i += stride) {
        const double x = v->values[i];
        const double high = value_at(p, v, i, x + eps, logits);
        const double low = value_at(p, v, i, x - eps, logits);
        const double slope = (high - low) / (2 * eps);
        const double right = (high - centre) / eps, left = (centre - low) / eps;
        if (fabs(right - left) > 1e-3 * (fabs(right) + fabs(left)) + 1e-3) {
            stats->kinks++; /* a maximum or a ReLU switched between the two sides */
            continue;
        }
        const double allowed = absolute + relative * fabs(slope);
        const double share = fabs(slope - gradient[i]) / allowed;
        stats->checked++;
        if (share > stats->worst) stats->worst = share;
        if (!(share <= 1))
            fail_msg("%s\n%sbatch %d of %dx%dx%d: d/d %s %s[%zu] is %.9g, differences say %.9g",
                     row->layer, row->lines, row->batch, row->io.height, row->io.width,
                     row->io.channels, v->owner, v->name, i, gradient[i], slope);
    }
    if (v->node) net_set(&p->net, p->net.plan->param, v->node, v->param, v->values);
}

void grad_differences(grad_problem *p, const grad_case *row, const grad_result *g,
                      grad_stats *stats) {
    const test_net *net = &p->net;
    double *logits = numbers(g->logit_count);
    const variable image = {"input", "pixels", p->input, g->input_count, 0, 0};
    check_variable(p, row, &image, g->input, g->value, logits, stats);
    int at = 0;
    for (int i = 0; i < net->graph.count; i++)
        for (int k = 0; k < net->graph.nodes[i].param_count; k++) {
            const mien_node *node = &net->graph.nodes[i];
            if (!node->params[k].trained || !((mien_layer_common *)node->attrs)->trainable)
                continue;
            double *values = numbers(g->param_counts[at]);
            net_get(net, net->plan->param, i, k, values);
            const variable v = {node->name, node->params[k].name, values, g->param_counts[at], i,
                                k};
            check_variable(p, row, &v, g->params[at], g->value, logits, stats);
            free(values);
            at++;
        }
    free(logits);
}

static void compare(const grad_case *row, const char *backend, const char *what, const double *got,
                    const double *want, size_t count, double bound, double *worst) {
    const double gap = relative_distance(got, want, count);
    if (gap > *worst) *worst = gap;
    if (!(gap <= bound))
        fail_msg("%s\n%sbatch %d of %dx%dx%d on %s: %s is %.3g of its norm away from double",
                 row->layer, row->lines, row->batch, row->io.height, row->io.width,
                 row->io.channels, backend, what, gap);
}

void grad_compare(const grad_case *row, const char *backend, const grad_problem *p,
                  const grad_result *got, const grad_result *want, double bound, double *worst) {
    compare(row, backend, "the output", got->logits, want->logits, want->logit_count, bound, worst);
    compare(row, backend, "the image's gradient", got->input, want->input, want->input_count, bound,
            worst);
    assert_int_equal(got->count, want->count);
    int at = 0;
    for (int i = 0; i < p->net.graph.count; i++)
        for (int k = 0; k < p->net.graph.nodes[i].param_count; k++) {
            const mien_node *node = &p->net.graph.nodes[i];
            if (!node->params[k].trained || !((mien_layer_common *)node->attrs)->trainable)
                continue;
            char what[160];
            snprintf(what, sizeof what, "the gradient of %s/%s", node->name, node->params[k].name);
            compare(row, backend, what, got->params[at], want->params[at], want->param_counts[at],
                    bound, worst);
            at++;
        }
}
