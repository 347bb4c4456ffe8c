/* The comparison of all pairs of images, which takes minutes for large sets, heeds a signal. */
#include <string.h>

#include "host/audit/audit.h"
#include "host/base/interrupt.h"
#include "host/base/memory.h"
#include "tests/support/test.h"

enum { COUNT = 3, PIXELS = MIEN_AUDIT_SIDE * MIEN_AUDIT_SIDE };

static void pairs(void **state) {
    (void)state;
    static uint8_t pixels[COUNT][PIXELS];
    uint16_t labels[COUNT] = {0, 1, 0};
    uint8_t part[COUNT] = {MIEN_TRAIN, MIEN_TRAIN, MIEN_TEST};
    mien_dataset set = {.source = "three", .count = COUNT, .labels = labels, .part = part};
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < PIXELS; k++)
            pixels[i][k] = (uint8_t)((i == 1 ? k / MIEN_AUDIT_SIDE : k % MIEN_AUDIT_SIDE) * 5);
    for (volatile int stop = 0; stop < 2; stop++) {
        mien_alike exact = {0}, near = {0};
        mien_interrupt_watch(&stop);
        const mien_status status = mien_alike_find(&set, pixels[0], &exact, &near);
        mien_interrupt_watch(NULL);
        assert_int_equal(status, stop ? MIEN_INTERRUPTED : MIEN_OK);
        if (!stop) assert_int_equal(near.leaks[MIEN_TRAIN][MIEN_TEST], 1);
        mien_free(exact.first);
        mien_free(near.first);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pairs)};
    return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
