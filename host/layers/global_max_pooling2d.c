/* Maximum over height and width, as keras.layers.GlobalMaxPooling2D. */
#include "host/layers/layer.h"

const mien_layer_def mien_layer_global_max_pooling2d = {
    .name = "global_max_pooling2d",
    .class_name = "GlobalMaxPooling2D",
    .keys = {mien_global_pool_rows, MIEN_GLOBAL_POOL_KEYS},
    .attr_bytes = sizeof(mien_pool_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_SAVES_INDEX | MIEN_MASKS_RELU | MIEN_SUMS_BIAS,
    .infer = mien_global_pool_infer,
    .forward = mien_pool_layer_forward,
    .backward = mien_pool_layer_backward,
};
