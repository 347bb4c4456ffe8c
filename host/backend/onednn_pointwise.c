/* Pointwise (1x1) convolutions in inference by Mien's own loops (kernels/cpu/pointwise.c) instead
 * of oneDNN primitives. Their weights are in HWIO, with a packed copy. */
#include "host/backend/onednn.h"

#include "host/base/memory.h"

static cpu_pointwise form_of(const mien_linear *op, int n) {
    const mien_linear_desc *d = &op->desc;
    const mien_ops *ops = op->backend->ops;
    cpu_pointwise form = {.n = n,
                          .area = d->out.h * d->out.w,
                          .ic = d->in.c,
                          .oc = d->out.c,
                          .x_block = ops->channel_block(op->backend, d->in),
                          .y_block = ops->channel_block(op->backend, d->out)};
    cpu_of(op->backend)->kernels->pointwise_size(&form);
    return form;
}

/* Where oneDNN would reorder: one side's channels fill blocks, and those of the other do not. Few
 * channels and, with fewer registers, AVX2 gain nothing (ADR 26). */
static bool is_faster(const mien_linear *op) {
    enum { FEWEST = 16, FEWEST_OF_BLOCKS = 64 };
    const mien_cpu *cpu = cpu_of(op->backend);
    const int in = op->desc.in.c, out = op->desc.out.c;
    const bool x_fills = in % cpu->block == 0, y_fills = out % cpu->block == 0;
    return cpu->isa_rank == CPU_ISA_AVX512 && x_fills != y_fills && in >= FEWEST && out >= FEWEST &&
           (x_fills ? in : out) >= FEWEST_OF_BLOCKS;
}

bool onednn_wants_pointwise(const mien_linear *op) {
    const mien_linear_desc *d = &op->desc;
    return !d->training && !d->dense && mien_linear_is_simple(d) && d->kernel_h == 1 &&
           d->kernel_w == 1 && d->stride_h == 1 && d->stride_w == 1 && d->in.h == d->out.h &&
           d->in.w == d->out.w && is_faster(op) && d->out.h * d->out.w >= form_of(op, 1).fewest;
}

/* The packed weights. */
mien_status onednn_pointwise_create(mien_linear *op) {
    if (op->desc.shares) {
        op->transformed = op->desc.shares->transformed;
        return MIEN_OK;
    }
    const cpu_pointwise form = form_of(op, 1);
    return mien_new_aligned((void **)&op->transformed, form.weights * sizeof *op->transformed);
}

void onednn_pointwise_uploaded(mien_linear *op, const void *w) {
    const cpu_pointwise form = form_of(op, 1);
    if (op->loops == ONEDNN_POINTWISE)
        cpu_of(op->backend)->kernels->pointwise_pack(op->transformed, w, &form);
}

void onednn_pointwise_forward(const mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                              const void *b) {
    const cpu_pointwise form = form_of(op, x->shape.n);
    const cpu_epilogue e = onednn_epilogue(op, b);
    cpu_of(op->backend)
        ->kernels->pointwise_forward(y->data, x->data, op->transformed, &form, &e,
                                     onednn_threads(op));
}
