/* The two passes that conv2d and dense share: a linear operator with a bias and an epilogue. */
#include "host/layers/layer.h"

mien_status mien_linear_layer_forward(const mien_node *node, const mien_run *run) {
    const mien_tensor y = mien_run_output(run, node), x = mien_run_input(run, node, 0);
    mien_int8_linear *bytes = mien_run_bytes(run, node);
    if (bytes) return run->ops->int8->forward(bytes, &y, &x, run->scratch);
    return run->ops->linear_forward(mien_run_linear(run, node), &y, &x,
                                    mien_run_param(run, node, 0), mien_run_param(run, node, 1),
                                    run->scratch);
}

mien_status mien_linear_layer_backward(const mien_node *node, const mien_run *run) {
    const mien_tensor dy = mien_run_grad(run, node), x = mien_run_input(run, node, 0);
    mien_linear *op = mien_run_linear(run, node);
    float alpha;
    const int activation = mien_run_slope(run, node, &alpha);
    if (activation != BODY_LINEAR) {
        const mien_tensor y = mien_run_output(run, node);
        MIEN_TRY(run->ops->activation_backward(run->backend, &dy, &dy, NULL, &y, activation, alpha,
                                               false));
    }
    void *dw = mien_run_param_grad(run, node, 0);
    if (dw)
        MIEN_TRY(run->ops->linear_backward_filter(op, dw, mien_run_bias_grad(run, node), &dy, &x,
                                                  run->scratch, run->accumulate));
    mien_tensor dx;
    bool accumulate;
    if (!mien_run_input_grad(run, node, 0, &dx, &accumulate)) return MIEN_OK;
    return run->ops->linear_backward_data(op, &dx, &dy, mien_run_param(run, node, 0),
                                          mien_run_gates(run, node) ? &x : NULL, run->scratch,
                                          accumulate);
}
