/* Times by layer: turns the plan's profile into rows. */
#include <stdio.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/base/memory.h"
#include "host/bench/modes.h"

double mien_bench_forward_flops(const mien_plan *plan, int i) {
    const mien_node *node = &plan->graph->nodes[i];
    return node->def->linear && node->def->flops ? node->def->flops(node, node->in) : 0;
}

double mien_bench_backward_flops(const mien_plan *plan, int i) {
    const mien_node *node = &plan->graph->nodes[i];
    const double forward = mien_bench_forward_flops(plan, i);
    if (!plan->training || forward == 0 || !plan->nodes[i].requires_grad) return 0;
    const bool trained = ((const mien_layer_common *)node->attrs)->trainable;
    const bool passes_on = plan->nodes[node->inputs[0]].requires_grad;
    return forward * ((trained ? 1 : 0) + (passes_on ? 1 : 0));
}

double mien_bench_plan_flops(const mien_plan *plan) {
    double sum = 0;
    for (int i = 0; i < plan->graph->count; i++)
        sum += mien_bench_forward_flops(plan, i) + mien_bench_backward_flops(plan, i);
    return sum;
}

/* Bytes per image of the tensors that the pass must read or write, each counted once. */
static double forward_bytes(const mien_plan *plan, const mien_node *node) {
    const mien_node *result = &plan->graph->nodes[mien_plan_written(plan, node->index)];
    double bytes = (double)mien_dtype_bytes(plan->nodes[node->index].value.dtype) *
                   (double)mien_shape_sample(result->out);
    for (int k = 0; k < mien_plan_operands(plan, node->index); k++) {
        const int from = mien_plan_operand(plan, node->index, k);
        bytes += (double)mien_dtype_bytes(plan->nodes[from].value.dtype) *
                 (double)mien_shape_sample(plan->graph->nodes[from].out);
    }
    return bytes + (double)(mien_index_bytes(result) * mien_shape_sample(result->out));
}

static double backward_bytes(const mien_plan *plan, const mien_node *node) {
    const mien_node *result = &plan->graph->nodes[mien_plan_written(plan, node->index)];
    const double element = (double)mien_dtype_bytes(plan->backend->dtype);
    double inputs = 0, out = element * (double)mien_shape_sample(result->out);
    for (int k = 0; k < node->input_count; k++)
        inputs += element * (double)mien_shape_sample(node->in[k]);
    double bytes = out;
    for (int k = 0; k < mien_plan_operands(plan, node->index); k++) {
        const int to = mien_plan_operand(plan, node->index, k);
        if (plan->nodes[to].requires_grad)
            bytes += element * (double)mien_shape_sample(plan->graph->nodes[to].out);
    }
    if (mien_plan_reads_input(plan, node)) bytes += inputs;
    if (node->def->flags & MIEN_NEEDS_OUTPUT) bytes += out;
    return bytes + (double)(mien_index_bytes(result) * mien_shape_sample(result->out));
}

static void write_layer(const mien_plan *plan, int i, double images, double steps,
                        mien_bench_layer *row) {
    const mien_node *node = &plan->graph->nodes[i];
    snprintf(row->name, sizeof row->name, "%s", node->name);
    row->class_name = node->def->class_name;
    row->out = node->out;
    row->flat = node->flat;
    row->forward = (mien_bench_pass){.seconds = plan->profile->forward[i] / steps,
                                     .flops = images * mien_bench_forward_flops(plan, i),
                                     .bytes = images * forward_bytes(plan, node)};
    row->backward = (mien_bench_pass){.seconds = plan->profile->backward[i] / steps,
                                      .flops = images * mien_bench_backward_flops(plan, i),
                                      .bytes = images * backward_bytes(plan, node)};
}

/* Rows in the order of the graph; fused layers have none. */
static mien_status write_layers(const mien_plan *plan, double images, int steps,
                                mien_bench_result *result) {
    MIEN_TRY(mien_new(&result->layers, (size_t)plan->graph->count, sizeof *result->layers));
    result->layer_count = 0;
    for (int i = 1; i < plan->graph->count; i++)
        if (plan->profile->forward[i] > 0)
            write_layer(plan, i, images, steps, &result->layers[result->layer_count++]);
    result->layer_steps = steps;
    result->gather = plan->profile->gather / steps;
    result->loss = plan->profile->loss / steps;
    result->update = plan->profile->update / steps;
    return MIEN_OK;
}

mien_status bench_layers(const mien_bench_request *request, mien_plan *plan, double seconds,
                         mien_measured work, void *context, mien_bench_result *result) {
    const size_t nodes = (size_t)plan->graph->count;
    mien_profile profile = {0};
    mien_status status;
    MIEN_GO(work(context)); /* warm-up, without the profile */
    MIEN_GO(mien_new(&profile.forward, nodes, sizeof(double)));
    MIEN_GO(mien_new(&profile.backward, nodes, sizeof(double)));
    plan->profile = &profile;
    int steps = 0;
    for (const double begin = mien_seconds(); steps < 2 || mien_seconds() - begin < seconds;
         steps++) {
        if (request->stop && *request->stop) {
            status = MIEN_FAIL(INTERRUPTED, "interrupted while measuring");
            goto out;
        }
        MIEN_GO(work(context));
    }
    MIEN_GO(mien_plan_profile_read(plan));
    status = write_layers(plan, request->batch, steps, result);
out:
    plan->profile = NULL;
    mien_free(profile.forward);
    mien_free(profile.backward);
    return status;
}
