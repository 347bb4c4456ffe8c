/* What the fake GPU has done so far; a test reads it through dlsym(module, "fake_counters") or by
 * linking the fake. Needs no CUDA header. */
#ifndef TESTS_CUDA_FAKE_COUNTERS_H
#define TESTS_CUDA_FAKE_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fake_counts {
    uint64_t launches; /* own kernels that were launched or captured, not replayed */
    uint64_t mallocs, frees, copies, memsets;
    uint64_t syncs; /* waits: of stream, device or event, and copies that wait */
    uint64_t heuristics, plans, compiled; /* of cuDNN; compiled: plans of engines that are */
    uint64_t captures, graph_launches, graph_nodes; /* nodes: work that replays have done */
    /* what exists now: all 0 when everything was given back */
    uint64_t blocks, host_blocks, streams, events, graphs;
    size_t bytes, most_bytes; /* device memory of all devices: now, and at most */
} fake_counts;

const fake_counts *fake_counters(void);

#ifdef __cplusplus
}
#endif
#endif
