/* The passes of up_sampling2d and resizing. */
#include "host/layers/layer.h"

mien_status mien_resampling_forward(const mien_pass *pass, int interpolation) {
    return pass->ops->resample_forward(pass->backend, &pass->y, &pass->x[0],
                                       interpolation == MIEN_BILINEAR);
}

mien_status mien_resampling_backward(const mien_pass *pass, int interpolation) {
    if (!pass->dx[0].data) return MIEN_OK;
    return pass->ops->resample_backward(pass->backend, &pass->dx[0], &pass->dy,
                                        interpolation == MIEN_BILINEAR, pass->dx_accumulate[0]);
}
