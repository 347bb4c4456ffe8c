/* `mien tune`: which algorithm is the quicker one for each convolution of a network, here. */
#ifndef HOST_BENCH_TUNE_H
#define HOST_BENCH_TUNE_H

#include "host/bench/bench.h"

typedef struct mien_tune_row {
    char name[MIEN_NAME];
    mien_shape in, out;
    bool measured;                      /* false: there is only one way to compute it */
    double seconds[MIEN_DIRECTIONS][2]; /* best of direct and of Winograd; 0: not needed */
    mien_algorithm usual[MIEN_DIRECTIONS], chosen[MIEN_DIRECTIONS];
} mien_tune_row;

typedef struct mien_tune_result {
    mien_tune_row *rows; /* of every convolution */
    int count;
    char path[MIEN_PATH]; /* the file that was written */
} mien_tune_result;

/* Times request->model at request->batch, request->seconds for each pass of each convolution, and
 * stores what is quicker by at least 3 % than the table's choice in the user's cache, where every
 * later backend on this machine looks. Release the result also after a failure. */
mien_status mien_tune(const mien_bench_request *request, mien_tune_result *result);
void mien_tune_release(mien_tune_result *result);

#endif
