/* Mean over height and width, as keras.layers.GlobalAveragePooling2D. */
#include "host/layers/layer.h"

const mien_layer_def mien_layer_global_average_pooling2d = {
    .name = "global_average_pooling2d",
    .class_name = "GlobalAveragePooling2D",
    .keys = {mien_global_pool_rows, MIEN_GLOBAL_POOL_KEYS},
    .attr_bytes = sizeof(mien_pool_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_AVERAGES,
    .infer = mien_global_pool_infer,
    .forward = mien_pool_layer_forward,
    .backward = mien_pool_layer_backward,
};
