/* Measures the machine's peak performance during a benchmark, so that results from different or
 * shared machines can be compared. */
#ifndef HOST_BENCH_PEAK_H
#define HOST_BENCH_PEAK_H

#include "host/backend/ops.h"

typedef struct mien_peak {
    mien_backend *backend;
    double flops_per_second; /* of the best window so far; 0 before the first */
    int windows;
    long long rounds; /* loop iterations that fill a window */
} mien_peak;

/* Measures one window. CPU: 0.2 s of multiply-adds on all threads, with the widest vectors that
 * both our kernels and oneDNN use ($MIEN_ISA). GPU: products of 8192x8192 matrices of random
 * numbers in the backend's number type. `context` is a mien_peak. */
mien_status mien_peak_window(void *context);
/* The ISA of the windows, "v2", "v3" or "v4"; NULL if the backend is not a CPU. */
const char *mien_peak_isa(const mien_backend *backend);
/* Bytes read plus written per second: the best of several copies, of 64 MiB by all CPU threads or
 * of 1 GiB on a GPU. */
mien_status mien_copy_bandwidth(mien_backend *backend, double *bytes_per_second);

#endif
