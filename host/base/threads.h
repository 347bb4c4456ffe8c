/* Threads: one OpenMP team for oneDNN and for our own loops, and the floating-point mode they
 * share.
 *
 * Denormal numbers are flushed to zero in every worker (they slow convolutions a hundredfold); the
 * caller's own thread gets its mode back when the library returns. */
#ifndef HOST_BASE_THREADS_H
#define HOST_BASE_THREADS_H

/* CPUs this process may use: affinity mask and cgroup quota, at least 1. */
int mien_threads_available(void);
/* Sets the team's size (0: all available) and prepares the workers; returns the size. */
int mien_threads_start(int threads);
/* The size of the team. */
int mien_threads_count(void);

/* Flush-to-zero for the calling thread, and back. */
unsigned mien_float_enter(void);
void mien_float_leave(unsigned saved);

#endif
