/* The tuning cache: round trips, files of another machine, damaged files, use by operators. */
#include "host/backend/tuning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/cpu.h"
#include "host/base/memory.h"
#include "tests/support/scratch.h"
#include "tests/support/reference.h"
#include "tests/support/test.h"

static const mien_linear_desc desc = {.name = "it",
                                      .in = {1, 12, 12, 32},
                                      .out = {1, 10, 10, 32},
                                      .kernel_h = 3,
                                      .kernel_w = 3,
                                      .stride_h = 1,
                                      .stride_w = 1,
                                      .training = true,
                                      .needs_dx = true};

static int start(void **state) {
    return scratch_make(state) || setenv("XDG_CACHE_HOME", scratch, 1);
}

static void write_entry(const mien_algorithm *algorithm, int threads) {
    mien_tuning t;
    mien_tuning_start(&t, "oneDNN", "v4", threads);
    assert_int_equal(mien_tuning_put(&t, &desc, algorithm), MIEN_OK);
    assert_int_equal(mien_tuning_save(&t), MIEN_OK);
    mien_tuning_release(&t);
}

static void test_round_trip(void **state) {
    (void)state;
    const mien_algorithm first[3] = {MIEN_WINOGRAD, MIEN_DIRECT, MIEN_WINOGRAD};
    const mien_algorithm second[3] = {MIEN_DIRECT, MIEN_DIRECT, MIEN_WINOGRAD};
    mien_tuning t;
    write_entry(first, 3);
    mien_tuning_start(&t, "oneDNN", "v4", 3);
    mien_tuning_load(&t);
    assert_int_equal(t.count, 1);
    const mien_tuned *found = mien_tuning_find(&t, &desc);
    assert_non_null(found);
    assert_memory_equal(found->algorithm, first, sizeof first);
    mien_linear_desc other = desc;
    other.pad_top = 1;
    assert_null(mien_tuning_find(&t, &other));
    /* the same shape replaces its entry, another shape adds one */
    assert_int_equal(mien_tuning_put(&t, &desc, second), MIEN_OK);
    assert_int_equal(t.count, 1);
    assert_memory_equal(mien_tuning_find(&t, &desc)->algorithm, second, sizeof second);
    assert_int_equal(mien_tuning_put(&t, &other, second), MIEN_OK);
    assert_int_equal(t.count, 2);
    mien_tuning_release(&t);
}

static void test_another_machine(void **state) {
    (void)state;
    const mien_algorithm direct[3] = {MIEN_DIRECT, MIEN_DIRECT, MIEN_DIRECT};
    mien_tuning t;
    write_entry(direct, 3);
    mien_tuning_start(&t, "oneDNN", "v4", 2);
    mien_tuning_load(&t);
    assert_int_equal(t.count, 0);
    mien_tuning_release(&t);
}

static void test_damaged(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "{\"machine\":\"%s\"}",
        "{\"machine\":\"%s\",\"convolutions\":[1]}",
        "{\"machine\":\"%s\",\"convolutions\":[{\"in\":[1,2],\"out\":[1,2,3]}]}",
        "{\"machine\":\"%s\",\"convolutions\":[{\"in\":[12,12,32],\"out\":[10,10,32],\"pad_top\":0,"
        "\"pad_left\":0,\"forward\":\"magic\",\"data\":\"direct\",\"filter\":\"direct\"}]}",
        "{\"machine\":\"%s\",\"convolutions\":[{\"in\":[12,12,1e300],\"out\":[10,10,32],"
        "\"pad_top\":0,\"pad_left\":0,\"forward\":\"direct\",\"data\":\"direct\","
        "\"filter\":\"direct\"}]}"};
    const mien_algorithm direct[3] = {MIEN_DIRECT, MIEN_DIRECT, MIEN_DIRECT};
    write_entry(direct, 3);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        mien_tuning t;
        mien_tuning_start(&t, "oneDNN", "v4", 3);
        FILE *file = fopen(t.path, "w");
        assert_non_null(file);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        fprintf(file, bodies[i], t.machine);
#pragma GCC diagnostic pop
        fclose(file);
        mien_tuning_load(&t);
        assert_int_equal(t.count, 0);
        mien_tuning_release(&t);
    }
}

/* An operator uses the measured algorithm, unless one is requested or it must be deterministic. */
static void test_used_by_operators(void **state) {
    (void)state;
    const mien_algorithm mixed[3] = {MIEN_DIRECT, MIEN_WINOGRAD, MIEN_DIRECT};
    const mien_backend_options plain = {.threads = 1}, fixed = {.threads = 1, .deterministic = 1};
    mien_backend *b;
    mien_linear *op;
    assert_int_equal(mien_backend_open("cpu", &plain, &b), MIEN_OK);
    if (!cpu_of(b)->kernels || cpu_of(b)->isa_rank < CPU_ISA_AVX2) skip();
    assert_int_equal(mien_tuning_put(&cpu_of(b)->tuning, &desc, mixed), MIEN_OK);
    assert_int_equal(mien_tuning_save(&cpu_of(b)->tuning), MIEN_OK);
    mien_backend_close(b);

    assert_int_equal(mien_backend_open("cpu", &plain, &b), MIEN_OK);
    assert_int_equal(b->ops->linear_create(b, &desc, &op), MIEN_OK);
    for (int k = 0; k < MIEN_DIRECTIONS; k++)
        assert_int_equal(b->ops->linear_algorithm(op, (mien_direction)k), mixed[k]);
    b->ops->linear_free(op);
    mien_linear_desc requested = desc;
    for (int k = 0; k < MIEN_DIRECTIONS; k++)
        requested.algorithm[k] = MIEN_BY_TABLE;
    assert_int_equal(b->ops->linear_create(b, &requested, &op), MIEN_OK);
    assert_int_equal(b->ops->linear_algorithm(op, MIEN_FORWARD), MIEN_WINOGRAD);
    b->ops->linear_free(op);
    mien_backend_close(b);

    assert_int_equal(mien_backend_open("cpu", &fixed, &b), MIEN_OK);
    assert_int_equal(b->ops->linear_create(b, &desc, &op), MIEN_OK);
    assert_int_equal(b->ops->linear_algorithm(op, MIEN_DATA), MIEN_DIRECT);
    b->ops->linear_free(op);
    mien_backend_close(b);
}

int main(int argc, char **argv) {
    (void)argc;
    reference_wait_passively(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_another_machine),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_used_by_operators),
    };
    return cmocka_run_group_tests_name("tuning", tests, start, scratch_drop);
}
