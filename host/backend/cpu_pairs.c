/* int8 operators by our own loops over 16-bit pairs (kernels/cpu/int8_direct.c, int8_winograd.c),
 * for CPUs without VNNI. The sums are exact, and what follows them is computed as oneDNN does, so
 * the results have the same bits as on a CPU with VNNI. */
#include "host/backend/onednn_int8.h"

#include "host/base/memory.h"

static cpu_int8 form_of(const mien_int8_linear *op, int n) {
    const mien_linear_desc *d = &op->desc.linear;
    return (cpu_int8){.conv = {.n = n,
                               .ih = d->in.h,
                               .iw = d->in.w,
                               .ic = d->in.c,
                               .oh = d->out.h,
                               .ow = d->out.w,
                               .oc = d->out.c,
                               .window = {d->kernel_h, d->kernel_w, d->stride_h, d->stride_w,
                                          d->pad_top, d->pad_left},
                               .dilation_h = 1,
                               .dilation_w = 1,
                               .groups = 1},
                      .dense = d->dense,
                      .x_signed = op->desc.x == MIEN_I8,
                      .y_signed = op->desc.y == MIEN_I8,
                      .y_real = op->desc.y == MIEN_F32,
                      .relu = d->activation == BODY_RELU,
                      .bias = op->bias,
                      .scale = op->scale};
}

static const cpu_kernels *kernels_of(const mien_int8_linear *op) {
    return cpu_of(op->backend)->kernels;
}

static bool winograd_pays(const mien_linear_desc *d) {
    enum { CHANNELS = 16 };
    return !d->dense && d->kernel_h == 3 && d->kernel_w == 3 && d->stride_h == 1 &&
           d->stride_w == 1 && d->in.c % CHANNELS == 0 &&
           cpu_winograd_waste(d) <= cpu_winograd_most_waste;
}

mien_status cpu_pairs_create(mien_int8_linear *op) {
    const mien_linear_desc *d = &op->desc.linear;
    const mien_int8_linear *from = op->desc.shares;
    if (from) {
        op->scale = from->scale;
        op->direct = from->direct;
        op->winograd = from->winograd;
        op->exact = from->exact;
        return MIEN_OK;
    }
    cpu_int8 form = form_of(op, 1);
    MIEN_TRY(mien_new(&op->scale, (size_t)d->out.c, sizeof *op->scale));
    for (int k = 0; k < d->out.c; k++)
        op->scale[k] = int8_scale(op, k);
    kernels_of(op)->int8_size(&form, 1);
    MIEN_TRY(mien_new_aligned((void **)&op->direct, form.weights * sizeof *op->direct));
    if (!winograd_pays(d)) return MIEN_OK;
    kernels_of(op)->int8_winograd_size(&form, 1);
    return mien_new_aligned((void **)&op->winograd, form.weights * sizeof *op->winograd);
}

void cpu_pairs_free(mien_int8_linear *op) {
    mien_free(op->scale);
    mien_free(op->direct);
    mien_free(op->winograd);
}

void cpu_pairs_prepare(const mien_int8_linear *op, int n, size_t *scratch) {
    cpu_int8 form = form_of(op, n);
    kernels_of(op)->int8_size(&form, int8_threads(op));
    size_t most = form.scratch;
    if (op->winograd) kernels_of(op)->int8_winograd_size(&form, int8_threads(op));
    if (form.scratch > most) most = form.scratch;
    *scratch += most;
}

void cpu_pairs_pack(mien_int8_linear *op) {
    cpu_int8 form = form_of(op, 1);
    kernels_of(op)->int8_size(&form, 1);
    kernels_of(op)->int8_pack(op->direct, op->hwio, &form);
    if (!op->winograd) return;
    kernels_of(op)->int8_winograd_size(&form, 1);
    kernels_of(op)->int8_winograd_pack(op->winograd, op->hwio, &form, &op->exact);
}

void cpu_pairs_run(const mien_int8_linear *op, int n, void *y, const void *x, void *scratch) {
    const cpu_kernels *k = kernels_of(op);
    cpu_int8 form = form_of(op, n);
    if (op->winograd && op->exact) {
        k->int8_winograd_size(&form, int8_threads(op));
        k->int8_winograd(y, x, op->winograd, &form, scratch);
        return;
    }
    k->int8_size(&form, int8_threads(op));
    if (op->desc.linear.dense)
        k->int8_dense(y, x, op->direct, &form, scratch);
    else
        k->int8_direct(y, x, op->direct, &form, scratch);
}
