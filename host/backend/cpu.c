/* The CPU backend: oneDNN for convolution and dense, the loops of kernels/cpu for the rest. */
#include "host/backend/cpu.h"

#include <stdio.h>

#include "host/backend/isa.h"
#include "host/base/memory.h"
#include "host/base/threads.h"

static const cpu_kernels *const builds[MIEN_ISA_COUNT] = {&cpu_kernels_v2, &cpu_kernels_v3,
                                                          &cpu_kernels_v4};

/* oneDNN may be limited ($ONEDNN_MAX_CPU_ISA) or not know the CPU: the peak of wider registers than
 * it uses would not be a fair reference. */
static void choose_peak(mien_cpu *cpu, mien_isa loops) {
    const mien_isa library = cpu->isa_rank == CPU_ISA_AVX512 ? MIEN_ISA_V4
                             : cpu->isa_rank == CPU_ISA_AVX2 ? MIEN_ISA_V3
                                                             : MIEN_ISA_V2;
    const mien_isa lower = library < loops ? library : loops;
    cpu->peak_isa = mien_isa_name(lower);
    cpu->peak = builds[lower];
}

static void close_cpu(mien_backend *b) {
    if (!b) return;
    if (b->impl) mien_onednn_close(b->impl);
    if (b->impl) mien_tuning_release(&cpu_of(b)->tuning);
    mien_free(b->impl);
    mien_free(b);
}

/* Half-precision copies are for inference; other precisions are the GPU's. */
static mien_status check_compute(mien_compute compute, const mien_backend_options *options) {
    if (compute == MIEN_COMPUTE_F32) return MIEN_OK;
    if (compute != MIEN_COMPUTE_BF16 || options->training)
        return MIEN_FAIL(UNSUPPORTED, "the CPU computes in f32%s, not in %s",
                         options->training ? " when it trains" : "", mien_compute_name(compute));
    if (!mien_onednn_has_bf16())
        return MIEN_FAIL(INVALID, "bf16 needs a CPU with AVX512-BF16 or AMX, which this one lacks: "
                                  "use f32");
    return MIEN_OK;
}

mien_status mien_cpu_open(const mien_backend_options *options, mien_backend **out) {
    mien_backend *b = NULL;
    mien_status status;
    mien_isa isa;
    bool held_back;
    const mien_compute compute = options && options->compute ? options->compute : MIEN_COMPUTE_F32;
    MIEN_TRY(mien_isa_choose(&isa, &held_back));
    if (held_back) mien_onednn_hold_back(isa);
    MIEN_TRY(check_compute(compute, options));
    MIEN_TRY(mien_new(&b, 1, sizeof *b));
    b->dtype = b->param_dtype = MIEN_F32;
    b->compute = compute;
    mien_cpu *cpu;
    MIEN_GO(mien_new(&b->impl, 1, sizeof(mien_cpu)));
    cpu = b->impl;
    cpu->ops = (mien_ops){.name = "cpu", .int8 = &mien_cpu_int8, .close = close_cpu};
    mien_cpu_glue_f32(&cpu->ops);
    mien_onednn_linear(&cpu->ops);
    b->ops = &cpu->ops;
    cpu->kernels = builds[isa];
    cpu->deterministic = options && options->deterministic;
    const int threads = cpu->threads =
        mien_threads_start(options ? options->threads : 0, options && options->pin);
    b->team = threads;
    MIEN_GO(mien_onednn_open(cpu, cpu->library, sizeof cpu->library));
    choose_peak(cpu, isa);
    mien_tuning_start(&cpu->tuning, cpu->library, mien_isa_name(isa), threads);
    if (!cpu->deterministic) mien_tuning_load(&cpu->tuning);
    snprintf(b->library, sizeof b->library, "%s", cpu->library);
    const char *precision = compute == MIEN_COMPUTE_BF16 ? ", bf16" : "";
    snprintf(b->arithmetic, sizeof b->arithmetic, "cpu (%s, loops x86-64-%s%s)", cpu->library,
             mien_isa_name(isa), precision);
    snprintf(b->description, sizeof b->description, "cpu (%s, loops x86-64-%s%s, %d thread%s)",
             cpu->library, mien_isa_name(isa), precision, threads, threads == 1 ? "" : "s");
    *out = b;
    return MIEN_OK;
out:
    close_cpu(b);
    return status;
}
