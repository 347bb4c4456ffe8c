/* Convolutions by Mien's own Winograd loops (kernels/cpu/winograd.c) instead of a oneDNN primitive:
 * which ones, with which sizes, and the calls. Their weights are in HWIO; the transformed weights
 * are kept until the weights change. */
#include "host/backend/onednn.h"

#include "host/base/memory.h"

/* The transformed weights are four times as large as the kernel. Where they do not fit the caches,
 * and are read for a few pixels only, reading them takes longer than the multiplications saved. */
static bool reads_too_much(const mien_linear_desc *d) {
    enum { POINTS = 36, PIXELS = 160 };
    static const double cached = 8 << 20;
    const double bytes = (double)sizeof(float) * POINTS * d->in.c * d->out.c;
    return !d->training && d->rows && bytes > cached && d->rows * d->out.h * d->out.w < PIXELS;
}

/* Weight gradients whose sums the threads share read and write them once for this many slices of a
 * micro-batch; without micro-batches, once for all rows. */
enum { SHARED_SLICES = 2 };

/* A simple 3x3 convolution with stride 1 and whole channel blocks, which are as wide as the loops'
 * vectors. */
bool onednn_can_winograd(const mien_backend *b, const mien_linear_desc *d) {
    const mien_cpu *cpu = cpu_of(b);
    const int block = cpu->block;
    cpu_winograd probe = {.n = 1, .ic = block, .oh = 1, .ow = 1, .oc = block};
    cpu->kernels->winograd_size(&probe, 1);
    return !cpu->deterministic && cpu->isa_rank >= CPU_ISA_AVX2 && probe.lanes == block &&
           !d->dense && mien_linear_is_simple(d) && d->kernel_h == 3 && d->kernel_w == 3 &&
           d->stride_h == 1 && d->stride_w == 1 && d->in.c % block == 0 && d->out.c % block == 0;
}

bool onednn_wants_winograd(const mien_linear *op, mien_direction dir) {
    const mien_linear_desc *d = &op->desc;
    const mien_algorithm asked = d->algorithm[dir];
    if (!onednn_can_winograd(op->backend, d) || asked == MIEN_DIRECT) return false;
    if (asked == MIEN_WINOGRAD) return true;
    const mien_tuned *tuned =
        asked == MIEN_BY_TABLE ? NULL : mien_tuning_find(&cpu_of(op->backend)->tuning, d);
    if (tuned) return tuned->algorithm[dir] == MIEN_WINOGRAD;
    if (reads_too_much(d)) return false;
    return cpu_winograd_waste(d) <= cpu_winograd_most_waste;
}

void onednn_winograd_form(const mien_linear *op, mien_direction dir, int n, cpu_winograd *form) {
    const mien_linear_desc *d = &op->desc;
    const mien_cpu *cpu = cpu_of(op->backend);
    /* the data gradient is a convolution of dy with the rotated weights */
    const bool flipped = dir == MIEN_DATA;
    const mien_shape x = flipped ? d->out : d->in, y = flipped ? d->in : d->out;
    *form = (cpu_winograd){.n = n,
                           .ih = x.h,
                           .iw = x.w,
                           .ic = x.c,
                           .oh = y.h,
                           .ow = y.w,
                           .oc = y.c,
                           .pad_top = flipped ? 2 - d->pad_top : d->pad_top,
                           .pad_left = flipped ? 2 - d->pad_left : d->pad_left,
                           .flipped = flipped,
                           .slice = d->slice,
                           .shared_slice = d->accumulates_dw ? SHARED_SLICES * d->slice : 0};
    if (dir == MIEN_FILTER)
        cpu->kernels->winograd_filter_size(form, onednn_threads(op));
    else
        cpu->kernels->winograd_size(form, onednn_threads(op));
}

/* Allocates the transformed weights; forward and data gradient use the same memory in turn. */
mien_status onednn_winograd_create(mien_linear *op) {
    enum { POINTS = 36 };
    op->transformed_for = MIEN_DIRECTIONS;
    if (op->desc.shares) {
        op->transformed = op->desc.shares->transformed;
        return MIEN_OK;
    }
    return mien_new_aligned((void **)&op->transformed, (size_t)POINTS * (size_t)op->desc.in.c *
                                                           (size_t)op->desc.out.c * sizeof(float));
}

void onednn_winograd_uploaded(mien_linear *op, const void *w) {
    if (op->desc.training) return; /* it may be any array of the weights' format */
    op->transformed_for = MIEN_DIRECTIONS;
    onednn_winograd_weights_for(op, MIEN_FORWARD, w);
}

void onednn_winograd_weights_for(mien_linear *op, mien_direction dir, const void *w) {
    cpu_winograd form;
    if (!op->winograd[dir] || op->transformed_for == (int)dir) return;
    onednn_winograd_form(op, dir, 1, &form);
    cpu_of(op->backend)->kernels->winograd_weights(op->transformed, w, &form);
    op->transformed_for = (int)dir;
}

static const float *transformed(mien_linear *op, mien_direction dir, const void *w) {
    if (!op->desc.shares) onednn_winograd_weights_for(op, dir, w);
    return op->transformed;
}

void onednn_winograd_forward(mien_linear *op, const cpu_winograd *form, const mien_tensor *y,
                             const mien_tensor *x, const void *w, const void *b, void *scratch) {
    const cpu_epilogue e = onednn_epilogue(op, b);
    cpu_of(op->backend)
        ->kernels->winograd_forward(y->data, x->data, transformed(op, MIEN_FORWARD, w), form, &e,
                                    scratch);
}

void onednn_winograd_data(mien_linear *op, const cpu_winograd *form, const mien_tensor *dx,
                          const mien_tensor *dy, const void *w, const mien_tensor *relu_mask,
                          void *scratch, bool accumulate) {
    const cpu_epilogue e = {.relu_mask = relu_mask ? relu_mask->data : NULL,
                            .accumulate = accumulate};
    cpu_of(op->backend)
        ->kernels->winograd_forward(dx->data, dy->data, transformed(op, MIEN_DATA, w), form, &e,
                                    scratch);
}

void onednn_winograd_filter(mien_linear *op, const cpu_winograd *form, void *dw, void *db,
                            const mien_tensor *dy, const mien_tensor *x, void *scratch,
                            bool accumulate) {
    cpu_of(op->backend)
        ->kernels->winograd_filter(dw, db, dy->data, x->data, form, accumulate, scratch);
}
