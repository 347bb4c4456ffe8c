/* Running convolutions and dense operators through oneDNN. Nothing is allocated here. */
#include "host/backend/onednn.h"

#include <stdio.h>

static dnnl_stream_t stream_of(const mien_linear *op) {
    return cpu_of(op->backend)->stream;
}

static mien_status onednn_upload(mien_linear *op, void *dst, const float *hwio) {
    MIEN_TRY(onednn_convert(op->backend, op->desc.name, &op->plain, &op->stored, hwio, dst));
    onednn_winograd_uploaded(op, dst);
    return MIEN_OK;
}

static mien_status onednn_download(mien_linear *op, float *hwio, const void *src) {
    return onednn_convert(op->backend, op->desc.name, &op->stored, &op->plain, src, hwio);
}

static mien_status ready(mien_linear *op, int n, mien_direction dir, onednn_variant **v) {
    *v = onednn_find(op, n);
    const bool own = op->winograd[dir] || (op->stem && dir != MIEN_DATA);
    if (!*v || (!own && !(*v)->op[dir].primitive))
        return MIEN_FAIL(INVALID, "layer '%s': not prepared for a batch of %d", op->desc.name, n);
    return MIEN_OK;
}

/* oneDNN's handles are not const; primitives only write what the argument's name says. */
static void bind(dnnl_memory_t memory, const void *data) {
    dnnl_memory_set_data_handle_v2(memory, (void *)data, NULL);
}

static mien_status move(mien_linear *op, dnnl_primitive_t reorder, dnnl_memory_t from,
                        dnnl_memory_t to) {
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    cpu_of(op->backend)->reorders++;
    return onednn_check(dnnl_primitive_execute(reorder, stream_of(op), 2, args), "a reorder",
                        op->desc.name);
}

/* A tensor that the primitive reads: ours, or a copy in its own format at *buffer, which advances.
 */
static mien_status read_side(mien_linear *op, onednn_side *side, dnnl_memory_t ours,
                             const void *data, char **buffer, dnnl_memory_t *use) {
    bind(ours, data);
    *use = side->reorder ? side->memory : ours;
    if (!side->reorder) return MIEN_OK;
    bind(side->memory, *buffer);
    *buffer += side->bytes;
    return move(op, side->reorder, ours, side->memory);
}

/* A tensor that the primitive writes; finish_side converts it to our format afterwards. */
static void write_side(onednn_side *side, dnnl_memory_t ours, const void *data, char **buffer,
                       dnnl_memory_t *use) {
    bind(ours, data);
    *use = side->reorder ? side->memory : ours;
    if (!side->reorder) return;
    bind(side->memory, *buffer);
    *buffer += side->bytes;
}

static mien_status finish_side(mien_linear *op, onednn_side *side, dnnl_memory_t ours) {
    return side->reorder ? move(op, side->reorder, side->memory, ours) : MIEN_OK;
}

/* The memory object of the stored weights: an operation that uses their format has its own. */
static dnnl_memory_t stored_of(mien_linear *op, onednn_operation *o) {
    return o->own_weights ? o->own_weights : op->stored_memory;
}

static mien_status execute(mien_linear *op, onednn_operation *o, const dnnl_exec_arg_t *args,
                           int count, const char *what) {
    return onednn_check(dnnl_primitive_execute(o->primitive, stream_of(op), count, args), what,
                        op->desc.name);
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
        return activate(op, y, BODY_RELU);
    }
    if (op->stem) {
        onednn_stem_forward(op, &v->stem, y, x, w, b, scratch);
        return activate(op, y, BODY_RELU);
    }
    onednn_operation *o = &v->op[MIEN_FORWARD];
    char *buffer = (char *)scratch + o->scratch_bytes;
    dnnl_memory_t weights, src, dst;
    MIEN_TRY(read_side(op, &o->weights, stored_of(op, o), w, &buffer, &weights));
    MIEN_TRY(read_side(op, &o->x, v->x, x->data, &buffer, &src));
    write_side(&o->y, v->y, y->data, &buffer, &dst);
    bind(o->scratchpad, scratch);
    if (b) bind(op->bias_memory, b);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, src},
                                    {DNNL_ARG_WEIGHTS, weights},
                                    {DNNL_ARG_DST, dst},
                                    {DNNL_ARG_SCRATCHPAD, o->scratchpad},
                                    {DNNL_ARG_BIAS, op->bias_memory}};
    MIEN_TRY(execute(op, o, args, b ? 5 : 4, "forward"));
    MIEN_TRY(finish_side(op, &o->y, v->y));
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
    onednn_operation *o = &v->op[MIEN_DATA];
    char *buffer = (char *)scratch + o->scratch_bytes;
    float *addend = (float *)(buffer + o->weights.bytes + o->x.bytes + o->y.bytes);
    dnnl_memory_t weights, diff_src, diff_dst;
    MIEN_TRY(read_side(op, &o->weights, stored_of(op, o), w, &buffer, &weights));
    MIEN_TRY(read_side(op, &o->y, v->y, dy->data, &buffer, &diff_dst));
    write_side(&o->x, v->x, accumulate ? addend : dx->data, &buffer, &diff_src);
    bind(o->scratchpad, scratch);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_DIFF_SRC, diff_src},
                                    {DNNL_ARG_WEIGHTS, weights},
                                    {DNNL_ARG_DIFF_DST, diff_dst},
                                    {DNNL_ARG_SCRATCHPAD, o->scratchpad}};
    MIEN_TRY(execute(op, o, args, 4, "the data gradient"));
    MIEN_TRY(finish_side(op, &o->x, v->x));
    if (accumulate)
        cpu_of(op->backend)->kernels->accumulate(dx->data, addend, mien_shape_count(dx->shape));
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
    if (op->stem) {
        onednn_stem_filter(op, &v->stem, dw, db, dy, x, scratch, accumulate);
        return MIEN_OK;
    }
    onednn_operation *o = &v->op[MIEN_FILTER];
    const cpu_kernels *k = cpu_of(op->backend)->kernels;
    char *buffer = (char *)scratch + o->scratch_bytes;
    char *addend = buffer + o->weights.bytes + o->x.bytes + o->y.bytes;
    char *bias_addend = addend + onednn_round_up(onednn_weight_bytes(op));
    dnnl_memory_t weights, src, diff_dst;
    write_side(&o->weights, stored_of(op, o), accumulate ? addend : dw, &buffer, &weights);
    MIEN_TRY(read_side(op, &o->x, v->x, x->data, &buffer, &src));
    MIEN_TRY(read_side(op, &o->y, v->y, dy->data, &buffer, &diff_dst));
    bind(o->scratchpad, scratch);
    if (db) bind(op->bias_memory, accumulate ? (void *)bias_addend : db);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, src},
                                    {DNNL_ARG_DIFF_WEIGHTS, weights},
                                    {DNNL_ARG_DIFF_DST, diff_dst},
                                    {DNNL_ARG_SCRATCHPAD, o->scratchpad},
                                    {DNNL_ARG_DIFF_BIAS, op->bias_memory}};
    MIEN_TRY(execute(op, o, args, db ? 5 : 4, "the weight gradient"));
    MIEN_TRY(finish_side(op, &o->weights, stored_of(op, o)));
    if (accumulate) k->accumulate(dw, (float *)addend, onednn_weight_bytes(op) / sizeof(float));
    if (accumulate && db) k->accumulate(db, (float *)bias_addend, (size_t)op->desc.out.c);
    return MIEN_OK;
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
    ops->weights_upload = onednn_upload;
    ops->weights_download = onednn_download;
    ops->linear_forward = onednn_forward;
    ops->linear_backward_data = onednn_backward_data;
    ops->linear_backward_filter = onednn_backward_filter;
}
