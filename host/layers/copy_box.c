/* Shared by padding and cropping: copies a smaller image into or out of a larger one. */
#include "host/layers/layer.h"

mien_status mien_embed(const mien_pass *pass, const mien_tensor *large, const mien_tensor *small,
                       int top, int left, bool accumulate) {
    const mien_shape s = small->shape;
    const body_box box = {.h = s.h, .w = s.w, .c = s.c, .dst_h = top, .dst_w = left};
    const size_t bytes = mien_shape_count(large->shape) * mien_dtype_bytes(large->dtype);
    if (!accumulate) MIEN_TRY(pass->ops->zero(pass->backend, large->data, bytes));
    return pass->ops->copy_box(pass->backend, large, small, &box, accumulate);
}

mien_status mien_extract(const mien_pass *pass, const mien_tensor *small, const mien_tensor *large,
                         int top, int left, bool accumulate) {
    const mien_shape s = small->shape;
    const body_box box = {.h = s.h, .w = s.w, .c = s.c, .src_h = top, .src_w = left};
    return pass->ops->copy_box(pass->backend, small, large, &box, accumulate);
}
