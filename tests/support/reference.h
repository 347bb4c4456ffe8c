/* The reference backend, with which all others are compared: plain loops in NHWC throughout, in
 * double or in float. */
#ifndef TESTS_SUPPORT_REFERENCE_H
#define TESTS_SUPPORT_REFERENCE_H

#include "host/backend/cpu.h"

/* Opens it; close it with mien_backend_close. */
mien_status reference_open(bool f64, mien_backend **out);

/* The float loops of one ISA: 0 is x86-64-v2, 1 is v3, 2 is v4. NULL when this CPU lacks it. */
const cpu_kernels *reference_isa(int index, const char **name);

/* Restarts the program with OpenMP threads that sleep while they wait: when other processes use the
 * CPUs, spinning threads make a test of small layers a hundred times slower. Call it first. */
void reference_wait_passively(char **argv);

/* Does the backend support int8 on this CPU? Prints a line if not. */
bool reference_has_int8(const mien_backend *cpu);

#endif
