#include "host/runs/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/base/threads.h"

int mien_job_cpus(int slots) {
    const int cpus = mien_threads_available() / slots;
    return cpus > 0 ? cpus : 1;
}

/* The slot's part of the CPUs in `all`, in their order; with more slots than CPUs, one each in
 * turn. */
static void slot_cpus(const cpu_set_t *all, int slot, int slots, cpu_set_t *out) {
    const int share = mien_job_cpus(slots), count = CPU_COUNT(all);
    int seen = 0;
    CPU_ZERO(out);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, all)) continue;
        for (int i = 0; i < share; i++)
            if (seen == (slot * share + i) % count) CPU_SET(cpu, out);
        seen++;
    }
}

/* Only calls that are safe between fork and exec; does not return. */
static void become(char *const *argv, int output, int input, pid_t parent, const cpu_set_t *cpus) {
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0); /* Ctrl-C in a terminal is for the parent, which passes it on */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (cpus) sched_setaffinity(0, sizeof *cpus, cpus);
    if (getppid() == parent && dup2(input, 0) == 0 && dup2(output, 1) == 1 &&
        dup2(output, 2) == 2 && sigprocmask(SIG_SETMASK, &none, NULL) == 0)
        execv("/proc/self/exe", argv);
    kill(getpid(), SIGKILL);
}

mien_status mien_job_start(mien_job *job, char *const *argv, const char *log, int slots,
                           bool share) {
    cpu_set_t all, own;
    mien_status status = MIEN_OK;
    const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int output =
        open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (input < 0 || output < 0) {
        status = MIEN_FAIL(IO, "cannot write '%s': %s", log, strerror(errno));
        goto out;
    }
    fcntl(output, F_SETFL, O_APPEND); /* O_NONBLOCK was for opening: it might be a pipe */
    share = share && slots > 1 && sched_getaffinity(0, sizeof all, &all) == 0;
    if (share) slot_cpus(&all, job->slot, slots, &own);
    const pid_t parent = getpid(), pid = fork();
    if (pid == 0) become(argv, output, input, parent, share ? &own : NULL);
    if (pid < 0) {
        status = MIEN_FAIL(IO, "cannot start a process: %s", strerror(errno));
        goto out;
    }
    setpgid(pid, pid); /* whichever comes first, here or there */
    job->pid = pid;
out:
    if (input >= 0) close(input);
    if (output >= 0) close(output);
    return status;
}

bool mien_job_ended(mien_job *job, int *code) {
    int state;
    const pid_t pid = waitpid(job->pid, &state, WNOHANG);
    if (pid == 0 || (pid < 0 && errno == EINTR)) return false;
    *code = pid < 0 ? 1 : WIFSIGNALED(state) ? 128 + WTERMSIG(state) : WEXITSTATUS(state);
    job->pid = 0;
    return true;
}

void mien_job_stop(const mien_job *job) {
    if (job->pid > 0) kill(job->pid, SIGTERM);
}
