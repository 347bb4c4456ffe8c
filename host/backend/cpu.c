/* The CPU backend: oneDNN for convolution and dense, the loops of kernels/cpu for the rest. */
#include "host/backend/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/threads.h"

static mien_ops cpu_ops = {.name = "cpu"};

/* The loops' build for this machine; $MIEN_ISA (v2, v3, v4) asks for a lesser one. */
static const cpu_kernels *choose_kernels(const char **isa) {
    static const struct {
        const char *name;
        const cpu_kernels *kernels;
    } builds[] = {{"v4", &cpu_kernels_v4}, {"v3", &cpu_kernels_v3}, {"v2", &cpu_kernels_v2}};
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    size_t best = v4 ? 0 : (v3 ? 1 : 2);
    const char *wanted = getenv("MIEN_ISA");
    for (size_t i = best; wanted && i < 3; i++)
        if (strcmp(wanted, builds[i].name) == 0) best = i;
    *isa = builds[best].name;
    return builds[best].kernels;
}

static void close_cpu(mien_backend *b) {
    if (!b) return;
    if (b->impl) mien_onednn_close(b->impl);
    mien_free(b->impl);
    mien_free(b);
}

mien_status mien_cpu_open(const mien_backend_options *options, mien_backend **out) {
    mien_backend *b = NULL;
    mien_status status;
    char onednn[64];
    const char *isa;
    mien_cpu_glue_f32(&cpu_ops);
    mien_onednn_linear(&cpu_ops);
    cpu_ops.int8 = &mien_cpu_int8;
    cpu_ops.close = close_cpu;
    MIEN_TRY(mien_new(&b, 1, sizeof *b));
    b->ops = &cpu_ops;
    b->dtype = MIEN_F32;
    mien_cpu *cpu;
    MIEN_GO(mien_new(&b->impl, 1, sizeof(mien_cpu)));
    cpu = b->impl;
    cpu->kernels = choose_kernels(&isa);
    cpu->deterministic = options && options->deterministic;
    const int threads = mien_threads_start(options ? options->threads : 0);
    MIEN_GO(mien_onednn_open(cpu, onednn, sizeof onednn));
    snprintf(b->description, sizeof b->description, "cpu (%s, loops x86-64-%s, %d thread%s)",
             onednn, isa, threads, threads == 1 ? "" : "s");
    *out = b;
    return MIEN_OK;
out:
    close_cpu(b);
    return status;
}
