/* Uploads beside the work queued before: whatever runs first, a batch is complete before it is read
 * and is not overwritten before it has been. On the emulation every stream is early and late. */
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/counted.h"
#include "tests/support/device.h"
#include "tests/support/net.h"
#include "tests/support/test.h"

/* more than both staging buffers hold, and not a whole number of them */
enum { COUNT = (9 << 18) + 77, BATCHES = 3, PIECES = 3 };
static const size_t bytes = COUNT * sizeof(float);

static mien_backend *open_streams(const char *order) {
    setenv("FAKE_CUDA_STREAMS", order, 1);
    mien_backend *b = device_open(MIEN_COMPUTE_F32, true);
    assert_true(b->ops->copies_beside);
    return b;
}

static mien_tensor row_at(void *data) {
    return (mien_tensor){{1, 1, 1, COUNT}, MIEN_F32, COUNT, data};
}

/* Each batch is copied by a kernel, as a step would read it. `landing` false: an ordinary copy. */
static void check_order(const char *order, bool lands) {
    mien_backend *b = open_streams(order);
    void *dst = device_copy(b, NULL, bytes), *landing = device_copy(b, NULL, bytes);
    void *read[BATCHES];
    float *host = malloc(bytes), *back = malloc(bytes);
    assert_true(host && back);
    for (int k = 0; k < BATCHES; k++)
        read[k] = device_copy(b, NULL, bytes);
    const mien_tensor from = row_at(dst);
    for (int k = 0; k < BATCHES; k++) {
        for (int i = 0; i < COUNT; i++)
            host[i] = (float)(i + k);
        expect_ok(b->ops->copy_beside(b, dst, lands ? landing : NULL, host, bytes));
        memset(host, 0xff, bytes); /* the caller's memory is free again */
        const mien_tensor to = row_at(read[k]);
        expect_ok(b->ops->copy(b, &to, &from, false));
    }
    for (int k = 0; k < BATCHES; k++) {
        expect_ok(b->ops->copy_out(b, back, read[k], bytes));
        for (int i = 0; i < COUNT; i++)
            if (back[i] != (float)(i + k))
                fail_msg("streams %s: number %d of batch %d is %g", order, i, k, back[i]);
        b->ops->free(b, read[k]);
    }
    b->ops->free(b, dst);
    b->ops->free(b, landing);
    free(host);
    free(back);
    mien_backend_close(b);
}

static void test_order(void **state) {
    (void)state;
    static const char *const orders[] = {"now", "late", "late,now", "now,late"};
    for (int i = 0; i < 4; i++) {
        check_order(orders[i], true);
        check_order(orders[i], false);
    }
}

/* A step is queued and has not run: the next batch arrives all the same. */
static void test_overlap(void **state) {
    (void)state;
    fake_counts before, after;
    mien_backend *b = open_streams("late,now");
    void *dst = device_copy(b, NULL, bytes), *landing = device_copy(b, NULL, bytes);
    void *step = device_copy(b, NULL, bytes);
    float *host = calloc(COUNT, sizeof *host);
    assert_non_null(host);
    expect_ok(b->ops->copy_beside(b, dst, landing, host, bytes));
    expect_ok(b->ops->sync(b));
    if (!counted(&before)) skip(); /* only the emulation can tell */
    expect_ok(b->ops->zero(b, step, bytes));
    expect_ok(b->ops->copy_beside(b, dst, landing, host, bytes));
    counted(&after);
    assert_int_equal(after.finished - before.finished, PIECES);
    expect_ok(b->ops->sync(b));
    counted(&after);
    assert_int_equal(after.finished - before.finished, PIECES + 2);
    b->ops->free(b, dst);
    b->ops->free(b, landing);
    b->ops->free(b, step);
    free(host);
    mien_backend_close(b);
}

/* Copies to the host: while a piece is taken, the next is queued, and none is read too early. */
static void test_pieces_overlap(void **state) {
    (void)state;
    fake_counts before, after;
    mien_backend *b = open_streams("late");
    float *host = malloc(bytes), *back = malloc(bytes);
    assert_true(host && back);
    for (int i = 0; i < COUNT; i++)
        host[i] = (float)i;
    void *data = device_copy(b, host, bytes);
    expect_ok(b->ops->sync(b));
    const bool counts = counted(&before);
    expect_ok(b->ops->copy_out(b, back, data, bytes));
    assert_memory_equal(back, host, bytes);
    if (counts && counted(&after)) /* a copy and its event behind all pieces but the last */
        assert_int_equal(after.beside - before.beside, 2 * (PIECES - 1));
    b->ops->free(b, data);
    free(host);
    free(back);
    mien_backend_close(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_overlap),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_overlap),
    };
    return cmocka_run_group_tests_name("upload", tests, NULL, NULL);
}
