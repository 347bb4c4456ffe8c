/* Converts the codes of the three libraries to statuses, with the library's own message. */
#include <stdio.h>

#include "host/backend/cuda/cuda.h"

static mien_status status_of(cudaError_t code) {
    switch (code) {
    case cudaErrorMemoryAllocation:
        return MIEN_NO_MEMORY;
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorInitializationError:
    case cudaErrorStubLibrary:
    case cudaErrorInsufficientDriver:
    case cudaErrorSystemNotReady:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
    case cudaErrorDevicesUnavailable:
        return MIEN_NO_DEVICE;
    case cudaErrorInvalidValue:
    case cudaErrorInvalidConfiguration:
    case cudaErrorNotSupported:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorInvalidKernelImage:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidPtx:
    case cudaErrorJitCompilerNotFound:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorLaunchOutOfResources:
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
    case cudaErrorStreamCaptureImplicit:
    case cudaErrorCapturedEvent:
        return MIEN_UNSUPPORTED;
    default:
        return MIEN_DEVICE;
    }
}

/* 75 for a card of compute capability 7.5; 0 where even that cannot be asked. */
static int capability_here(void) {
    int device, major, minor;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess ||
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) != cudaSuccess)
        return 0;
    return 10 * major + minor;
}

static void advise(cudaError_t code, char *text, size_t size) {
    *text = 0;
    switch (code) {
    case cudaErrorMemoryAllocation:
        snprintf(text, size,
                 "; another program may hold the GPU's memory, or the batch is too large");
        return;
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorInvalidKernelImage:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidPtx:
    case cudaErrorJitCompilerNotFound:
    case cudaErrorUnsupportedPtxVersion: /* there is PTX, but the driver is too old for it */
        snprintf(text, size, "; build the module for this card: make CUDA_ARCHS=%d",
                 capability_here());
        return;
    default:
        return;
    }
}

mien_status mien_cuda_check(cudaError_t code, const char *what, const char *file, int line) {
    char advice[128];
    if (code == cudaSuccess) return MIEN_OK;
    advise(code, advice, sizeof advice);
    return mien_fail(status_of(code), file, line, "GPU: %s failed: %s (%s)%s", what,
                     cudaGetErrorString(code), cudaGetErrorName(code), advice);
}

/* A fault of the device shows up in the next library that is called. Each has its own runtime,
 * whose last error ours does not see; but after a fault every call fails, so that one that does not
 * wait shows it. */
static mien_status device_fault(mien_status other) {
    size_t left, all;
    const cudaError_t code = cudaMemGetInfo(&left, &all);
    if (code != cudaSuccess) cudaGetLastError(); /* clears the error */
    return code != cudaSuccess && status_of(code) == MIEN_DEVICE ? MIEN_DEVICE : other;
}

mien_status mien_cudnn_check(cudnnStatus_t code, const char *what, const char *file, int line) {
    char details[512] = "";
    if (code == CUDNN_STATUS_SUCCESS) return MIEN_OK;
    cudnnGetLastErrorString(details, sizeof details);
    const int family = (int)code / 1000; /* 2xxx: arguments, 3xxx: not supported, 4xxx: internal */
    const bool memory = code == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
                        code == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
    const mien_status status = family == 5 ? MIEN_DEVICE
                               : memory    ? MIEN_NO_MEMORY
                                           : MIEN_UNSUPPORTED;
    return mien_fail(device_fault(status), file, line, "cuDNN: %s failed: %s%s%s", what,
                     cudnnGetErrorString(code), *details ? ": " : "", details);
}

mien_status mien_cublas_check(cublasStatus_t code, const char *what, const char *file, int line) {
    if (code == CUBLAS_STATUS_SUCCESS) return MIEN_OK;
    const mien_status status = code == CUBLAS_STATUS_EXECUTION_FAILED ? MIEN_DEVICE
                               : code == CUBLAS_STATUS_ALLOC_FAILED   ? MIEN_NO_MEMORY
                                                                      : MIEN_UNSUPPORTED;
    return mien_fail(device_fault(status), file, line, "cuBLASLt: %s failed: %s", what,
                     cublasLtGetStatusString(code));
}
