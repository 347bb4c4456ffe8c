/* Inverted dropout, as keras.layers.Dropout; the identity outside of training. Its keys and passes
 * are shared with spatial_dropout2d, which draws once per channel of an image. */
#include "host/layers/layer.h"

#define F(field) MIEN_FIELD(mien_dropout_attrs, field)
const mien_key mien_dropout_rows[MIEN_DROPOUT_KEYS] = {
    MIEN_COMMON_KEYS(mien_dropout_attrs),
    KEY_REAL("rate", F(rate), NULL, 0, 0.999, "fraction of elements set to zero"),
};

mien_dropout mien_dropout_mask(const mien_node *node, const mien_pass *pass) {
    const mien_dropout_attrs *a = node->attrs;
    return (mien_dropout){.rate = a->rate,
                          .stream = RNG_DROPOUT + (uint32_t)node->index,
                          .state = pass->state,
                          .first = pass->first,
                          .channels = (node->def->flags & MIEN_DROPS_CHANNELS) != 0};
}

mien_status mien_dropout_layer_forward(const mien_node *node, const mien_pass *pass) {
    const mien_dropout mask = mien_dropout_mask(node, pass);
    if (!pass->training || mask.rate == 0)
        return pass->ops->copy(pass->backend, &pass->y, &pass->x[0], false);
    return pass->ops->dropout(pass->backend, &pass->y, &pass->x[0], &mask, false);
}

mien_status mien_dropout_layer_backward(const mien_node *node, const mien_pass *pass) {
    mien_dropout mask = mien_dropout_mask(node, pass);
    if (!pass->dx[0].data) return MIEN_OK;
    if (pass->relu_mask) mask.relu = &pass->x[0];
    if (mask.rate == 0 && !mask.relu)
        return pass->ops->copy(pass->backend, &pass->dx[0], &pass->dy, pass->dx_accumulate[0]);
    return pass->ops->dropout(pass->backend, &pass->dx[0], &pass->dy, &mask,
                              pass->dx_accumulate[0]);
}

const mien_layer_def mien_layer_dropout = {
    .name = "dropout",
    .class_name = "Dropout",
    .keys = {mien_dropout_rows, MIEN_DROPOUT_KEYS},
    .attr_bytes = sizeof(mien_dropout_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_IN_PLACE | MIEN_TRAINING_ONLY | MIEN_DROPS | MIEN_MASKS_RELU | MIEN_READS_MASK,
    .infer = mien_infer_same,
    .forward = mien_dropout_layer_forward,
    .backward = mien_dropout_layer_backward,
};
