/* `mien tune`: finds the fastest algorithm for each convolution of a network on this machine. */
#ifndef HOST_BENCH_TUNE_H
#define HOST_BENCH_TUNE_H

#include "host/bench/bench.h"

typedef struct mien_tune_row {
    char name[MIEN_NAME];
    mien_shape in, out;
    bool measured; /* false: there is only one algorithm for it */
    double seconds[MIEN_DIRECTIONS]
                  [2]; /* best time of direct and of Winograd; 0: pass not needed */
    mien_algorithm usual[MIEN_DIRECTIONS], chosen[MIEN_DIRECTIONS];
} mien_tune_row;

typedef struct mien_tune_result {
    mien_tune_row *rows; /* one per convolution */
    int count;
    char path[MIEN_PATH]; /* the file that was written */
} mien_tune_result;

/* Times the convolutions of request->model at request->batch, request->seconds for each pass. If an
 * algorithm is at least 3 % faster than the default, it is stored in the user's cache, which every
 * later CPU backend on this machine reads. UNSUPPORTED on a GPU. Release the result also after a
 * failure. */
mien_status mien_tune(const mien_bench_request *request, mien_tune_result *result);
void mien_tune_release(mien_tune_result *result);

#endif
