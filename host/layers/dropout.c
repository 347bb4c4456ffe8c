/* Inverted dropout, as keras.layers.Dropout; the identity outside of training. */
#include "host/layers/layer.h"

typedef struct dropout_attrs {
    mien_layer_common common;
    double rate;
} dropout_attrs;

#define F(field) MIEN_FIELD(dropout_attrs, field)
static const mien_key rows[] = {
    MIEN_COMMON_KEYS(dropout_attrs),
    {"rate", MIEN_KEY_REAL, F(rate), NULL, 0, 0.999, NULL, "share of elements set to zero"},
};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    (void)node, (void)flat;
    *out = *in;
    return MIEN_OK;
}

mien_dropout mien_dropout_mask(const mien_node *node, const mien_run *run) {
    const dropout_attrs *a = node->attrs;
    return (mien_dropout){.rate = a->rate,
                          .stream = RNG_DROPOUT + (uint32_t)node->index,
                          .state = run->state,
                          .first = run->offset + (uint64_t)run->first};
}

static mien_status forward(const mien_node *node, const mien_run *run) {
    const mien_tensor y = mien_run_output(run, node), x = mien_run_input(run, node, 0);
    const mien_dropout mask = mien_dropout_mask(node, run);
    if (!run->training || mask.rate == 0) return run->ops->copy(run->backend, &y, &x, false);
    return run->ops->dropout(run->backend, &y, &x, &mask, false);
}

static mien_status backward(const mien_node *node, const mien_run *run) {
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
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(dropout_attrs),
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = MIEN_IN_PLACE,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
