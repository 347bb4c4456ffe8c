/* Building convolutions and dense operators with oneDNN 2.x.
 *
 * One operator holds, for every batch size it was prepared for, up to three primitives (forward,
 * data, weights); in training those of a slice of the rows, and of a smaller last one. Activations
 * keep the backend's channel blocks. The weights are stored in one format, the one that the weight
 * gradient (in inference: forward) prefers. A primitive that needs another format of a tensor
 * reorders it through scratch; that is done only where oneDNN would otherwise run its generic code
 * (channels that do not fill blocks), which is a hundred times slower. */
#include "host/backend/onednn.h"

#include <string.h>

#include "host/base/memory.h"
#include "host/base/threads.h"

enum { TYPICAL = 16 }; /* the batch size by which formats are chosen */

static dnnl_format_tag_t tag_of(const mien_linear *op, mien_shape s) {
    const int block = op->backend->ops->channel_block(op->backend, s);
    if (op->desc.dense) return dnnl_nc;
    if (s.c == 1) return dnnl_nchw; /* the same memory, as oneDNN's stem kernels expect */
    return block == 16 ? dnnl_nChw16c : (block == 8 && s.c != 8 ? dnnl_nChw8c : dnnl_nhwc);
}

/* Of the weights and of x as the primitives read them. */
static dnnl_data_type_t factor_type(const mien_linear *op) {
    return op->bf16 ? dnnl_bf16 : dnnl_f32;
}

static mien_status activation_md(const mien_linear *op, mien_shape s, int n, dnnl_data_type_t type,
                                 dnnl_memory_desc_t *md) {
    const dnnl_dims_t dims = {n, s.c, s.h, s.w};
    return onednn_check(
        dnnl_memory_desc_init_by_tag(md, op->desc.dense ? 2 : 4, dims, type, tag_of(op, s)),
        "a memory format", op->desc.name);
}

/* The weights' axes as oneDNN counts them: [groups] out in [h w]. */
static int weight_dims(const mien_linear_desc *d, dnnl_dims_t dims) {
    const int groups = mien_linear_groups(d);
    const dnnl_dims_t whole = {groups, d->out.c / groups, d->in.c / groups, d->kernel_h,
                               d->kernel_w};
    const int rank = d->dense ? 2 : (groups > 1 ? 5 : 4);
    memcpy(dims, groups > 1 ? whole : whole + 1, sizeof *dims * (size_t)rank);
    return rank;
}

static mien_status any_weights(const mien_linear *op, dnnl_memory_desc_t *md) {
    dnnl_dims_t dims;
    const int rank = weight_dims(&op->desc, dims);
    return onednn_check(
        dnnl_memory_desc_init_by_tag(md, rank, dims, factor_type(op), dnnl_format_tag_any),
        "a memory format", op->desc.name);
}

/* The network's format: HWIO, for a dense layer in x out, for a transposed one HWOI. */
static mien_status plain_weights(const mien_linear *op, dnnl_memory_desc_t *md) {
    const mien_linear_desc *d = &op->desc;
    const dnnl_dim_t out = d->out.c, in = d->in.c / mien_linear_groups(d);
    const dnnl_dim_t per_tap = in * out;
    const dnnl_dim_t step_o = d->transposed ? in : 1, step_i = d->transposed ? 1 : out;
    const dnnl_dims_t whole = {out / mien_linear_groups(d), step_o, step_i, per_tap * d->kernel_w,
                               per_tap};
    dnnl_dims_t dims;
    const int rank = weight_dims(d, dims);
    return onednn_check(
        dnnl_memory_desc_init_by_strides(md, rank, dims, dnnl_f32, rank == 5 ? whole : whole + 1),
        "a memory format", d->name);
}

typedef struct formats {
    dnnl_memory_desc_t x, y, w, b;
    dnnl_memory_desc_t our_x;       /* x as the backend stores it */
    const dnnl_memory_desc_t *bias; /* &b or NULL */
} formats;

/* Strides, dilation and padding as oneDNN counts them: a dilation of 0 is none. */
typedef struct windows {
    dnnl_dims_t strides, gaps, before, after;
} windows;

static windows windows_of(const mien_linear_desc *d) {
    return (windows){{d->stride_h, d->stride_w},
                     {mien_linear_dilation_h(d) - 1, mien_linear_dilation_w(d) - 1},
                     {d->pad_top, d->pad_left},
                     {d->pad_bottom, d->pad_right}};
}

static dnnl_status_t conv_desc(const mien_linear *op, mien_direction dir, const formats *f,
                               dnnl_convolution_desc_t *out) {
    const windows w = windows_of(&op->desc);
    const dnnl_prop_kind_t kind =
        op->desc.training ? dnnl_forward_training : dnnl_forward_inference;
    const dnnl_alg_kind_t algorithm = dnnl_convolution_direct;
    switch (dir) {
    case MIEN_FORWARD:
        return dnnl_dilated_convolution_forward_desc_init(out, kind, algorithm, &f->x, &f->w,
                                                          f->bias, &f->y, w.strides, w.gaps,
                                                          w.before, w.after);
    case MIEN_DATA:
        return dnnl_dilated_convolution_backward_data_desc_init(
            out, algorithm, &f->x, &f->w, &f->y, w.strides, w.gaps, w.before, w.after);
    default:
        return dnnl_dilated_convolution_backward_weights_desc_init(
            out, algorithm, &f->x, &f->w, f->bias, &f->y, w.strides, w.gaps, w.before, w.after);
    }
}

static dnnl_status_t transposed_desc(const mien_linear *op, mien_direction dir, const formats *f,
                                     dnnl_deconvolution_desc_t *out) {
    const windows w = windows_of(&op->desc);
    const dnnl_prop_kind_t kind =
        op->desc.training ? dnnl_forward_training : dnnl_forward_inference;
    const dnnl_alg_kind_t algorithm = dnnl_deconvolution_direct;
    switch (dir) {
    case MIEN_FORWARD:
        return dnnl_dilated_deconvolution_forward_desc_init(out, kind, algorithm, &f->x, &f->w,
                                                            f->bias, &f->y, w.strides, w.gaps,
                                                            w.before, w.after);
    case MIEN_DATA:
        return dnnl_dilated_deconvolution_backward_data_desc_init(
            out, algorithm, &f->x, &f->w, &f->y, w.strides, w.gaps, w.before, w.after);
    default:
        return dnnl_dilated_deconvolution_backward_weights_desc_init(
            out, algorithm, &f->x, &f->w, f->bias, &f->y, w.strides, w.gaps, w.before, w.after);
    }
}

static dnnl_status_t dense_desc(const mien_linear *op, mien_direction dir, const formats *f,
                                dnnl_inner_product_desc_t *out) {
    switch (dir) {
    case MIEN_FORWARD:
        return dnnl_inner_product_forward_desc_init(
            out, op->desc.training ? dnnl_forward_training : dnnl_forward_inference, &f->x, &f->w,
            f->bias, &f->y);
    case MIEN_DATA:
        return dnnl_inner_product_backward_data_desc_init(out, &f->x, &f->w, &f->y);
    default:
        return dnnl_inner_product_backward_weights_desc_init(out, &f->x, &f->w, f->bias, &f->y);
    }
}

/* Only ReLU and, in inference, ReLU6 may be fused into a library call (numerics: other functions
 * are our own), and not into a transposed one: there oneDNN 2.x computes the epilogue by generic
 * code. */
int onednn_fused(const mien_linear_desc *d) {
    const bool exact = d->activation == BODY_RELU || (d->activation == BODY_RELU6 && !d->training);
    return exact && !d->transposed ? d->activation : BODY_LINEAR;
}

cpu_epilogue onednn_epilogue(const mien_linear *op, const void *b) {
    const int fused = onednn_fused(&op->desc);
    return (cpu_epilogue){.bias = b,
                          .accumulate = op->desc.adds,
                          .relu = fused != BODY_LINEAR,
                          .relu6 = fused == BODY_RELU6};
}

static dnnl_status_t create_with(const mien_linear *op, mien_direction dir, const formats *f,
                                 dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out) {
    union {
        dnnl_convolution_desc_t conv;
        dnnl_deconvolution_desc_t transposed;
        dnnl_inner_product_desc_t dense;
    } desc;
    dnnl_primitive_attr_t attr = NULL;
    *out = NULL;
    dnnl_status_t status = op->desc.dense        ? dense_desc(op, dir, f, &desc.dense)
                           : op->desc.transposed ? transposed_desc(op, dir, f, &desc.transposed)
                                                 : conv_desc(op, dir, f, &desc.conv);
    const bool forward = dir == MIEN_FORWARD;
    if (status == dnnl_success)
        status = onednn_attributes(forward && op->desc.adds,
                                   forward ? onednn_fused(&op->desc) : BODY_LINEAR, &attr);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(out, &desc, attr, cpu_of(op->backend)->engine, hint);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return status;
}

static mien_status formats_of(const mien_linear *op, int n, formats *f) {
    memset(f, 0, sizeof *f);
    const dnnl_dims_t dims = {op->desc.out.c};
    MIEN_TRY(onednn_check(dnnl_memory_desc_init_by_tag(&f->b, 1, dims, dnnl_f32, dnnl_a),
                          "a memory format", op->desc.name));
    f->bias = op->desc.bias ? &f->b : NULL;
    MIEN_TRY(activation_md(op, op->desc.in, n, dnnl_f32, &f->our_x));
    MIEN_TRY(activation_md(op, op->desc.in, n, factor_type(op), &f->x));
    return activation_md(op, op->desc.out, n, dnnl_f32, &f->y);
}

/* Whether this is oneDNN's slow generic code. A transposed one is named after the convolution that
 * it is made of: "conv:any+…". */
static bool is_reference(const_dnnl_primitive_desc_t pd) {
    const char *name = "";
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
    const char *inner = strchr(name, '+');
    return strncmp(inner ? inner + 1 : name, "ref", 3) == 0;
}

static mien_status any_formats(const mien_linear *op, int n, formats *f) {
    const mien_linear_desc *d = &op->desc;
    const dnnl_dims_t x = {n, d->in.c, d->in.h, d->in.w}, y = {n, d->out.c, d->out.h, d->out.w};
    const int rank = d->dense ? 2 : 4;
    dnnl_status_t status =
        dnnl_memory_desc_init_by_tag(&f->x, rank, x, factor_type(op), dnnl_format_tag_any);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&f->y, rank, y, dnnl_f32, dnnl_format_tag_any);
    return onednn_check(status, "a memory format", d->name);
}

/* Activations as given in `f`, the weights as stored or in any format. True when this gives a
 * primitive that is not generic code; a generic one is kept in *generic. */
static bool try_formats(const mien_linear *op, mien_direction dir, formats f,
                        const dnnl_memory_desc_t *any, const dnnl_memory_desc_t *stored,
                        dnnl_primitive_desc_t *out, dnnl_primitive_desc_t *generic) {
    dnnl_primitive_desc_t hint = NULL;
    bool good = false;
    formats h = f;
    h.w = *any;
    /* the hint for a backward pass is a forward pass of the same kind */
    if (dir != MIEN_FORWARD) create_with(op, MIEN_FORWARD, &h, NULL, &hint);
    for (int own = stored ? 0 : 1; own < 2 && !good; own++) {
        f.w = own ? *any : *stored;
        if (create_with(op, dir, &f, hint, out) != dnnl_success) continue;
        good = !is_reference(*out);
        if (good) break;
        if (*generic)
            dnnl_primitive_desc_destroy(*out);
        else
            *generic = *out;
    }
    if (hint) dnnl_primitive_desc_destroy(hint);
    return good;
}

/* The descriptor for one direction, best first: activations as given, then in any format; generic
 * code last. */
static mien_status describe(const mien_linear *op, mien_direction dir, int n, formats f,
                            const dnnl_memory_desc_t *stored, dnnl_primitive_desc_t *out) {
    static const char *const names[] = {"forward", "the data gradient", "the weight gradient"};
    dnnl_primitive_desc_t generic = NULL;
    dnnl_memory_desc_t any;
    bool good = false;
    MIEN_TRY(any_weights(op, &any));
    for (int moved = 0; moved < 2 && !good; moved++) {
        if (moved && any_formats(op, n, &f) != MIEN_OK) break;
        good = try_formats(op, dir, f, &any, stored, out, &generic);
    }
    if (!good) {
        *out = generic;
        generic = NULL;
    }
    if (generic) dnnl_primitive_desc_destroy(generic);
    return onednn_check(*out ? dnnl_success : dnnl_unimplemented, names[dir], op->desc.name);
}

static mien_status memory_of(const mien_linear *op, const dnnl_memory_desc_t *md,
                             dnnl_memory_t *out) {
    return onednn_memory(op->backend, op->desc.name, md, out);
}

/* Where the primitive's format `own` differs from ours: the reorder into it (`reads`) or out of it.
 */
static mien_status build_side(const mien_linear *op, const dnnl_memory_desc_t *own,
                              const dnnl_memory_desc_t *ours, bool reads, onednn_side *side) {
    if (dnnl_memory_desc_equal(own, ours)) return MIEN_OK;
    side->format = *own;
    side->bytes = onednn_round_up(dnnl_memory_desc_get_size(own));
    return reads ? onednn_reorder(op->backend, op->desc.name, ours, own, &side->reorder)
                 : onednn_reorder(op->backend, op->desc.name, own, ours, &side->reorder);
}

static mien_status build_lane(const mien_linear *op, const formats *f,
                              const dnnl_memory_desc_t *stored, const dnnl_memory_desc_t *pad,
                              const onednn_operation *o, onednn_lane *lane) {
    MIEN_TRY(memory_of(op, stored, &lane->weights));
    MIEN_TRY(memory_of(op, &f->our_x, &lane->x));
    MIEN_TRY(memory_of(op, &f->y, &lane->y));
    MIEN_TRY(memory_of(op, &f->b, &lane->bias));
    MIEN_TRY(memory_of(op, pad, &lane->scratchpad));
    if (o->weights.reorder) MIEN_TRY(memory_of(op, &o->weights.format, &lane->own_weights));
    if (o->x.reorder) MIEN_TRY(memory_of(op, &o->x.format, &lane->own_x));
    return o->y.reorder ? memory_of(op, &o->y.format, &lane->own_y) : MIEN_OK;
}

static const dnnl_memory_desc_t *query(const_dnnl_primitive_desc_t pd, dnnl_query_t what) {
    return dnnl_primitive_desc_query_md(pd, what, 0);
}

static mien_status build_lanes(const mien_linear *op, const formats *f, const dnnl_memory_desc_t *w,
                               const dnnl_memory_desc_t *pad, onednn_operation *o) {
    const int count = onednn_lanes(op);
    MIEN_TRY(mien_new(&o->lanes, (size_t)count, sizeof *o->lanes));
    for (int i = 0; i < count; i++)
        MIEN_TRY(build_lane(op, f, o->weights.reorder ? &op->stored : w, pad, o, &o->lanes[i]));
    return MIEN_OK;
}

static mien_status build(mien_linear *op, mien_direction dir, int n, onednn_operation *out) {
    dnnl_primitive_desc_t pd = NULL;
    formats f;
    MIEN_TRY(formats_of(op, n, &f));
    MIEN_TRY(describe(op, dir, n, f, &op->stored, &pd));
    mien_status status;
    const dnnl_memory_desc_t *w =
        query(pd, dir == MIEN_FILTER ? dnnl_query_diff_weights_md : dnnl_query_weights_md);
    const dnnl_memory_desc_t *x =
        query(pd, dir == MIEN_DATA ? dnnl_query_diff_src_md : dnnl_query_src_md);
    const dnnl_memory_desc_t *y =
        query(pd, dir == MIEN_FORWARD ? dnnl_query_dst_md : dnnl_query_diff_dst_md);
    const dnnl_memory_desc_t *pad = query(pd, dnnl_query_scratchpad_md);
    MIEN_GO(onednn_check(dnnl_primitive_create(&out->primitive, pd), "a primitive", op->desc.name));
    out->moves_stack = onednn_moves_stack(pd);
    out->scratch_bytes = onednn_round_up(dnnl_memory_desc_get_size(pad));
    MIEN_GO(build_side(op, w, &op->stored, dir != MIEN_FILTER, &out->weights));
    MIEN_GO(build_side(op, x, &f.our_x, dir != MIEN_DATA, &out->x));
    MIEN_GO(build_side(op, y, &f.y, dir != MIEN_FORWARD, &out->y));
    if (dir == MIEN_FORWARD && op->desc.adds && out->y.reorder)
        MIEN_GO(MIEN_FAIL(UNSUPPORTED,
                          "layer '%s': oneDNN cannot add to its output for a batch of %d",
                          op->desc.name, n));
    status = build_lanes(op, &f, w, pad, out);
out:
    dnnl_primitive_desc_destroy(pd);
    return status;
}

static void release_lane(const onednn_lane *lane) {
    const dnnl_memory_t all[] = {lane->weights, lane->x,     lane->y,    lane->own_weights,
                                 lane->own_x,   lane->own_y, lane->bias, lane->scratchpad};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i]) dnnl_memory_destroy(all[i]);
}

static void release_operation(onednn_operation *op, int lanes) {
    const dnnl_primitive_t all[] = {op->primitive, op->weights.reorder, op->x.reorder,
                                    op->y.reorder};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i]) dnnl_primitive_destroy(all[i]);
    for (int i = 0; op->lanes && i < lanes; i++)
        release_lane(&op->lanes[i]);
    mien_free(op->lanes);
}

static void release_variant(void *variant) {
    onednn_variant *v = variant;
    for (int dir = 0; dir < MIEN_DIRECTIONS; dir++) {
        release_operation(&v->op[0][dir], v->lanes);
        release_operation(&v->op[1][dir], v->lanes);
    }
    *v = (onednn_variant){0};
}

void onednn_free(mien_linear *op) {
    if (!op) return;
    for (int i = 0; i < op->variant_count; i++)
        release_variant(&op->variants[i]);
    if (!op->desc.shares) mien_free(op->transformed);
    mien_free(op);
}

void onednn_weights_changed(mien_linear *op) {
    op->transformed_for = MIEN_DIRECTIONS;
}

onednn_scratch onednn_scratch_of(const onednn_variant *v, const onednn_operation *o, void *scratch,
                                 int lane) {
    onednn_scratch s = {.pad = (char *)scratch + (size_t)lane * v->lane_bytes};
    s.weights = s.pad + o->scratch_bytes;
    s.x = s.weights + o->weights.bytes;
    s.y = s.x + o->x.bytes;
    s.addend = s.y + o->y.bytes;
    return s;
}

float *onednn_sum_of(const onednn_variant *v, void *scratch, int index) {
    return (float *)((char *)scratch + (size_t)v->lanes * v->lane_bytes +
                     (size_t)index * v->sum_bytes);
}

float *onednn_bias_sum_of(const mien_linear *op, float *sum) {
    return sum + onednn_round_up(onednn_weight_bytes(op)) / sizeof *sum;
}

/* As many slices as there are threads have a weight gradient of their own, and where these are
 * small more of them, so that there is less to wait for. */
static void count_sums(const mien_linear *op, onednn_variant *v) {
    enum { FEW_BYTES = 4 << 20 };
    const int slices = (v->n + v->slice - 1) / v->slice;
    v->sum_bytes = onednn_round_up(onednn_weight_bytes(op)) +
                   onednn_round_up((size_t)op->desc.out.c * sizeof(float));
    const int few = (int)(FEW_BYTES / v->sum_bytes);
    v->sums = few > v->lanes ? few : v->lanes;
    if (v->sums > slices) v->sums = slices;
}

static mien_status build_rows(mien_linear *op, mien_direction dir, int n, onednn_variant *v,
                              onednn_operation *o) {
    MIEN_TRY(build(op, dir, n, o));
    const onednn_scratch s = onednn_scratch_of(v, o, NULL, 0);
    size_t need = (size_t)(s.addend - s.pad);
    if (dir == MIEN_DATA && op->desc.accumulates_dx)
        need += onednn_round_up(mien_shape_sample(op->desc.in) * (size_t)n * sizeof(float));
    if (need > v->lane_bytes) v->lane_bytes = need;
    return MIEN_OK;
}

static mien_status build_direction(mien_linear *op, mien_direction dir, onednn_variant *v) {
    if (op->winograd[dir]) {
        onednn_winograd_form(op, dir, v->n, &v->winograd[dir]);
        return MIEN_OK;
    }
    if (dir != MIEN_FORWARD && !(op->desc.training && (dir == MIEN_FILTER || op->desc.needs_dx)))
        return MIEN_OK;
    if (dir == MIEN_FILTER) count_sums(op, v);
    MIEN_TRY(build_rows(op, dir, v->slice, v, &v->op[0][dir]));
    return v->rest ? build_rows(op, dir, v->rest, v, &v->op[1][dir]) : MIEN_OK;
}

static mien_status build_variant(void *operator, int n, void *variant) {
    mien_linear *op = operator;
    onednn_variant *v = variant;
    v->n = v->slice = n;
    v->lanes = onednn_lanes(op);
    if (op->loops == ONEDNN_STEM) onednn_stem_form(op, n, &v->stem);
    if (op->loops || onednn_is_product(op)) return MIEN_OK;
    if (onednn_slices(op) && op->desc.slice > 0 && op->desc.slice < n) {
        v->slice = op->desc.slice;
        v->rest = n % v->slice;
    }
    /* primitives that one thread runs are built for one */
    const int team = onednn_slices(op) ? mien_threads_limit(1) : 0;
    mien_status status = MIEN_OK;
    for (int dir = 0; dir < MIEN_DIRECTIONS && status == MIEN_OK; dir++)
        status = build_direction(op, (mien_direction)dir, v);
    if (team) mien_threads_limit(team);
    return status;
}

static const onednn_variant_kind kind = {sizeof(onednn_variant), build_variant, release_variant};

onednn_variant *onednn_find(mien_linear *op, int n) {
    return onednn_variant_find(&kind, op->variants, op->variant_count, n);
}

mien_status onednn_prepare(mien_linear *op, int n) {
    return onednn_variant_prepare(&kind, op->variants, &op->variant_count, op, n);
}

static onednn_loops loops_for(const mien_linear *op) {
    if (op->bf16) return ONEDNN_NO_LOOPS;
    return onednn_wants_stem(op)        ? ONEDNN_STEM
           : onednn_wants_pointwise(op) ? ONEDNN_POINTWISE
                                        : ONEDNN_NO_LOOPS;
}

/* The weights are stored in HWIO (in x out) for our own loops, else in the format that oneDNN would
 * choose for a typical batch; it does not depend on the batch sizes used later. */
static mien_status choose_stored(mien_linear *op) {
    const mien_direction dir = op->desc.training ? MIEN_FILTER : MIEN_FORWARD;
    formats f;
    dnnl_primitive_desc_t pd = NULL;
    bool own = false;
    for (int i = 0; i < MIEN_DIRECTIONS; i++)
        own |= op->winograd[i] = !op->bf16 && onednn_wants_winograd(op, (mien_direction)i);
    MIEN_TRY(plain_weights(op, &op->plain));
    op->stored = op->plain;
    op->loops = loops_for(op);
    if (op->loops == ONEDNN_POINTWISE) return onednn_pointwise_create(op);
    if (op->loops) return MIEN_OK;
    MIEN_TRY(formats_of(op, TYPICAL, &f));
    if (own) return onednn_winograd_create(op);
    if (onednn_is_product(op)) return MIEN_OK;
    if (op->desc.shares) {
        op->stored = op->desc.shares->stored;
    } else {
        MIEN_TRY(describe(op, dir, TYPICAL, f, NULL, &pd));
        op->stored =
            *query(pd, dir == MIEN_FILTER ? dnnl_query_diff_weights_md : dnnl_query_weights_md);
        dnnl_primitive_desc_destroy(pd);
    }
    return MIEN_OK;
}

mien_status onednn_create(mien_backend *b, const mien_linear_desc *desc, mien_linear **out) {
    MIEN_TRY(mien_new(out, 1, sizeof **out));
    (*out)->backend = b;
    (*out)->desc = *desc;
    (*out)->bf16 = onednn_wants_bf16(b, desc);
    const int team = onednn_slices(*out) ? mien_threads_limit(1) : 0;
    const mien_status status = choose_stored(*out);
    if (team) mien_threads_limit(team);
    if (status != MIEN_OK) {
        onednn_free(*out);
        *out = NULL;
    }
    return status;
}

/* Whether the forward primitive writes y in our format. */
static bool keeps_y(const mien_linear *op) {
    formats f;
    dnnl_primitive_desc_t pd = NULL;
    const bool known = formats_of(op, TYPICAL, &f) == MIEN_OK &&
                       describe(op, MIEN_FORWARD, TYPICAL, f, NULL, &pd) == MIEN_OK;
    const bool kept = known && dnnl_memory_desc_equal(query(pd, dnnl_query_dst_md), &f.y);
    if (pd) dnnl_primitive_desc_destroy(pd);
    return kept;
}

/* Where y is used in our format; a reordered copy would not contain what y held. */
bool onednn_can_add(const mien_backend *b, const mien_linear_desc *d) {
    const int block = cpu_of(b)->block;
    mien_linear probe = {.backend = (mien_backend *)b, .desc = *d};
    probe.desc.adds = true;
    probe.bf16 = onednn_wants_bf16(b, d);
    if (!probe.bf16 && onednn_wants_pointwise(&probe)) return true;
    if (d->dense || !mien_linear_is_simple(d) || d->in.c % block || d->out.c % block ||
        d->out.h * d->out.w == 1)
        return false;
    return (!probe.bf16 && onednn_wants_winograd(&probe, MIEN_FORWARD)) || keeps_y(&probe);
}

mien_algorithm onednn_algorithm(const mien_linear *op, mien_direction dir) {
    return op->winograd[dir] ? MIEN_WINOGRAD : MIEN_DIRECT;
}

/* In whole floats, in which the plan counts. */
size_t onednn_weight_bytes(const mien_linear *op) {
    const size_t unit = sizeof(float);
    return (dnnl_memory_desc_get_size(&op->stored) + unit - 1) / unit * unit;
}

size_t onednn_scratch_bytes(const mien_linear *op) {
    size_t most = 0;
    for (int i = 0; i < op->variant_count; i++) {
        const onednn_variant *v = &op->variants[i];
        const size_t lanes = v->lane_bytes * (size_t)v->lanes + v->sum_bytes * (size_t)v->sums;
        if (lanes > most) most = lanes;
        if (v->stem.scratch > most) most = v->stem.scratch;
        for (int dir = 0; dir < MIEN_DIRECTIONS; dir++)
            if (v->winograd[dir].scratch > most) most = v->winograd[dir].scratch;
    }
    return most;
}
