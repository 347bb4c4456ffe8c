/* What a step costs: every launch in an NVTX range "step" with its pass (the innermost range), the
 * bytes of device memory that it reads and writes, each counted once, and the FLOPs of library
 * calls. bench/gpu/cost.sh makes the model of a network from it. Two settings:
 *
 *   FAKE_CUDA_COST=FILE     at the end of a step the file gets its launches, one a line:
 *                           pass, kernel, bytes ("-": not known), FLOPs, with tabs between
 *   FAKE_CUDA_DRY=all       launches are counted and checked as always but compute nothing. Device
 *                           memory is zeros, and costs nothing until it is used, so that a batch of
 *                           any size can be counted. The file gets the last step.
 *   FAKE_CUDA_DRY=libraries own kernels run until the first step is over, which the file gets */
#ifndef TESTS_CUDA_FAKE_COST_H
#define TESTS_CUDA_FAKE_COST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fake_origin { FAKE_OWN, FAKE_LIBRARY };

bool fake_is_dry(void);
/* Is work of this origin not to be done? Lets the time of a launch pass then. */
bool fake_skips(enum fake_origin origin);
/* The result of a library call that is not done: zeros where own kernels go on with it, since what
 * was there before may be no number. */
void fake_skip_result(void *data, size_t bytes);

enum { FAKE_UNKNOWN = -1 };
bool fake_wants_cost(void);
void fake_cost(const char *kernel, int64_t bytes, double flops);
/* NVTX ranges; `name` is cut where it is too long. */
void fake_cost_push(const char *name);
void fake_cost_pop(void);

/* Sees what own kernels touch. Only a module whose kernels were compiled for it has one
 * (tests/cuda/trace); in others it is NULL, and their bytes are unknown. */
typedef struct fake_tracer {
    void (*begin)(void);
    int64_t (*end)(void); /* bytes read plus bytes written since begin */
} fake_tracer;
extern const fake_tracer *fake_trace;

#ifdef __cplusplus
}
#endif
#endif
