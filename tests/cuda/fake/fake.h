/* A GPU that is none: CUDA's runtime, cuBLASLt and cuDNN as far as Mien calls them, in plain loops
 * on the CPU. Linked with the module's own sources and the kernels (compiled as C++ by the harness)
 * it gives build/VARIANT/fake/mien-cuda.so, so that every machine runs the whole GPU half but for
 * the hardware. Faults come from the environment:
 *
 *   FAKE_CUDA_DEVICES=N       devices there are (1); 0: none
 *   FAKE_CUDA_DRIVER=none|old no driver, or one that is too old
 *   FAKE_CUDA_MEMORY=BYTES[,BYTES…]  memory of each device (1 GiB)
 *   FAKE_CUDA_CAPABILITY=NN   90 for 9.0 (the default)
 *   FAKE_CUDA_FAIL=CALL[:N]   the Nth call of that name fails (1), once: cudaMalloc:3,
 *                             cudnnCreate, cublasLtCreate, cudaStreamCreateWithFlags, …
 *   FAKE_CUDA_STICKY=CALL:N   as above, and every later call fails like after a fault of the device
 */
#ifndef TESTS_CUDA_FAKE_FAKE_H
#define TESTS_CUDA_FAKE_FAKE_H

#include <stdbool.h>
#include <stddef.h>

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Does this call of the function `name` have to fail? Every fake entry point asks first. */
bool fake_fails(const char *name);
/* Has the device faulted (FAKE_CUDA_STICKY)? */
bool fake_faulted(void);
/* Does work in a stream: now, or, while the stream is captured, at every replay. `context` is
 * copied
 * (`bytes`). Returns what a launch would. */
cudaError_t fake_submit(cudaStream_t stream, void (*work)(void *context), const void *context,
                        size_t bytes);
/* The emulation's own clock, which mien_seconds and events read in the module: no result may depend
 * on how fast the machine is or what else it does. It stands still but for what lets time pass: a
 * launch a microsecond, an engine of cuDNN and its compilation what FAKE_CUDNN_* say. */
void fake_clock_advance(double seconds);

#ifdef __cplusplus
}
#endif
#endif
