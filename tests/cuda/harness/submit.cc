/* Passes a launch from cudaLaunchKernel to the fake runtime, with the checks of the hardware. */
#include <cuda_runtime.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/cuda/fake/runtime.h"
#include "tests/cuda/harness/symbol.h"

cudaError_t harness_submit(dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
                           void (*work)(void *), const void *context, size_t bytes) {
    const cudaError_t entered = fake_enter("cudaLaunchKernel", cudaErrorLaunchOutOfResources);
    if (entered != cudaSuccess) return fake_answer(entered);
    const uint64_t threads = (uint64_t)block.x * block.y * block.z;
    const bool fits = grid.x <= 0x7fffffffu && grid.y <= 0xffff && grid.z <= 0xffff &&
                      block.z <= 64 && threads <= HARNESS_THREADS;
    if (!fits || threads == 0 || grid.x == 0 || grid.y == 0 || grid.z == 0 || shared)
        return fake_answer(cudaErrorInvalidConfiguration);
    fake_count.launches++;
    return fake_answer(fake_submit(stream, work, context, bytes));
}

void harness_check_pointer(const void *kernel, int argument, const void *pointer) {
    if (!pointer || fake_reaches(pointer, 0)) return;
    char name[512];
    harness_symbol(kernel, name, sizeof name);
    fprintf(stderr, "kernel %s: argument %d is not device memory\n", name, argument);
    abort();
}
