/* Passes a launch from cudaLaunchKernel to the fake runtime, with the checks of the hardware. */
#include <cuda_runtime.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/fake/cost.h"
#include "tests/cuda/fake/runtime.h"
#include "tests/cuda/harness/symbol.h"

/* "max_pool_kernel<bf16, 8, true>" of a symbol with its result and parameters. */
static void shorten(char *symbol) {
    int nested = 0;
    char *from = strncmp(symbol, "void ", 5) == 0 ? symbol + 5 : symbol, *at = from;
    for (; *at && (nested > 0 || *at != '('); at++)
        nested += (*at == '<') - (*at == '>');
    *at = 0;
    memmove(symbol, from, strlen(from) + 1);
}

static cudaError_t submit(const void *kernel, cudaStream_t stream, void (*work)(void *),
                          const void *context, size_t bytes) {
    const bool skips = fake_skips(FAKE_OWN);
    if (!fake_wants_cost()) return skips ? cudaSuccess : fake_submit(stream, work, context, bytes);
    const fake_tracer *tracer = skips ? NULL : fake_trace;
    char name[512];
    if (tracer) tracer->begin();
    const cudaError_t code = skips ? cudaSuccess : fake_submit(stream, work, context, bytes);
    const int64_t moved = tracer ? tracer->end() : (int64_t)FAKE_UNKNOWN;
    harness_symbol(kernel, name, sizeof name);
    shorten(name);
    fake_cost(name, moved, 0);
    return code;
}

cudaError_t harness_submit(const void *kernel, dim3 grid, dim3 block, size_t shared,
                           cudaStream_t stream, void (*work)(void *), const void *context,
                           size_t bytes) {
    const cudaError_t entered = fake_enter("cudaLaunchKernel", cudaErrorLaunchOutOfResources);
    if (entered != cudaSuccess) return fake_answer(entered);
    const uint64_t threads = (uint64_t)block.x * block.y * block.z;
    const bool fits = grid.x <= 0x7fffffffu && grid.y <= 0xffff && grid.z <= 0xffff &&
                      block.z <= 64 && threads <= HARNESS_THREADS;
    if (!fits || threads == 0 || grid.x == 0 || grid.y == 0 || grid.z == 0 || shared)
        return fake_answer(cudaErrorInvalidConfiguration);
    fake_count.launches++;
    return fake_answer(submit(kernel, stream, work, context, bytes));
}

void harness_check_pointer(const void *kernel, int argument, const void *pointer) {
    if (!pointer || fake_reaches(pointer, 0)) return;
    char name[512];
    harness_symbol(kernel, name, sizeof name);
    fprintf(stderr, "kernel %s: argument %d is not device memory\n", name, argument);
    abort();
}
