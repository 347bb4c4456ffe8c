/* CPU emulation of CUDA: the parts of the runtime, cuBLASLt and cuDNN that Mien calls, as plain
 * loops on the CPU. Linked with the module's own sources and the kernels (compiled as C++ for the
 * harness) it makes build/VARIANT/fake/mien-cuda.so, so that all GPU code can be tested on any
 * machine. Environment variables configure it and inject faults:
 *
 *   FAKE_CUDA_DEVICES=N       number of devices (1); 0: none
 *   FAKE_CUDA_DRIVER=none|old no driver, or one that is too old
 *   FAKE_CUDA_MEMORY=BYTES[,BYTES…]  memory of each device (1 GiB)
 *   FAKE_CUDA_CAPABILITY=NN   90 for 9.0 (the default)
 *   FAKE_CUDA_FAIL=CALL[:N]   the Nth call of that name fails (1), once: cudaMalloc:3,
 *                             cudnnCreate, cublasLtCreate, cudaStreamCreateWithFlags, …;
 *                             cudaFuncGetAttributes: the module has no code for the card
 *   FAKE_CUDA_STREAMS=WORD[,WORD…]  now: a stream runs its work at once, unless it waits for
 *                             another (the default); late: only when something waits for it. The
 *                             first word is that of the first stream
 *   FAKE_CUDA_STICKY=CALL:N   as above, and every later call fails, as after a device fault
 *
 * What a step costs, without computing it: see cost.h. */
#ifndef TESTS_CUDA_FAKE_FAKE_H
#define TESTS_CUDA_FAKE_FAKE_H

#include <stdbool.h>
#include <stddef.h>

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Must this call of the function `name` fail? Every fake entry point checks this first. */
bool fake_fails(const char *name);
/* Has the device faulted (FAKE_CUDA_STICKY)? */
bool fake_faulted(void);
/* Runs work in a stream: now, when FAKE_CUDA_STREAMS says or, while the stream is being
 * captured, at every replay. `bytes` of `context` are copied. Returns what a launch would. */
cudaError_t fake_submit(cudaStream_t stream, void (*work)(void *context), const void *context,
                        size_t bytes);
/* Advances the emulation's own clock, which mien_seconds and events read in the module, so
 * that no result depends on the speed or load of the machine. A launch takes a microsecond; a
 * cuDNN engine and its compilation take what FAKE_CUDNN_* say; nothing else takes time. */
void fake_clock_advance(double seconds);

#ifdef __cplusplus
}
#endif
#endif
