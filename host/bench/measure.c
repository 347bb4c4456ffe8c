#include "host/bench/measure.h"

#include <math.h>
#include <stdlib.h>

#include "host/base/clock.h"
#include "host/base/memory.h"

enum { SEGMENTS = 4, WARMUP_LEAST = 2 };

mien_status mien_samples_add(mien_samples *s, double seconds) {
    MIEN_TRY(mien_grow(&s->seconds, &s->capacity, s->count + 1, sizeof *s->seconds));
    s->seconds[s->count++] = seconds;
    return MIEN_OK;
}

void mien_samples_release(mien_samples *s) {
    mien_free(s->seconds);
    *s = (mien_samples){0};
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double rank(const mien_samples *s, double share) {
    const size_t at = (size_t)ceil(share * (double)s->count - 1e-9);
    return s->seconds[at ? at - 1 : 0];
}

mien_statistics mien_samples_statistics(mien_samples *s) {
    if (s->count == 0) return (mien_statistics){0};
    qsort(s->seconds, s->count, sizeof *s->seconds, ascending);
    double sum = 0;
    for (size_t i = 0; i < s->count; i++)
        sum += s->seconds[i];
    return (mien_statistics){.n = s->count,
                             .min = s->seconds[0],
                             .median =
                                 0.5 * (s->seconds[(s->count - 1) / 2] + s->seconds[s->count / 2]),
                             .p90 = rank(s, 0.90),
                             .p99 = rank(s, 0.99),
                             .max = s->seconds[s->count - 1],
                             .mean = sum / (double)s->count};
}

static mien_status sample(mien_clock *clock, mien_measured work, void *context, double *seconds) {
    if (clock->stop && *clock->stop) return MIEN_FAIL(INTERRUPTED, "interrupted while measuring");
    const int works = clock->together ? clock->together : 1;
    const double begin = mien_seconds();
    for (int i = 0; i < works; i++)
        MIEN_TRY(work(context));
    clock->launch += mien_seconds() - begin;
    if (clock->together) MIEN_TRY(clock->wait(context));
    *seconds = (mien_seconds() - begin) / works;
    return MIEN_OK;
}

static mien_status pause_between(const mien_clock *clock) {
    return clock->between ? clock->between(clock->between_context) : MIEN_OK;
}

mien_status mien_measure(mien_clock *clock, mien_measured work, void *context,
                         mien_samples *samples) {
    double spent = 0, seconds;
    for (clock->warmup = 0; clock->warmup < WARMUP_LEAST || spent < clock->seconds / 10;
         clock->warmup++) {
        MIEN_TRY(sample(clock, work, context, &seconds));
        spent += seconds;
    }
    spent = clock->launch = 0;
    for (int segment = 1; segment <= SEGMENTS; segment++) {
        MIEN_TRY(pause_between(clock));
        while (samples->count == 0 || spent < clock->seconds * segment / SEGMENTS) {
            MIEN_TRY(sample(clock, work, context, &seconds));
            MIEN_TRY(mien_samples_add(samples, seconds));
            spent += seconds * (clock->together ? clock->together : 1);
        }
    }
    clock->launch /= (double)samples->count * (clock->together ? clock->together : 1);
    return pause_between(clock);
}
