#include "host/data/npy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "host/base/memory.h"
#include "host/base/mount.h"

mien_status npy_open_file(const char *path, int *fd, uint64_t *size) {
    struct stat info;
    if (!mien_mount_open(path, fd)) /* opening a pipe would wait for a writer */
        *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return mien_fail(errno == ENOENT ? MIEN_NOT_FOUND : MIEN_IO, __FILE__, __LINE__,
                         "cannot open '%s': %s", path, strerror(errno));
    if (fstat(*fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(*fd);
        *fd = -1;
        return MIEN_FAIL(IO, "'%s' is not a regular file", path);
    }
    *size = (uint64_t)info.st_size;
    return MIEN_OK;
}

mien_status npy_pread(const char *name, int fd, uint64_t from, size_t size, uint8_t *to) {
    for (size_t used = 0; used < size;) {
        const ssize_t got = pread(fd, to + used, size - used, (off_t)(from + used));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return MIEN_FAIL(IO, "cannot read '%s': %s", name, strerror(errno));
        if (got == 0) return MIEN_FAIL(FORMAT, "'%s' is cut short", name);
        used += (size_t)got;
    }
    return MIEN_OK;
}

mien_status npy_start(npy_array *array, uint64_t base, uint64_t size) {
    const size_t capacity = size < NPY_HEADER_MAX ? (size_t)size : NPY_HEADER_MAX;
    uint8_t *head = NULL;
    mien_status status;
    MIEN_GO(mien_new(&head, capacity + 1, 1));
    if (array->bytes)
        memcpy(head, array->bytes, capacity);
    else
        MIEN_GO(npy_pread(array->name, array->fd, base, capacity, head));
    MIEN_GO(npy_parse(array->name, head, capacity, size, &array->head));
    array->offset = base + array->head.start;
    fstat(array->fd, &array->before);
out:
    mien_free(head);
    if (status != MIEN_OK) npy_close(array);
    return status;
}

mien_status npy_open(const char *path, npy_array *out) {
    uint64_t size;
    *out = (npy_array){.fd = -1};
    MIEN_TRY(npy_open_file(path, &out->fd, &size));
    const mien_status status = mien_copy_text(&out->name, path);
    if (status == MIEN_OK) return npy_start(out, 0, size);
    npy_close(out);
    return status;
}

mien_status npy_read(const npy_array *a, uint64_t from, size_t size, uint8_t *to) {
    struct stat now;
    if (a->bytes) {
        memcpy(to, a->bytes + a->offset + from, size);
        return MIEN_OK;
    }
    MIEN_TRY(npy_pread(a->name, a->fd, a->offset + from, size, to));
    if (fstat(a->fd, &now) == 0 && now.st_size == a->before.st_size &&
        now.st_mtim.tv_sec == a->before.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == a->before.st_mtim.tv_nsec)
        return MIEN_OK;
    return MIEN_FAIL(IO, "'%s' was changed while in use: start again", a->name);
}

void npy_close(npy_array *array) {
    if (array->name && array->fd >= 0) close(array->fd);
    mien_free(array->name);
    mien_free(array->bytes);
    *array = (npy_array){.fd = -1};
}
