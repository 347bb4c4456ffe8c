/* The fake runtime: fault injection, errors, devices. */
#include "tests/cuda/fake/runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 13000, OLD_DRIVER = 11040, MULTIPROCESSORS = 4 };

fake_counts fake_count;

const fake_counts *fake_counters(void) {
    return &fake_count;
}

/* ---- faults ---- */

/* An environment variable CALL[:N]. The count of calls restarts when its value changes. */
typedef struct fault {
    const char *variable;
    char value[128];
    unsigned long calls;
    bool struck;
} fault;

static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;
static fault once = {.variable = "FAKE_CUDA_FAIL"}, sticky = {.variable = "FAKE_CUDA_STICKY"};

static void refresh(fault *f) {
    const char *value = getenv(f->variable);
    if (!value) value = "";
    if (strcmp(value, f->value) == 0) return;
    snprintf(f->value, sizeof f->value, "%s", value);
    f->calls = 0;
    f->struck = false;
}

/* Is this the call that must fail? */
static bool strikes(fault *f, const char *name) {
    refresh(f);
    const size_t length = strcspn(f->value, ":");
    if (length == 0 || strlen(name) != length || strncmp(name, f->value, length) != 0) return false;
    const unsigned long wanted = f->value[length] ? strtoul(f->value + length + 1, NULL, 10) : 1;
    if (++f->calls != wanted) return false;
    f->struck = true;
    return true;
}

bool fake_fails(const char *name) {
    pthread_mutex_lock(&fault_lock);
    const bool fails = strikes(&once, name) | strikes(&sticky, name) | sticky.struck;
    pthread_mutex_unlock(&fault_lock);
    return fails;
}

bool fake_faulted(void) {
    pthread_mutex_lock(&fault_lock);
    refresh(&sticky);
    const bool faulted = sticky.struck;
    pthread_mutex_unlock(&fault_lock);
    return faulted;
}

/* ---- errors ---- */

static _Thread_local cudaError_t last_error;

cudaError_t fake_answer(cudaError_t code) {
    if (code != cudaSuccess) last_error = code;
    return code;
}

static long setting(const char *variable, long usual) {
    const char *value = getenv(variable);
    return value && *value ? strtol(value, NULL, 10) : usual;
}

/* The driver's version; 0: no driver. */
static int driver(void) {
    const char *value = getenv("FAKE_CUDA_DRIVER");
    if (value && strcmp(value, "none") == 0) return 0;
    return value && strcmp(value, "old") == 0 ? OLD_DRIVER : VERSION;
}

static int devices(void) {
    return (int)setting("FAKE_CUDA_DEVICES", 1);
}

cudaError_t fake_enter(const char *name, cudaError_t injected) {
    if (driver() < VERSION) return cudaErrorInsufficientDriver;
    if (devices() == 0) return cudaErrorNoDevice;
    if (!fake_fails(name)) return cudaSuccess;
    return fake_faulted() ? cudaErrorLaunchFailure : injected;
}

/* The last error of a runtime call. A fault inside another library is not reported here yet. */
cudaError_t cudaPeekAtLastError(void) {
    return last_error;
}

cudaError_t cudaGetLastError(void) {
    const cudaError_t code = cudaPeekAtLastError();
    if (code != cudaErrorLaunchFailure || !fake_faulted()) last_error = cudaSuccess;
    return code;
}

typedef struct error_text {
    cudaError_t code;
    const char *name, *text;
} error_text;

static const error_text *error_text_of(cudaError_t code) {
#define ERROR(name, text)                                                                          \
    { cuda##name, "cuda" #name, text }
    static const error_text all[] = {
        ERROR(Success, "no error"),
        ERROR(ErrorInvalidValue, "invalid argument"),
        ERROR(ErrorMemoryAllocation, "out of memory"),
        ERROR(ErrorInitializationError, "initialization error"),
        ERROR(ErrorInvalidConfiguration, "invalid configuration argument"),
        ERROR(ErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
        ERROR(ErrorInsufficientDriver,
              "CUDA driver version is insufficient for CUDA runtime version"),
        ERROR(ErrorDevicesUnavailable, "CUDA-capable device(s) is/are busy or unavailable"),
        ERROR(ErrorSystemDriverMismatch,
              "system has unsupported display driver / cuda driver combination"),
        ERROR(ErrorNoDevice, "no CUDA-capable device is detected"),
        ERROR(ErrorInvalidDevice, "invalid device ordinal"),
        ERROR(ErrorNoKernelImageForDevice,
              "no kernel image is available for execution on the device"),
        ERROR(ErrorInvalidResourceHandle, "invalid resource handle"),
        ERROR(ErrorIllegalState, "the operation cannot be performed in the present state"),
        ERROR(ErrorNotReady, "device not ready"),
        ERROR(ErrorIllegalAddress, "an illegal memory access was encountered"),
        ERROR(ErrorLaunchOutOfResources, "too many resources requested for launch"),
        ERROR(ErrorLaunchFailure, "unspecified launch failure"),
        ERROR(ErrorNotSupported, "operation not supported"),
        ERROR(ErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
        ERROR(ErrorStreamCaptureInvalidated,
              "operation failed due to a previous error during capture"),
        ERROR(ErrorStreamCaptureImplicit,
              "operation would make the legacy stream depend on a capturing blocking stream"),
        ERROR(ErrorCapturedEvent, "operation not permitted on an event last recorded in a "
                                  "capturing stream"),
        ERROR(ErrorUnknown, "unknown error"),
    };
#undef ERROR
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i].code == code) return &all[i];
    return NULL;
}

const char *cudaGetErrorName(cudaError_t error) {
    const error_text *s = error_text_of(error);
    return s ? s->name : "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error) {
    const error_text *s = error_text_of(error);
    return s ? s->text : "unrecognized error code";
}

/* ---- devices ---- */

static _Thread_local int current;

int fake_device(void) {
    return current;
}

size_t fake_device_memory(int device) {
    const char *list = getenv("FAKE_CUDA_MEMORY");
    size_t bytes = (size_t)1 << 30;
    for (int i = 0; list && *list && i <= device;
         i++) { /* the last value holds for all further devices */
        bytes = strtoull(list, NULL, 10);
        list = strchr(list, ',');
        if (list) list++;
    }
    return bytes;
}

cudaError_t cudaDriverGetVersion(int *driverVersion) {
    *driverVersion = driver();
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *runtimeVersion) {
    *runtimeVersion = VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count) {
    *count = 0;
    FAKE_ENTER(cudaErrorUnknown);
    *count = devices();
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
    FAKE_ENTER(cudaErrorUnknown);
    *device = current;
    return cudaSuccess;
}

static bool is_device(int device) {
    return device >= 0 && device < devices();
}

cudaError_t cudaSetDevice(int device) {
    FAKE_ENTER(cudaErrorUnknown);
    if (!is_device(device)) return fake_answer(cudaErrorInvalidDevice);
    current = device;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attr, int device) {
    FAKE_ENTER(cudaErrorUnknown);
    if (!is_device(device)) return fake_answer(cudaErrorInvalidDevice);
    const int capability = (int)setting("FAKE_CUDA_CAPABILITY", 90);
    switch (attr) {
    case cudaDevAttrMaxThreadsPerBlock:
        *value = 1024;
        return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = 48 << 10;
        return cudaSuccess;
    case cudaDevAttrWarpSize:
        *value = 32;
        return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
        *value = MULTIPROCESSORS;
        return cudaSuccess;
    case cudaDevAttrMemoryClockRate:
        *value = 1000000;
        return cudaSuccess;
    case cudaDevAttrL2CacheSize:
        *value = 4 << 20;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
        *value = capability / 10;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
        *value = capability % 10;
        return cudaSuccess;
    }
    return fake_answer(cudaErrorInvalidValue);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device) {
    FAKE_ENTER(cudaErrorUnknown);
    if (!is_device(device)) return fake_answer(cudaErrorInvalidDevice);
    const int capability = (int)setting("FAKE_CUDA_CAPABILITY", 90);
    *prop = (struct cudaDeviceProp){.name = "Fake GPU",
                                    .totalGlobalMem = fake_device_memory(device),
                                    .warpSize = 32,
                                    .maxThreadsPerBlock = 1024,
                                    .major = capability / 10,
                                    .minor = capability % 10,
                                    .multiProcessorCount = MULTIPROCESSORS,
                                    .pciBusID = 1 + device,
                                    .l2CacheSize = 4 << 20};
    return cudaSuccess;
}

/* Made to fail, it is a module that was compiled for other cards. */
cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attr, const void *func) {
    FAKE_ENTER(cudaErrorNoKernelImageForDevice);
    if (!func) return fake_answer(cudaErrorInvalidValue);
    attr->maxThreadsPerBlock = 1024;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char *pciBusId, int len, int device) {
    FAKE_ENTER(cudaErrorUnknown);
    if (!is_device(device)) return fake_answer(cudaErrorInvalidDevice);
    snprintf(pciBusId, (size_t)len, "0000:%02X:00.0", 1 + device);
    return cudaSuccess;
}
