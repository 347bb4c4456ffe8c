/* Shared by the files of the fake CUDA libraries. */
#ifndef TESTS_CUDA_FAKE_RUNTIME_H
#define TESTS_CUDA_FAKE_RUNTIME_H

#include "tests/cuda/fake/counters.h"
#include "tests/cuda/fake/fake.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The counters, writable. */
extern fake_counts fake_count;

/* Returns `code`, after storing an error for cudaGetLastError. */
cudaError_t fake_answer(cudaError_t code);
/* First call of an entry point: returns the error with which it must fail, if any. `injected` is
 * the error for FAKE_CUDA_FAIL; without a driver or device every call fails. */
cudaError_t fake_enter(const char *name, cudaError_t injected);
#define FAKE_ENTER(injected)                                                                       \
    do {                                                                                           \
        const cudaError_t entered = fake_enter(__func__, injected);                                \
        if (entered != cudaSuccess) return fake_answer(entered);                                   \
    } while (0)

int fake_device(void); /* the calling thread's current device */
size_t fake_device_memory(int device);

/* Are these bytes within one block of cudaMalloc or cudaMallocHost? */
bool fake_reaches(const void *data, size_t bytes);

/* The device's blocks in the order of their addresses. */
void fake_each_block(void (*see)(void *context, const void *data, size_t bytes), void *context);

/* Checks of calls that are forbidden during capture, in general and on `stream`. Such a call
 * invalidates the capture. */
cudaError_t fake_unsafe(void);
cudaError_t fake_unsafe_stream(cudaStream_t stream);
bool fake_capturing(cudaStream_t stream);
/* Runs what the stream has queued. */
void fake_wait(cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
