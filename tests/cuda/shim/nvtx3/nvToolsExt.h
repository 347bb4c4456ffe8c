/* The part of NVTX that Mien calls, with NVIDIA's names and values. The real library is header-only
 * and finds a profiler by itself; here tests/cuda/fake/nvtx.c is the profiler and counts ranges. */
#ifndef TESTS_CUDA_SHIM_NVTX3_NVTOOLSEXT_H
#define TESTS_CUDA_SHIM_NVTX3_NVTOOLSEXT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NVTX_VERSION                  3
#define NVTX_EVENT_ATTRIB_STRUCT_SIZE ((uint16_t)sizeof(nvtxEventAttributes_t))

typedef enum { NVTX_MESSAGE_UNKNOWN = 0, NVTX_MESSAGE_TYPE_ASCII = 1 } nvtxMessageType_t;

typedef union {
    const char *ascii;
} nvtxMessageValue_t;

typedef struct {
    uint16_t version, size;
    uint32_t category;
    int32_t colorType;
    uint32_t color;
    int32_t payloadType, reserved0;
    union {
        uint64_t ullValue;
        double dValue;
    } payload;
    int32_t messageType;
    nvtxMessageValue_t message;
} nvtxEventAttributes_t;

typedef struct nvtxDomainRegistration_st *nvtxDomainHandle_t;

nvtxDomainHandle_t nvtxDomainCreateA(const char *name);
/* Both return the depth of the range that began or ended, -1 when there was none. */
int nvtxDomainRangePushEx(nvtxDomainHandle_t domain, const nvtxEventAttributes_t *eventAttrib);
int nvtxDomainRangePop(nvtxDomainHandle_t domain);

#ifdef __cplusplus
}
#endif
#endif
