/* What the files of the fake runtime share. */
#ifndef TESTS_CUDA_FAKE_RUNTIME_H
#define TESTS_CUDA_FAKE_RUNTIME_H

#include "tests/cuda/fake/counters.h"
#include "tests/cuda/fake/fake.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The counts, to be written. */
extern fake_counts fake_count;

/* What a call answers: remembers an error for cudaGetLastError. */
cudaError_t fake_answer(cudaError_t code);
/* First line of an entry point: has the call to fail, and how? `injected` is what FAKE_CUDA_FAIL
 * makes of it; without a driver or device every call fails. */
cudaError_t fake_enter(const char *name, cudaError_t injected);
#define FAKE_ENTER(injected)                                                                       \
    do {                                                                                           \
        const cudaError_t entered = fake_enter(__func__, injected);                                \
        if (entered != cudaSuccess) return fake_answer(entered);                                   \
    } while (0)

int fake_device(void); /* the calling thread's */
size_t fake_device_memory(int device);

/* May the device use these bytes? Memory of cudaMalloc and cudaMallocHost, not beyond its end. */
bool fake_reaches(const void *data, size_t bytes);

/* Calls that a capture forbids: the first answer of an unsafe call, and of one on `stream`. They
 * spoil the capture. */
cudaError_t fake_unsafe(void);
cudaError_t fake_unsafe_stream(cudaStream_t stream);
bool fake_capturing(cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
