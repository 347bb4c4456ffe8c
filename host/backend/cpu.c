/* The CPU backend: oneDNN for convolution and dense, the loops of kernels/cpu for the rest. */
#include "host/backend/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/threads.h"

static mien_ops cpu_ops = {.name = "cpu"};

static const struct {
    const char *name;
    const cpu_kernels *kernels;
} builds[] = {{"v4", &cpu_kernels_v4}, {"v3", &cpu_kernels_v3}, {"v2", &cpu_kernels_v2}};

/* The loops' build for this machine; $MIEN_ISA (v2, v3, v4) asks for a lesser one. */
static const cpu_kernels *choose_kernels(const char **isa) {
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

/* oneDNN may be held back ($ONEDNN_MAX_CPU_ISA) or not know the CPU: a peak of wider registers than
 * those that compute would be no fair yardstick. */
static void choose_peak(mien_cpu *cpu, const char *loops) {
    const bool avx512 = strstr(cpu->library, "avx512"), avx2 = strstr(cpu->library, "avx2");
    const char *const isa = avx512 ? "v4" : (avx2 ? "v3" : "v2");
    cpu->peak_isa = strcmp(isa, loops) < 0 ? isa : loops;
    for (size_t i = 0; i < sizeof builds / sizeof builds[0]; i++)
        if (strcmp(builds[i].name, cpu->peak_isa) == 0) cpu->peak = builds[i].kernels;
}

static void close_cpu(mien_backend *b) {
    if (!b) return;
    if (b->impl) mien_onednn_close(b->impl);
    if (b->impl) mien_tuning_release(&cpu_of(b)->tuning);
    mien_free(b->impl);
    mien_free(b);
}

mien_status mien_cpu_open(const mien_backend_options *options, mien_backend **out) {
    mien_backend *b = NULL;
    mien_status status;
    const char *isa;
    if (options && options->compute > MIEN_COMPUTE_F32)
        return MIEN_FAIL(UNSUPPORTED, "the CPU computes in f32, not in %s",
                         mien_compute_name(options->compute));
    mien_cpu_glue_f32(&cpu_ops);
    mien_onednn_linear(&cpu_ops);
    cpu_ops.int8 = &mien_cpu_int8;
    cpu_ops.close = close_cpu;
    MIEN_TRY(mien_new(&b, 1, sizeof *b));
    b->ops = &cpu_ops;
    b->dtype = b->param_dtype = MIEN_F32;
    b->compute = MIEN_COMPUTE_F32;
    mien_cpu *cpu;
    MIEN_GO(mien_new(&b->impl, 1, sizeof(mien_cpu)));
    cpu = b->impl;
    cpu->kernels = choose_kernels(&isa);
    cpu->deterministic = options && options->deterministic;
    const int threads = cpu->threads =
        mien_threads_start(options ? options->threads : 0, options && options->pin);
    MIEN_GO(mien_onednn_open(cpu, cpu->library, sizeof cpu->library));
    choose_peak(cpu, isa);
    mien_tuning_start(&cpu->tuning, cpu->library, isa, threads);
    if (!cpu->deterministic) mien_tuning_load(&cpu->tuning);
    snprintf(b->library, sizeof b->library, "%s", cpu->library);
    snprintf(b->description, sizeof b->description, "cpu (%s, loops x86-64-%s, %d thread%s)",
             cpu->library, isa, threads, threads == 1 ? "" : "s");
    *out = b;
    return MIEN_OK;
out:
    close_cpu(b);
    return status;
}
