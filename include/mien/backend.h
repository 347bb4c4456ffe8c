/* Backends: where a graph runs.
 *
 *     mien_backend *cpu;
 *     if (mien_backend_open("cpu", NULL, &cpu) == MIEN_OK) { ...; mien_backend_close(cpu); }
 */
#ifndef MIEN_BACKEND_H
#define MIEN_BACKEND_H

#include <stdbool.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mien_backend mien_backend;

/* The precision of convolutions and dense layers. Parameters, sums and statistics are always f32.
 */
typedef enum mien_compute {
    MIEN_COMPUTE_AUTO, /* f32 on the CPU; on a GPU bf16 (older cards f16) to train, else tf32 */
    MIEN_COMPUTE_F32,
    MIEN_COMPUTE_TF32, /* f32 whose factors are rounded to 10 mantissa bits */
    MIEN_COMPUTE_BF16, /* on a CPU only for inference, and with AVX512-BF16 or AMX */
    MIEN_COMPUTE_F16
} mien_compute;

/* "auto", "f32", "tf32", "bf16" or "f16", and the reverse; false for an unknown name. */
const char *mien_compute_name(mien_compute compute);
bool mien_compute_named(const char *name, mien_compute *out);

typedef struct mien_backend_options {
    int threads;        /* 0: as many as this process may use */
    bool pin;           /* one CPU for each thread, the caller's included, if the team has all CPUs:
                           for a program that does nothing else */
    bool deterministic; /* fixed algorithms: no Winograd, no cache of measured choices */
    mien_compute compute;
    bool training; /* what AUTO selects the precision for */
} mien_backend_options;

/* Opens "cpu", "cuda", "cuda:N" or "auto" (a GPU if module, driver and device are present,
 * otherwise the CPU with one log line). `options` may be NULL. NO_DEVICE if the device is not
 * available. */
mien_status mien_backend_open(const char *device, const mien_backend_options *options,
                              mien_backend **out);
/* The number of GPUs that "cuda:N" can name. NO_DEVICE, and 0, without a GPU, module or driver. */
mien_status mien_backend_gpus(int *out);
/* NULL is allowed. Release everything bound to the backend first. */
void mien_backend_close(mien_backend *backend);
/* The precision it computes in, never AUTO. */
mien_compute mien_backend_compute(const mien_backend *backend);
/* "cpu (oneDNN 2.6.3, avx512_core, 2 threads)"; owned by the backend. */
const char *mien_backend_description(const mien_backend *backend);

#ifdef __cplusplus
}
#endif
#endif
