/* Samples of seconds and what they come to. */
#ifndef HOST_BENCH_MEASURE_H
#define HOST_BENCH_MEASURE_H

#include <stddef.h>

#include "host/base/status.h"

/* Zero-initialise; release with mien_samples_release. */
typedef struct mien_samples {
    double *seconds;
    size_t count, capacity;
} mien_samples;

/* p90 and p99 are nearest ranks: the smallest sample that so many percent do not exceed. The median
 * of an even number is the mean of the middle two. */
typedef struct mien_statistics {
    size_t n; /* 0: nothing was measured, the others are 0 too */
    double min, median, p90, p99, max;
} mien_statistics;

mien_status mien_samples_add(mien_samples *samples, double seconds);
void mien_samples_release(mien_samples *samples);
/* Sorts the samples. */
mien_statistics mien_samples_statistics(mien_samples *samples);

/* What is measured: one sample's work. */
typedef mien_status (*mien_measured)(void *context);

/* How a measurement goes: `warmup` is written. */
typedef struct mien_clock {
    double seconds; /* of samples, beside warm-up and yardstick */
    int warmup;     /* samples thrown away before */
    /* A sample is so many works between two waits; 0: one, and `wait` is not called. What a sample
     * counts is the mean of one. */
    int together;
    mien_status (*wait)(void *context); /* for the device, with `work`'s context */
    double launch; /* written: mean seconds of a work until it returned, without the wait */
    const volatile int *stop; /* INTERRUPTED when set; may be NULL */
    /* called before, three times during and behind the samples, outside of their clock; may be NULL
     */
    mien_status (*between)(void *context);
    void *between_context;
} mien_clock;

/* Runs `work` for a tenth of the time (twice at least) without keeping its time, then for the whole
 * time (once at least) with. */
mien_status mien_measure(mien_clock *clock, mien_measured work, void *context,
                         mien_samples *samples);

#endif
