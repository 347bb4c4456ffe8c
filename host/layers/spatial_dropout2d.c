/* Dropout of whole channels of an image, as keras.layers.SpatialDropout2D (Tompson et al. 2015). */
#include "host/layers/layer.h"

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    MIEN_TRY(mien_require_image(in, *flat));
    return mien_infer_same(node, in, out, flat);
}

const mien_layer_def mien_layer_spatial_dropout2d = {
    .name = "spatial_dropout2d",
    .class_name = "SpatialDropout2D",
    .keys = {mien_dropout_rows, MIEN_DROPOUT_KEYS},
    .attr_bytes = sizeof(mien_dropout_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_IN_PLACE | MIEN_TRAINING_ONLY | MIEN_DROPS_CHANNELS,
    .infer = infer,
    .forward = mien_dropout_layer_forward,
    .backward = mien_dropout_layer_backward,
};
