/* A fake profiler that counts ranges. */
#include "tests/cuda/fake/nvtx.h"
#include "tests/cuda/fake/cost.h"

#include <nvtx3/nvToolsExt.h>
#include <stdio.h>
#include <string.h>

struct nvtxDomainRegistration_st {
    char name[32];
};

static fake_range_counts counts;
static struct nvtxDomainRegistration_st domain;

const fake_range_counts *fake_ranges(void) {
    return &counts;
}

nvtxDomainHandle_t nvtxDomainCreateA(const char *name) {
    snprintf(domain.name, sizeof domain.name, "%s", name);
    return &domain;
}

int nvtxDomainRangePushEx(nvtxDomainHandle_t handle, const nvtxEventAttributes_t *event) {
    if (handle != &domain || event->version != NVTX_VERSION ||
        event->size != NVTX_EVENT_ATTRIB_STRUCT_SIZE ||
        event->messageType != NVTX_MESSAGE_TYPE_ASCII || !event->message.ascii)
        return -1;
    counts.pushes++;
    snprintf(counts.last, sizeof counts.last, "%s", event->message.ascii);
    fake_cost_push(counts.last);
    return counts.depth++;
}

int nvtxDomainRangePop(nvtxDomainHandle_t handle) {
    if (handle != &domain) return -1;
    counts.pops++;
    fake_cost_pop();
    return --counts.depth;
}
