/* Running averages that are warmed up: what the first steps of a training from scratch leave of
 * what batch normalization's statistics and the averaged weights started from. */
#include <math.h>
#include <stdlib.h>

#include "host/train/step.h"
#include "tests/support/net.h"
#include "tests/support/test.h"

enum { BATCH = 4, SIDE = 3, CHANNELS = 2, PIXELS = BATCH * SIDE * SIDE };
static const char layers[] = "  - batch_normalization: {momentum: 0.9, name: norm}\n"
                             "  - flatten\n"
                             "  - dense: {units: 3, name: head}\n";
static const double ema = 0.99;

static void open_net(test_net *net, mien_backend *cpu, bool warm, bool keeps_norms) {
    const body_rule rule = {.kind = BODY_SGD, .ema = ema, .warm_averages = warm};
    char *model = net_probe(layers);
    net_open(net, cpu, model, (mien_graph_io){SIDE, SIDE, CHANNELS, 3},
             (net_options){.batch = BATCH, .rule = &rule, .seed = 1, .keeps_norms = keeps_norms});
    free(model);
}

/* One training step with number `step`: running means start from 5, averaged weights from 3. */
static void run_step(const test_net *net, uint64_t step, double *running, double *average,
                     double *weight) {
    const double five[CHANNELS] = {5, 5};
    double x[PIXELS * CHANNELS], three[SIDE * SIDE * CHANNELS * 3];
    int norm, mean, head, kernel;
    net_find(net, "norm/moving_mean", &norm, &mean);
    net_find(net, "head/kernel", &head, &kernel);
    for (int i = 0; i < PIXELS * CHANNELS; i++)
        x[i] = noise(1, (size_t)i);
    for (size_t i = 0; i < sizeof three / sizeof three[0]; i++)
        three[i] = 3;
    assert_int_equal(net_param_count(net, head, kernel), sizeof three / sizeof three[0]);
    const mien_tensor input = mien_plan_input(net->plan, BATCH);
    net_write(net, &input, x);
    net_set(net, net->plan->state, norm, mean, five);
    net_set(net, net->plan->average, head, kernel, three);
    body_step state = net_step(net);
    state.step = step;
    net_set_step(net, &state);
    net_forward(net, true);
    net_loss(net, NULL);
    net_backward(net);
    expect_ok(mien_plan_update(net->plan, BATCH));
    double values[SIDE * SIDE * CHANNELS * 3], means[CHANNELS];
    net_get(net, net->plan->state, norm, mean, means);
    *running = means[1];
    net_get(net, net->plan->average, head, kernel, values);
    *average = values[0];
    net_get(net, net->plan->param, head, kernel, values);
    *weight = values[0];
}

static double mean_of_channel_1(void) {
    double sum = 0;
    for (int i = 0; i < PIXELS; i++)
        sum += noise(1, (size_t)(i * CHANNELS + 1));
    return sum / PIXELS;
}

/* At step n the decay is min(decay, (1 + n) / (10 + n)); without warming up it is the decay.
 * A network of trained weights with a new head warms up the averaged weights alone. */
static void test_decay(void **state) {
    (void)state;
    static const struct {
        uint64_t step;
        bool warm;
        double momentum, ema;
        bool keeps_norms;
    } rows[] = {{0, true, 0.1, 0.1, false},
                {1, true, 2 / 11.0, 2 / 11.0, false},
                {79, true, 80 / 89.0, 80 / 89.0, false},
                {81, true, 0.9, 82 / 91.0, false},
                {5000, true, 0.9, 0.99, false},
                {0, false, 0.9, 0.99, false},
                {81, false, 0.9, 0.99, false},
                {1, true, 0.9, 2 / 11.0, true}};
    mien_backend *cpu;
    expect_ok(mien_backend_open("cpu", &(mien_backend_options){.threads = 1}, &cpu));
    const double batch = mean_of_channel_1();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_net net;
        double running, average, weight;
        open_net(&net, cpu, rows[i].warm, rows[i].keeps_norms);
        run_step(&net, rows[i].step, &running, &average, &weight);
        const double want = 5 * rows[i].momentum + (1 - rows[i].momentum) * batch;
        if (fabs(running - want) > 1e-6)
            fail_msg("step %d: the running mean is %.9g, not %.9g", (int)rows[i].step, running,
                     want);
        const double kept = 3 * rows[i].ema + (1 - rows[i].ema) * weight;
        if (fabs(average - kept) > 1e-6)
            fail_msg("step %d: the averaged weight is %.9g, not %.9g", (int)rows[i].step, average,
                     kept);
        net_close(&net);
    }
    mien_backend_close(cpu);
}

/* Loaded weights bring averages that are worth keeping. */
static void test_from_scratch_only(void **state) {
    (void)state;
    mien_config c;
    expect_ok(mien_config_start(&c));
    assert_true(mien_step_rule(&c, true).warm_averages);
    assert_false(mien_step_rule(&c, false).warm_averages);
    expect_ok(mien_keys_set(mien_config_keys(), &c, "train.warm_averages=false"));
    assert_false(mien_step_rule(&c, true).warm_averages);
    mien_config_release(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decay),
                                       cmocka_unit_test(test_from_scratch_only)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
