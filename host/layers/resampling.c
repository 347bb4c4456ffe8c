/* The passes of up_sampling2d and resizing. */
#include "host/layers/layer.h"

mien_status mien_resampling_forward(const mien_node *node, const mien_run *run, int interpolation) {
    const mien_tensor y = mien_run_output(run, node), x = mien_run_input(run, node, 0);
    return run->ops->resample_forward(run->backend, &y, &x, interpolation == MIEN_BILINEAR);
}

mien_status mien_resampling_backward(const mien_node *node, const mien_run *run,
                                     int interpolation) {
    const mien_tensor dy = mien_run_grad(run, node);
    mien_tensor dx;
    bool accumulate;
    if (!mien_run_input_grad(run, node, 0, &dx, &accumulate)) return MIEN_OK;
    return run->ops->resample_backward(run->backend, &dx, &dy, interpolation == MIEN_BILINEAR,
                                       accumulate);
}
