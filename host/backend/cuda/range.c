/* Named parts of the work on a profiler's time line, by NVTX: headers only, no library. */
#include <nvtx3/nvToolsExt.h>
#include <stdatomic.h>
#include <stdio.h>

#include "host/backend/cuda/cuda.h"

/* One per process, never destroyed: another backend may still use it. NULL without a profiler, so
 * that not even a text is formatted then. */
static _Atomic(nvtxDomainHandle_t) domain;

static void range_push(mien_backend *b, const char *group, const char *name) {
    char text[96];
    const nvtxDomainHandle_t ours = domain;
    (void)b;
    if (!ours) return;
    snprintf(text, sizeof text, "%s%s%s", group, name ? "/" : "", name ? name : "");
    const nvtxEventAttributes_t event = {.version = NVTX_VERSION,
                                         .size = NVTX_EVENT_ATTRIB_STRUCT_SIZE,
                                         .messageType = NVTX_MESSAGE_TYPE_ASCII,
                                         .message.ascii = text};
    nvtxDomainRangePushEx(ours, &event);
}

static void range_pop(mien_backend *b) {
    const nvtxDomainHandle_t ours = domain;
    (void)b;
    if (ours) nvtxDomainRangePop(ours);
}

void mien_cuda_range_slots(mien_ops *ops) {
    ops->range_push = range_push;
    ops->range_pop = range_pop;
    if (!domain) domain = nvtxDomainCreateA("mien"); /* the same handle for the same name */
}
