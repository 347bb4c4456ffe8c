/* Shared by the four pooling layers. Global pooling uses a window as large as the image. */
#include "host/layers/layer.h"

#define F(field) MIEN_FIELD(mien_pool_attrs, field)
const mien_key mien_window_pool_rows[MIEN_WINDOW_POOL_KEYS] = {
    MIEN_COMMON_KEYS(mien_pool_attrs),
    KEY_PAIR("pool_size", F(pool_size), "2", 1, 255, "height and width of a window"),
    KEY_PAIR("strides", F(strides), "0", 0, 255, "vertical and horizontal step; 0: pool_size"),
    KEY_CHOICE(
        "padding", F(padding), "valid", "valid|same",
        "valid: windows stay inside the image; same: clipped windows, output is input / strides"),
};

const mien_key mien_global_pool_rows[MIEN_GLOBAL_POOL_KEYS] = {
    MIEN_COMMON_KEYS(mien_pool_attrs),
    KEY_BOOL("keepdims", F(keepdims), "false", "keep height and width as 1x1"),
};

static bool is_average(const mien_node *node) {
    return (node->def->flags & MIEN_AVERAGES) != 0;
}

mien_status mien_window_pool_infer(mien_node *node, const mien_shape *in, mien_shape *out,
                                   bool *flat) {
    mien_pool_attrs *a = node->attrs;
    mien_pool *p = &a->pool;
    int unused; /* padding at the bottom and right: windows are clipped there */
    for (int i = 0; i < 2; i++)
        if (a->strides[i] == 0) a->strides[i] = a->pool_size[i];
    p->average = is_average(node);
    p->kernel_h = a->pool_size[0];
    p->kernel_w = a->pool_size[1];
    p->stride_h = a->strides[0];
    p->stride_w = a->strides[1];
    out->h = mien_conv_axis(in->h, p->kernel_h, p->stride_h, a->padding, &p->pad_top, &unused);
    out->w = mien_conv_axis(in->w, p->kernel_w, p->stride_w, a->padding, &p->pad_left, &unused);
    out->c = in->c;
    *flat = false;
    if (out->h < 1 || out->w < 1)
        return MIEN_FAIL(INVALID, "a window of %dx%d does not fit an image of %dx%d", p->kernel_h,
                         p->kernel_w, in->h, in->w);
    return MIEN_OK;
}

mien_status mien_global_pool_infer(mien_node *node, const mien_shape *in, mien_shape *out,
                                   bool *flat) {
    mien_pool_attrs *a = node->attrs;
    if (!is_average(node) && in->h * in->w > UINT16_MAX)
        return MIEN_FAIL(UNSUPPORTED, "global max pooling supports at most %d pixels", UINT16_MAX);
    a->pool = (mien_pool){.average = is_average(node),
                          .kernel_h = in->h,
                          .kernel_w = in->w,
                          .stride_h = in->h,
                          .stride_w = in->w};
    *out = (mien_shape){1, 1, 1, in->c};
    *flat = !a->keepdims;
    return MIEN_OK;
}

size_t mien_index_bytes(const mien_node *node) {
    if (!(node->def->flags & MIEN_SAVES_INDEX)) return 0;
    return mien_pool_index_bytes(&((const mien_pool_attrs *)node->attrs)->pool);
}

bool mien_pools_adjacent(const mien_node *node) {
    if (mien_index_bytes(node) != 1) return false;
    const mien_pool *p = &((const mien_pool_attrs *)node->attrs)->pool;
    return p->stride_h == p->kernel_h && p->stride_w == p->kernel_w &&
           node->out.h * p->kernel_h <= node->in[0].h && node->out.w * p->kernel_w <= node->in[0].w;
}

/* What is fused with max pooling in this pass. */
static mien_pool_tail tail_of(const mien_pass *pass) {
    return (mien_pool_tail){.relu_mask = pass->relu_mask,
                            .dropout = pass->dropout.rate > 0 ? &pass->dropout : NULL};
}

mien_status mien_pool_layer_forward(const mien_node *node, const mien_pass *pass) {
    const mien_pool *pool = &((const mien_pool_attrs *)node->attrs)->pool;
    const mien_tensor *x = &pass->x[0];
    if (x->dtype == MIEN_U8 || x->dtype == MIEN_I8)
        return pass->ops->int8->max_pool(pass->backend, &pass->y, x, pool);
    const mien_pool_tail tail = tail_of(pass);
    return pass->ops->pool_forward(pass->backend, &pass->y, pass->index, x, pool, &tail);
}

mien_status mien_pool_layer_backward(const mien_node *node, const mien_pass *pass) {
    const mien_pool *pool = &((const mien_pool_attrs *)node->attrs)->pool;
    if (!pass->dx[0].data) return MIEN_OK;
    mien_pool_tail tail = tail_of(pass);
    tail.dbias = pass->dbias_before;
    tail.accumulate_dbias = pass->accumulate;
    return pass->ops->pool_backward(pass->backend, &pass->dx[0], &pass->dy, pass->index, pool,
                                    &tail, pass->dx_accumulate[0]);
}
