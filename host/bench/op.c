/* bench op: forward and backward time of each layer, in whole training steps. */
#include "host/bench/modes.h"

mien_status bench_op(const mien_bench_request *request, mien_bench_result *result) {
    bench_training t;
    mien_status status;
    MIEN_GO(bench_training_open(request, &t));
    result->images = request->batch;
    result->flops = mien_bench_plan_flops(t.plan);
    MIEN_GO(bench_measure(request, bench_training_step, bench_training_wait, &t, result));
    status = bench_layers(request, t.plan, request->seconds, bench_training_step, &t, result);
out:
    bench_training_close(&t);
    return status;
}
