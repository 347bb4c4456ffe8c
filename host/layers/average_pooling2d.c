/* Average pooling, as keras.layers.AveragePooling2D: padding does not count towards the mean. */
#include "host/layers/layer.h"

const mien_layer_def mien_layer_average_pooling2d = {
    .name = "average_pooling2d",
    .class_name = "AveragePooling2D",
    .keys = {mien_window_pool_rows, MIEN_WINDOW_POOL_KEYS},
    .attr_bytes = sizeof(mien_pool_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_AVERAGES,
    .infer = mien_window_pool_infer,
    .forward = mien_pool_layer_forward,
    .backward = mien_pool_layer_backward,
};
