/* Batch normalisation that runs the max pooling after it: forward gives the bits of the separate
 * passes, backward their gradients except for the order of the sums. Which networks have it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/threads.h"
#include "kernels/body/rng.h"
#include "tests/cuda/pair.h"
#include "tests/support/test.h"

typedef struct row {
    mien_shape x;
    int high, wide; /* of the window */
    bool relu, frozen, accumulate, plain;
    double rate; /* of the dropout that follows; 0: none */
    int shift;
    bool gradient; /* compare dx, dgamma and dbeta instead of y, index and running statistics */
} row;

/* Even and odd sizes, in packs, single channels and unaligned; borders that no window covers. */
static const row rows[] = {
    {{3, 6, 8, 16}, 2, 2, .relu = true},
    {{2, 7, 5, 24}, 2, 2, .relu = true, .rate = 0.25},
    {{5, 9, 9, 8}, 2, 2, .accumulate = true},
    {{2, 5, 7, 16}, 2, 2, .relu = true, .rate = 0.5, .shift = 1},
    {{9, 5, 4, 3}, 2, 2, .relu = true, .accumulate = true, .plain = true},
    {{2, 9, 6, 32}, 3, 3, .relu = true},
    {{3, 8, 10, 17}, 3, 3, .rate = 0.3},
    {{4, 7, 11, 8}, 3, 2, .relu = true, .accumulate = true, .rate = 0.1},
    {{6, 5, 5, 8}, 1, 1, .relu = true},
    {{2, 15, 17, 8}, 15, 17, .relu = true},
    {{600, 3, 3, 8}, 2, 2, .relu = true, .rate = 0.25},
    {{1, 24, 25, 520}, 2, 2, .relu = true},
    {{3, 6, 9, 16}, 2, 2, .relu = true, .frozen = true},
    {{2, 7, 7, 5}, 3, 3, .frozen = true},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

/* One layer on a backend; `all` are its tensors but x. */
typedef struct layer {
    pair_tensor x, normal, y, dy, dnormal, dx;
    mien_tensor gamma, beta, running_mean, running_variance, mean, inverse, dgamma, dbeta;
    void *index;
    body_step *step;
    mien_pool window;
    mien_dropout dropout;
    mien_batchnorm norm;
} layer;

static mien_tensor vector(mien_backend *b, int c, uint32_t seed, float around) {
    float *values = device_numbers((size_t)c, 0.4f, seed, MIEN_F32);
    for (int i = 0; i < c; i++)
        values[i] += around;
    const mien_tensor out = device_params(b, (size_t)c, values);
    free(values);
    return out;
}

static layer layer_of(mien_backend *b, const row *r) {
    const int c = r->x.c;
    const mien_shape to = {r->x.n, r->x.h / r->high, r->x.w / r->wide, c};
    const body_step step = {.seed = 5, .step = 77};
    layer l = {.x = pair_tensor_of(b, r->x, 51, false, r->shift),
               .normal = pair_tensor_of(b, r->x, 0, false, r->shift),
               .y = pair_tensor_of(b, to, 0, false, r->shift),
               .dy = pair_tensor_of(b, to, 52, false, r->shift),
               .dnormal = pair_tensor_of(b, r->x, 0, false, r->shift),
               .dx = pair_tensor_of(b, r->x, 53, false, r->shift),
               .gamma = vector(b, c, 54, 1),
               .beta = vector(b, c, 55, 0.1f),
               .running_mean = vector(b, c, 56, 0),
               .running_variance = vector(b, c, 57, 0.6f),
               .mean = vector(b, c, 58, 0),
               .inverse = vector(b, c, 59, 0),
               .dgamma = vector(b, c, 60, 0),
               .dbeta = vector(b, c, 61, 0),
               .index = device_copy(b, NULL, mien_shape_count(to)),
               .step = device_copy(b, &step, sizeof step),
               .window = {false, r->high, r->wide, r->high, r->wide, 0, 0}};
    l.dropout =
        (mien_dropout){.rate = r->rate, .stream = RNG_DROPOUT + 2, .state = l.step, .first = 11};
    l.norm = (mien_batchnorm){.gamma = r->plain ? NULL : l.gamma.data,
                              .beta = r->plain ? NULL : l.beta.data,
                              .running_mean = l.running_mean.data,
                              .running_variance = l.running_variance.data,
                              .mean = l.mean.data,
                              .inverse_std = l.inverse.data,
                              .dgamma = l.dgamma.data,
                              .dbeta = l.dbeta.data,
                              .momentum = 0.9f,
                              .epsilon = 1e-3f,
                              .activation = r->relu ? BODY_RELU : BODY_LINEAR};
    return l;
}

static void release(mien_backend *b, layer *l) {
    pair_tensor *const tensors[] = {&l->x, &l->normal, &l->y, &l->dy, &l->dnormal, &l->dx};
    mien_tensor *const vectors[] = {&l->gamma, &l->beta,    &l->running_mean, &l->running_variance,
                                    &l->mean,  &l->inverse, &l->dgamma,       &l->dbeta};
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++)
        pair_release(b, tensors[i]);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        device_release(b, vectors[i]);
    b->ops->free(b, l->index);
    b->ops->free(b, l->step);
}

static mien_status normalise(mien_backend *b, const row *r, const mien_tensor *y,
                             const mien_tensor *x, const mien_batchnorm *n) {
    return r->frozen ? b->ops->batchnorm_infer(b, y, x, n) : b->ops->batchnorm_train(b, y, x, n);
}

static void run_fused(mien_backend *b, const row *r, layer *l) {
    const mien_norm_pool pool = {&l->window, l->index, r->rate > 0 ? &l->dropout : NULL};
    mien_batchnorm n = l->norm;
    n.pool = &pool;
    expect_ok(normalise(b, r, &l->y.t, &l->x.t, &n));
    if (r->frozen) return;
    expect_ok(b->ops->batchnorm_backward(b, &l->dx.t, &l->dy.t, &l->x.t, &l->y.t, &n, false,
                                         r->accumulate));
}

static void run_apart(mien_backend *b, const row *r, layer *l) {
    const mien_pool_tail tail = {.relu_mask = r->relu, .dropout = r->rate > 0 ? &l->dropout : NULL};
    mien_batchnorm n = l->norm;
    expect_ok(normalise(b, r, &l->normal.t, &l->x.t, &n));
    expect_ok(b->ops->pool_forward(b, &l->y.t, l->index, &l->normal.t, &l->window, &tail));
    if (r->frozen) return;
    n.activation = BODY_LINEAR; /* the pooling applies the ReLU's slope */
    expect_ok(
        b->ops->pool_backward(b, &l->dnormal.t, &l->dy.t, l->index, &l->window, &tail, false));
    expect_ok(b->ops->batchnorm_backward(b, &l->dx.t, &l->dnormal.t, &l->x.t, &l->normal.t, &n,
                                         false, r->accumulate));
}

static void expect_same(mien_backend *b, const mien_tensor *got, const mien_tensor *want,
                        const char *what, int i) {
    char name[64];
    float *a = device_take(b, got), *e = device_take(b, want);
    snprintf(name, sizeof name, "%s of row %d", what, i);
    device_same(a, e, mien_shape_count(got->shape), name);
    free(a);
    free(e);
}

static void expect_near(mien_backend *b, const mien_tensor *got, const mien_tensor *want,
                        double most, const char *what, int i) {
    char name[64];
    float *a = device_take(b, got), *e = device_take(b, want);
    snprintf(name, sizeof name, "%s of row %d", what, i);
    device_near(a, e, mien_shape_count(got->shape), most, name);
    free(a);
    free(e);
}

static void expect_same_index(mien_backend *b, const layer *got, const layer *want, int i) {
    const size_t count = mien_shape_count(got->y.t.shape);
    uint8_t *a = malloc(count), *e = malloc(count);
    assert_true(a && e);
    expect_ok(b->ops->copy_out(b, a, got->index, count));
    expect_ok(b->ops->copy_out(b, e, want->index, count));
    if (memcmp(a, e, count) != 0) fail_msg("the index of row %d differs", i);
    free(a);
    free(e);
}

/* Without accumulation dx may hold anything before: the kernel must write every element. */
static void soil(mien_backend *b, layer *l, const row *r) {
    if (r->accumulate) return;
    float *nan = malloc(mien_shape_count(r->x) * sizeof *nan);
    assert_non_null(nan);
    memset(nan, 0xff, mien_shape_count(r->x) * sizeof *nan);
    expect_ok(b->ops->upload(b, &l->dx.t, nan));
    free(nan);
}

static void test_against_separate_passes(void **state) {
    (void)state;
    mien_backend *b = pair_cuda();
    assert_true(b->ops->pools_norm);
    /* apart, dy is rounded once more after the dropout's factor */
    const double rounding = b->dtype == MIEN_F32 ? 0 : b->dtype == MIEN_BF16 ? 4e-3 : 5e-4;
    for (int i = 0; i < ROWS; i++) {
        const row *r = &rows[i];
        layer one = layer_of(b, r), two = layer_of(b, r);
        soil(b, &one, r);
        run_fused(b, r, &one);
        run_apart(b, r, &two);
        expect_same(b, &one.y.t, &two.y.t, "y", i);
        expect_same_index(b, &one, &two, i);
        expect_same(b, &one.running_mean, &two.running_mean, "running mean", i);
        expect_same(b, &one.running_variance, &two.running_variance, "running variance", i);
        if (!r->frozen) {
            expect_near(b, &one.dx.t, &two.dx.t, 2e-6 + rounding, "dx", i);
            expect_near(b, &one.dgamma, &two.dgamma, 3e-6 + rounding, "dgamma", i);
            expect_near(b, &one.dbeta, &two.dbeta, 3e-6 + rounding, "dbeta", i);
        }
        release(b, &one);
        release(b, &two);
    }
}

static void run(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    layer l = layer_of(b, r);
    if (b->ops->pools_norm)
        run_fused(b, r, &l);
    else
        run_apart(b, r, &l);
    pair_keep(b, out, r->gradient ? &l.dx.t : &l.y.t);
    if (r->gradient) {
        pair_keep(b, out, &l.dgamma);
        pair_keep(b, out, &l.dbeta);
    }
    release(b, &l);
}

/* In the half types the CPU, which rounds once at the end, may find another maximum. */
static void test_against_cpu(void **state) {
    (void)state;
    if (pair_cuda()->dtype != MIEN_F32) return;
    for (int i = 0; i < 2 * ROWS; i++) {
        row r = rows[i / 2];
        r.gradient = i % 2;
        if (r.frozen && r.gradient) continue;
        pair_near(run, &r, 3e-6, r.gradient ? "gradients" : "y", i / 2);
    }
}

/* NaN and infinity win or lose a window as in the separate passes. */
static void test_bad_numbers(void **state) {
    (void)state;
    mien_backend *b = pair_cuda();
    const row r = {{2, 6, 7, 16}, 2, 2, .relu = true, .frozen = true};
    layer one = layer_of(b, &r), two = layer_of(b, &r);
    float *wild = pair_floats(mien_shape_count(r.x), 21, true);
    expect_ok(b->ops->upload(b, &one.x.t, wild));
    expect_ok(b->ops->upload(b, &two.x.t, wild));
    free(wild);
    run_fused(b, &r, &one);
    run_apart(b, &r, &two);
    expect_same(b, &one.y.t, &two.y.t, "y", 0);
    expect_same_index(b, &one, &two, 0);
    release(b, &one);
    release(b, &two);
}

/* Without dx the gradients of gamma and beta stay; without those, dx. */
static void test_parts_alone(void **state) {
    (void)state;
    mien_backend *b = pair_cuda();
    const row r = {{5, 9, 8, 24}, 2, 2, .relu = true};
    layer both = layer_of(b, &r), alone = layer_of(b, &r);
    run_fused(b, &r, &both);
    run_fused(b, &r, &alone);
    const mien_norm_pool pool = {&alone.window, alone.index, NULL};
    mien_batchnorm n = alone.norm;
    n.pool = &pool;
    expect_ok(
        b->ops->batchnorm_backward(b, NULL, &alone.dy.t, &alone.x.t, &alone.y.t, &n, false, false));
    expect_same(b, &alone.dgamma, &both.dgamma, "dgamma alone", 0);
    n.dgamma = n.dbeta = NULL;
    expect_ok(b->ops->batchnorm_backward(b, &alone.dx.t, &alone.dy.t, &alone.x.t, &alone.y.t, &n,
                                         false, false));
    expect_same(b, &alone.dx.t, &both.dx.t, "dx alone", 0);
    release(b, &both);
    release(b, &alone);
}

/* ---- which poolings run in a normalisation ---- */

typedef struct candidate {
    const char *lines; /* after the convolution c; the pooling is p, the normalisation n */
    bool fused;
} candidate;

#define NORM "  - batch_normalization: {name: n}\n"
#define RELU "  - activation: {name: a, activation: relu}\n"
static const candidate candidates[] = {
    {NORM RELU "  - max_pooling2d: {name: p}\n", true},
    {NORM "  - max_pooling2d: {name: p, pool_size: 3}\n", true},
    {NORM RELU "  - max_pooling2d: {name: p}\n  - dropout: {rate: 0.3}\n", true},
    {NORM "  - max_pooling2d: {name: p}\n" RELU, true},
    {NORM RELU "  - max_pooling2d: {name: p, pool_size: [2, 3]}\n"
               "  - conv2d: {filters: 3, kernel_size: 1, activation: relu}\n",
     true},
    {NORM RELU "  - global_max_pooling2d: {name: p, keepdims: true}\n", true},
    {NORM RELU "  - max_pooling2d: {name: p, pool_size: 3, strides: 2}\n", false},
    {NORM RELU "  - max_pooling2d: {name: p, padding: same}\n", false},
    {NORM RELU "  - average_pooling2d: {name: p}\n", false},
    {NORM "  - activation: {activation: tanh}\n  - max_pooling2d: {name: p}\n", false},
    {"  - batch_normalization: {name: n, trainable: false}\n" RELU "  - max_pooling2d: {name: p}\n",
     false},
    {NORM "  - add: {inputs: [n, c]}\n" RELU "  - max_pooling2d: {name: p}\n", false},
    {NORM "  - batch_normalization: {name: m, inputs: [c]}\n  - add: {inputs: [n, m]}\n"
          "  - max_pooling2d: {name: p}\n",
     false},
    {NORM RELU "  - max_pooling2d: {name: p}\n  - up_sampling2d: {size: 2}\n"
               "  - cropping2d: {name: u, cropping: 0}\n"
               "  - cropping2d: {name: v, cropping: [[0, 1], [0, 1]], inputs: [a]}\n"
               "  - add: {inputs: [u, v]}\n",
     false},
    {NORM RELU "  - max_pooling2d: {name: p}\n  - up_sampling2d: {size: 2}\n"
               "  - cropping2d: {name: u, cropping: 0}\n"
               "  - cropping2d: {name: v, cropping: [[0, 1], [0, 1]], inputs: [n]}\n"
               "  - add: {inputs: [u, v]}\n",
     false},
};
enum { CANDIDATES = sizeof candidates / sizeof candidates[0] };

static char *model_of(const candidate *c) {
    char text[1024];
    snprintf(text, sizeof text, "  - conv2d: {name: c, filters: 8, kernel_size: 1}\n%s", c->lines);
    return net_probe(text);
}

/* The logits of an evaluating and a training pass, and the gradient of the image. */
typedef struct outcome {
    float *logits[2], *gradient;
    size_t logit_count, count;
} outcome;

static void fill(mien_backend *b, const mien_tensor *t, uint32_t seed) {
    float *values = device_numbers(mien_shape_count(t->shape), 1, seed, MIEN_BF16);
    expect_ok(b->ops->upload(b, t, values));
    free(values);
}

static outcome outcome_of(mien_backend *b, const candidate *c, bool apart, int i) {
    test_net net;
    outcome o;
    char *model = model_of(c);
    const net_options options = {
        .batch = 4, .seed = 3, .input_gradient = true, .pools_apart = apart};
    net_open(&net, b, model, (mien_graph_io){7, 9, 2, 5}, options);
    free(model);
    const int norm = mien_graph_find(&net.graph, "n"), pool = mien_graph_find(&net.graph, "p");
    const bool fused = b->ops->pools_norm && c->fused && !apart;
    if (net.plan->nodes[norm].fusion.pool != (fused ? pool : 0))
        fail_msg("candidate %d is %sfused", i, fused ? "not " : "");
    const mien_tensor x = mien_plan_input(net.plan, 4), z = mien_plan_logits(net.plan, 4);
    const mien_tensor dz = mien_plan_logits_gradient(net.plan, 4);
    const mien_tensor dx = mien_plan_input_gradient(net.plan, 4);
    o.logit_count = mien_shape_count(z.shape);
    o.count = mien_shape_count(dx.shape);
    for (int k = 0; k < 2; k++) {
        fill(b, &x, 8);
        net_forward(&net, k == 1);
        o.logits[k] = device_take(b, &z);
    }
    fill(b, &dz, 9);
    net_backward(&net);
    o.gradient = device_take(b, &dx);
    net_close(&net);
    return o;
}

static void drop(outcome *o) {
    free(o->logits[0]);
    free(o->logits[1]);
    free(o->gradient);
}

static void test_candidates(void **state) {
    (void)state;
    mien_backend *b = pair_cuda();
    const double most = b->dtype == MIEN_F32 ? 3e-6 : b->dtype == MIEN_BF16 ? 1e-2 : 2e-3;
    const unsigned saved = mien_float_enter();
    for (int i = 0; i < CANDIDATES; i++) {
        outcome one = outcome_of(b, &candidates[i], false, i);
        outcome two = outcome_of(b, &candidates[i], true, i);
        device_same(one.logits[0], two.logits[0], one.logit_count, "evaluating");
        device_same(one.logits[1], two.logits[1], one.logit_count, "training");
        device_near(one.gradient, two.gradient, one.count, most, "gradient of the image");
        drop(&one);
        drop(&two);
    }
    mien_float_leave(saved);
    assert_false(pair_plain()->ops->pools_norm);
}

/* The normalised image is stored nowhere: memory shrinks; an inference plan stays as it was. */
static void test_memory(void **state) {
    (void)state;
    mien_backend *b = pair_cuda();
    char *model = model_of(&candidates[0]);
    size_t bytes[2];
    for (int apart = 0; apart < 2; apart++) {
        test_net net;
        net_open(&net, b, model, (mien_graph_io){32, 32, 2, 5},
                 (net_options){.batch = 8, .seed = 3, .pools_apart = apart});
        bytes[apart] = net.plan->act_bytes;
        net_close(&net);
    }
    const size_t image = 8 * 32 * 32 * 8 * mien_dtype_bytes(b->dtype);
    assert_true(bytes[0] + image / 2 <= bytes[1]);
    test_net net;
    net_open(&net, b, model, (mien_graph_io){32, 32, 2, 5},
             (net_options){.batch = 8, .seed = 3, .infer = true});
    for (int i = 0; i < net.graph.count; i++)
        assert_int_equal(net.plan->nodes[i].fusion.pool, 0);
    net_close(&net);
    free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_separate_passes),
        cmocka_unit_test(test_against_cpu),
        cmocka_unit_test(test_bad_numbers),
        cmocka_unit_test(test_parts_alone),
        cmocka_unit_test(test_candidates),
        cmocka_unit_test(test_memory),
    };
    return pair_run_all_types(tests, sizeof tests / sizeof tests[0]);
}
