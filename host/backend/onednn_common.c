/* Shared by f32 and int8 operators: the library itself, memory and format conversions, and the list
 * of batch sizes that an operator is prepared for. */
#include "host/backend/onednn.h"

#include <stdio.h>
#include <string.h>

#include "host/base/threads.h"

mien_status onednn_check(dnnl_status_t status, const char *what, const char *name) {
    if (status == dnnl_success) return MIEN_OK;
    if (status == dnnl_out_of_memory)
        return MIEN_FAIL(NO_MEMORY, "layer '%s': oneDNN ran out of memory for %s", name, what);
    return MIEN_FAIL(DEVICE, "layer '%s': oneDNN failed on %s (status %d)", name, what,
                     (int)status);
}

bool onednn_has(dnnl_cpu_isa_t isa) {
    return (dnnl_get_effective_cpu_isa() & isa) == isa;
}

void mien_onednn_hold_back(mien_isa isa) {
    static const dnnl_cpu_isa_t levels[] = {dnnl_cpu_isa_sse41, dnnl_cpu_isa_avx2,
                                            dnnl_cpu_isa_avx512_core};
    dnnl_set_max_cpu_isa(levels[isa]);
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
    const char *name = "sse4.1";
    for (size_t i = sizeof names / sizeof names[0]; i-- > 0;)
        if (onednn_has(names[i].isa)) name = names[i].name;
    cpu->isa_rank = onednn_has(dnnl_cpu_isa_avx512_core) ? CPU_ISA_AVX512
                    : onednn_has(dnnl_cpu_isa_avx2)      ? CPU_ISA_AVX2
                                                         : CPU_ISA_SSE;
    cpu->block = onednn_has(dnnl_cpu_isa_avx512_core) ? 16 : 8;
    snprintf(version, size, "oneDNN %d.%d.%d %s", v->major, v->minor, v->patch, name);
    dnnl_set_primitive_cache_capacity(0); /* operators are kept here; the cache would hold
                                             duplicates */
    MIEN_TRY(onednn_check(dnnl_engine_create(&cpu->engine, dnnl_cpu, 0), "an engine", "-"));
    return onednn_check(dnnl_stream_create(&cpu->stream, cpu->engine, dnnl_stream_default_flags),
                        "a stream", "-");
}

void mien_onednn_close(mien_cpu *cpu) {
    if (cpu->stream) dnnl_stream_destroy(cpu->stream);
    if (cpu->engine) dnnl_engine_destroy(cpu->engine);
}

bool onednn_moves_stack(const_dnnl_primitive_desc_t pd) {
    const char *name = "";
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
    return strstr(name, ":gemm") != NULL;
}

dnnl_status_t onednn_execute(dnnl_primitive_t primitive, bool moves_stack, dnnl_stream_t stream,
                             int count, const dnnl_exec_arg_t *args) {
    sigset_t signals;
    if (moves_stack) mien_signals_hold(&signals);
    const dnnl_status_t status = dnnl_primitive_execute(primitive, stream, count, args);
    if (moves_stack) mien_signals_release(&signals);
    return status;
}

mien_status onednn_memory(const mien_backend *b, const char *name, const dnnl_memory_desc_t *md,
                          dnnl_memory_t *out) {
    return onednn_check(dnnl_memory_create(out, md, cpu_of(b)->engine, DNNL_MEMORY_NONE),
                        "a memory object", name);
}

mien_status onednn_reorder(const mien_backend *b, const char *name, const dnnl_memory_desc_t *from,
                           const dnnl_memory_desc_t *to, dnnl_primitive_t *out) {
    dnnl_engine_t engine = cpu_of(b)->engine;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&pd, from, engine, to, engine, NULL);
    if (status == dnnl_success) status = dnnl_primitive_create(out, pd);
    if (pd) dnnl_primitive_desc_destroy(pd);
    return onednn_check(status, "a format conversion", name);
}

mien_status onednn_convert(const mien_backend *backend, const char *name,
                           const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to,
                           const void *src, void *dst) {
    dnnl_stream_t stream = cpu_of(backend)->stream;
    dnnl_memory_t a = NULL, b = NULL;
    dnnl_primitive_t reorder = NULL;
    mien_status status;
    MIEN_GO(onednn_reorder(backend, name, from, to, &reorder));
    MIEN_GO(onednn_memory(backend, name, from, &a));
    MIEN_GO(onednn_memory(backend, name, to, &b));
    dnnl_memory_set_data_handle(a, (void *)src); /* oneDNN's API has no const; it only reads */
    dnnl_memory_set_data_handle(b, dst);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, a}, {DNNL_ARG_TO, b}};
    MIEN_GO(onednn_check(dnnl_primitive_execute(reorder, stream, 2, args), "a reorder", name));
    status = onednn_check(dnnl_stream_wait(stream), "a reorder", name);
out:
    if (reorder) dnnl_primitive_destroy(reorder);
    if (a) dnnl_memory_destroy(a);
    if (b) dnnl_memory_destroy(b);
    return status;
}

dnnl_status_t onednn_attributes(bool adds, int activation, dnnl_primitive_attr_t *out) {
    dnnl_post_ops_t post = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(out);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    if (status != dnnl_success || !(adds || activation)) return status;
    status = dnnl_post_ops_create(&post);
    if (status == dnnl_success && adds) status = dnnl_post_ops_append_sum(post, 1.0f);
    if (status == dnnl_success && activation == BODY_RELU)
        status = dnnl_post_ops_append_eltwise(post, 1.0f, dnnl_eltwise_relu, 0, 0);
    if (status == dnnl_success && activation == BODY_RELU6)
        status = dnnl_post_ops_append_eltwise(post, 1.0f, dnnl_eltwise_clip, 0, 6);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*out, post);
    if (post) dnnl_post_ops_destroy(post);
    return status;
}

size_t onednn_round_up(size_t bytes) {
    return (bytes + 63) & ~(size_t)63;
}

static char *variant_at(const onednn_variant_kind *kind, void *list, int index) {
    return (char *)list + (size_t)index * kind->size;
}

void *onednn_variant_find(const onednn_variant_kind *kind, void *list, int count, int n) {
    for (int i = 0; i < count; i++) {
        char *variant = variant_at(kind, list, i);
        if (*(const int *)variant == n) return variant;
    }
    return NULL;
}

/* The variant that is to be the last is built, or copied, after the others; then those after the
 * gap move down. */
mien_status onednn_variant_prepare(const onednn_variant_kind *kind, void *list, int *count,
                                   void *op, int n) {
    char *made = variant_at(kind, list, *count);
    char *gap = onednn_variant_find(kind, list, *count, n);
    if (gap) {
        memcpy(made, gap, kind->size);
    } else {
        memset(made, 0, kind->size);
        const mien_status status = kind->build(op, n, made);
        if (status != MIEN_OK) {
            kind->release(made);
            return status;
        }
        if (*count < ONEDNN_VARIANTS) {
            ++*count;
            return MIEN_OK;
        }
        gap = list;
        kind->release(gap);
    }
    memmove(gap, gap + kind->size, (size_t)(made - gap));
    return MIEN_OK;
}
