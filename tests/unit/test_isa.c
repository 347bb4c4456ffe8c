/* The choice of instruction set, and the levels that other tests can use on this CPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/cpu.h"
#include "tests/support/net.h"
#include "tests/support/test.h"

static mien_status choose(const char *word, mien_isa *isa, bool *limited) {
    word ? setenv("MIEN_ISA", word, 1) : unsetenv("MIEN_ISA");
    const mien_status status = mien_isa_choose(isa, limited);
    unsetenv("MIEN_ISA");
    return status;
}

static void the_environment_limits_the_isa(void **state) {
    (void)state;
    mien_isa isa, best = MIEN_ISA_V2;
    bool limited;
    for (int k = 0; k < MIEN_ISA_COUNT; k++)
        if (mien_isa_has((mien_isa)k)) best = (mien_isa)k;
    expect_ok(choose(NULL, &isa, &limited));
    assert_int_equal(isa, best);
    assert_false(limited);
    for (int k = 0; k < MIEN_ISA_COUNT; k++) {
        const mien_status status = choose(mien_isa_name((mien_isa)k), &isa, &limited);
        assert_int_equal(status, mien_isa_has((mien_isa)k) ? MIEN_OK : MIEN_UNSUPPORTED);
        assert_int_equal(isa, k);
        assert_true(limited);
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

/* MIEN_ISA limits oneDNN, too. This must be the first use of oneDNN in the process. */
static void the_limit_includes_onednn(void **state) {
    (void)state;
    mien_backend *b;
    setenv("MIEN_ISA", "v2", 1);
    expect_ok(mien_backend_open("cpu", NULL, &b));
    unsetenv("MIEN_ISA");
    assert_non_null(strstr(mien_backend_description(b), "sse4.1, loops x86-64-v2"));
    assert_true(b->ops->int8->available(b)); /* by our own loops */
    mien_backend_close(b);
}

static void int8_can_be_switched_off(void **state) {
    (void)state;
    assert_true(mien_isa_allows_int8());
    setenv("MIEN_INT8", "0", 1);
    assert_false(mien_isa_allows_int8());
    unsetenv("MIEN_INT8");
}

/* Other tests run all levels that this CPU has; a level it lacks shows here as skipped. */
static void tested_level(void **state) {
    const int level = (int)(size_t)*state;
    if (!mien_isa_has((mien_isa)level)) skip();
}

int main(void) {
    unsetenv("MIEN_ISA");
    unsetenv("MIEN_INT8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_includes_onednn),
        cmocka_unit_test(the_environment_limits_the_isa),
        cmocka_unit_test(an_unknown_level_is_refused),
        cmocka_unit_test(int8_can_be_switched_off),
        {"loops for x86-64-v3", tested_level, NULL, NULL, (void *)(size_t)MIEN_ISA_V3},
        {"loops for x86-64-v4", tested_level, NULL, NULL, (void *)(size_t)MIEN_ISA_V4}};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
