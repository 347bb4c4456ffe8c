/* The sandbox of the HDF5 library: resource limits and a system call filter.
 *
 * The library parses files of unknown origin and has a history of memory errors.  A file that
 * takes control of this process must find nothing to do with it: no files, no network, no other
 * process, no new executable memory; only wrong output, which the caller validates anyway.
 */
#include "host/h5/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MAX_MEMORY  (UINT64_C(4) << 30)
#define WORK_MEMORY (UINT64_C(2) << 30)
#define OWN_MEMORY  (UINT64_C(128) << 20) /* program, libraries and stack */
#define CPU_SECONDS 20
#define OPEN_FILES  8

/* Never raises a limit: the caller may have set a tighter one. */
static bool limit(int resource, rlim_t most) {
    struct rlimit now;
    if (getrlimit(resource, &now) != 0) return false;
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < most) most = now.rlim_max;
    const struct rlimit wanted = {.rlim_cur = most, .rlim_max = most};
    return setrlimit(resource, &wanted) == 0;
}

/* Adds the processor time used so far: reading a large input must not use up the conversion's. */
static rlim_t cpu_limit(void) {
    struct timespec used = {0, 0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (rlim_t)used.tv_sec + CPU_SECONDS;
}

bool sandbox_limit(size_t input_size, struct h5_error *err) {
    uint64_t memory = input_size + WORK_MEMORY + OWN_MEMORY;
    if (memory > MAX_MEMORY) memory = MAX_MEMORY;
    const bool ok = limit(RLIMIT_AS, memory) && limit(RLIMIT_CPU, cpu_limit()) &&
                    limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, OPEN_FILES);
    return ok ? true : h5_fail(err, "The converter cannot set its resource limits.");
}

/* Memory calls, the calls that abort() uses, and sysinfo, which the C library's qsort() uses to
 * choose its memory. */
static bool allow_plain_calls(scmp_filter_ctx filter) {
    static const int calls[] = {
        SCMP_SYS(munmap), SCMP_SYS(mremap),         SCMP_SYS(brk),          SCMP_SYS(madvise),
        SCMP_SYS(futex),  SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(clock_gettime),
        SCMP_SYS(getpid), SCMP_SYS(gettid),         SCMP_SYS(getrandom),    SCMP_SYS(sysinfo),
        SCMP_SYS(exit),   SCMP_SYS(exit_group),
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) != 0) return false;
    }
    return true;
}

/* Calls that are harmless only with certain arguments. */
static bool allow_bounded_calls(scmp_filter_ctx filter) {
    const scmp_datum_t self = (scmp_datum_t)getpid();
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
                            SCMP_A0(SCMP_CMP_EQ, SANDBOX_ERROR_FD, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
                            SCMP_A0(SCMP_CMP_EQ, SANDBOX_OUTPUT_FD, 0)) == 0 &&
           /* Memory only: never a file, never executable. */
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                            SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS)) == 0 &&
           /* abort() signals itself; no other process may be signalled. */
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                            SCMP_A0(SCMP_CMP_EQ, self, 0)) == 0;
}

/* HDF5's memory driver first checks whether a file with the image's name exists.  Any attempt to
 * open a file therefore fails with ENOENT instead of killing the process. */
static bool deny_opening(scmp_filter_ctx filter) {
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(openat), 0) == 0;
}

bool sandbox_enter(struct h5_error *err) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return h5_fail(err, "The converter cannot give up privileges.");
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    const bool ok = filter && allow_plain_calls(filter) && allow_bounded_calls(filter) &&
                    deny_opening(filter) && seccomp_load(filter) == 0;
    /* The filter object is not released: the process is short-lived. */
    return ok ? true : h5_fail(err, "The converter cannot enter its sandbox.");
}
