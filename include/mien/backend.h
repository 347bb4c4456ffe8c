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

/* What convolutions and dense layers compute in. Parameters, sums and statistics are f32 in all. */
typedef enum mien_compute {
    MIEN_COMPUTE_AUTO, /* f32 on the CPU; on a GPU bf16 (f16 on older cards) to train, tf32 else */
    MIEN_COMPUTE_F32,
    MIEN_COMPUTE_TF32, /* f32 whose products are rounded to 10 bits */
    MIEN_COMPUTE_BF16,
    MIEN_COMPUTE_F16
} mien_compute;

/* "auto", "f32", "tf32", "bf16", "f16" and back; false for another word. */
const char *mien_compute_name(mien_compute compute);
bool mien_compute_named(const char *name, mien_compute *out);

typedef struct mien_backend_options {
    int threads;        /* 0: as many as this process may use */
    bool pin;           /* a thread to a CPU, the caller's too, when the team has all CPUs: for a
                           program that does nothing else */
    bool deterministic; /* fixed algorithms: no Winograd table, no tuned cache */
    mien_compute compute;
    bool training; /* what `compute` AUTO is chosen for */
} mien_backend_options;

/* Opens "cpu", "cuda", "cuda:N" or "auto" (a GPU when module, driver and device are there, else the
 * CPU with one log line). `options` may be NULL. NO_DEVICE when the device cannot be had. */
mien_status mien_backend_open(const char *device, const mien_backend_options *options,
                              mien_backend **out);
/* How many GPUs "cuda:N" can name. NO_DEVICE, and 0, when there is none, or no module, no driver.
 */
mien_status mien_backend_gpus(int *out);
/* NULL is fine. Everything bound to the backend must be released before. */
void mien_backend_close(mien_backend *backend);
/* What it computes in, never AUTO. */
mien_compute mien_backend_compute(const mien_backend *backend);
/* "cpu (oneDNN 2.6.3, avx512_core, 2 threads)"; owned by the backend. */
const char *mien_backend_description(const mien_backend *backend);

#ifdef __cplusplus
}
#endif
#endif
