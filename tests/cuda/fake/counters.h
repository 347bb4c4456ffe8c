/* Counters of the fake GPU. A test reads them through dlsym(module, "fake_counters") or by linking
 * the fake. Needs no CUDA header. */
#ifndef TESTS_CUDA_FAKE_COUNTERS_H
#define TESTS_CUDA_FAKE_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fake_counts {
    uint64_t launches; /* own kernels launched or captured; replays do not count */
    uint64_t mallocs, frees, copies, memsets;
    uint64_t finished; /* work that has run; with FAKE_CUDA_STREAMS, not all that is queued has */
    uint64_t beside;   /* work and events still queued when a wait for an event ended, added up */
    uint64_t syncs;    /* waits for a stream, device or event, and synchronous copies */
    uint64_t products; /* cuBLASLt's, launched or captured */
    uint64_t heuristics, plans, compiled; /* cuDNN; compiled: plans of runtime-compiled engines */
    uint64_t captures, graph_launches, graph_nodes; /* graph_nodes: nodes run by replays */
    /* live objects: all 0 once everything has been freed */
    uint64_t blocks, host_blocks, streams, events, graphs;
    size_t bytes, most_bytes; /* device memory of all devices: now, and the peak */
} fake_counts;

const fake_counts *fake_counters(void);

#ifdef __cplusplus
}
#endif
#endif
