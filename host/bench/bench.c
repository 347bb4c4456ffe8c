#include "host/bench/bench.h"

#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/bench/modes.h"

const char *const mien_bench_modes[] = {"train", "infer", "augment", "load", "op", NULL};

static mien_status (*const runs[])(const mien_bench_request *, mien_bench_result *) = {
    bench_train, bench_infer, bench_augment, bench_load, bench_op};

/* The backend was opened with the other dtypes. int8 needs an int8 model, which bench_infer checks.
 */
static mien_status check_dtype(const mien_bench_request *request, const char *mode) {
    const bool int8 = request->dtype && strcmp(request->dtype, "int8") == 0;
    if (!int8 || strcmp(mode, "infer") == 0) return MIEN_OK;
    return MIEN_FAIL(UNSUPPORTED, "--dtype int8 is only for `infer`: %s computes in %s", mode,
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
