#include "tests/golden/golden_train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/threads.h"
#include "tests/support/test.h"

/* A training run on the images and labels of a golden file. */
typedef struct training {
    golden_file file;
    test_net net;
    body_rule rule;
    double *images, *labels, rate;
    int steps, batch;
    unsigned float_mode;
} training;

static void train_open(training *t, const char *name, mien_backend *backend, body_rule rule) {
    *t = (training){.rule = rule};
    golden_open(&t->file, name);
    const mien_st_tensor *x = golden_find(&t->file, "x"), *labels = golden_find(&t->file, "labels");
    assert_non_null(x);
    assert_non_null(labels);
    t->images = golden_numbers(x);
    t->labels = golden_numbers(labels);
    t->steps = (int)x->shape[0];
    t->batch = (int)x->shape[1];
    t->rate = strtod(golden_meta(&t->file, "learning_rate"), NULL);
    net_open(&t->net, backend, golden_meta(&t->file, "model"), golden_input(&t->file),
             (net_options){.batch = t->batch, .rule = &t->rule, .seed = 3});
    t->float_mode = mien_float_enter();
}

static void train_close(training *t) {
    mien_float_leave(t->float_mode);
    net_close(&t->net);
    free(t->images);
    free(t->labels);
    golden_close(&t->file);
}

/* Forward, loss, backward and update on batch number `step`; returns the loss before it. */
static double train_step(const training *t, int step) {
    const test_net *net = &t->net;
    const int classes = net->graph.classes;
    const size_t sample = mien_shape_sample(net->graph.nodes[0].out);
    const mien_tensor input = mien_plan_input(net->plan, t->batch);
    const mien_tensor targets = mien_plan_targets(net->plan, t->batch);
    double *hot = numbers((size_t)(t->batch * classes));
    for (int i = 0; i < t->batch; i++)
        hot[i * classes + (int)t->labels[step * t->batch + i]] = 1;
    body_step state = net_step(net);
    state.learning_rate = t->rate;
    net_set_step(net, &state);
    net_write(net, &input, t->images + (size_t)step * (size_t)t->batch * sample);
    net_write(net, &targets, hot);
    free(hot);
    net_forward(net, true);
    const double loss = net_loss(net, NULL);
    net_backward(net);
    expect_ok(mien_plan_update(net->plan, 1));
    assert_int_equal(net_step(net).bad, 0);
    return loss;
}

static void run_steps(const training *t, int steps, const char *losses, double bound) {
    const mien_st_tensor *t_losses = golden_find(&t->file, "%s", losses);
    double *want = golden_numbers(t_losses);
    for (int i = 0; i < steps; i++) {
        const double loss = train_step(t, i);
        if (!(fabs(loss - want[i]) <= bound * want[i]))
            fail_msg("%s: step %d has loss %.9g, Keras %.9g", t->net.backend->ops->name, i, loss,
                     want[i]);
    }
    free(want);
}

/* The largest distance of a parameter or state from "prefix/…", relative to its norm. */
static double compare_all(const training *t, const char *prefix) {
    double worst = 0;
    for (int i = 0; i < t->net.graph.count; i++)
        for (int k = 0; k < t->net.graph.nodes[i].param_count; k++) {
            const mien_node *node = &t->net.graph.nodes[i];
            const size_t count = net_param_count(&t->net, i, k);
            double *got = numbers(count);
            double *want = golden_numbers(
                golden_find(&t->file, "%s/%s/%s", prefix, node->name, node->params[k].name));
            net_get(&t->net, t->net.plan->param, i, k, got);
            worst = fmax(worst, relative_distance(got, want, count));
            free(got);
            free(want);
        }
    return worst;
}

static void expect_within(const training *t, const char *what, double gap, double bound) {
    print_message("# %s on %s: %.2g\n", what, t->net.backend->ops->name, gap);
    if (!(gap <= bound))
        fail_msg("%s on %s: %.3g is more than %.3g", what, t->net.backend->ops->name, gap, bound);
}

void golden_train_sgd(mien_backend *backend, bool nesterov, double bound) {
    training t;
    train_open(&t, "train_sgd", backend,
               (body_rule){.kind = BODY_SGD, .momentum = nesterov ? 0.9 : 0, .nesterov = nesterov});
    golden_load(&t.file, "w0", &t.net);
    run_steps(&t, t.steps, nesterov ? "nesterov_losses" : "losses", bound);
    expect_within(&t, nesterov ? "20 Nesterov steps" : "20 SGD steps",
                  compare_all(&t, nesterov ? "nesterov20" : "w20"), bound);
    train_close(&t);
}

static const body_rule adam = {.kind = BODY_ADAM, .beta_1 = 0.9, .beta_2 = 0.999, .epsilon = 1e-7};

/* For each part of a flat vector, in the file's `order`: copies it to the arena `role` if `set`, or
 * from it. */
static void flat_vector(const training *t, char *role, double *flat, bool set) {
    const char *order = golden_meta(&t->file, "order");
    mien_tree tree;
    expect_ok(mien_json_parse(order, strlen(order), "order", &tree));
    size_t at = 0;
    for (const mien_value *v = tree.root->first; v; v = v->next) {
        int node, param;
        net_find(&t->net, v->text, &node, &param);
        if (set)
            net_set(&t->net, role, node, param, flat + at);
        else
            net_get(&t->net, role, node, param, flat + at);
        at += net_param_count(&t->net, node, param);
    }
    mien_tree_release(&tree);
    assert_int_equal(at, golden_find(&t->file, "t0/w")->count);
}

static void load_flat(const training *t, char *role, int step, const char *what) {
    double *flat = golden_numbers(golden_find(&t->file, "t%d/%s", step, what));
    flat_vector(t, role, flat, true);
    free(flat);
}

/* Loads the reference's weights, moments and step count before `step`. */
static void restart(const training *t, int step) {
    body_step state = net_step(&t->net);
    body_step_start(&state, 3, t->rule.beta_1, t->rule.beta_2);
    for (int i = 0; i < step; i++)
        body_step_advance(&state, t->rule.beta_1, t->rule.beta_2, false, 0);
    net_set_step(&t->net, &state);
    load_flat(t, t->net.plan->param, step, "w");
    load_flat(t, t->net.plan->moment1, step, "m");
    load_flat(t, t->net.plan->moment2, step, "v");
}

void golden_train_adam_steps(mien_backend *backend, double bound) {
    training t;
    train_open(&t, "train_adam", backend, adam);
    const size_t count = golden_find(&t.file, "t0/w")->count;
    double *got = numbers(count), worst = 0, worst_step = 0;
    for (int step = 0; step < t.steps; step++) {
        restart(&t, step);
        train_step(&t, step);
        flat_vector(&t, t.net.plan->param, got, false);
        double *want = golden_numbers(golden_find(&t.file, "t%d/after", step));
        double *before = golden_numbers(golden_find(&t.file, "t%d/w", step));
        worst = fmax(worst, relative_distance(got, want, count));
        worst_step = fmax(worst_step, distance(got, want, count) / distance(before, want, count));
        free(want);
        free(before);
    }
    free(got);
    expect_within(&t, "an Adam step, of the weights", worst, bound);
    expect_within(&t, "an Adam step, of itself", worst_step, 1e-2);
    train_close(&t);
}

void golden_train_adam_free(mien_backend *backend) {
    training t;
    train_open(&t, "train_adam", backend, adam);
    const mien_st_tensor *end = golden_find(&t.file, "free/f64");
    double *got = numbers(end->count), *want = golden_numbers(end);
    restart(&t, 0);
    run_steps(&t, t.steps, "losses", 1e-5);
    flat_vector(&t, t.net.plan->param, got, false);
    const double torch = strtod(golden_meta(&t.file, "free_torch_f32_distance"), NULL);
    expect_within(&t, "20 free Adam steps, of PyTorch's distance",
                  distance(got, want, end->count) / torch, 3);
    free(got);
    free(want);
    train_close(&t);
}

void golden_train_adamw(mien_backend *backend, double bound) {
    training t;
    body_rule rule = adam;
    rule.kind = BODY_ADAMW;
    rule.weight_decay = 0.01;
    train_open(&t, "train_adam", backend, rule);
    const mien_st_tensor *end = golden_find(&t.file, "adamw5");
    double *got = numbers(end->count), *want = golden_numbers(end);
    restart(&t, 0);
    for (int i = 0; i < 5; i++)
        train_step(&t, i);
    flat_vector(&t, t.net.plan->param, got, false);
    expect_within(&t, "5 AdamW steps", relative_distance(got, want, end->count), bound);
    free(got);
    free(want);
    train_close(&t);
}

void golden_train_bn(mien_backend *backend, double bound) {
    training t;
    train_open(&t, "train_bn", backend, (body_rule){.kind = BODY_SGD});
    golden_load(&t.file, "w0", &t.net);
    run_steps(&t, t.steps, "losses", bound);
    expect_within(&t, "3 steps with batch normalisation", compare_all(&t, "after"), bound);
    const mien_st_tensor *y = golden_find(&t.file, "y_infer");
    const mien_tensor input = mien_plan_input(t.net.plan, t.batch);
    double *want = golden_numbers(y), worst = 0;
    float *got = malloc(y->count * sizeof *got);
    assert_non_null(got);
    net_write(&t.net, &input, t.images);
    net_forward(&t.net, false);
    expect_ok(mien_plan_probabilities(t.net.plan, t.batch, got));
    for (size_t i = 0; i < y->count; i++)
        worst = fmax(worst, fabs((double)got[i] - want[i]));
    expect_within(&t, "probabilities from running statistics", worst, 1e-6);
    free(got);
    free(want);
    train_close(&t);
}

void golden_train_frozen(mien_backend *backend, double bound) {
    training t;
    train_open(&t, "train_frozen", backend, (body_rule){.kind = BODY_SGD});
    golden_load(&t.file, "w0", &t.net);
    run_steps(&t, t.steps, "losses", bound);
    expect_within(&t, "3 steps with frozen layers", compare_all(&t, "after"), bound);
    train_close(&t);
}
