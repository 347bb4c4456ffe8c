/* The limits of mien-h5 and its part of host/sandbox. */
#include "host/h5/sandbox.h"

#include "host/sandbox/sandbox.h"

#include <stdint.h>
#include <time.h>

#define MAX_MEMORY  (UINT64_C(4) << 30)
#define WORK_MEMORY (UINT64_C(2) << 30)
#define OWN_MEMORY  (UINT64_C(128) << 20) /* program, libraries and stack */
#define CPU_SECONDS 20
#define OPEN_FILES  8

/* Adds the processor time used so far: reading a large input must not use up the conversion's. */
static unsigned cpu_limit(void) {
    struct timespec used = {0, 0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (unsigned)used.tv_sec + CPU_SECONDS;
}

bool sandbox_limit(size_t input_size, struct h5_error *err) {
    uint64_t memory = input_size + WORK_MEMORY + OWN_MEMORY;
    if (memory > MAX_MEMORY) memory = MAX_MEMORY;
    return sandbox_limits(memory, cpu_limit(), OPEN_FILES)
               ? true
               : h5_fail(err, "The converter cannot set its resource limits.");
}

bool sandbox_enter(struct h5_error *err) {
    static const int out[] = {SANDBOX_ERROR_FD, SANDBOX_OUTPUT_FD};
    return sandbox_filter(NULL, 0, out, sizeof out / sizeof out[0], SANDBOX_OUTPUT_FD)
               ? true
               : h5_fail(err, "The converter cannot enter its sandbox.");
}
