#include "host/sandbox/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Never raises a limit: the caller may have set a tighter one. */
static bool limit(int resource, rlim_t most) {
    struct rlimit now;
    if (getrlimit(resource, &now) != 0) return false;
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < most) most = now.rlim_max;
    const struct rlimit wanted = {.rlim_cur = most, .rlim_max = most};
    return setrlimit(resource, &wanted) == 0;
}

bool sandbox_limits(uint64_t memory, unsigned cpu_seconds, unsigned files) {
    return limit(RLIMIT_AS, memory) && (!cpu_seconds || limit(RLIMIT_CPU, cpu_seconds)) &&
           limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, files);
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

static bool allow_on(scmp_filter_ctx filter, int call, const int *fds, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
                             SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)fds[i], 0)) != 0)
            return false;
    }
    return true;
}

/* Calls that are harmless only with certain arguments. */
static bool allow_bounded_calls(scmp_filter_ctx filter) {
    const scmp_datum_t self = (scmp_datum_t)getpid();
    /* Memory only: never a file (but see allow_mapping), never executable. */
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                            SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS)) == 0 &&
           /* abort() signals itself; no other process may be signalled. */
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                            SCMP_A0(SCMP_CMP_EQ, self, 0)) == 0;
}

static bool allow_mapping(scmp_filter_ctx filter, int fd) {
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                            SCMP_A4(SCMP_CMP_EQ, (scmp_datum_t)fd, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ftruncate), 1,
                            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)fd, 0)) == 0;
}

/* Some libraries look for files that are not needed (HDF5's memory driver for one with the image's
 * name): any attempt to open one fails with ENOENT instead of killing the process. */
static bool deny_opening(scmp_filter_ctx filter) {
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(openat), 0) == 0;
}

bool sandbox_filter(const int *in, size_t in_count, const int *out, size_t out_count, int mapped) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    /* The filter object is not released: the process needs it for as long as it lives. */
    return filter && allow_plain_calls(filter) && allow_bounded_calls(filter) &&
           allow_on(filter, SCMP_SYS(read), in, in_count) &&
           allow_on(filter, SCMP_SYS(write), out, out_count) &&
           (mapped < 0 || allow_mapping(filter, mapped)) && deny_opening(filter) &&
           seccomp_load(filter) == 0;
}
