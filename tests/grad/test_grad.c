/* Gradients. The double reference is compared with finite differences; every float backend is then
 * compared with the double reference. */
#include "tests/grad/grad_check.h"
#include "tests/support/reference.h"

#include <string.h>

#include "host/base/threads.h"
#include "tests/support/test.h"

/* A float backend and its largest distance from double, relative to the norm. */
typedef struct float_backend {
    const char *name;
    double bound;
    mien_backend *backend;
} float_backend;

static mien_backend *f64;
static float_backend floats[] = {
    {"plain loops", 1e-5, NULL}, {"oneDNN, direct", 1e-5, NULL}, {"oneDNN, Winograd", 2e-5, NULL}};
enum { FLOATS = sizeof floats / sizeof floats[0] };

static int open_backends(void **state) {
    (void)state;
    const mien_backend_options direct = {.threads = 1, .deterministic = true};
    const mien_backend_options winograd = {.threads = 1};
    expect_ok(reference_open(true, &f64));
    expect_ok(reference_open(false, &floats[0].backend));
    expect_ok(mien_cpu_open(&direct, &floats[1].backend));
    expect_ok(mien_cpu_open(&winograd, &floats[2].backend));
    return 0;
}

static int close_backends(void **state) {
    (void)state;
    mien_backend_close(f64);
    for (int i = 0; i < FLOATS; i++)
        mien_backend_close(floats[i].backend);
    return 0;
}

static void check_differences(const grad_case *rows, size_t count, bool classifier) {
    grad_stats stats = {0};
    for (size_t i = 0; i < count; i++) {
        grad_problem p;
        grad_result g;
        grad_open(&p, f64, &rows[i], classifier);
        grad_run(&p, &g);
        grad_differences(&p, &rows[i], &g, &stats);
        grad_free(&g);
        grad_close(&p);
    }
    print_message("# %ld derivatives, %ld kinks left out, worst error %.2g of what is allowed\n",
                  stats.checked, stats.kinks, stats.worst);
    assert_true(stats.kinks <= stats.checked / 50);
}

static void check_float(const float_backend *b, const grad_case *row, bool classifier,
                        const grad_result *want, double *worst) {
    grad_problem p;
    grad_result got;
    grad_open(&p, b->backend, row, classifier);
    const unsigned saved = mien_float_enter();
    grad_run(&p, &got);
    mien_float_leave(saved);
    grad_compare(row, b->name, &p, &got, want, b->bound, worst);
    grad_free(&got);
    grad_close(&p);
}

static void check_floats(const grad_case *rows, size_t count, bool classifier) {
    double worst[FLOATS] = {0};
    for (size_t i = 0; i < count; i++) {
        grad_problem p;
        grad_result want;
        grad_open(&p, f64, &rows[i], classifier);
        grad_run(&p, &want);
        grad_close(&p);
        for (int k = 0; k < FLOATS; k++)
            check_float(&floats[k], &rows[i], classifier, &want, &worst[k]);
        grad_free(&want);
    }
    for (int k = 0; k < FLOATS; k++)
        print_message("# %s: at most %.2g of the norm from double\n", floats[k].name, worst[k]);
}

static void test_every_layer_has_a_row(void **state) {
    (void)state;
    size_t count;
    const mien_layer_def *const *layers = mien_layers(&count);
    for (size_t i = 0; i < count; i++) {
        size_t rows = 0;
        for (size_t k = 0; k < grad_layer_count; k++)
            rows += strcmp(grad_layers[k].layer, layers[i]->name) == 0;
        if (!rows) fail_msg("layer '%s' has no row in tests/grad/grad_cases.c", layers[i]->name);
    }
}

static void test_layer_differences(void **state) {
    (void)state;
    check_differences(grad_layers, grad_layer_count, false);
}

static void test_fan_out_differences(void **state) {
    (void)state;
    check_differences(grad_fan_out, grad_fan_out_count, false);
}

/* Through the loss: soft targets, label smoothing, class weights. */
static void test_network_differences(void **state) {
    (void)state;
    check_differences(grad_networks, grad_network_count, true);
}

static void test_layer_floats(void **state) {
    (void)state;
    check_floats(grad_layers, grad_layer_count, false);
}

static void test_fan_out_floats(void **state) {
    (void)state;
    check_floats(grad_fan_out, grad_fan_out_count, false);
}

static void test_network_floats(void **state) {
    (void)state;
    check_floats(grad_networks, grad_network_count, true);
}

int main(int argc, char **argv) {
    (void)argc;
    reference_wait_passively(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_layer_has_a_row), cmocka_unit_test(test_layer_differences),
        cmocka_unit_test(test_fan_out_differences),   cmocka_unit_test(test_network_differences),
        cmocka_unit_test(test_layer_floats),          cmocka_unit_test(test_fan_out_floats),
        cmocka_unit_test(test_network_floats),
    };
    return cmocka_run_group_tests_name("gradients", tests, open_backends, close_backends);
}
