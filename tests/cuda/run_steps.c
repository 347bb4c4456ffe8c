#include "tests/cuda/run_steps.h"

#include <stdlib.h>
#include <string.h>

#include "host/base/threads.h"
#include "tests/support/test.h"

typedef struct material {
    mien_dataset set;
    mien_loader loader;
    double rates[STEPS_MOST];
} material;

static void gather_material(material *m, mien_backend *b, const steps_case *c, int classes) {
    const size_t n = (size_t)c->images;
    const mien_normalise normalise = {1 / 255.0, {0.5, 0.45, 0.4, 0.5}, {0.25, 0.3, 0.25, 0.3}};
    m->set = (mien_dataset){.spec = {c->io.height, c->io.width, c->io.channels},
                            .count = n,
                            .classes = classes,
                            .labelled = true};
    const size_t image = mien_image_bytes(m->set.spec);
    m->set.pixels = malloc(n * image);
    m->set.labels = calloc(n, sizeof *m->set.labels);
    m->set.part = calloc(n, 1);
    assert_true(m->set.pixels && m->set.labels && m->set.part);
    for (size_t i = 0; i < n * image; i++)
        m->set.pixels[i] = (uint8_t)whole_below(5, i, 256);
    for (size_t i = 0; i < n; i++)
        m->set.labels[i] = (uint16_t)whole_below(6, i, classes);
    for (int i = 0; i < STEPS_MOST; i++)
        m->rates[i] = c->rate * (1 + 0.1 * (i % 3));
    expect_ok(mien_loader_create(&m->set, &normalise, b, c->batch, 0, &m->loader));
}

static void release_material(material *m) {
    mien_loader_release(&m->loader);
    free(m->set.pixels);
    free(m->set.labels);
    free(m->set.part);
}

static void train(test_net *net, material *m, const steps_case *c, steps_result *r) {
    const int per_epoch = (c->images + c->batch - 1) / c->batch;
    mien_step step = {.plan = net->plan, .loader = &m->loader, .ranges = c->ranges};
    double before = 0;
    for (int i = 0; i < c->steps; i++) {
        const int at = i % per_epoch, start = at * c->batch;
        if (at == 0) {
            expect_ok(mien_plan_epoch(net->plan, m->rates, (size_t)per_epoch));
            expect_ok(mien_loader_order(&m->loader, MIEN_TRAIN, true, 7, (uint64_t)(i + 1)));
            before = 0;
        }
        const int rows = c->images - start < c->batch ? c->images - start : c->batch;
        if (c->around) c->around(c->context, i, true);
        expect_ok(mien_step_run(&step, (size_t)start, rows));
        if (c->around) c->around(c->context, i, false);
        expect_ok(mien_plan_read(net->plan, &r->state));
        r->loss[i] = (r->state.loss_sum - before) / rows;
        before = r->state.loss_sum;
    }
    mien_step_release(&step);
}

static void take_weights(const test_net *net, steps_result *r) {
    for (int i = 0; i < net->graph.count; i++)
        for (int k = 0; k < net->graph.nodes[i].param_count; k++)
            r->count += net_param_count(net, i, k);
    r->weights = numbers(r->count);
    double *at = r->weights;
    for (int i = 0; i < net->graph.count; i++)
        for (int k = 0; k < net->graph.nodes[i].param_count; k++) {
            net_get(net, net->plan->param, i, k, at);
            at += net_param_count(net, i, k);
        }
}

static void take_logits(const test_net *net, material *m, const steps_case *c, steps_result *r) {
    const int rows = c->batch < c->images ? c->batch : c->images;
    const mien_batch batch = {.rows = rows};
    const mien_tensor x = mien_plan_input(net->plan, rows), z = mien_plan_logits(net->plan, rows);
    r->logit_count = mien_shape_count(z.shape);
    r->logits = malloc(r->logit_count * sizeof *r->logits);
    assert_non_null(r->logits);
    expect_ok(mien_loader_order(&m->loader, MIEN_TRAIN, false, 0, 0));
    expect_ok(mien_loader_batch(&m->loader, &batch, &x, NULL));
    expect_ok(mien_plan_infer(net->plan, rows));
    expect_ok(net->backend->ops->download(net->backend, r->logits, &z));
}

steps_result steps_run(mien_backend *b, const steps_case *c) {
    steps_result r = {0};
    test_net net;
    material m = {0};
    const unsigned saved = mien_float_enter();
    net_open(&net, b, c->model, c->io,
             (net_options){.batch = c->batch, .rule = &c->rule, .seed = 11});
    if (c->images % c->batch) expect_ok(mien_plan_prepare(net.plan, c->images % c->batch));
    gather_material(&m, b, c, net.graph.classes);
    train(&net, &m, c, &r);
    take_weights(&net, &r);
    take_logits(&net, &m, c, &r);
    release_material(&m);
    net_close(&net);
    mien_float_leave(saved);
    return r;
}

void steps_release(steps_result *r) {
    free(r->weights);
    free(r->logits);
    *r = (steps_result){0};
}
