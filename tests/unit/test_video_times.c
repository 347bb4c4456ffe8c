/* Times of frames from timestamps that are missing, repeat or run backwards. */
#include <math.h>

#include "host/video/times.h"
#include "tests/support/test.h"

enum { UNKNOWN = -1000 };

/* Checks `count` times in milliseconds; those below 0 are to be repaired. */
static void check(int line, const int *raw, const int *want, int count) {
    mien_video_times times = {.step = 0.04};
    for (int i = 0; i < count; i++) {
        bool repaired;
        const double time =
            mien_video_times_next(&times, raw[i] != UNKNOWN, raw[i] / 1000.0, &repaired);
        const double milliseconds = want[i] < 0 ? -want[i] : want[i];
        if (fabs(time * 1000 - milliseconds) > 0.6 || repaired != (want[i] < 0))
            fail_msg("line %d, frame %d: %.1f ms%s, not %d", line, i, time * 1000,
                     repaired ? " (repaired)" : "", want[i]);
    }
}
#define CHECK() check(__LINE__, raw, want, (int)(sizeof raw / sizeof raw[0]))

static void as_they_are(void **state) {
    static const int raw[] = {5000, 5040, 5047, 9000}, want[] = {0, 40, 47, 4000};
    (void)state;
    CHECK();
}

static void missing(void **state) {
    static const int raw[] = {100, 140, UNKNOWN, UNKNOWN, 260}, want[] = {0, 40, -80, -120, 160};
    (void)state;
    CHECK();
}

static void missing_at_first(void **state) {
    static const int raw[] = {UNKNOWN, UNKNOWN, 540, 600};
    static const int want[] = {0, -40, -80, 140};
    mien_video_times times = {.step = 0.04};
    bool repaired;
    (void)state;
    assert_true(mien_video_times_next(&times, false, 0, &repaired) == 0);
    assert_true(repaired);
    for (int i = 1; i < 4; i++) {
        const double time =
            mien_video_times_next(&times, raw[i] != UNKNOWN, raw[i] / 1000.0, &repaired);
        assert_true(fabs(time * 1000 - (want[i] < 0 ? -want[i] : want[i])) < 0.01);
    }
    assert_false(repaired);
}

static void all_missing(void **state) {
    mien_video_times times = {.step = 0.04};
    bool repaired;
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_true(fabs(mien_video_times_next(&times, false, 0, &repaired) - i * 0.04) < 1e-9);
}

/* A repeated timestamp is put between its neighbours, and leaves no trace. */
static void repeated(void **state) {
    static const int raw[] = {0, 40, 40, 80, 120}, want[] = {0, 40, -60, 80, 120};
    (void)state;
    CHECK();
}

static void all_zero(void **state) {
    static const int raw[] = {0, 0, 0, 0}, want[] = {0, -20, -60, -100};
    (void)state;
    CHECK();
}

/* Frames out of order stay close until the timestamps have caught up. */
static void backwards(void **state) {
    static const int raw[] = {0, 40, 120, 80, 100, 160, 200, 240};
    mien_video_times times = {.step = 0.04};
    bool repaired;
    double last = -1;
    (void)state;
    for (int i = 0; i < 8; i++) {
        const double time = mien_video_times_next(&times, true, raw[i] / 1000.0, &repaired);
        assert_true(time > last);
        last = time;
    }
    assert_false(repaired);
    assert_true(fabs(last - 0.24) < 1e-9);
}

/* Two recordings that were joined: the second goes on one step after the first. */
static void joined(void **state) {
    static const int raw[] = {9000, 9040, 9080, 0, 40, 80}, want[] = {0, 40, 80, -120, 160, 200};
    (void)state;
    CHECK();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_they_are),      cmocka_unit_test(missing),
        cmocka_unit_test(missing_at_first), cmocka_unit_test(all_missing),
        cmocka_unit_test(repeated),         cmocka_unit_test(all_zero),
        cmocka_unit_test(backwards),        cmocka_unit_test(joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
