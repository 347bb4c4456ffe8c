/* What the machine can do at best, measured beside the run: the yardstick that makes figures of
 * different machines, and of a machine that others share, comparable. */
#ifndef HOST_BENCH_PEAK_H
#define HOST_BENCH_PEAK_H

#include "host/backend/ops.h"

typedef struct mien_peak {
    mien_backend *backend;
    double flops_per_second; /* of the best window so far; 0: none yet */
    int windows;
    long long rounds; /* of the loop that fill a window */
} mien_peak;

/* One window: on the CPU 0.2 s of multiply-adds on all threads, in the widest registers that both
 * our loops and the convolution library use ($MIEN_ISA); on a device some
 * products of 8192x8192 matrices in what it computes in. `context` is a mien_peak. */
mien_status mien_peak_window(void *context);
/* "v2", "v3" or "v4": the ISA of the windows; NULL for a backend that is no CPU. */
const char *mien_peak_isa(const mien_backend *backend);
/* Bytes read plus bytes written a second, the best of several copies of 64 MiB by all threads, on a
 * device of 1 GiB. */
mien_status mien_copy_bandwidth(mien_backend *backend, double *bytes_per_second);

#endif
