/* The CPU quota of control groups, as Linux, Docker and systemd lay them out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/base/threads.h"
#include "tests/support/test.h"

static char root[64];

static int make_root(void **state) {
    (void)state;
    snprintf(root, sizeof root, "/tmp/mien-quota-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int remove_root(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static void put(const char *path, const char *text) {
    char whole[512];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(whole, 0700);
        *slash = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void check(double expected) {
    assert_float_equal((float)mien_cpu_quota(root), (float)expected, 1e-6f);
    remove_root(NULL);
    mkdir(root, 0700);
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
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
