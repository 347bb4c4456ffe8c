/* The sandbox of the HDF5 library: resource limits and a system call filter. */
#ifndef MIEN_H5_SANDBOX_H
#define MIEN_H5_SANDBOX_H

#include "host/h5/text.h"

#include <stdbool.h>
#include <stddef.h>

#define SANDBOX_ERROR_FD  2
#define SANDBOX_OUTPUT_FD 4

/* Limits memory, processor time, core dumps and descriptors of this process for good. */
bool sandbox_limit(size_t input_size, struct h5_error *err);

/* From here on any system call except memory management and writes to the two descriptors kills the
 * process; opening a file fails. The output's memory may be mapped. */
bool sandbox_enter(struct h5_error *err);

#endif
