/* Child processes of this program: each in its own process group, with a share of the CPUs. */
#ifndef HOST_RUNS_JOBS_H
#define HOST_RUNS_JOBS_H

#include <sys/types.h>

#include "host/base/file.h"

typedef struct mien_job {
    pid_t pid; /* 0: none */
    int slot;
} mien_job;

/* The CPUs of slot `slot` of `slots`: how many of those that this process may use. */
int mien_job_cpus(int slots);
/* Starts `argv` (its first word is shown by ps; the program is this one) with its output appended
 * to the file `log`. `share`: only on the CPUs of its slot. If this process dies, the child gets
 * SIGTERM. */
mien_status mien_job_start(mien_job *job, char *const *argv, const char *log, int slots,
                           bool share);
/* Whether it has ended; *code: its exit status, or 128 + the signal that ended it. */
bool mien_job_ended(mien_job *job, int *code);
/* SIGTERM: a training saves and ends with 75. */
void mien_job_stop(const mien_job *job);

#endif
