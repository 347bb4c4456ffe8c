/* Repeated timing, and statistics of the samples. */
#ifndef HOST_BENCH_MEASURE_H
#define HOST_BENCH_MEASURE_H

#include <stddef.h>

#include "host/base/status.h"

/* Zero-initialise; release with mien_samples_release. */
typedef struct mien_samples {
    double *seconds;
    size_t count, capacity;
} mien_samples;

/* p90 and p99 use the nearest rank. The median of an even number of samples is the mean of the
 * middle two. */
typedef struct mien_statistics {
    size_t n; /* 0: nothing was measured, and the others are 0 */
    double min, median, p90, p99, max, mean;
} mien_statistics;

mien_status mien_samples_add(mien_samples *samples, double seconds);
void mien_samples_release(mien_samples *samples);
/* Sorts the samples. */
mien_statistics mien_samples_statistics(mien_samples *samples);

/* The work that is timed. */
typedef mien_status (*mien_measured)(void *context);

/* The settings of a measurement; `warmup` and `launch` are results. */
typedef struct mien_clock {
    double seconds; /* total of the samples, without warm-up and `between` */
    int warmup;     /* written: number of discarded samples before the measurement */
    /* A sample times this many calls of `work` up to the next `wait` and records their mean. 0: one
     * call, without `wait`. */
    int together;
    mien_status (*wait)(void *context); /* waits for the device; gets the context of `work` */
    double launch;            /* written: mean seconds until `work` returned, without the wait */
    const volatile int *stop; /* if set, returns INTERRUPTED; may be NULL */
    /* Called before, three times during and after the samples; not timed. May be NULL. */
    mien_status (*between)(void *context);
    void *between_context;
} mien_clock;

/* Warms up for a tenth of `seconds` (at least two samples), then measures for `seconds` (at least
 * one sample). */
mien_status mien_measure(mien_clock *clock, mien_measured work, void *context,
                         mien_samples *samples);

#endif
