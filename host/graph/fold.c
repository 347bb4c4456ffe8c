/* Layers that cost nothing in inference. A batch normalisation after a convolution or dense layer
 * scales and shifts each output channel: it is folded into the weights when they are loaded, and
 * the folded bias is stored where the running mean would be. Dropout is the identity. A sum of two
 * values is computed by the linear operator that produces one of them: it adds its result to the
 * buffer that holds the other. */
#include "host/base/memory.h"
#include "host/graph/plan.h"

bool mien_plan_fold(mien_plan *plan, int i) {
    const mien_node *node = &plan->graph->nodes[i];
    const int from = node->inputs[0];
    mien_node_plan *own = &plan->nodes[i], *before = &plan->nodes[from];
    const bool norm = (node->def->flags & MIEN_NORMALISES) && plan->graph->nodes[from].def->linear;
    /* the input's buffer is never written on: a loader fills it once for several passes */
    if (!norm && !((node->def->flags & MIEN_TRAINING_ONLY) && before->fusion.storage != 0))
        return false;
    if (norm) {
        before->fusion.norm = i;
        own->fusion.runner = from;
    }
    own->fusion.skipped = true;
    own->fusion.storage = before->fusion.storage;
    return true;
}

void mien_plan_fold_padding(mien_plan *plan, int i) {
    const mien_node *node = &plan->graph->nodes[i];
    const int from = node->inputs[0];
    const mien_node *padding = &plan->graph->nodes[from];
    mien_linear_desc d;
    if (!padding->def->pads || plan->quant || !mien_plan_linear_desc(plan, i, &d) || d.dense ||
        d.transposed)
        return;
    /* libraries take no padding that a whole window fits into */
    const int *sides = padding->def->pads(padding);
    const int span_h = (d.kernel_h - 1) * mien_linear_dilation_h(&d),
              span_w = (d.kernel_w - 1) * mien_linear_dilation_w(&d);
    if (d.pad_top + sides[0] > span_h || d.pad_bottom + sides[1] > span_h ||
        d.pad_left + sides[2] > span_w || d.pad_right + sides[3] > span_w)
        return;
    plan->nodes[i].fusion.padding = from;
    plan->nodes[from].fusion.skipped = true;
    plan->nodes[from].fusion.storage = plan->nodes[padding->inputs[0]].fusion.storage;
}

/* Have all nodes that read or write the buffer of node `root`, except `consumer`, run before node
 * `limit`? */
static bool finished_before(const mien_plan *plan, int root, int limit, int consumer) {
    for (int i = 0; i < plan->graph->count; i++) {
        const mien_node *node = &plan->graph->nodes[i];
        if (plan->nodes[i].fusion.storage == root && i < consumer &&
            plan->nodes[i].fusion.runner >= limit)
            return false;
        /* nodes before the consumer have been fused: one without a pass reads nothing */
        const mien_fusion *fusion = &plan->nodes[i].fusion;
        const bool later =
            i < consumer ? fusion->runner >= limit && !(fusion->skipped && fusion->runner == i)
                         : i > consumer;
        for (int k = 0; later && k < node->input_count; k++)
            if (plan->nodes[node->inputs[k]].fusion.storage == root) return false;
    }
    return true;
}

/* If the operator that produces input `side` of sum i can add its result to the other input's
 * buffer, makes it do so and returns true. */
static bool adds_onto(mien_plan *plan, int i, int side) {
    const mien_node *node = &plan->graph->nodes[i];
    const int value = node->inputs[side], conv = plan->nodes[value].fusion.runner;
    const int root = plan->nodes[node->inputs[1 - side]].fusion.storage;
    mien_node_plan *own = &plan->nodes[conv];
    mien_linear_desc d;
    if (root == 0 || root == plan->nodes[value].fusion.storage || own->fusion.sums ||
        own->fusion.activation != BODY_LINEAR || mien_plan_consumers(plan->graph, value) != 1 ||
        (value != conv && own->fusion.norm != value) || !mien_plan_linear_desc(plan, conv, &d) ||
        !plan->ops->linear_can_add(plan->backend, &d) || !finished_before(plan, root, conv, i))
        return false;
    own->fusion.sums = true;
    own->fusion.storage = plan->nodes[value].fusion.storage = root;
    plan->nodes[i].fusion.runner = conv;
    plan->nodes[i].fusion.storage = root;
    plan->nodes[i].fusion.skipped = true;
    return true;
}

bool mien_plan_fold_add(mien_plan *plan, int i) {
    const mien_node *node = &plan->graph->nodes[i];
    if (!(node->def->flags & MIEN_SUMS) || node->input_count != 2 || plan->quant ||
        node->inputs[0] == node->inputs[1])
        return false;
    return adds_onto(plan, i, 0) || adds_onto(plan, i, 1);
}

/* Where it is in STATE, in elements. */
static size_t offset_of_bias(const mien_plan *plan, int i) {
    const int norm = plan->nodes[i].fusion.norm;
    return plan->nodes[norm].param[mien_batchnorm_mean(&plan->graph->nodes[norm])];
}

void *mien_plan_folded_bias(const mien_plan *plan, int i) {
    const size_t at = offset_of_bias(plan, i), element = mien_dtype_bytes(plan->backend->dtype);
    return plan->half ? plan->half + (plan->params + at) * element : plan->state + at * element;
}

mien_status mien_plan_folded(const mien_plan *plan, const mien_weights *weights, int i,
                             float *kernel, float *bias) {
    const int norm = plan->nodes[i].fusion.norm;
    const mien_node *node = &plan->graph->nodes[i];
    const size_t c = (size_t)node->out.c, count = mien_shape_count(node->params[0].shape);
    const float *from = mien_weights_get(weights, i, 0);
    const float *own = node->param_count > 1 ? mien_weights_get(weights, i, 1) : NULL;
    float *scale = NULL, *shift;
    MIEN_TRY(mien_new(&scale, 2 * c, sizeof *scale));
    shift = scale + c;
    for (size_t k = 0; k < c; k++)
        scale[k] = 1;
    if (norm)
        mien_batchnorm_affine(&plan->graph->nodes[norm], &weights->items[norm * MIEN_PARAMS_MAX],
                              scale, shift);
    /* output channels are innermost, in every group; in a transposed operator input channels are */
    mien_linear_desc d = {0};
    node->def->linear(node, &d);
    const size_t each = d.transposed ? (size_t)node->in[0].c : 1;
    for (size_t k = 0; k < count; k++)
        kernel[k] = from[k] * scale[k / each % c];
    for (size_t k = 0; k < c; k++)
        bias[k] = (own ? own[k] * scale[k] : 0) + shift[k];
    mien_free(scale);
    return MIEN_OK;
}

/* buffer: space for the kernel followed by the bias */
static mien_status load_folded(mien_plan *plan, const mien_weights *weights, int i, float *buffer) {
    const mien_node *node = &plan->graph->nodes[i];
    const size_t c = (size_t)node->out.c;
    float *bias = buffer + mien_shape_count(node->params[0].shape);
    MIEN_TRY(mien_plan_folded(plan, weights, i, buffer, bias));
    if (plan->nodes[i].int8) return plan->ops->int8->load(plan->nodes[i].int8, buffer, bias);
    const size_t element = mien_dtype_bytes(plan->backend->param_dtype);
    MIEN_TRY(plan->ops->weights_upload(plan->nodes[i].linear,
                                       plan->param + plan->nodes[i].param[0] * element, buffer));
    const mien_tensor t = {{1, 1, 1, (int)c},
                           plan->backend->param_dtype,
                           (int)c,
                           plan->state + offset_of_bias(plan, i) * element};
    return plan->ops->upload(plan->backend, &t, bias);
}

mien_status mien_plan_load_folded(mien_plan *plan, const mien_weights *weights) {
    mien_status status = MIEN_OK;
    for (int i = 0; i < plan->graph->count && status == MIEN_OK; i++) {
        const mien_node *node = &plan->graph->nodes[i];
        float *buffer = NULL;
        if (!plan->nodes[i].fusion.norm && !plan->nodes[i].int8) continue;
        MIEN_TRY(mien_new(&buffer, mien_shape_count(node->params[0].shape) + (size_t)node->out.c,
                          sizeof *buffer));
        status = load_folded(plan, weights, i, buffer);
        mien_free(buffer);
    }
    if (status != MIEN_OK || plan->training || !plan->half) return status;
    char *half = plan->half + plan->params * mien_dtype_bytes(plan->backend->dtype);
    return plan->ops->cast(plan->backend, half, plan->state, plan->states);
}
