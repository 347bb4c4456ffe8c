/* A crew does every slice once, whatever the number of threads, and reports the first failure. */
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "host/base/crew.h"
#include "host/base/threads.h"
#include "tests/support/test.h"

enum { MOST = 50, THREADS = 4 };

typedef struct tally {
    atomic_int done[MOST];
    atomic_int inside[THREADS];
    atomic_bool shared; /* two calls had the same thread number, or a team of several threads */
    int bad;            /* slice that fails; -1: none */
} tally;

static mien_status count(void *context, int slice, int thread) {
    tally *t = context;
    if (atomic_fetch_add(&t->inside[thread], 1) != 0) t->shared = true;
    if (mien_threads_count() != 1) t->shared = true;
    atomic_fetch_add(&t->done[slice], 1);
    atomic_fetch_sub(&t->inside[thread], 1);
    return slice == t->bad ? MIEN_FAIL(INVALID, "slice %d is bad", slice) : MIEN_OK;
}

static void every_slice_once(void **state) {
    (void)state;
    for (int threads = 1; threads <= THREADS; threads++) {
        mien_crew *crew;
        assert_int_equal(mien_crew_create(threads, &crew), MIEN_OK);
        const int team = mien_threads_count();
        for (int round = 0; round < 3000; round++) {
            tally t = {.bad = -1};
            const int slices = round % (MOST + 1);
            assert_int_equal(mien_crew_run(crew, slices, count, &t), MIEN_OK);
            for (int i = 0; i < MOST; i++)
                assert_int_equal(t.done[i], i < slices);
            assert_false(t.shared);
        }
        assert_int_equal(mien_threads_count(), team);
        mien_crew_free(crew);
    }
    mien_crew_free(NULL);
}

static mien_status wait_for_the_rest(void *context, int slice, int thread) {
    tally *t = context;
    (void)thread;
    for (int i = 0; slice == 0 && i < 5000 && t->done[0] < MOST - 1; i++)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    if (slice) atomic_fetch_add(&t->done[0], 1);
    return t->done[0] > 0 ? MIEN_OK : MIEN_FAIL(INVALID, "slice 0 was waited for");
}

/* While one thread is busy with a slice, the other does all the rest. */
static void nobody_waits_for_a_slow_one(void **state) {
    (void)state;
    mien_crew *crew;
    tally t = {0};
    assert_int_equal(mien_crew_create(2, &crew), MIEN_OK);
    assert_int_equal(mien_crew_run(crew, MOST, wait_for_the_rest, &t), MIEN_OK);
    assert_int_equal(t.done[0], MOST - 1);
    mien_crew_free(crew);
}

/* A round of parts: what each thread works on, and how often each slice was given. */
typedef struct relay {
    atomic_int given[MOST];
    int slice[THREADS], result[THREADS];
    atomic_bool wrong; /* a slice was given with the result of another */
    atomic_int worked;
    int sleeps;         /* the slice whose first worker sleeps; -1: none */
    atomic_int workers; /* of that slice */
    atomic_bool wakes, noticed;
} relay;

static mien_status relay_take(void *context, int slice, int thread) {
    relay *r = context;
    r->slice[thread] = slice;
    return MIEN_OK;
}

static mien_status relay_give(void *context, int slice, int thread) {
    relay *r = context;
    if (r->slice[thread] != slice || r->result[thread] != 3 * slice) r->wrong = true;
    atomic_fetch_add(&r->given[slice], 1);
    return MIEN_OK;
}

/* A helper sleeps until it is told to wake, which is after the round; the caller, who cannot leave
 * before, until another has its slice. */
static mien_status sleep_or_work(void *lanes, int thread) {
    relay *r = lanes;
    r->result[thread] = 3 * r->slice[thread];
    if (r->slice[thread] != r->sleeps || atomic_fetch_add(&r->workers, 1) > 0) return MIEN_OK;
    for (int i = 0; i < 5000 && !(thread ? r->wakes : mien_crew_overtaken()); i++)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    r->noticed = mien_crew_overtaken();
    return MIEN_FAIL(INVALID, "the first worker has no say");
}

/* The slice of a thread that is not let run is done again by another and given once, by that one.
 */
static void what_sleeps_is_done_by_another(void **state) {
    (void)state;
    for (int slices = 1; slices <= 8; slices++) {
        mien_crew *crew;
        relay r = {.sleeps = slices - 1};
        const mien_crew_parts parts = {relay_take, sleep_or_work, relay_give, &r};
        assert_int_equal(mien_crew_create(3, &crew), MIEN_OK);
        assert_false(mien_crew_overtaken());
        assert_int_equal(mien_crew_run_parts(crew, slices, &parts, &r), MIEN_OK);
        for (int i = 0; i < slices; i++)
            assert_int_equal(r.given[i], 1);
        /* two threads do the next round, while the third still sleeps, perhaps */
        r.sleeps = -1;
        assert_int_equal(mien_crew_run_parts(crew, MOST, &parts, &r), MIEN_OK);
        for (int i = 0; i < MOST; i++)
            assert_int_equal(r.given[i], i < slices ? 2 : 1);
        r.wakes = true;
        mien_crew_settle(crew);
        assert_true(r.noticed);
        assert_int_equal(r.given[slices - 1], 2);
        assert_false(r.wrong);
        mien_crew_free(crew);
    }
}

/* Sleeps about as long as the others wait before they do it again. */
static mien_status nap(void *lanes, int thread) {
    relay *r = lanes;
    const int call = atomic_fetch_add(&r->worked, 1);
    nanosleep(&(struct timespec){0, call * 7919 % 400 * 1000}, NULL);
    r->result[thread] = 3 * r->slice[thread];
    return MIEN_OK;
}

/* Whoever ends first: a slice is given once a round, with its own result. */
static void races_have_one_winner(void **state) {
    (void)state;
    enum { ROUNDS = 700 };
    mien_crew *crew;
    relay r = {0};
    const mien_crew_parts parts = {relay_take, nap, relay_give, &r};
    assert_int_equal(mien_crew_create(THREADS, &crew), MIEN_OK);
    for (int round = 0; round < ROUNDS; round++) {
        assert_int_equal(mien_crew_run_parts(crew, 1 + round % 3, &parts, &r), MIEN_OK);
        assert_int_equal(r.given[0], round + 1);
    }
    assert_int_equal(r.given[1] + r.given[2], ROUNDS / 3 * 3);
    mien_crew_settle(crew);
    assert_false(r.wrong);
    assert_true(r.worked > ROUNDS * 2 + 10); /* some were done twice */
    mien_crew_free(crew);
}

static void the_first_failure_is_reported(void **state) {
    (void)state;
    mien_crew *crew;
    assert_int_equal(mien_crew_create(3, &crew), MIEN_OK);
    for (int bad = 0; bad < 20; bad++) {
        tally t = {.bad = bad};
        char expected[32];
        snprintf(expected, sizeof expected, "slice %d is bad", bad);
        assert_int_equal(mien_crew_run(crew, MOST, count, &t), MIEN_INVALID);
        assert_string_equal(mien_error_message(), expected);
        t.bad = -1;
        assert_int_equal(mien_crew_run(crew, MOST, count, &t), MIEN_OK);
    }
    assert_int_equal(mien_crew_run(crew, MIEN_CREW_SLICES + 1, count, NULL), MIEN_INVALID);
    mien_crew_free(crew);
}

static void count_index(void *context, int index) {
    tally *t = context;
    if (mien_threads_count() != 1) t->shared = true;
    atomic_fetch_add(&t->done[index], 1);
}

static mien_status count_inside(void *context, int slice, int thread) {
    (void)slice, (void)thread;
    mien_each(MOST, count_index, context);
    return MIEN_OK;
}

/* A loop inside a slice is the thread's own, also for the one that leads. */
static void loops_inside_slices(void **state) {
    (void)state;
    enum { SLICES = 40 };
    mien_crew *crew;
    assert_int_equal(mien_crew_create(3, &crew), MIEN_OK);
    const mien_crew_post post = mien_crew_lead(crew);
    for (int round = 0; round < 100; round++) {
        tally t = {0};
        assert_int_equal(mien_crew_run(crew, SLICES, count_inside, &t), MIEN_OK);
        for (int i = 0; i < MOST; i++)
            assert_int_equal(t.done[i], SLICES);
        assert_false(t.shared);
    }
    mien_crew_leave(post);
    mien_crew_free(crew);
}

/* Alone, and by a crew that the caller leads, which then has no OpenMP team. */
static void loops_do_every_index_once(void **state) {
    (void)state;
    mien_crew *crew;
    const int team = mien_threads_count();
    assert_int_equal(mien_crew_create(3, &crew), MIEN_OK);
    for (int count = 0; count <= MOST; count++)
        for (int led = 0; led < 2; led++) {
            tally t = {0};
            const mien_crew_post outer = mien_crew_lead(led ? crew : NULL);
            const mien_crew_post inner = mien_crew_lead(led ? crew : NULL);
            mien_each(count, count_index, &t);
            mien_crew_leave(inner);
            assert_int_equal(mien_threads_count(), led ? 1 : team);
            mien_crew_leave(outer);
            assert_int_equal(mien_threads_count(), team);
            for (int i = 0; i < MOST; i++)
                assert_int_equal(t.done[i], i < count);
            assert_true(!t.shared || (!led && count > 1));
        }
    mien_crew_free(crew);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_slice_once),
                                       cmocka_unit_test(nobody_waits_for_a_slow_one),
                                       cmocka_unit_test(what_sleeps_is_done_by_another),
                                       cmocka_unit_test(races_have_one_winner),
                                       cmocka_unit_test(the_first_failure_is_reported),
                                       cmocka_unit_test(loops_inside_slices),
                                       cmocka_unit_test(loops_do_every_index_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
