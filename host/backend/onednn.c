/* Running convolutions and dense operators through oneDNN. Nothing is allocated here. */
#include "host/backend/onednn.h"

#include <omp.h>
#include <stdio.h>

#include "host/base/threads.h"

static dnnl_stream_t stream_of(const mien_linear *op) {
    return cpu_of(op->backend)->stream;
}

static mien_status onednn_upload(mien_linear *op, void *dst, const float *hwio) {
    MIEN_TRY(onednn_convert(op->backend, op->desc.name, &op->plain, &op->stored, hwio, dst));
    onednn_winograd_uploaded(op, dst);
    onednn_pointwise_uploaded(op, dst);
    return MIEN_OK;
}

static mien_status onednn_download(mien_linear *op, float *hwio, const void *src) {
    return onednn_convert(op->backend, op->desc.name, &op->stored, &op->plain, src, hwio);
}

static mien_status ready(mien_linear *op, int n, mien_direction dir, onednn_variant **v) {
    *v = onednn_find(op, n);
    const bool own = op->winograd[dir] || (op->loops && dir != MIEN_DATA) || onednn_is_product(op);
    if (!*v || (!own && !(*v)->op[0][dir].primitive))
        return MIEN_FAIL(INVALID, "layer '%s': not prepared for a batch of %d", op->desc.name, n);
    return MIEN_OK;
}

/* oneDNN's handles are not const; primitives only write what the argument's name says. */
static void bind(dnnl_memory_t memory, const void *data) {
    dnnl_memory_set_data_handle_v2(memory, (void *)data, NULL);
}

static dnnl_status_t move(mien_linear *op, dnnl_primitive_t reorder, dnnl_memory_t from,
                          dnnl_memory_t to) {
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    cpu_of(op->backend)->reorders++;
    return dnnl_primitive_execute(reorder, stream_of(op), 2, args);
}

/* A tensor that the primitive reads: ours, or a copy in its own format at `buffer`. */
static dnnl_status_t read_side(mien_linear *op, const onednn_side *side, dnnl_memory_t ours,
                               dnnl_memory_t own, const void *data, void *buffer) {
    bind(ours, data);
    if (!side->reorder) return dnnl_success;
    bind(own, buffer);
    return move(op, side->reorder, ours, own);
}

/* A tensor that the primitive writes; finish_side converts it to our format afterwards. */
static void write_side(const onednn_side *side, dnnl_memory_t ours, dnnl_memory_t own,
                       const void *data, void *buffer) {
    bind(ours, data);
    if (side->reorder) bind(own, buffer);
}

static dnnl_status_t finish_side(mien_linear *op, const onednn_side *side, dnnl_memory_t ours,
                                 dnnl_memory_t own) {
    return side->reorder ? move(op, side->reorder, own, ours) : dnnl_success;
}

static dnnl_memory_t used(const onednn_side *side, dnnl_memory_t ours, dnnl_memory_t own) {
    return side->reorder ? own : ours;
}

/* A pass over the rows of x and y, in slices where the operator has any. */
typedef struct rows_pass {
    mien_linear *op;
    onednn_variant *v;
    mien_direction dir;
    char *x, *y; /* dx, dy */
    const void *w, *b;
    char *dw, *db; /* where the first slice's gradients go; those of lane k are in its scratch */
    void *scratch;
    bool accumulate;
} rows_pass;

static onednn_operation *operation_of(const rows_pass *p, int slice) {
    return &p->v->op[(slice + 1) * p->v->slice > p->v->n ? 1 : 0][p->dir];
}

static int slices_of(const rows_pass *p) {
    return (p->v->n + p->v->slice - 1) / p->v->slice;
}

static int rows_in(const rows_pass *p, int slice) {
    const int left = p->v->n - slice * p->v->slice;
    return left < p->v->slice ? left : p->v->slice;
}

static char *rows_of(char *data, mien_shape s, const rows_pass *p, int slice) {
    return data + mien_shape_sample(s) * sizeof(float) * (size_t)slice * (size_t)p->v->slice;
}

/* The weights in the format of a slice's primitive, in the scratch of lane 0, for all lanes. */
static dnnl_status_t read_weights(const rows_pass *p, int slice) {
    const onednn_operation *o = operation_of(p, slice);
    const onednn_lane *l = &o->lanes[0];
    return read_side(p->op, &o->weights, l->weights, l->own_weights, p->w,
                     onednn_scratch_of(p->v, o, p->scratch, 0).weights);
}

static void bind_weights(const rows_pass *p, const onednn_operation *o, const onednn_lane *l) {
    bind(l->weights, p->w);
    if (o->weights.reorder) bind(l->own_weights, onednn_scratch_of(p->v, o, p->scratch, 0).weights);
}

static dnnl_status_t forward_slice(const rows_pass *p, int slice, int lane) {
    const onednn_operation *o = operation_of(p, slice);
    const onednn_lane *l = &o->lanes[lane];
    const onednn_scratch s = onednn_scratch_of(p->v, o, p->scratch, lane);
    const char *x = rows_of(p->x, p->op->desc.in, p, slice);
    bind_weights(p, o, l);
    dnnl_status_t status = read_side(p->op, &o->x, l->x, l->own_x, x, s.x);
    write_side(&o->y, l->y, l->own_y, rows_of(p->y, p->op->desc.out, p, slice), s.y);
    bind(l->scratchpad, s.pad);
    if (p->b) bind(l->bias, p->b);
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, used(&o->x, l->x, l->own_x)},
        {DNNL_ARG_WEIGHTS, used(&o->weights, l->weights, l->own_weights)},
        {DNNL_ARG_DST, used(&o->y, l->y, l->own_y)},
        {DNNL_ARG_SCRATCHPAD, l->scratchpad},
        {DNNL_ARG_BIAS, l->bias}};
    if (status == dnnl_success)
        status = onednn_execute(o->primitive, o->moves_stack, stream_of(p->op), p->b ? 5 : 4, args);
    return status == dnnl_success ? finish_side(p->op, &o->y, l->y, l->own_y) : status;
}

static dnnl_status_t data_slice(const rows_pass *p, int slice, int lane) {
    const onednn_operation *o = operation_of(p, slice);
    const onednn_lane *l = &o->lanes[lane];
    const onednn_scratch s = onednn_scratch_of(p->v, o, p->scratch, lane);
    char *x = rows_of(p->x, p->op->desc.in, p, slice);
    const char *y = rows_of(p->y, p->op->desc.out, p, slice);
    bind_weights(p, o, l);
    dnnl_status_t status = read_side(p->op, &o->y, l->y, l->own_y, y, s.y);
    write_side(&o->x, l->x, l->own_x, p->accumulate ? s.addend : x, s.x);
    bind(l->scratchpad, s.pad);
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_DIFF_SRC, used(&o->x, l->x, l->own_x)},
        {DNNL_ARG_WEIGHTS, used(&o->weights, l->weights, l->own_weights)},
        {DNNL_ARG_DIFF_DST, used(&o->y, l->y, l->own_y)},
        {DNNL_ARG_SCRATCHPAD, l->scratchpad}};
    if (status == dnnl_success)
        status = onednn_execute(o->primitive, o->moves_stack, stream_of(p->op), 4, args);
    if (status == dnnl_success) status = finish_side(p->op, &o->x, l->x, l->own_x);
    if (p->accumulate) {
        const int rows = rows_in(p, slice);
        cpu_of(p->op->backend)
            ->kernels->accumulate((float *)x, (const float *)s.addend,
                                  mien_shape_sample(p->op->desc.in) * (size_t)rows);
    }
    return status;
}

/* A slice's gradients of the weights and the bias: the first slice's to dw and db unless they
 * accumulate, the others' to their sums. */
static dnnl_status_t filter_slice(const rows_pass *p, int slice, int lane) {
    const bool first = slice == 0 && !p->accumulate;
    const onednn_operation *o = operation_of(p, slice);
    const onednn_lane *l = &o->lanes[lane];
    const onednn_scratch s = onednn_scratch_of(p->v, o, p->scratch, lane);
    float *sum = onednn_sum_of(p->v, p->scratch, slice % p->v->sums);
    void *bias = onednn_bias_sum_of(p->op, sum);
    write_side(&o->weights, l->weights, l->own_weights, first ? p->dw : (void *)sum, s.weights);
    dnnl_status_t status =
        read_side(p->op, &o->x, l->x, l->own_x, rows_of(p->x, p->op->desc.in, p, slice), s.x);
    if (status == dnnl_success)
        status =
            read_side(p->op, &o->y, l->y, l->own_y, rows_of(p->y, p->op->desc.out, p, slice), s.y);
    bind(l->scratchpad, s.pad);
    if (p->db) bind(l->bias, first ? p->db : bias);
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, used(&o->x, l->x, l->own_x)},
        {DNNL_ARG_DIFF_WEIGHTS, used(&o->weights, l->weights, l->own_weights)},
        {DNNL_ARG_DIFF_DST, used(&o->y, l->y, l->own_y)},
        {DNNL_ARG_SCRATCHPAD, l->scratchpad},
        {DNNL_ARG_DIFF_BIAS, l->bias}};
    if (status == dnnl_success)
        status =
            onednn_execute(o->primitive, o->moves_stack, stream_of(p->op), p->db ? 5 : 4, args);
    return status == dnnl_success ? finish_side(p->op, &o->weights, l->weights, l->own_weights)
                                  : status;
}

typedef dnnl_status_t (*slice_fn)(const rows_pass *p, int slice, int lane);

/* Runs slices [from, to), which the threads take one by one. */
static dnnl_status_t run_slices(const rows_pass *p, slice_fn run, int from, int to) {
    dnnl_status_t worst = dnnl_success;
    if (to - from == 1) return run(p, from, 0);
#pragma omp parallel for schedule(dynamic) num_threads(p->v->lanes) reduction(max : worst)
    for (int i = from; i < to; i++) {
        const dnnl_status_t status = run(p, i, omp_get_thread_num());
        if (status > worst) worst = status;
    }
    return worst;
}

/* Forward or data gradient. The primitive of a smaller last slice may want the weights in another
 * format: it runs after the others. */
static mien_status run_rows(const rows_pass *p, slice_fn run, const char *what) {
    const int slices = slices_of(p), same = p->v->rest ? slices - 1 : slices;
    dnnl_status_t status = dnnl_success;
    for (int from = 0, to = same; from < slices && status == dnnl_success; from = to, to = slices) {
        status = read_weights(p, from);
        if (status == dnnl_success) status = run_slices(p, run, from, to);
    }
    return onednn_check(status, what, p->op->desc.name);
}

/* Adds elements [at, at + count) of the gradients of slices [from, to) to dw, in order. */
static void add_slices(const rows_pass *p, int from, int to, size_t at, size_t count) {
    const cpu_kernels *k = cpu_of(p->op->backend)->kernels;
    for (int i = from; i < to; i++)
        if (i > 0 || p->accumulate) /* else it is there already */
            k->accumulate((float *)p->dw + at, onednn_sum_of(p->v, p->scratch, i % p->v->sums) + at,
                          count);
}

static void add_bias(const rows_pass *p, int from, int to) {
    for (int i = from; i < to; i++) {
        const float *sum =
            onednn_bias_sum_of(p->op, onednn_sum_of(p->v, p->scratch, i % p->v->sums));
        for (int k = 0; k < p->op->desc.out.c && (i > 0 || p->accumulate); k++)
            ((float *)p->db)[k] += sum[k];
    }
}

static mien_status run_filter(const rows_pass *p) {
    enum { PART = 8192, SMALL = 4 * PART };
    const int slices = slices_of(p);
    const size_t count = onednn_weight_bytes(p->op) / sizeof(float);
    for (int from = 0, to; from < slices; from = to) {
        to = from + p->v->sums < slices ? from + p->v->sums : slices;
        MIEN_TRY(onednn_check(run_slices(p, filter_slice, from, to), "the weight gradient",
                              p->op->desc.name));
        const int team = count > SMALL ? 0 : mien_threads_limit(1);
#pragma omp parallel for schedule(static)
        for (size_t at = 0; at < count; at += PART)
            add_slices(p, from, to, at, count - at < PART ? count - at : PART);
        if (p->db) add_bias(p, from, to);
        if (team) mien_threads_limit(team);
    }
    return MIEN_OK;
}

/* Activations that are not part of the convolution's own epilogue, which applies `fused`. */
static mien_status activate(mien_linear *op, const mien_tensor *y, int fused) {
    const int act = op->desc.activation;
    if (act != BODY_LINEAR && act != fused)
        cpu_of(op->backend)
            ->kernels->activation_forward(y->data, y->data, mien_shape_count(y->shape), act,
                                          op->desc.alpha);
    return MIEN_OK;
}

static mien_status onednn_forward(mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                                  const void *w, const void *b, void *scratch) {
    onednn_variant *v;
    MIEN_TRY(ready(op, x->shape.n, MIEN_FORWARD, &v));
    if (op->winograd[MIEN_FORWARD]) {
        onednn_winograd_forward(op, &v->winograd[MIEN_FORWARD], y, x, w, b, scratch);
    } else if (op->loops == ONEDNN_STEM) {
        onednn_stem_forward(op, &v->stem, y, x, w, b, scratch);
    } else if (op->loops == ONEDNN_POINTWISE) {
        onednn_pointwise_forward(op, y, x, b);
    } else if (onednn_is_product(op)) {
        onednn_dense_forward(op, y, x, w, b);
    } else {
        const rows_pass p = {op,           v,      MIEN_FORWARD, .x = x->data,
                             .y = y->data, .w = w, .b = b,       .scratch = scratch};
        MIEN_TRY(run_rows(&p, forward_slice, "forward"));
    }
    return activate(op, y, onednn_fused(&op->desc));
}

static mien_status onednn_backward_data(mien_linear *op, const mien_tensor *dx,
                                        const mien_tensor *dy, const void *w,
                                        const mien_tensor *relu_mask, void *scratch,
                                        bool accumulate) {
    onednn_variant *v;
    MIEN_TRY(ready(op, dx->shape.n, MIEN_DATA, &v));
    if (op->winograd[MIEN_DATA]) {
        onednn_winograd_data(op, &v->winograd[MIEN_DATA], dx, dy, w, relu_mask, scratch,
                             accumulate);
        return MIEN_OK;
    }
    if (onednn_is_product(op)) {
        onednn_dense_data(op, dx, dy, w, accumulate);
    } else {
        const rows_pass p = {op,
                             v,
                             MIEN_DATA,
                             .x = dx->data,
                             .y = dy->data,
                             .w = w,
                             .scratch = scratch,
                             .accumulate = accumulate};
        MIEN_TRY(run_rows(&p, data_slice, "the data gradient"));
    }
    if (relu_mask)
        cpu_of(op->backend)
            ->kernels->activation_backward(dx->data, dx->data, NULL, relu_mask->data,
                                           mien_shape_count(dx->shape), BODY_RELU, 0, false);
    return MIEN_OK;
}

static mien_status onednn_backward_filter(mien_linear *op, void *dw, void *db,
                                          const mien_tensor *dy, const mien_tensor *x,
                                          void *scratch, bool accumulate) {
    onednn_variant *v;
    MIEN_TRY(ready(op, x->shape.n, MIEN_FILTER, &v));
    if (op->winograd[MIEN_FILTER]) {
        onednn_winograd_filter(op, &v->winograd[MIEN_FILTER], dw, db, dy, x, scratch, accumulate);
        return MIEN_OK;
    }
    if (op->loops == ONEDNN_STEM) {
        onednn_stem_filter(op, &v->stem, dw, db, dy, x, scratch, accumulate);
        return MIEN_OK;
    }
    if (onednn_is_product(op)) {
        onednn_dense_filter(op, dw, db, dy, x, accumulate);
        return MIEN_OK;
    }
    const rows_pass p = {op,
                         v,
                         MIEN_FILTER,
                         .x = x->data,
                         .y = dy->data,
                         .dw = dw,
                         .db = db,
                         .scratch = scratch,
                         .accumulate = accumulate};
    return run_filter(&p);
}

static void onednn_engine(const mien_linear *op, mien_direction direction, char *text,
                          size_t size) {
    snprintf(text, size, "%s", mien_algorithm_name(onednn_algorithm(op, direction)));
}

void mien_onednn_linear(mien_ops *ops) {
    ops->linear_create = onednn_create;
    ops->linear_free = onednn_free;
    ops->linear_prepare = onednn_prepare;
    ops->linear_can_add = onednn_can_add;
    ops->linear_algorithm = onednn_algorithm;
    ops->linear_engine = onednn_engine;
    ops->linear_weight_bytes = onednn_weight_bytes;
    ops->linear_scratch_bytes = onednn_scratch_bytes;
    ops->linear_weights_changed = onednn_weights_changed;
    ops->linear_weights_for = onednn_winograd_weights_for;
    ops->weights_upload = onednn_upload;
    ops->weights_download = onednn_download;
    ops->linear_forward = onednn_forward;
    ops->linear_backward_data = onednn_backward_data;
    ops->linear_backward_filter = onednn_backward_filter;
}
