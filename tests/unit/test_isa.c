/* Which instruction sets are used, and which of them the other tests could run on this CPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/cpu.h"
#include "tests/support/net.h"
#include "tests/support/test.h"

static mien_status choose(const char *word, mien_isa *isa, bool *held_back) {
    word ? setenv("MIEN_ISA", word, 1) : unsetenv("MIEN_ISA");
    const mien_status status = mien_isa_choose(isa, held_back);
    unsetenv("MIEN_ISA");
    return status;
}

static void the_environment_holds_back(void **state) {
    (void)state;
    mien_isa isa, best = MIEN_ISA_V2;
    bool held_back;
    for (int k = 0; k < MIEN_ISA_COUNT; k++)
        if (mien_isa_has((mien_isa)k)) best = (mien_isa)k;
    expect_ok(choose(NULL, &isa, &held_back));
    assert_int_equal(isa, best);
    assert_false(held_back);
    for (int k = 0; k < MIEN_ISA_COUNT; k++) {
        const mien_status status = choose(mien_isa_name((mien_isa)k), &isa, &held_back);
        assert_int_equal(status, mien_isa_has((mien_isa)k) ? MIEN_OK : MIEN_UNSUPPORTED);
        assert_int_equal(isa, k);
        assert_true(held_back);
    }
}

static void an_unknown_level_is_refused(void **state) {
    (void)state;
    mien_backend *b;
    setenv("MIEN_ISA", "avx2", 1);
    assert_int_equal(mien_backend_open("cpu", NULL, &b), MIEN_INVALID);
    unsetenv("MIEN_ISA");
    assert_non_null(strstr(mien_error_message(), "must be v2, v3 or v4, not 'avx2'"));
}

/* This is the first use of oneDNN in the process: it is held back together with our loops. */
static void one_variable_holds_back_everything(void **state) {
    (void)state;
    mien_backend *b;
    setenv("MIEN_ISA", "v2", 1);
    expect_ok(mien_backend_open("cpu", NULL, &b));
    unsetenv("MIEN_ISA");
    assert_non_null(strstr(mien_backend_description(b), "sse4.1, loops x86-64-v2"));
    assert_false(b->ops->int8->available(b));
    mien_backend_close(b);
}

static void int8_can_be_switched_off(void **state) {
    (void)state;
    assert_true(mien_isa_allows_int8());
    setenv("MIEN_INT8", "0", 1);
    assert_false(mien_isa_allows_int8());
    unsetenv("MIEN_INT8");
}

/* Tests of our loops go over all levels that the CPU has: one that it lacks is counted here. */
static void tested_level(void **state) {
    const int level = (int)(size_t)*state;
    if (!mien_isa_has((mien_isa)level)) skip();
}

int main(void) {
    unsetenv("MIEN_ISA");
    unsetenv("MIEN_INT8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_variable_holds_back_everything),
        cmocka_unit_test(the_environment_holds_back),
        cmocka_unit_test(an_unknown_level_is_refused),
        cmocka_unit_test(int8_can_be_switched_off),
        {"loops for x86-64-v3", tested_level, NULL, NULL, (void *)(size_t)MIEN_ISA_V3},
        {"loops for x86-64-v4", tested_level, NULL, NULL, (void *)(size_t)MIEN_ISA_V4}};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
