/* Max pooling, as keras.layers.MaxPooling2D. */
#include "host/layers/layer.h"

const mien_layer_def mien_layer_max_pooling2d = {
    .name = "max_pooling2d",
    .class_name = "MaxPooling2D",
    .keys = {mien_window_pool_rows, MIEN_WINDOW_POOL_KEYS},
    .attr_bytes = sizeof(mien_pool_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags =
        MIEN_SAVES_INDEX | MIEN_MASKS_RELU | MIEN_SUMS_BIAS | MIEN_RUNS_DROPOUT | MIEN_KEEPS_INT8,
    .infer = mien_window_pool_infer,
    .forward = mien_pool_layer_forward,
    .backward = mien_pool_layer_backward,
};
