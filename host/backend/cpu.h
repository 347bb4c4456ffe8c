/* The CPU backend's state and the functions its files share; also for `mien bench` and the
 * reference backend of the tests. */
#ifndef HOST_BACKEND_CPU_H
#define HOST_BACKEND_CPU_H

#include "host/backend/isa.h"
#include "host/backend/ops.h"
#include "host/backend/tuning.h"
#include "kernels/cpu/cpu.h"

enum { CPU_TIMESTAMPS = 4096 };

typedef struct mien_cpu {
    mien_ops ops; /* of this instance alone: threads may open backends at the same time */
    const cpu_kernels *kernels; /* of this machine's ISA */
    const cpu_kernels *peak;    /* of the lower of the loops' ISA and oneDNN's, for `mien bench` */
    const char *peak_isa;       /* "v2", "v3", "v4" */
    char library[64];           /* "oneDNN 2.6.3 avx512_core" */
    int block;                  /* channel block of activations: 16, 8, or 0 for NHWC throughout */
    int threads;
    enum cpu_isa_rank { CPU_ISA_SSE, CPU_ISA_AVX2, CPU_ISA_AVX512 } isa_rank; /* oneDNN's choice */
    bool deterministic;
    mien_tuning tuning;
    _Atomic long long reorders; /* of activations or weights so far: a cost that tests check */
    double timestamps[CPU_TIMESTAMPS]; /* seconds */
    struct dnnl_engine *engine;        /* NULL in the reference backend */
    struct dnnl_stream *stream;
} mien_cpu;

static inline mien_cpu *cpu_of(const mien_backend *b) {
    return b->impl;
}

static inline cpu_dims cpu_dims_of(const mien_tensor *t) {
    const cpu_dims d = {t->shape.n, t->shape.h, t->shape.w, t->shape.c, t->block};
    return d;
}

/* Fill the slots that loop over kernel bodies (cpu_glue.c), and the linear slots by oneDNN
 * (onednn.c) or by plain loops (plain.c). The _f64 variants are the double reference build of the
 * same files. */
void mien_cpu_glue_f32(mien_ops *ops);
void mien_cpu_glue_f64(mien_ops *ops);
void mien_plain_linear_f32(mien_ops *ops);
void mien_plain_linear_f64(mien_ops *ops);
void mien_onednn_linear(mien_ops *ops);

/* Limits oneDNN to x86-64-v2, v3 or v4. Works once in a process, before oneDNN's first use: later
 * calls change nothing. */
void mien_onednn_hold_back(mien_isa isa);
/* Whether it multiplies bf16 by instructions of this CPU (AVX512-BF16 or AMX). */
bool mien_onednn_has_bf16(void);
/* Opens oneDNN's engine; writes its version and the ISA it will use to `version`. */
mien_status mien_onednn_open(mien_cpu *cpu, char *version, size_t size);
void mien_onednn_close(mien_cpu *cpu);

/* int8 inference: slots of cpu_int8.c over the operators of onednn_int8.c. */
extern const mien_int8_ops mien_cpu_int8;

/* The backend of --device cpu. */
mien_status mien_cpu_open(const mien_backend_options *options, mien_backend **out);

#ifdef MIEN_REAL_DOUBLE
#define CPU_REAL_NAME(name) name##_f64
#else
#define CPU_REAL_NAME(name) name##_f32
#endif

static inline int cpu_winograd_tiles(const mien_linear_desc *d) {
    return ((d->out.h + 3) / 4) * ((d->out.w + 3) / 4);
}

/* Output pixels that Winograd's tiles of 4x4 compute, per pixel of the image: small images lose to
 * tiles that extend over their border. */
static inline double cpu_winograd_waste(const mien_linear_desc *d) {
    return cpu_winograd_tiles(d) * 16.0 / ((double)d->out.h * d->out.w);
}
/* F(4x4, 3x3) saves a factor of four; up to this waste it is worth it. */
static const double cpu_winograd_most_waste = 2.5;

#endif
