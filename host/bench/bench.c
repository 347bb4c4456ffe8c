#include "host/bench/bench.h"

#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/bench/room.h"

const char *const mien_bench_modes[] = {"train", "infer", "augment", "load", "op", NULL};

static mien_status (*const runs[])(const mien_bench_request *, mien_bench_result *) = {
    bench_train, bench_infer, bench_augment, bench_load, bench_op};

/* The device was opened for every other dtype. Only a model that is in int8 computes so:
 * bench_infer looks at it. */
static mien_status check_dtype(const mien_bench_request *request, const char *mode) {
    const bool bytes = request->dtype && strcmp(request->dtype, "int8") == 0;
    if (!bytes || strcmp(mode, "infer") == 0) return MIEN_OK;
    return MIEN_FAIL(UNSUPPORTED, "--dtype int8 is for predicting: %s is measured in %s", mode,
                     mien_compute_name(mien_backend_compute(request->backend)));
}

mien_status mien_bench_run(const char *mode, const mien_bench_request *request,
                           mien_bench_result *result) {
    int at = 0;
    *result = (mien_bench_result){0};
    while (mien_bench_modes[at] && strcmp(mien_bench_modes[at], mode) != 0)
        at++;
    if (!mien_bench_modes[at]) return MIEN_FAIL(INVALID, "there is no measurement '%s'", mode);
    MIEN_TRY(check_dtype(request, mode));
    result->mode = mien_bench_modes[at];
    result->dtype = mien_compute_name(mien_backend_compute(request->backend));
    result->batch = request->batch;
    result->seed = BENCH_SEED;
    snprintf(result->model, sizeof result->model, "%s",
             request->model ? request->model : "classic");
    const unsigned flush = mien_float_enter();
    const mien_status status = runs[at](request, result);
    mien_float_leave(flush);
    return status;
}

void mien_bench_release(mien_bench_result *result) {
    mien_free(result->layers);
    *result = (mien_bench_result){0};
}
