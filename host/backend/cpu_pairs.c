/* int8 operators by our own loops over 16-bit pairs: 3x3 convolutions by Winograd's algorithm
 * (kernels/cpu/int8_winograd.c) on every CPU, all others (int8_direct.c) on CPUs without VNNI. The
 * sums are exact, and what follows them is computed as oneDNN does, so the results have the same
 * bits whichever way they come. */
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
                      .pooled = op->desc.pool != NULL,
                      .vnni = op->vnni,
                      .bias = op->bias,
                      .scale = op->scale};
}

static const cpu_kernels *kernels_of(const mien_int8_linear *op) {
    return cpu_of(op->backend)->kernels;
}

/* Without VNNI, all products are of 16 bits, and Winograd's algorithm has a quarter of them. VNNI's
 * of 8 bits are twice as fast: what is left of that gain pays for the transforms only where there
 * are many channels and no tiles beyond the border (docs/int8.md). AMX's are faster still. */
static bool winograd_pays(const mien_linear_desc *d) {
    enum { CHANNELS = 16, VNNI_INPUTS = 32, VNNI_OUTPUTS = 64 };
    static const double vnni_most_waste = 1.1;
    if (d->dense || d->kernel_h != 3 || d->kernel_w != 3 || d->stride_h != 1 || d->stride_w != 1)
        return false;
    if (!onednn_int8_available())
        return d->in.c % CHANNELS == 0 && cpu_winograd_waste(d) <= cpu_winograd_most_waste;
    return !onednn_has(dnnl_cpu_isa_avx512_core_amx) && d->in.c % VNNI_INPUTS == 0 &&
           d->out.c >= VNNI_OUTPUTS && cpu_winograd_waste(d) <= vnni_most_waste;
}

bool cpu_pairs_pools(const mien_linear_desc *d, const mien_pool *p) {
    return winograd_pays(d) && p->kernel_h == 2 && p->kernel_w == 2;
}

static mien_status create_weights(mien_int8_linear *op) {
    cpu_int8 form = form_of(op, 1);
    if (!op->vnni) {
        kernels_of(op)->int8_size(&form, 1);
        MIEN_TRY(mien_new_aligned((void **)&op->direct, form.weights * sizeof *op->direct));
    }
    if (!winograd_pays(&op->desc.linear)) return MIEN_OK;
    kernels_of(op)->int8_winograd_size(&form, 1);
    return mien_new_aligned((void **)&op->winograd, form.weights * sizeof *op->winograd);
}

mien_status cpu_pairs_create(mien_int8_linear *op) {
    const int outputs = op->desc.linear.out.c;
    const mien_int8_linear *from = op->desc.shares;
    if (from) {
        op->scale = from->scale;
        op->direct = from->direct;
        op->winograd = from->winograd;
        op->exact = from->exact;
        return MIEN_OK;
    }
    MIEN_TRY(mien_new(&op->scale, (size_t)outputs, sizeof *op->scale));
    for (int k = 0; k < outputs; k++)
        op->scale[k] = int8_scale(op, k);
    return create_weights(op);
}

void cpu_pairs_free(mien_int8_linear *op) {
    mien_free(op->scale);
    mien_free(op->direct);
    mien_free(op->winograd);
}

size_t cpu_pairs_scratch(const mien_int8_linear *op, int n) {
    cpu_int8 form = form_of(op, n);
    size_t most = 0;
    if (op->direct) {
        kernels_of(op)->int8_size(&form, int8_threads(op));
        most = form.scratch;
    }
    if (op->winograd) {
        kernels_of(op)->int8_winograd_size(&form, int8_threads(op));
        if (form.scratch > most) most = form.scratch;
    }
    return most;
}

void cpu_pairs_pack(mien_int8_linear *op) {
    cpu_int8 form = form_of(op, 1);
    if (op->direct) {
        kernels_of(op)->int8_size(&form, 1);
        kernels_of(op)->int8_pack(op->direct, op->hwio, &form);
    }
    if (op->winograd) {
        kernels_of(op)->int8_winograd_size(&form, 1);
        kernels_of(op)->int8_winograd_pack(op->winograd, op->hwio, &form, &op->exact);
    }
}

/* The transformed weights have eight times the bytes of the original ones. For few tiles, reading
 * them takes longer than VNNI's products. */
bool cpu_pairs_fill_winograd(const mien_int8_linear *op, int n) {
    enum { TILES = 32 };
    const mien_linear_desc *d = &op->desc.linear;
    return !op->vnni || n * cpu_winograd_tiles(d) >= TILES;
}

void cpu_pairs_winograd(const mien_int8_linear *op, int n, void *y, const void *x, void *scratch) {
    cpu_int8 form = form_of(op, n);
    kernels_of(op)->int8_winograd_size(&form, int8_threads(op));
    kernels_of(op)->int8_winograd(y, x, op->winograd, &form, scratch);
}

void cpu_pairs_run(const mien_int8_linear *op, int n, void *y, const void *x, void *scratch) {
    cpu_int8 form = form_of(op, n);
    kernels_of(op)->int8_size(&form, int8_threads(op));
    if (op->desc.linear.dense)
        kernels_of(op)->int8_dense(y, x, op->direct, &form, scratch);
    else
        kernels_of(op)->int8_direct(y, x, op->direct, &form, scratch);
}
