/* Inverted dropout, as keras.layers.Dropout; the identity outside of training. And what it shares
 * with spatial_dropout2d, which draws for channels of an image. */
#include "host/layers/layer.h"

#include <string.h>

#define F(field) MIEN_FIELD(mien_dropout_attrs, field)
const mien_key mien_dropout_rows[MIEN_DROPOUT_KEYS] = {
    MIEN_COMMON_KEYS(mien_dropout_attrs),
    {"rate", MIEN_KEY_REAL, F(rate), NULL, 0, 0.999, NULL, "share of elements set to zero"},
};

mien_dropout mien_dropout_mask(const mien_node *node, const mien_run *run) {
    const mien_dropout_attrs *a = node->attrs;
    return (mien_dropout){.rate = a->rate,
                          .stream = RNG_DROPOUT + (uint32_t)node->index,
                          .state = run->state,
                          .first = run->offset + (uint64_t)run->first,
                          .channels = strcmp(node->def->name, "spatial_dropout2d") == 0};
}

mien_status mien_dropout_layer_forward(const mien_node *node, const mien_run *run) {
    const mien_tensor y = mien_run_output(run, node), x = mien_run_input(run, node, 0);
    const mien_dropout mask = mien_dropout_mask(node, run);
    if (!run->training || mask.rate == 0) return run->ops->copy(run->backend, &y, &x, false);
    return run->ops->dropout(run->backend, &y, &x, &mask, false);
}

mien_status mien_dropout_layer_backward(const mien_node *node, const mien_run *run) {
    const mien_tensor dy = mien_run_grad(run, node);
    const mien_dropout mask = mien_dropout_mask(node, run);
    mien_tensor dx;
    bool accumulate;
    if (!mien_run_input_grad(run, node, 0, &dx, &accumulate)) return MIEN_OK;
    if (mask.rate == 0) return run->ops->copy(run->backend, &dx, &dy, accumulate);
    return run->ops->dropout(run->backend, &dx, &dy, &mask, accumulate);
}

const mien_layer_def mien_layer_dropout = {
    .name = "dropout",
    .class_name = "Dropout",
    .keys = {mien_dropout_rows, MIEN_DROPOUT_KEYS},
    .attr_bytes = sizeof(mien_dropout_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_IN_PLACE | MIEN_TRAINING_ONLY,
    .infer = mien_infer_same,
    .forward = mien_dropout_layer_forward,
    .backward = mien_dropout_layer_backward,
};
