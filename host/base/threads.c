#include "host/base/threads.h"

#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <xmmintrin.h>

enum { FTZ_DAZ = 0x8040 };

/* cgroup v2: "max 100000" or "150000 100000" (quota and period in microseconds). */
static int cgroup_limit(void) {
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!file) return 0;
    double quota = 0, period = 0;
    const int read = fscanf(file, "%lf %lf", &quota, &period);
    fclose(file);
    if (read != 2 || period <= 0) return 0;
    const int cpus = (int)(quota / period);
    return cpus < 1 ? 1 : cpus;
}

int mien_threads_available(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    const int limit = cgroup_limit();
    if (limit && limit < cpus) cpus = limit;
    return cpus < 1 ? 1 : cpus;
}

int mien_threads_start(int threads) {
    const int size = threads > 0 ? threads : mien_threads_available();
    omp_set_dynamic(0);
    omp_set_num_threads(size);
    const unsigned saved = mien_float_enter();
#pragma omp parallel num_threads(size)
    _mm_setcsr(_mm_getcsr() | FTZ_DAZ);
    mien_float_leave(saved);
    return size;
}

int mien_threads_count(void) {
    return omp_get_max_threads();
}

unsigned mien_float_enter(void) {
    const unsigned saved = _mm_getcsr();
    _mm_setcsr(saved | FTZ_DAZ);
    return saved;
}

void mien_float_leave(unsigned saved) {
    _mm_setcsr(saved);
}
