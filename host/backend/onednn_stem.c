/* The stem, i.e. the convolution that reads the image, by Mien's own loops
 * (kernels/cpu/stem_conv.c) instead of oneDNN primitives. Its weights are in HWIO. */
#include "host/backend/onednn.h"

/* Where it measured faster than oneDNN (docs/performance.md): up to four channels, but with AVX-512
 * not three into many. */
static bool is_faster(const mien_cpu *cpu, const mien_linear_desc *d) {
    enum { CHANNELS_MAX = 4 };
    if (cpu->isa_rank == CPU_ISA_AVX512 && d->in.c == 3 && d->out.c > 2 * cpu->block) return false;
    return cpu->isa_rank >= CPU_ISA_AVX2 && d->in.c <= CHANNELS_MAX;
}

/* Conditions: 3x3, stride 1 or, in inference, 2, few input channels, whole blocks of output
 * channels. Only explanations need the image's gradient: an operator with one is left to oneDNN. */
bool onednn_wants_stem(const mien_linear *op) {
    const mien_linear_desc *d = &op->desc;
    const mien_cpu *cpu = cpu_of(op->backend);
    const int most_stride = d->training ? 1 : 2;
    cpu_stem probe = {.ic = 1, .oc = cpu->block, .oh = 1, .ow = 1, .stride = 1};
    cpu->kernels->stem_size(&probe, 1);
    return is_faster(cpu, d) && probe.lanes == cpu->block && !d->dense &&
           mien_linear_is_simple(d) && !d->needs_dx && d->kernel_h == 3 && d->kernel_w == 3 &&
           d->stride_h == d->stride_w && d->stride_h <= most_stride && d->out.c % cpu->block == 0;
}

void onednn_stem_form(const mien_linear *op, int n, cpu_stem *form) {
    const mien_linear_desc *d = &op->desc;
    *form = (cpu_stem){.n = n,
                       .ih = d->in.h,
                       .iw = d->in.w,
                       .ic = d->in.c,
                       .oh = d->out.h,
                       .ow = d->out.w,
                       .oc = d->out.c,
                       .stride = d->stride_h,
                       .pad_top = d->pad_top,
                       .pad_left = d->pad_left,
                       .slice = d->slice};
    cpu_of(op->backend)->kernels->stem_size(form, onednn_threads(op));
}

void onednn_stem_forward(const mien_linear *op, const cpu_stem *form, const mien_tensor *y,
                         const mien_tensor *x, const void *w, const void *b, void *scratch) {
    const cpu_epilogue e = onednn_epilogue(op, b);
    cpu_of(op->backend)->kernels->stem_forward(y->data, x->data, w, form, &e, scratch);
}

void onednn_stem_filter(const mien_linear *op, const cpu_stem *form, void *dw, void *db,
                        const mien_tensor *dy, const mien_tensor *x, void *scratch,
                        bool accumulate) {
    cpu_of(op->backend)->kernels->stem_filter(dw, db, dy->data, x->data, form, accumulate, scratch);
}
