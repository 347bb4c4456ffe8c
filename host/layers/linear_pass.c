/* The passes of the convolutions and dense: a linear operator with a bias and an epilogue. */
#include "host/layers/layer.h"

mien_status mien_linear_layer_forward(const mien_node *node, const mien_pass *pass) {
    (void)node;
    if (pass->int8)
        return pass->ops->int8->forward(pass->int8, &pass->y, &pass->x[0], pass->scratch);
    return pass->ops->linear_forward(pass->linear, &pass->y, &pass->x[0], pass->params[0],
                                     pass->params[1], pass->scratch);
}

static mien_status filter_gradient(const mien_pass *pass) {
    if (!pass->dparams[0]) return MIEN_OK;
    if (pass->masks_dy)
        return pass->ops->linear_filter_masked(pass->linear, pass->dparams[0], pass->dparams[1],
                                               &pass->dy, &pass->y, &pass->x[0], pass->scratch,
                                               pass->accumulate);
    return pass->ops->linear_backward_filter(pass->linear, pass->dparams[0], pass->dparams[1],
                                             &pass->dy, &pass->x[0], pass->scratch,
                                             pass->accumulate);
}

mien_status mien_linear_layer_backward(const mien_node *node, const mien_pass *pass) {
    (void)node;
    if (pass->slope != BODY_LINEAR)
        MIEN_TRY(pass->ops->activation_backward(pass->backend, &pass->dy, &pass->dy, NULL, &pass->y,
                                                pass->slope, pass->alpha, false));
    MIEN_TRY(filter_gradient(pass));
    if (!pass->dx[0].data) return MIEN_OK;
    return pass->ops->linear_backward_data(pass->linear, &pass->dx[0], &pass->dy, pass->params[0],
                                           pass->relu_mask ? &pass->x[0] : NULL, pass->scratch,
                                           pass->dx_accumulate[0]);
}
