/* The CPU quota of control groups, as Linux, Docker and systemd lay them out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/threads.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

static int machine; /* each check looks at files of its own */

static void put(const char *path, const char *text) {
    char name[256];
    snprintf(name, sizeof name, "%d%s", machine, path);
    scratch_put(name, text, strlen(text));
}

static void check(double expected) {
    char name[32];
    snprintf(name, sizeof name, "%d", machine++);
    assert_float_equal((float)mien_cpu_quota(scratch_path(name)), (float)expected, 1e-6f);
}

static void without_groups(void **state) {
    (void)state;
    check(0);
    put("/proc/self/cgroup", "nonsense\n0::\n1:cpu\n");
    check(0);
}

static void version_2(void **state) {
    (void)state;
    put("/proc/self/cgroup", "0::/\n"); /* a container */
    put("/sys/fs/cgroup/cpu.max", "150000 100000\n");
    check(1.5);
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "max 100000\n");
    check(0);
    put("/proc/self/cgroup", "0::/user.slice/job.scope\n"); /* the outer group is the stricter */
    put("/sys/fs/cgroup/user.slice/cpu.max", "50000 100000\n");
    put("/sys/fs/cgroup/user.slice/job.scope/cpu.max", "300000 100000\n");
    check(0.5);
    put("/proc/self/cgroup", "0::/user.slice/job.scope\n"); /* the inner one is */
    put("/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/user.slice/job.scope/cpu.max", "225000 100000\n");
    check(2.25);
}

static void version_1(void **state) {
    (void)state;
    put("/proc/self/cgroup", "12:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n0::/docker/1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000\n"); /* /docker/1 is not there */
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    check(2.5);
    put("/proc/self/cgroup", "4:cpu:/batch/job\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu/batch/cpu.cfs_quota_us", "120000\n");
    put("/sys/fs/cgroup/cpu/batch/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu/batch/job/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/batch/job/cpu.cfs_period_us", "100000\n");
    check(1.2);
    put("/proc/self/cgroup", "4:cpuset,cpuacct:/\n"); /* "cpu" is not among them */
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "120000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    check(0);
}

static void the_number_of_threads(void **state) {
    (void)state;
    unsetenv("OMP_NUM_THREADS");
    const int all = mien_threads_available();
    setenv("OMP_NUM_THREADS", "1,2", 1);
    assert_int_equal(mien_threads_available(), 1);
    setenv("OMP_NUM_THREADS", "500", 1); /* more than there are */
    assert_int_equal(mien_threads_available(), all);
    setenv("OMP_NUM_THREADS", "many", 1);
    assert_int_equal(mien_threads_available(), all);
    unsetenv("OMP_NUM_THREADS");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(without_groups),
                                       cmocka_unit_test(version_2), cmocka_unit_test(version_1),
                                       cmocka_unit_test(the_number_of_threads)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
