/* Threads: one OpenMP team for oneDNN and our own loops, and the floating-point mode they share.
 *
 * Every worker flushes denormals to zero (they slow convolutions down a hundredfold); the caller's
 * thread gets its own mode back when the library returns. */
#ifndef HOST_BASE_THREADS_H
#define HOST_BASE_THREADS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/* "model name" of the first processor, "unknown" when the system does not report it. */
void mien_processor_name(char *out, size_t size);

/* CPUs that the process's control groups (version 1 or 2, the lowest of nested ones) let it use,
 * such as 1.5; 0: no limit. The files are looked for under `root`, "" outside tests. */
double mien_cpu_quota(const char *root);
/* Number of CPUs this process may use, by affinity mask, quota (rounded) and OMP_NUM_THREADS; at
 * least 1. */
int mien_threads_available(void);
/* Sets the team's size (0: all available) and prepares the workers; returns the size. With `pin`, a
 * team as large as the process's CPU set is pinned one thread per CPU, the caller included, unless
 * OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY is set. */
int mien_threads_start(int threads, bool pin);
/* The size of the team. */
int mien_threads_count(void);
/* Sets the size of the teams that the calling thread starts from now on; returns the old one. */
int mien_threads_limit(int threads);

/* For a thread outside the team: lets it run on all of the process's CPUs. A new thread inherits
 * the CPU set of the thread that started it. */
void mien_threads_leave_team(void);

/* What mien_threads_enter changed. */
typedef struct mien_thread_mode {
    unsigned floats;
    int team;
} mien_thread_mode;

/* Begins work that may be called from any thread: flush-to-zero, and a team of `team` threads (0:
 * as it is). OpenMP keeps a team size for each calling thread, but operators and per-thread buffers
 * are prepared for one. */
mien_thread_mode mien_threads_enter(int team);
void mien_threads_leave(mien_thread_mode saved);

/* Keeps signals from the calling thread until mien_signals_release, and from the other threads of
 * its team for good: for code during which no handler may run on this thread's stack. */
void mien_signals_hold(sigset_t *before);
void mien_signals_release(const sigset_t *before);

/* mien_float_enter sets flush-to-zero for the calling thread and returns its previous mode, which
 * mien_float_leave restores. */
unsigned mien_float_enter(void);
void mien_float_leave(unsigned saved);

#endif
