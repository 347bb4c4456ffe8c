/* int8 convolutions and dense operators by oneDNN 2.x: u8 or s8 activations in NHWC, s8 weights
 * with a scale for each output channel, sums in s32. The library requantises: bias, scale, ReLU,
 * rounding and saturation happen before an int8 (or float) is written. */
#include "host/backend/onednn_int8.h"

#include "host/base/memory.h"

/* Without VNNI, oneDNN adds int8 products with 16-bit saturation, which gives wrong results. */
bool onednn_int8_available(void) {
    return onednn_has(dnnl_cpu_isa_avx512_core_vnni) || onednn_has(dnnl_cpu_isa_avx2_vnni);
}

static const char *name_of(const mien_int8_linear *op) {
    return op->desc.linear.name;
}

static dnnl_data_type_t type_of(mien_dtype dtype) {
    return dtype == MIEN_U8 ? dnnl_u8 : (dtype == MIEN_I8 ? dnnl_s8 : dnnl_f32);
}

static void release_variant(void *variant) {
    int8_variant *v = variant;
    if (v->primitive) dnnl_primitive_destroy(v->primitive);
    dnnl_memory_t const memories[] = {v->x, v->y, v->weights, v->scratchpad};
    for (int i = 0; i < 4; i++)
        if (memories[i]) dnnl_memory_destroy(memories[i]);
    mien_free(v->packed);
    *v = (int8_variant){0};
}

void onednn_int8_free(mien_int8_linear *op) {
    for (int i = 0; i < op->variant_count; i++)
        release_variant(&op->variants[i]);
    if (op->bias_memory) dnnl_memory_destroy(op->bias_memory);
}

static dnnl_status_t attributes(const mien_int8_linear *op, const float *scales,
                                dnnl_primitive_attr_t *out) {
    dnnl_status_t status = onednn_attributes(
        false, op->desc.linear.activation == BODY_RELU ? BODY_RELU : BODY_LINEAR, out);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_output_scales(*out, op->desc.linear.out.c, 1 << 1, scales);
    return status;
}

typedef struct formats {
    dnnl_memory_desc_t x, y, w, b, hwio;
} formats;

static dnnl_status_t formats_of(const mien_int8_linear *op, int n, formats *f) {
    const mien_linear_desc *d = &op->desc.linear;
    const int rank = d->dense ? 2 : 4;
    const dnnl_dims_t x = {n, d->in.c, d->in.h, d->in.w}, y = {n, d->out.c, d->out.h, d->out.w};
    const dnnl_dims_t w = {d->out.c, d->in.c, d->kernel_h, d->kernel_w}, b = {d->out.c};
    const dnnl_format_tag_t tag = d->dense ? dnnl_nc : dnnl_nhwc;
    const dnnl_format_tag_t plain = d->dense ? dnnl_io : dnnl_hwio;
    dnnl_status_t status = dnnl_memory_desc_init_by_tag(&f->x, rank, x, type_of(op->desc.x), tag);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&f->y, rank, y, type_of(op->desc.y), tag);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&f->w, rank, w, dnnl_s8, dnnl_format_tag_any);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&f->hwio, rank, w, dnnl_s8, plain);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&f->b, 1, b, dnnl_f32, dnnl_a);
    return status;
}

static dnnl_status_t describe(const mien_int8_linear *op, const formats *f,
                              dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out) {
    const mien_linear_desc *d = &op->desc.linear;
    const dnnl_dims_t strides = {d->stride_h, d->stride_w}, none = {0, 0};
    const dnnl_dims_t before = {d->pad_top, d->pad_left}, after = {d->pad_bottom, d->pad_right};
    dnnl_convolution_desc_t conv;
    dnnl_inner_product_desc_t dense;
    const dnnl_status_t status =
        d->dense ? dnnl_inner_product_forward_desc_init(&dense, dnnl_forward_inference, &f->x,
                                                        &f->w, &f->b, &f->y)
                 : dnnl_dilated_convolution_forward_desc_init(
                       &conv, dnnl_forward_inference, dnnl_convolution_direct, &f->x, &f->w, &f->b,
                       &f->y, strides, none, before, after);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(out, d->dense ? (void *)&dense : (void *)&conv, attr,
                                      cpu_of(op->backend)->engine, NULL);
}

static mien_status memory_of(const mien_int8_linear *op, const dnnl_memory_desc_t *md,
                             dnnl_memory_t *out) {
    return onednn_memory(op->backend, name_of(op), md, out);
}

static mien_status build(mien_int8_linear *op, const formats *f, dnnl_primitive_desc_t pd,
                         int8_variant *v) {
    const dnnl_memory_desc_t *w = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    const dnnl_memory_desc_t *pad = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    MIEN_TRY(onednn_check(dnnl_primitive_create(&v->primitive, pd), "a primitive", name_of(op)));
    v->moves_stack = onednn_moves_stack(pd);
    MIEN_TRY(memory_of(op, &f->x, &v->x));
    MIEN_TRY(memory_of(op, &f->y, &v->y));
    MIEN_TRY(memory_of(op, w, &v->weights));
    MIEN_TRY(memory_of(op, pad, &v->scratchpad));
    v->scratch_bytes = onednn_round_up(dnnl_memory_desc_get_size(pad));
    if (!op->bias_memory) MIEN_TRY(memory_of(op, &f->b, &op->bias_memory));
    MIEN_TRY(mien_new_aligned(&v->packed, dnnl_memory_desc_get_size(w)));
    return onednn_check(dnnl_memory_set_data_handle_v2(v->weights, v->packed, NULL), "weights",
                        name_of(op));
}

/* Copies op->hwio in the variant's format. */
static mien_status pack(mien_int8_linear *op, int8_variant *v) {
    const dnnl_memory_desc_t *to;
    formats f;
    dnnl_status_t status = formats_of(op, v->n, &f);
    if (status == dnnl_success) status = dnnl_memory_get_memory_desc(v->weights, &to);
    MIEN_TRY(onednn_check(status, "an int8 format conversion", name_of(op)));
    return onednn_convert(op->backend, name_of(op), &f.hwio, to, op->hwio, v->packed);
}

static mien_status build_variant(void *operator, int n, void *variant) {
    mien_int8_linear *op = operator;
    int8_variant *v = variant;
    const size_t c = (size_t)op->desc.linear.out.c;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    float *scales = NULL;
    formats f;
    mien_status status;
    v->n = n;
    MIEN_TRY(mien_new(&scales, c, sizeof *scales));
    for (size_t k = 0; k < c; k++)
        scales[k] = int8_scale(op, (int)k);
    MIEN_GO(onednn_check(formats_of(op, n, &f), "a memory format", name_of(op)));
    MIEN_GO(onednn_check(attributes(op, scales, &attr), "the int8 scales", name_of(op)));
    MIEN_GO(onednn_check(describe(op, &f, attr, &pd), "this shape in int8", name_of(op)));
    MIEN_GO(build(op, &f, pd, v));
    if (op->loaded) MIEN_GO(pack(op, v));
out:
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (attr) dnnl_primitive_attr_destroy(attr);
    mien_free(scales);
    return status;
}

static const onednn_variant_kind kind = {sizeof(int8_variant), build_variant, release_variant};

static int8_variant *find(mien_int8_linear *op, int n) {
    return onednn_variant_find(&kind, op->variants, op->variant_count, n);
}

mien_status onednn_int8_prepare(mien_int8_linear *op, int n, size_t *scratch) {
    MIEN_TRY(onednn_variant_prepare(&kind, op->variants, &op->variant_count, op, n));
    *scratch += find(op, n)->scratch_bytes;
    return MIEN_OK;
}

mien_status onednn_int8_pack(mien_int8_linear *op) {
    for (int i = 0; i < op->variant_count; i++)
        MIEN_TRY(pack(op, &op->variants[i]));
    return MIEN_OK;
}

mien_status onednn_int8_run(mien_int8_linear *op, int n, void *y, const void *x, void *scratch) {
    int8_variant *v = find(op, n);
    if (!v) return MIEN_FAIL(INVALID, "layer '%s': not prepared for a batch of %d", name_of(op), n);
    dnnl_memory_set_data_handle_v2(v->x, (void *)x, NULL); /* oneDNN's API has no const */
    dnnl_memory_set_data_handle_v2(v->y, y, NULL);
    dnnl_memory_set_data_handle_v2(v->scratchpad, scratch, NULL);
    dnnl_memory_set_data_handle_v2(op->bias_memory, op->bias, NULL);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, v->x},
                                    {DNNL_ARG_WEIGHTS, v->weights},
                                    {DNNL_ARG_BIAS, op->bias_memory},
                                    {DNNL_ARG_DST, v->y},
                                    {DNNL_ARG_SCRATCHPAD, v->scratchpad}};
    return onednn_check(
        onednn_execute(v->primitive, v->moves_stack, cpu_of(op->backend)->stream, 5, args),
        "forward", name_of(op));
}
