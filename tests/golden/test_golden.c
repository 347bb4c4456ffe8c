/* Mien against Keras: single layers, whole networks, and short training runs. */
#include "tests/golden/golden_layers.h"
#include "tests/golden/golden_train.h"
#include "tests/support/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/threads.h"
#include "tests/support/test.h"

static mien_backend *f64, *f32, *direct, *winograd;

static int open_backends(void **state) {
    (void)state;
    const mien_backend_options fixed = {.threads = 1, .deterministic = true};
    const mien_backend_options free_choice = {.threads = 1};
    expect_ok(reference_open(true, &f64));
    expect_ok(reference_open(false, &f32));
    expect_ok(mien_cpu_open(&fixed, &direct));
    expect_ok(mien_cpu_open(&free_choice, &winograd));
    return 0;
}

static int close_backends(void **state) {
    (void)state;
    mien_backend_close(f64);
    mien_backend_close(f32);
    mien_backend_close(direct);
    mien_backend_close(winograd);
    return 0;
}

static void check_file(const char *name, mien_backend *backend, double bound, int least) {
    golden_file file;
    layer_stats stats = {0};
    golden_open(&file, name);
    const unsigned saved = mien_float_enter();
    golden_check_layers(&file, backend, bound, &stats);
    mien_float_leave(saved);
    golden_close(&file);
    print_message(
        "# %s on %s: %d cases; outputs %.2g, gradients %.2g, statistics %.2g of the norm\n", name,
        backend->ops->name, stats.cases, stats.output, stats.gradient, stats.statistics);
    assert_true(stats.cases >= least);
}

static void check_layers(mien_backend *backend, double bound) {
    check_file("layers", backend, bound, 100);
    check_file("convolutions", backend, bound, 21);
}

/* The golden inputs are floats, so double starts from the same numbers. TensorFlow's float32 slope
 * of leaky_relu and root of 2 in gelu, and our float epsilon and momentum, stay below 1e-6. */
static void test_layers_f64(void **state) {
    (void)state;
    check_layers(f64, 1e-6);
}

static void test_layers_plain(void **state) {
    (void)state;
    check_layers(f32, 1e-5);
}

static void test_layers_onednn(void **state) {
    (void)state;
    check_layers(direct, 1e-5);
    check_layers(winograd, 1e-5);
}

static bool has_case(const golden_file *file, const char *layer) {
    const size_t length = strlen(layer);
    for (const mien_value *m = file->file.metadata->first; m; m = m->next)
        if (strncmp(m->text, layer, length) == 0 && m->text[length] == ':') return true;
    return false;
}

/* Except layers that draw random numbers, since Keras draws different ones. */
static void test_each_layer_has_a_case(void **state) {
    (void)state;
    static const char *const others[] = {"input", "dropout", "spatial_dropout2d", "gaussian_noise"};
    golden_file layers, convolutions;
    size_t count;
    const mien_layer_def *const *all = mien_layers(&count);
    golden_open(&layers, "layers");
    golden_open(&convolutions, "convolutions");
    for (size_t i = 0; i < count; i++) {
        bool found = has_case(&layers, all[i]->name) || has_case(&convolutions, all[i]->name);
        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++)
            found = found || strcmp(others[k], all[i]->name) == 0;
        if (!found) fail_msg("no case of Keras for the layer '%s'", all[i]->name);
    }
    golden_close(&layers);
    golden_close(&convolutions);
}

/* Mien does not support a dense layer on an image, and refuses it with a message. */
static void test_dense_on_an_image(void **state) {
    (void)state;
    mien_graph graph;
    const mien_graph_io io = {4, 3, 2, 0};
    expect_ok(mien_graph_start(&graph, "m", io));
    mien_value units = {.kind = MIEN_VALUE_NUMBER, .text = "3", .number = 3, .key = "units"};
    const mien_value keys = {.kind = MIEN_VALUE_MAP, .first = &units, .last = &units, .count = 1};
    assert_int_equal(mien_graph_append(&graph, mien_layer_find("dense"), &keys, "m", 1, 0),
                     MIEN_INVALID);
    assert_non_null(strstr(mien_error_message(), "needs flat input, not 4x3x2"));
    mien_graph_release(&graph);
}

static int argmax(const float *row, int count) {
    int best = 0;
    for (int k = 1; k < count; k++)
        if (row[k] > row[best]) best = k;
    return best;
}

static void check_network(const char *name, mien_backend *backend) {
    golden_file file;
    test_net net;
    golden_open(&file, name);
    const mien_st_tensor *x = golden_find(&file, "x"), *y = golden_find(&file, "y");
    assert_non_null(x);
    assert_non_null(y);
    const int n = (int)x->shape[0], classes = (int)y->shape[1];
    net_open(&net, backend, golden_meta(&file, "model"), golden_input(&file),
             (net_options){.batch = n, .infer = true});
    golden_load_inference(&file, &net);
    double *images = golden_numbers(x), worst = 0;
    float *want = malloc(y->count * sizeof *want), *got = malloc(y->count * sizeof *got);
    assert_non_null(want);
    assert_non_null(got);
    expect_ok(mien_st_floats(y, want, y->count));
    const mien_tensor input = mien_plan_input(net.plan, n);
    net_write(&net, &input, images);
    const unsigned saved = mien_float_enter();
    net_forward(&net, false);
    expect_ok(mien_plan_probabilities(net.plan, n, got));
    mien_float_leave(saved);
    for (size_t i = 0; i < y->count; i++)
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
    print_message("# %s on %s: probabilities within %.2g\n", name, backend->ops->name, worst);
    assert_true(worst <= 1e-5);
    for (int i = 0; i < n; i++)
        assert_int_equal(argmax(got + i * classes, classes), argmax(want + i * classes, classes));
    free(images);
    free(want);
    free(got);
    net_close(&net);
    golden_close(&file);
}

static void test_networks(void **state) {
    (void)state;
    mien_backend *const backends[] = {f64, f32, direct, winograd};
    for (int i = 0; i < 4; i++) {
        check_network("classic_small", backends[i]);
        check_network("seresnet_small", backends[i]);
    }
}

static void test_train_sgd(void **state) {
    (void)state;
    golden_train_sgd(f64, false, 1e-12);
    golden_train_sgd(f32, false, 1e-4);
    golden_train_sgd(direct, false, 1e-4);
    golden_train_sgd(winograd, false, 1e-4);
}

static void test_train_nesterov(void **state) {
    (void)state;
    golden_train_sgd(f64, true, 1e-12);
    golden_train_sgd(f32, true, 1e-4);
    golden_train_sgd(winograd, true, 1e-4);
}

static void test_train_adam_restarted(void **state) {
    (void)state;
    golden_train_adam_steps(f64, 1e-12);
    golden_train_adam_steps(f32, 1e-5);
    golden_train_adam_steps(winograd, 1e-5);
}

static void test_train_adam_free(void **state) {
    (void)state;
    golden_train_adam_free(f64);
    golden_train_adam_free(f32);
    golden_train_adam_free(winograd);
}

static void test_train_adamw(void **state) {
    (void)state;
    golden_train_adamw(f64, 1e-12);
    golden_train_adamw(f32, 1e-5);
    golden_train_adamw(winograd, 1e-5);
}

static void test_train_frozen(void **state) {
    (void)state;
    golden_train_frozen(f64, 2e-6); /* epsilon reaches the kernels as a float */
    golden_train_frozen(f32, 1e-5);
    golden_train_frozen(winograd, 1e-5);
}

static void test_train_bn(void **state) {
    (void)state;
    golden_train_bn(f64, 2e-6); /* momentum 0.99 and epsilon reach the kernels as floats */
    golden_train_bn(f32, 1e-5);
    golden_train_bn(winograd, 1e-5);
}

int main(int argc, char **argv) {
    (void)argc;
    reference_wait_passively(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers_f64),
        cmocka_unit_test(test_layers_plain),
        cmocka_unit_test(test_layers_onednn),
        cmocka_unit_test(test_dense_on_an_image),
        cmocka_unit_test(test_each_layer_has_a_case),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_train_sgd),
        cmocka_unit_test(test_train_nesterov),
        cmocka_unit_test(test_train_adam_restarted),
        cmocka_unit_test(test_train_adam_free),
        cmocka_unit_test(test_train_adamw),
        cmocka_unit_test(test_train_bn),
        cmocka_unit_test(test_train_frozen),
    };
    return cmocka_run_group_tests_name("golden", tests, open_backends, close_backends);
}
