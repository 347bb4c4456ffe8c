#include "host/base/threads.h"

#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xmmintrin.h>

enum { FTZ_DAZ = 0x8040 };

void mien_processor_name(char *out, size_t size) {
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");
    snprintf(out, size, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        const char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !value) continue;
        snprintf(out, size, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
        break;
    }
    if (file) fclose(file);
}

static cpu_set_t process_set;

static void read_process_set(void) {
    CPU_ZERO(&process_set);
    if (sched_getaffinity(0, sizeof process_set, &process_set) != 0) CPU_SET(0, &process_set);
}

/* The CPUs that the process may use, read before any thread is pinned. */
static const cpu_set_t *process_cpus(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_process_set);
    return &process_set;
}

/* The id of number `index` among the process's CPUs. */
static int cpu_number(int index) {
    int cpu = 0;
    for (int left = index; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, process_cpus()) && left-- == 0) break;
    return cpu;
}

static bool openmp_binds(void) {
    return getenv("OMP_PROC_BIND") || getenv("OMP_PLACES") || getenv("GOMP_CPU_AFFINITY");
}

void mien_threads_leave_team(void) {
    sched_setaffinity(0, sizeof(cpu_set_t), process_cpus());
}

/* The first number of OMP_NUM_THREADS, which schedulers of clusters set; 0: none. */
static int asked_of_openmp(void) {
    const char *value = getenv("OMP_NUM_THREADS");
    const long n = value ? strtol(value, NULL, 10) : 0;
    return n > 0 && n <= CPU_SETSIZE ? (int)n : 0;
}

int mien_threads_available(void) {
    int cpus = CPU_COUNT(process_cpus());
    const int asked = asked_of_openmp();
    const double quota = mien_cpu_quota("");
    if (quota > 0 && quota < cpus) cpus = (int)(quota + 0.5); /* a half more is worth a thread */
    if (asked && asked < cpus) cpus = asked;
    return cpus < 1 ? 1 : cpus;
}

int mien_threads_start(int threads, bool pin) {
    const int size = threads > 0 ? threads : mien_threads_available();
    omp_set_dynamic(0);
    omp_set_num_threads(size);
    const unsigned saved = mien_float_enter();
    /* with spare CPUs the scheduler places threads better than a fixed list would */
    const bool pins = pin && size > 1 && size == CPU_COUNT(process_cpus()) && !openmp_binds();
#pragma omp parallel num_threads(size)
    {
        cpu_set_t own;
        CPU_ZERO(&own);
        CPU_SET(cpu_number(omp_get_thread_num()), &own);
        if (pins) sched_setaffinity(0, sizeof own, &own);
        _mm_setcsr(_mm_getcsr() | FTZ_DAZ);
    }
    mien_float_leave(saved);
    return size;
}

int mien_threads_count(void) {
    return omp_get_max_threads();
}

int mien_threads_limit(int threads) {
    const int old = omp_get_max_threads();
    omp_set_num_threads(threads);
    return old;
}

void mien_signals_hold(sigset_t *before) {
    static _Thread_local int held = 1; /* threads of the team */
    const int team = omp_get_max_threads();
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, before);
    if (team <= held || omp_in_parallel()) return; /* within a team every thread holds its own */
#pragma omp parallel num_threads(team)
    if (omp_get_thread_num() > 0) pthread_sigmask(SIG_BLOCK, &all, NULL);
    held = team;
}

void mien_signals_release(const sigset_t *before) {
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

unsigned mien_float_enter(void) {
    const unsigned saved = _mm_getcsr();
    _mm_setcsr(saved | FTZ_DAZ);
    return saved;
}

void mien_float_leave(unsigned saved) {
    _mm_setcsr(saved);
}

mien_thread_mode mien_threads_enter(int team) {
    const mien_thread_mode saved = {mien_float_enter(), omp_get_max_threads()};
    if (team > 0) omp_set_num_threads(team);
    return saved;
}

void mien_threads_leave(mien_thread_mode saved) {
    omp_set_num_threads(saved.team);
    mien_float_leave(saved.floats);
}
