/* Convolution and dense through oneDNN 2.x; the only file that calls it.
 *
 * One operator holds, for every batch size it was prepared for, up to three primitives (forward,
 * data, weights). Activations keep the backend's channel blocks. The weights live in one layout, the
 * one that the weight gradient (in inference: forward) asks for; a primitive that insists on another
 * one reorders them into scratch first. Nothing is allocated while computing. */
#include "host/backend/cpu.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"

#if DNNL_VERSION_MAJOR != 2
#error "oneDNN 2.x is needed (Debian: libdnnl-dev 2.6.3); the API of 3.x differs"
#endif

enum { DIRECTIONS = 3, VARIANTS = 8 };
typedef enum direction { FORWARD, DATA, FILTER } direction;

typedef struct operation {
    dnnl_primitive_t primitive;
    dnnl_memory_t weights, scratchpad; /* the primitive's own formats */
    dnnl_primitive_t reorder;          /* stored weights → `weights`, when they differ */
    size_t weight_bytes;               /* room for the reordered weights; 0 = none */
    size_t scratch_bytes;
} operation;

/* Everything for one batch size. */
typedef struct variant {
    int n;
    dnnl_memory_t x, y;
    operation op[DIRECTIONS];
} variant;

struct mien_linear {
    mien_backend *backend;
    mien_linear_desc desc;
    dnnl_memory_desc_t stored, plain;       /* the weights: as they live here, as HWIO */
    dnnl_memory_t stored_memory, bias_memory;
    variant variants[VARIANTS];
    int variant_count;
};

static mien_status check(dnnl_status_t status, const char *what, const char *name) {
    if (status == dnnl_success) return MIEN_OK;
    if (status == dnnl_out_of_memory)
        return MIEN_FAIL(NO_MEMORY, "layer '%s': oneDNN has no memory for %s", name, what);
    return MIEN_FAIL(DEVICE, "layer '%s': oneDNN cannot do %s (status %d)", name, what, (int)status);
}

mien_status mien_onednn_open(mien_cpu *cpu, char *version, size_t size) {
    static const struct {
        dnnl_cpu_isa_t isa;
        const char *name;
    } names[] = {{dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
                 {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
                 {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
                 {dnnl_cpu_isa_avx512_core, "avx512_core"},
                 {dnnl_cpu_isa_avx2, "avx2"}};
    const dnnl_version_t *v = dnnl_version();
    if (v->major != 2)
        return MIEN_FAIL(UNSUPPORTED, "oneDNN %d.%d is loaded; this build needs 2.x", v->major,
                         v->minor);
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    const char *name = "sse4.1";
    for (size_t i = sizeof names / sizeof names[0]; i-- > 0;)
        if ((isa & names[i].isa) == names[i].isa) name = names[i].name;
    cpu->block = (isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core ? 16 : 8;
    snprintf(version, size, "oneDNN %d.%d.%d %s", v->major, v->minor, v->patch, name);
    dnnl_set_primitive_cache_capacity(0); /* operators are kept here; the cache would hold twins */
    MIEN_TRY(check(dnnl_engine_create(&cpu->engine, dnnl_cpu, 0), "an engine", "-"));
    return check(dnnl_stream_create(&cpu->stream, cpu->engine, dnnl_stream_default_flags),
                 "a stream", "-");
}

void mien_onednn_close(mien_cpu *cpu) {
    if (cpu->stream) dnnl_stream_destroy(cpu->stream);
    if (cpu->engine) dnnl_engine_destroy(cpu->engine);
}

static dnnl_format_tag_t tag_of(const mien_linear *op, mien_shape s) {
    const int block = op->backend->ops->channel_block(op->backend, s);
    if (op->desc.dense) return dnnl_nc;
    if (s.c == 1) return dnnl_nchw; /* the same memory; oneDNN's first-layer kernels look for it */
    return block == 16 ? dnnl_nChw16c : (block == 8 && s.c != 8 ? dnnl_nChw8c : dnnl_nhwc);
}

static mien_status activation_md(const mien_linear *op, mien_shape s, int n,
                                 dnnl_memory_desc_t *md) {
    const dnnl_dims_t dims = {n, s.c, s.h, s.w};
    return check(dnnl_memory_desc_init_by_tag(md, op->desc.dense ? 2 : 4, dims, dnnl_f32,
                                              tag_of(op, s)),
                 "a memory format", op->desc.name);
}

static mien_status weight_md(const mien_linear *op, dnnl_format_tag_t tag, dnnl_memory_desc_t *md) {
    const mien_linear_desc *d = &op->desc;
    const dnnl_dims_t dims = {d->out.c, d->in.c, d->kernel_h, d->kernel_w};
    return check(dnnl_memory_desc_init_by_tag(md, d->dense ? 2 : 4, dims, dnnl_f32, tag),
                 "a memory format", d->name);
}

/* Winograd F(4x4, 3x3) where it is measured to win (docs/performance.md): 3x3, stride 1, whole
 * blocks of 16 channels; for the data gradient only on larger images. */
static bool wants_winograd(const mien_linear *op, direction dir) {
    const mien_linear_desc *d = &op->desc;
    const mien_cpu *cpu = cpu_of(op->backend);
    return !cpu->deterministic && cpu->block == 16 && !d->dense && d->kernel_h == 3 &&
           d->kernel_w == 3 && d->stride_h == 1 && d->stride_w == 1 && d->in.c % 16 == 0 &&
           d->out.c % 16 == 0 && (dir != DATA || d->in.h >= 16);
}

typedef struct formats {
    dnnl_memory_desc_t x, y, w, b;
    const dnnl_memory_desc_t *bias; /* &b or NULL */
} formats;

static dnnl_status_t conv_desc(const mien_linear *op, direction dir, dnnl_alg_kind_t algorithm,
                               const formats *f, dnnl_convolution_desc_t *out) {
    const mien_linear_desc *d = &op->desc;
    const dnnl_dims_t strides = {d->stride_h, d->stride_w}, none = {0, 0};
    const dnnl_dims_t before = {d->pad_top, d->pad_left}, after = {d->pad_bottom, d->pad_right};
    const dnnl_prop_kind_t kind = d->training || algorithm == dnnl_convolution_winograd
                                      ? dnnl_forward_training
                                      : dnnl_forward_inference;
    switch (dir) {
    case FORWARD:
        return dnnl_dilated_convolution_forward_desc_init(out, kind, algorithm, &f->x, &f->w,
                                                          f->bias, &f->y, strides, none, before,
                                                          after);
    case DATA:
        return dnnl_dilated_convolution_backward_data_desc_init(out, algorithm, &f->x, &f->w, &f->y,
                                                                strides, none, before, after);
    default:
        return dnnl_dilated_convolution_backward_weights_desc_init(
            out, algorithm, &f->x, &f->w, f->bias, &f->y, strides, none, before, after);
    }
}

static dnnl_status_t dense_desc(const mien_linear *op, direction dir, const formats *f,
                                dnnl_inner_product_desc_t *out) {
    switch (dir) {
    case FORWARD:
        return dnnl_inner_product_forward_desc_init(
            out, op->desc.training ? dnnl_forward_training : dnnl_forward_inference, &f->x, &f->w,
            f->bias, &f->y);
    case DATA:
        return dnnl_inner_product_backward_data_desc_init(out, &f->x, &f->w, &f->y);
    default:
        return dnnl_inner_product_backward_weights_desc_init(out, &f->x, &f->w, f->bias, &f->y);
    }
}

/* Only ReLU may be fused into a library call (numerics: other functions are our own). */
static dnnl_status_t attributes(const mien_linear *op, direction dir, dnnl_primitive_attr_t *out) {
    dnnl_post_ops_t post = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(out);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && dir == FORWARD && op->desc.activation == BODY_RELU) {
        status = dnnl_post_ops_create(&post);
        if (status == dnnl_success)
            status = dnnl_post_ops_append_eltwise(post, 1.0f, dnnl_eltwise_relu, 0, 0);
        if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*out, post);
        if (post) dnnl_post_ops_destroy(post);
    }
    return status;
}

static dnnl_status_t create_with(const mien_linear *op, direction dir, dnnl_alg_kind_t algorithm,
                                 const formats *f, dnnl_primitive_desc_t hint,
                                 dnnl_primitive_desc_t *out) {
    dnnl_convolution_desc_t conv;
    dnnl_inner_product_desc_t dense;
    dnnl_primitive_attr_t attr = NULL;
    *out = NULL;
    dnnl_status_t status = op->desc.dense ? dense_desc(op, dir, f, &dense)
                                          : conv_desc(op, dir, algorithm, f, &conv);
    if (status == dnnl_success) status = attributes(op, dir, &attr);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(out, op->desc.dense ? (void *)&dense : (void *)&conv,
                                            attr, cpu_of(op->backend)->engine, hint);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return status;
}

/* oneDNN's slow generic code? */
static bool is_reference(const_dnnl_primitive_desc_t pd) {
    const char *name = "";
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
    return strncmp(name, "ref", 3) == 0;
}

/* A primitive descriptor for one direction with the best of: Winograd, direct; the stored weights'
 * format, any format. */
static mien_status describe(const mien_linear *op, direction dir, formats f,
                            const dnnl_memory_desc_t *stored, dnnl_primitive_desc_t *out) {
    const dnnl_alg_kind_t algorithms[] = {dnnl_convolution_winograd, dnnl_convolution_direct};
    dnnl_status_t status = dnnl_unimplemented;
    dnnl_memory_desc_t any;
    MIEN_TRY(weight_md(op, dnnl_format_tag_any, &any));
    for (int a = wants_winograd(op, dir) ? 0 : 1; a < 2; a++) {
        dnnl_primitive_desc_t hint = NULL, fallback = NULL;
        formats h = f;
        h.w = any;
        /* the hint for a backward pass is a forward pass of the same kind; direct always exists */
        if (dir != FORWARD &&
            create_with(op, FORWARD, algorithms[a], &h, NULL, &hint) != dnnl_success)
            create_with(op, FORWARD, dnnl_convolution_direct, &h, NULL, &hint);
        for (int free_format = stored ? 0 : 1; free_format < 2; free_format++) {
            f.w = free_format ? any : *stored;
            status = create_with(op, dir, algorithms[a], &f, hint, out);
            if (status != dnnl_success) continue;
            if (free_format || !is_reference(*out)) break;
            fallback = *out; /* generic code: perhaps another weight format has a fast one */
            status = dnnl_unimplemented;
        }
        if (status != dnnl_success && fallback) {
            *out = fallback;
            status = dnnl_success;
            fallback = NULL;
        }
        if (fallback) dnnl_primitive_desc_destroy(fallback);
        if (hint) dnnl_primitive_desc_destroy(hint);
        if (status == dnnl_success) return MIEN_OK;
    }
    static const char *const names[] = {"forward", "the data gradient", "the weight gradient"};
    return check(status, names[dir], op->desc.name);
}

static mien_status memory_for(const mien_linear *op, const dnnl_memory_desc_t *md,
                              dnnl_memory_t *out) {
    return check(dnnl_memory_create(out, md, cpu_of(op->backend)->engine, DNNL_MEMORY_NONE),
                 "a memory object", op->desc.name);
}

static mien_status create_reorder(const mien_linear *op, const dnnl_memory_desc_t *from,
                                  const dnnl_memory_desc_t *to, dnnl_primitive_t *out) {
    dnnl_engine_t engine = cpu_of(op->backend)->engine;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&pd, from, engine, to, engine, NULL);
    if (status == dnnl_success) status = dnnl_primitive_create(out, pd);
    if (pd) dnnl_primitive_desc_destroy(pd);
    return check(status, "a change of weight format", op->desc.name);
}

static formats formats_of(const mien_linear *op) {
    formats f;
    memset(&f, 0, sizeof f);
    const dnnl_dims_t dims = {op->desc.out.c};
    dnnl_memory_desc_init_by_tag(&f.b, 1, dims, dnnl_f32, dnnl_a);
    return f;
}

static size_t round_up(size_t bytes) {
    return (bytes + 63) & ~(size_t)63;
}

static mien_status build(mien_linear *op, direction dir, const formats *f, operation *out) {
    dnnl_primitive_desc_t pd = NULL;
    MIEN_TRY(describe(op, dir, *f, &op->stored, &pd));
    mien_status status;
    const dnnl_query_t query = dir == FILTER ? dnnl_query_diff_weights_md : dnnl_query_weights_md;
    const dnnl_memory_desc_t *w = dnnl_primitive_desc_query_md(pd, query, 0);
    const dnnl_memory_desc_t *pad = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    MIEN_GO(check(dnnl_primitive_create(&out->primitive, pd), "a primitive", op->desc.name));
    MIEN_GO(memory_for(op, w, &out->weights));
    MIEN_GO(memory_for(op, pad, &out->scratchpad));
    out->scratch_bytes = round_up(dnnl_memory_desc_get_size(pad));
    if (!dnnl_memory_desc_equal(w, &op->stored)) {
        out->weight_bytes = round_up(dnnl_memory_desc_get_size(w));
        if (dir == FILTER)
            MIEN_GO(create_reorder(op, w, &op->stored, &out->reorder));
        else
            MIEN_GO(create_reorder(op, &op->stored, w, &out->reorder));
    }
out:
    dnnl_primitive_desc_destroy(pd);
    return status;
}

static void release_operation(operation *op) {
    if (op->primitive) dnnl_primitive_destroy(op->primitive);
    if (op->reorder) dnnl_primitive_destroy(op->reorder);
    if (op->weights) dnnl_memory_destroy(op->weights);
    if (op->scratchpad) dnnl_memory_destroy(op->scratchpad);
}

static void onednn_free(mien_linear *op) {
    if (!op) return;
    for (int i = 0; i < op->variant_count; i++) {
        variant *v = &op->variants[i];
        for (int dir = 0; dir < DIRECTIONS; dir++)
            release_operation(&v->op[dir]);
        if (v->x) dnnl_memory_destroy(v->x);
        if (v->y) dnnl_memory_destroy(v->y);
    }
    if (op->stored_memory) dnnl_memory_destroy(op->stored_memory);
    if (op->bias_memory) dnnl_memory_destroy(op->bias_memory);
    mien_free(op);
}

static variant *find(mien_linear *op, int n) {
    for (int i = 0; i < op->variant_count; i++)
        if (op->variants[i].n == n) return &op->variants[i];
    return NULL;
}

static mien_status onednn_prepare(mien_linear *op, int n) {
    if (find(op, n)) return MIEN_OK;
    if (op->variant_count == VARIANTS)
        return MIEN_FAIL(UNSUPPORTED, "layer '%s': more than %d batch sizes", op->desc.name,
                         VARIANTS);
    variant *v = &op->variants[op->variant_count++];
    v->n = n;
    formats f = formats_of(op);
    f.bias = op->desc.bias ? &f.b : NULL;
    MIEN_TRY(activation_md(op, op->desc.in, n, &f.x));
    MIEN_TRY(activation_md(op, op->desc.out, n, &f.y));
    MIEN_TRY(memory_for(op, &f.x, &v->x));
    MIEN_TRY(memory_for(op, &f.y, &v->y));
    MIEN_TRY(build(op, FORWARD, &f, &v->op[FORWARD]));
    if (!op->desc.training) return MIEN_OK;
    MIEN_TRY(build(op, FILTER, &f, &v->op[FILTER]));
    return op->desc.needs_dx ? build(op, DATA, &f, &v->op[DATA]) : MIEN_OK;
}

/* The layout in which the weights live is the one that the batch size `n` = 16 would choose; it does
 * not depend on the batch sizes used later. */
static mien_status choose_stored(mien_linear *op) {
    const direction dir = op->desc.training ? FILTER : FORWARD;
    formats f = formats_of(op);
    f.bias = op->desc.bias ? &f.b : NULL;
    dnnl_primitive_desc_t pd = NULL;
    MIEN_TRY(activation_md(op, op->desc.in, 16, &f.x));
    MIEN_TRY(activation_md(op, op->desc.out, 16, &f.y));
    MIEN_TRY(describe(op, dir, f, NULL, &pd));
    op->stored = *dnnl_primitive_desc_query_md(
        pd, dir == FILTER ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    dnnl_primitive_desc_destroy(pd);
    MIEN_TRY(weight_md(op, op->desc.dense ? dnnl_io : dnnl_hwio, &op->plain));
    MIEN_TRY(memory_for(op, &op->stored, &op->stored_memory));
    return memory_for(op, &f.b, &op->bias_memory);
}

static mien_status onednn_create(mien_backend *b, const mien_linear_desc *desc, mien_linear **out) {
    MIEN_TRY(mien_new(out, 1, sizeof **out));
    (*out)->backend = b;
    (*out)->desc = *desc;
    const mien_status status = choose_stored(*out);
    if (status != MIEN_OK) {
        onednn_free(*out);
        *out = NULL;
    }
    return status;
}

static size_t onednn_weight_bytes(const mien_linear *op) {
    return dnnl_memory_desc_get_size(&op->stored);
}

/* Scratch holds, one behind the other: scratchpad | reordered weights | what is to be added. */
static size_t addend_bytes(const mien_linear *op, direction dir, int n) {
    if (dir == DATA && op->desc.accumulates_dx)
        return round_up(mien_shape_sample(op->desc.in) * (size_t)n * sizeof(float));
    if (dir == FILTER && op->desc.accumulates_dw)
        return round_up(onednn_weight_bytes(op)) + round_up((size_t)op->desc.out.c * sizeof(float));
    return 0;
}

static size_t onednn_scratch_bytes(const mien_linear *op) {
    size_t most = 0;
    for (int i = 0; i < op->variant_count; i++)
        for (int dir = 0; dir < DIRECTIONS; dir++) {
            const operation *o = &op->variants[i].op[dir];
            const size_t need = o->scratch_bytes + o->weight_bytes +
                                addend_bytes(op, (direction)dir, op->variants[i].n);
            if (need > most) most = need;
        }
    return most;
}

static mien_status convert(mien_linear *op, const dnnl_memory_desc_t *from,
                           const dnnl_memory_desc_t *to, const void *src, void *dst) {
    dnnl_memory_t a = NULL, b = NULL;
    dnnl_primitive_t reorder = NULL;
    mien_status status;
    MIEN_GO(create_reorder(op, from, to, &reorder));
    MIEN_GO(memory_for(op, from, &a));
    MIEN_GO(memory_for(op, to, &b));
    dnnl_memory_set_data_handle(a, (void *)src); /* oneDNN's API knows no const; it only reads */
    dnnl_memory_set_data_handle(b, dst);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, a}, {DNNL_ARG_TO, b}};
    dnnl_stream_t stream = cpu_of(op->backend)->stream;
    MIEN_GO(check(dnnl_primitive_execute(reorder, stream, 2, args), "a reorder", op->desc.name));
    status = check(dnnl_stream_wait(stream), "a reorder", op->desc.name);
out:
    if (reorder) dnnl_primitive_destroy(reorder);
    if (a) dnnl_memory_destroy(a);
    if (b) dnnl_memory_destroy(b);
    return status;
}

static mien_status onednn_upload(mien_linear *op, void *dst, const float *hwio) {
    return convert(op, &op->plain, &op->stored, hwio, dst);
}

static mien_status onednn_download(mien_linear *op, float *hwio, const void *src) {
    return convert(op, &op->stored, &op->plain, src, hwio);
}

static mien_status ready(mien_linear *op, int n, direction dir, variant **v) {
    *v = find(op, n);
    if (!*v || !(*v)->op[dir].primitive)
        return MIEN_FAIL(INVALID, "layer '%s': not prepared for a batch of %d", op->desc.name, n);
    return MIEN_OK;
}

/* oneDNN's handles are not const; primitives only write what the argument's name says. */
static void bind(dnnl_memory_t memory, const void *data) {
    dnnl_memory_set_data_handle_v2(memory, (void *)data, NULL);
}

/* The weights in the primitive's format: the stored ones, or a reordered copy in scratch. */
static mien_status bind_weights(mien_linear *op, operation *o, const void *w, char *scratch) {
    if (!o->reorder) {
        bind(o->weights, w);
        return MIEN_OK;
    }
    bind(op->stored_memory, w);
    bind(o->weights, scratch + o->scratch_bytes);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, op->stored_memory}, {DNNL_ARG_TO, o->weights}};
    return check(dnnl_primitive_execute(o->reorder, cpu_of(op->backend)->stream, 2, args),
                 "a reorder", op->desc.name);
}

static mien_status execute(mien_linear *op, operation *o, const dnnl_exec_arg_t *args, int count,
                           const char *what) {
    return check(dnnl_primitive_execute(o->primitive, cpu_of(op->backend)->stream, count, args),
                 what, op->desc.name);
}

static mien_status onednn_forward(mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                                  const void *w, const void *b, void *scratch) {
    variant *v;
    MIEN_TRY(ready(op, x->shape.n, FORWARD, &v));
    operation *o = &v->op[FORWARD];
    MIEN_TRY(bind_weights(op, o, w, scratch));
    bind(v->x, x->data);
    bind(v->y, y->data);
    bind(o->scratchpad, scratch);
    if (b) bind(op->bias_memory, b);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, v->x},
                                    {DNNL_ARG_WEIGHTS, o->weights},
                                    {DNNL_ARG_DST, v->y},
                                    {DNNL_ARG_SCRATCHPAD, o->scratchpad},
                                    {DNNL_ARG_BIAS, op->bias_memory}};
    MIEN_TRY(execute(op, o, args, b ? 5 : 4, "forward"));
    const int act = op->desc.activation;
    if (act != BODY_LINEAR && act != BODY_RELU)
        cpu_of(op->backend)
            ->kernels->activation_forward(y->data, y->data, mien_shape_count(y->shape), act,
                                          op->desc.alpha);
    return MIEN_OK;
}

static mien_status onednn_backward_data(mien_linear *op, const mien_tensor *dx,
                                        const mien_tensor *dy, const void *w, void *scratch,
                                        bool accumulate) {
    variant *v;
    MIEN_TRY(ready(op, dx->shape.n, DATA, &v));
    operation *o = &v->op[DATA];
    float *addend = (float *)((char *)scratch + o->scratch_bytes + o->weight_bytes);
    MIEN_TRY(bind_weights(op, o, w, scratch));
    bind(v->x, accumulate ? addend : dx->data);
    bind(v->y, dy->data);
    bind(o->scratchpad, scratch);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_DIFF_SRC, v->x},
                                    {DNNL_ARG_WEIGHTS, o->weights},
                                    {DNNL_ARG_DIFF_DST, v->y},
                                    {DNNL_ARG_SCRATCHPAD, o->scratchpad}};
    MIEN_TRY(execute(op, o, args, 4, "the data gradient"));
    if (accumulate)
        cpu_of(op->backend)->kernels->accumulate(dx->data, addend, mien_shape_count(dx->shape));
    return MIEN_OK;
}

static mien_status onednn_backward_filter(mien_linear *op, void *dw, void *db,
                                          const mien_tensor *dy, const mien_tensor *x,
                                          void *scratch, bool accumulate) {
    variant *v;
    MIEN_TRY(ready(op, x->shape.n, FILTER, &v));
    operation *o = &v->op[FILTER];
    const cpu_kernels *k = cpu_of(op->backend)->kernels;
    char *own = (char *)scratch + o->scratch_bytes, *addend = own + o->weight_bytes;
    char *bias_addend = addend + round_up(onednn_weight_bytes(op));
    void *target = accumulate ? (void *)addend : dw;
    bind(o->weights, o->reorder ? (void *)own : target);
    bind(v->x, x->data);
    bind(v->y, dy->data);
    bind(o->scratchpad, scratch);
    if (db) bind(op->bias_memory, accumulate ? (void *)bias_addend : db);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, v->x},
                                    {DNNL_ARG_DIFF_WEIGHTS, o->weights},
                                    {DNNL_ARG_DIFF_DST, v->y},
                                    {DNNL_ARG_SCRATCHPAD, o->scratchpad},
                                    {DNNL_ARG_DIFF_BIAS, op->bias_memory}};
    MIEN_TRY(execute(op, o, args, db ? 5 : 4, "the weight gradient"));
    if (o->reorder) {
        bind(op->stored_memory, target);
        const dnnl_exec_arg_t move[] = {{DNNL_ARG_FROM, o->weights},
                                        {DNNL_ARG_TO, op->stored_memory}};
        MIEN_TRY(check(dnnl_primitive_execute(o->reorder, cpu_of(op->backend)->stream, 2, move),
                       "a reorder", op->desc.name));
    }
    if (accumulate) k->accumulate(dw, (float *)addend, onednn_weight_bytes(op) / sizeof(float));
    if (accumulate && db) k->accumulate(db, (float *)bias_addend, (size_t)op->desc.out.c);
    return MIEN_OK;
}

void mien_onednn_linear(mien_ops *ops) {
    ops->linear_create = onednn_create;
    ops->linear_free = onednn_free;
    ops->linear_prepare = onednn_prepare;
    ops->linear_weight_bytes = onednn_weight_bytes;
    ops->linear_scratch_bytes = onednn_scratch_bytes;
    ops->weights_upload = onednn_upload;
    ops->weights_download = onednn_download;
    ops->linear_forward = onednn_forward;
    ops->linear_backward_data = onednn_backward_data;
    ops->linear_backward_filter = onednn_backward_filter;
}
