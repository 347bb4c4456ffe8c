/* How much memory this process may still allocate. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "host/base/memory.h"

/* The number after `key` in a file of "key number" lines, or the file's first number when `key` is
 * NULL; SIZE_MAX when it is missing or not a number ("max"). */
static size_t number_in(const char *path, const char *key) {
    FILE *file = fopen(path, "re");
    char line[256];
    size_t found = SIZE_MAX;
    if (!file) return found;
    const size_t length = key ? strlen(key) : 0;
    while (found == SIZE_MAX && fgets(line, sizeof line, file)) {
        unsigned long long value;
        if (key && strncmp(line, key, length) != 0) continue;
        if (sscanf(line + length, "%llu", &value) == 1) found = (size_t)value;
    }
    fclose(file);
    return found;
}

/* Memory that one cgroup has left: its limit minus its usage; inactive page cache counts as
 * free. */
static size_t group_left(const char *folder, const char *limit, const char *usage,
                         const char *cache) {
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, limit);
    const size_t most = number_in(path, NULL);
    snprintf(path, sizeof path, "%s/%s", folder, usage);
    size_t used = number_in(path, NULL);
    if (most == SIZE_MAX || used == SIZE_MAX) return SIZE_MAX;
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    const size_t cached = number_in(path, cache);
    used -= cached < used ? cached : 0;
    return used < most ? most - used : 0;
}

/* The minimum over a cgroup and its ancestors. Shortens `folder` to its parents. */
static size_t groups_left(const char *mount, char *folder, const char *limit, const char *usage,
                          const char *cache) {
    size_t least = SIZE_MAX;
    for (;;) {
        const size_t left = group_left(folder, limit, usage, cache);
        if (left < least) least = left;
        char *slash = strrchr(folder, '/');
        if (!slash || strlen(folder) <= strlen(mount)) return least;
        *slash = 0;
    }
}

static size_t cgroup_left(void) {
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[512], folder[1024];
    size_t least = SIZE_MAX, left = SIZE_MAX;
    if (!file) return least;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        const char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
        if (!path) continue;
        if (strncmp(line, "0::", 3) == 0) {
            snprintf(folder, sizeof folder, "/sys/fs/cgroup%s", path + 1);
            left = groups_left("/sys/fs/cgroup", folder, "memory.max", "memory.current",
                               "inactive_file ");
        } else if (strncmp(names, ":memory:", 8) == 0) {
            snprintf(folder, sizeof folder, "/sys/fs/cgroup/memory%s", path + 1);
            left = groups_left("/sys/fs/cgroup/memory", folder, "memory.limit_in_bytes",
                               "memory.usage_in_bytes", "total_inactive_file ");
        }
        if (left < least) least = left;
    }
    fclose(file);
    return least;
}

size_t mien_memory_available(void) {
    struct rlimit limit;
    const size_t kib = number_in("/proc/meminfo", "MemAvailable:");
    size_t least = kib > SIZE_MAX / 1024 ? SIZE_MAX : kib * 1024;
    const size_t group = cgroup_left();
    if (group < least) least = group;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < least) least = limit.rlim_cur;
    return least;
}
