/* Backends opened and closed by several threads at once: no thread may see a half-initialized table
 * of operations. */
#include <string.h>

#include <pthread.h>

#include "tests/support/device.h"
#include "tests/support/reference.h"
#include "tests/support/test.h"

enum { THREADS = 4, TIMES = 8 };

typedef mien_status (*open_fn)(mien_backend **out);

static mien_status open_cpu(mien_backend **out) {
    const mien_backend_options options = {.threads = 1};
    return mien_backend_open("cpu", &options, out);
}

static mien_status open_f32(mien_backend **out) {
    return reference_open(false, out);
}

static mien_status open_f64(mien_backend **out) {
    return reference_open(true, out);
}

static mien_status open_cuda(mien_backend **out) {
    return mien_backend_open("cuda", NULL, out);
}

typedef struct opener {
    open_fn open;
    pthread_barrier_t *together;
    mien_backend *last; /* stays open */
    bool good;
} opener;

static bool same_slots(const mien_backend *a, const mien_backend *b) {
    return memcmp(a->ops, b->ops, sizeof *a->ops) == 0;
}

static void *open_and_close(void *argument) {
    opener *o = argument;
    o->good = true;
    pthread_barrier_wait(o->together);
    for (int i = 0; i < TIMES && o->good; i++) {
        mien_backend *b = NULL;
        o->good = o->open(&b) == MIEN_OK;
        if (o->good && o->last) o->good = same_slots(b, o->last);
        if (o->last) mien_backend_close(o->last);
        o->last = b;
    }
    return NULL;
}

static void open_at_once(open_fn open) {
    pthread_barrier_t together;
    pthread_t thread[THREADS];
    opener o[THREADS];
    pthread_barrier_init(&together, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        o[i] = (opener){.open = open, .together = &together};
        assert_int_equal(pthread_create(&thread[i], NULL, open_and_close, &o[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        assert_true(o[i].good && o[i].last);
        assert_true(same_slots(o[i].last, o[0].last));
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(o[i].last->ops, o[j].last->ops);
    }
    for (int i = 0; i < THREADS; i++)
        mien_backend_close(o[i].last);
    pthread_barrier_destroy(&together);
}

static void test_threads(void **state) {
    (void)state;
    open_at_once(open_cpu);
    open_at_once(open_f32);
    open_at_once(open_f64);
}

static void test_threads_cuda(void **state) {
    (void)state;
    mien_backend *first = device_open(MIEN_COMPUTE_AUTO, false); /* loads the module */
    open_at_once(open_cuda);
    mien_backend_close(first);
}

int main(int argc, char **argv) {
    (void)argc;
    reference_wait_passively(argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_threads_cuda)};
    return cmocka_run_group_tests_name("backend", tests, NULL, NULL);
}
