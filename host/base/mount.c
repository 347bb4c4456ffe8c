#include "host/base/mount.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/base/file.h"

/* Readers take a path, and what a path means is the same for the whole process. */
static pthread_mutex_t mounting = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(const mien_mount *) mounted;

void mien_mount_files(const mien_mount *mount) {
    pthread_mutex_lock(&mounting);
    atomic_store(&mounted, mount);
}

void mien_unmount(void) {
    atomic_store(&mounted, NULL);
    pthread_mutex_unlock(&mounting);
}

/* Copies a path without its empty and "." parts; `out` has space for all of it. */
static void clean(const char *path, char *out) {
    char *to = out;
    while (*path) {
        const size_t length = strcspn(path, "/");
        if (length > 1 || (length == 1 && *path != '.')) {
            if (to > out) *to++ = '/';
            memcpy(to, path, length);
            to += length;
        }
        path += length + (path[length] != 0);
    }
    *to = 0;
}

const mien_mount *mien_mount_of(const char *path, char *name) {
    const mien_mount *mount = atomic_load(&mounted);
    if (!mount) return NULL;
    const size_t length = strlen(mount->path);
    if (strncmp(path, mount->path, length) != 0 || (path[length] != '/' && path[length] != 0))
        return NULL;
    if (strlen(path + length) >= MIEN_PATH) return NULL;
    clean(path + length, name);
    return mount;
}

bool mien_mount_open(const char *path, int *fd) {
    char name[MIEN_PATH];
    size_t size, used = 0;
    const mien_mount *mount = mien_mount_of(path, name);
    if (!mount || !name[0]) return false;
    *fd = mount->open(mount->files, name);
    if (*fd >= 0) return true;
    const char *bytes = mount->read(mount->files, name, &size);
    errno = ENOENT;
    if (!bytes) return true;
    *fd = memfd_create("mien", MFD_CLOEXEC);
    while (*fd >= 0 && used < size) {
        const ssize_t put = pwrite(*fd, bytes + used, size - used, (off_t)used);
        if (put > 0) used += (size_t)put;
        if (put > 0 || errno == EINTR) continue;
        close(*fd);
        *fd = -1;
    }
    return true;
}
