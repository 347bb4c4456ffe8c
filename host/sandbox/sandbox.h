/* A sandbox for the programs that parse files of unknown origin (mien-h5, mien-decode): resource
 * limits and a system call filter. It uses nothing of the rest of the program.
 *
 * Parsers have a history of memory errors. A file that takes control of such a process must find
 * nothing to do with it: no files, no network, no other process, no new executable memory; only
 * wrong output, which the caller validates anyway. */
#ifndef HOST_SANDBOX_SANDBOX_H
#define HOST_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits address space, processor seconds (0: no limit), descriptors and core dumps of this process
 * for good. Never raises a limit. */
bool sandbox_limits(uint64_t memory, unsigned cpu_seconds, unsigned files);

/* From here on any system call except memory management, reads from the descriptors `in` and writes
 * to `out` kills the process; opening a file fails. `mapped`, unless negative, is a descriptor that
 * may also be resized and mapped: one that the process may write anyway. */
bool sandbox_filter(const int *in, size_t in_count, const int *out, size_t out_count, int mapped);

#endif
