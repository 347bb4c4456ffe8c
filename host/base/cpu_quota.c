/* The CPU quota of the process's control groups (cgroups(7)), version 1 and 2. */
#include <stdio.h>
#include <string.h>

#include "host/base/threads.h"

enum { PATH = 4096 };

/* Version 2: "150000 100000", quota and period in microseconds, or "max 100000". */
static double quota_v2(const char *folder) {
    char path[PATH + 64];
    double quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    const int read = fscanf(file, "%lf %lf", &quota, &period);
    fclose(file);
    return read == 2 && quota > 0 && period > 0 ? quota / period : 0;
}

static double number_in(const char *folder, const char *name) {
    char path[PATH + 64];
    double value = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    if (fscanf(file, "%lf", &value) != 1) value = 0;
    fclose(file);
    return value;
}

/* Version 1: a quota of -1 is none. */
static double quota_v1(const char *folder) {
    const double quota = number_in(folder, "cpu.cfs_quota_us");
    const double period = number_in(folder, "cpu.cfs_period_us");
    return quota > 0 && period > 0 ? quota / period : 0;
}

static double lower(double a, double b) {
    return !a ? b : (!b || a < b ? a : b);
}

/* The lowest quota from `group` up to the root. In a container the group may be named as the host
 * sees it, and not be there: only the root, which is the container's own group, counts then. */
static double quota_of(const char *mount, const char *group, double (*read)(const char *folder)) {
    char folder[PATH];
    double quota = 0;
    snprintf(folder, sizeof folder, "%s%s", mount, group);
    while (strlen(folder) > strlen(mount)) {
        quota = lower(quota, read(folder));
        *strrchr(folder, '/') = 0;
    }
    return lower(quota, read(mount));
}

static bool lists(const char *controllers, const char *name) {
    char padded[256], wanted[64];
    snprintf(padded, sizeof padded, ",%s,", controllers);
    snprintf(wanted, sizeof wanted, ",%s,", name);
    return strstr(padded, wanted) != NULL;
}

double mien_cpu_quota(const char *root) {
    static const char *const v1[] = {"cpu", "cpu,cpuacct", "cpuacct,cpu"};
    static const char *const v2[] = {"", "/unified"};
    char path[PATH], line[PATH], mount[PATH];
    double quota = 0;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) { /* number:controllers:/group */
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'),
             *group = controllers ? strchr(controllers + 1, ':') : 0;
        if (!group || group[1] != '/') continue;
        *group++ = 0;
        controllers++;
        for (int i = 0; i < 3 && lists(controllers, "cpu"); i++) {
            snprintf(mount, sizeof mount, "%.1000s/sys/fs/cgroup/%s", root, v1[i]);
            quota = lower(quota, quota_of(mount, group, quota_v1));
        }
        for (int i = 0; i < 2 && !*controllers; i++) {
            snprintf(mount, sizeof mount, "%.1000s/sys/fs/cgroup%s", root, v2[i]);
            quota = lower(quota, quota_of(mount, group, quota_v2));
        }
    }
    if (file) fclose(file);
    return quota;
}
