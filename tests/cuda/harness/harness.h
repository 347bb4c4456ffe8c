/* Runs kernels that were compiled as C++: blocks one after another, the threads of a block as
 * fibres that take turns at barriers. Undefined behaviour ends the program with a message that
 * names the kernel: a thread that exits while others wait for it, a barrier or shuffle that not all
 * threads reach, a shuffle of part of a warp, a pointer that is not device memory.
 *
 * The order of blocks and threads comes from FAKE_CUDA_ORDER: "forward" (the default), "reverse",
 * or a seed for a random order. A result that depends on the order is a race. Kernels run with
 * subnormal floats flushed to zero, as on the device. */
#ifndef TESTS_CUDA_HARNESS_HARNESS_H
#define TESTS_CUDA_HARNESS_HARNESS_H

#include <stddef.h>
#include <stdint.h>

#include <utility>

/* The collective call that a warp's lanes are in; all must be in the same one. */
enum harness_kind {
    HARNESS_SYNC,
    HARNESS_SHUFFLE,
    HARNESS_XOR,
    HARNESS_DOWN,
    HARNESS_UP,
    HARNESS_BALLOT
};

enum { HARNESS_THREADS = 1024, HARNESS_WARP = 32 };

/* threadIdx and blockIdx of the running thread. */
extern uint3 harness_thread, harness_block;
extern dim3 harness_block_size, harness_grid_size;

/* The running thread's lane in its warp. */
unsigned harness_lane();
/* Returns when all threads of the block have arrived. */
void harness_sync_block();
/* Returns when all lanes of the warp have arrived, with the values of all 32 lanes, which are valid
 * until the thread's next collective call. `mask` must name the whole warp. */
const uint64_t *harness_collect(unsigned mask, int kind, uint64_t value);

/* Runs a whole grid; `thread` is called once for every thread. */
void harness_run(const void *kernel, dim3 grid, dim3 block, void (*thread)(void *context),
                 void *context);
/* Ends the program unless `pointer` is NULL or in memory that the device can access. */
void harness_check_pointer(const void *kernel, int argument, const void *pointer);
/* Implements cudaLaunchKernel: `work` runs now or is captured. */
cudaError_t harness_submit(const void *kernel, dim3 grid, dim3 block, size_t shared,
                           cudaStream_t stream, void (*work)(void *context), const void *context,
                           size_t bytes);
/* Ends the program with a message about the running kernel. */
[[noreturn]] void harness_report(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
