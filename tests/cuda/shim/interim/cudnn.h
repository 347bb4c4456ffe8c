/* Stands for cudnn.h until the real shim is there. */
#ifndef TESTS_CUDA_SHIM_CUDNN_H
#define TESTS_CUDA_SHIM_CUDNN_H
#include <cuda_runtime_api.h>
typedef enum { CUDNN_STATUS_SUCCESS = 0, CUDNN_STATUS_ALLOC_FAILED = 4 } cudnnStatus_t;
typedef struct cudnnContext *cudnnHandle_t;
cudnnStatus_t cudnnCreate(cudnnHandle_t *handle);
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle);
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream);
size_t cudnnGetVersion(void);
const char *cudnnGetErrorString(cudnnStatus_t status);
void cudnnGetLastErrorString(char *message, size_t max_size);
#endif
