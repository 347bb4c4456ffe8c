#include "host/bench/peak.h"

#include <string.h>

#include "host/backend/cpu.h"
#include "host/base/clock.h"

enum { COPIES = 6 };
static const double window = 0.2;
static const size_t copy_floats = 16u << 20;

static const mien_cpu *cpu_or_null(const mien_backend *b) {
    return strcmp(b->ops->name, "cpu") == 0 ? cpu_of(b) : NULL;
}

/* Runs the loop once; returns its seconds. */
static double loop(const mien_cpu *cpu, long long rounds, double *flops) {
    float sink = 0.75f;
    const double begin = mien_seconds();
    cpu->peak->peak_multiply_add(&sink, rounds, flops);
    return mien_seconds() - begin;
}

mien_status mien_peak_window(void *context) {
    mien_peak *peak = context;
    const mien_cpu *cpu = cpu_or_null(peak->backend);
    double flops;
    if (!cpu) return MIEN_OK;
    if (!peak->rounds) {
        double seconds = 0;
        for (peak->rounds = 1 << 12; seconds < window / 10; peak->rounds *= 2)
            seconds = loop(cpu, peak->rounds, &flops);
        peak->rounds = (long long)((double)peak->rounds / 2 * window / seconds);
    }
    const double seconds = loop(cpu, peak->rounds, &flops);
    if (flops / seconds > peak->flops_per_second) peak->flops_per_second = flops / seconds;
    peak->windows++;
    return MIEN_OK;
}

const char *mien_peak_isa(const mien_backend *backend) {
    const mien_cpu *cpu = cpu_or_null(backend);
    return cpu ? cpu->peak_isa : NULL;
}

mien_status mien_copy_bandwidth(mien_backend *b, double *bytes_per_second) {
    const mien_cpu *cpu = cpu_or_null(b);
    void *from = NULL, *to = NULL;
    mien_status status;
    *bytes_per_second = 0;
    if (!cpu) return MIEN_OK;
    MIEN_GO(b->ops->alloc(b, copy_floats * sizeof(float), &from));
    MIEN_GO(b->ops->alloc(b, copy_floats * sizeof(float), &to));
    for (int i = 0; i < COPIES; i++) {
        const double begin = mien_seconds();
        cpu->kernels->peak_copy(to, from, copy_floats);
        const double rate = 2.0 * (double)(copy_floats * sizeof(float)) / (mien_seconds() - begin);
        if (rate > *bytes_per_second) *bytes_per_second = rate;
    }
out:
    if (from) b->ops->free(b, from);
    if (to) b->ops->free(b, to);
    return status;
}
