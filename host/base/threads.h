/* Threads: one OpenMP team for oneDNN and for our own loops, and the floating-point mode they
 * share.
 *
 * Denormal numbers are flushed to zero in every worker (they slow convolutions a hundredfold); the
 * caller's own thread gets its mode back when the library returns. */
#ifndef HOST_BASE_THREADS_H
#define HOST_BASE_THREADS_H

#include <stdbool.h>
#include <stddef.h>

/* "model name" of the first processor, "unknown" where the system does not tell. */
void mien_processor_name(char *out, size_t size);

/* CPUs this process may use: affinity mask and cgroup quota, at least 1. */
int mien_threads_available(void);
/* Sets the team's size (0: all available) and prepares the workers; returns the size. With `pin` a
 * team that has all of the process's CPUs to itself gets a thread to a CPU, the caller's too,
 * unless OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY say something of their own. */
int mien_threads_start(int threads, bool pin);
/* The size of the team. */
int mien_threads_count(void);

/* For a thread that is not of the team: gives it back all CPUs, because a new thread has only those
 * of the thread that started it. */
void mien_threads_leave_team(void);

/* Flush-to-zero for the calling thread, and back. */
unsigned mien_float_enter(void);
void mien_float_leave(unsigned saved);

#endif
