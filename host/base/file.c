#include "host/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/base/memory.h"
#include "host/base/mount.h"

static mien_status io_error(const char *what, const char *path) {
    const int code = errno;
    return mien_fail(code == ENOENT ? MIEN_NOT_FOUND : MIEN_IO, __FILE__, __LINE__,
                     "cannot %s '%s': %s", what, path, strerror(code));
}

static mien_status too_many_bytes(const char *path, unsigned long long size, size_t limit) {
    return MIEN_FAIL(FORMAT, "'%s' has %llu bytes; the limit is %zu", path, size, limit);
}

static mien_status read_mounted(const mien_mount *mount, const char *name, const char *path,
                                size_t limit, char **out, size_t *size) {
    const char *bytes = mount->read(mount->files, name, size);
    if (!bytes) return MIEN_FAIL(NOT_FOUND, "cannot open '%s': the archive has no such file", path);
    if (*size > limit) return too_many_bytes(path, *size, limit);
    MIEN_TRY(mien_new(out, *size + 1, 1));
    memcpy(*out, bytes, *size);
    return MIEN_OK;
}

/* On network file systems a signal may interrupt these as well. */
static int open_again(const char *path, int flags, mode_t mode) {
    int fd;
    do {
        fd = open(path, flags, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static int sync_again(int fd) {
    int result;
    do {
        result = fsync(fd);
    } while (result != 0 && errno == EINTR);
    return result;
}

/* What a signal interrupts has closed the descriptor all the same. */
static int close_once(int fd) {
    return close(fd) == 0 || errno == EINTR ? 0 : -1;
}

/* `opened`: NULL, or receives the descriptor. */
static mien_status read_regular(const char *path, int flags, size_t limit, char **out, size_t *size,
                                int *opened) {
    *out = NULL;
    if (opened) *opened = -1;
    const int fd = open_again(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags,
                              0); /* a pipe would wait for a writer */
    if (fd < 0) return io_error("open", path);
    mien_status status = MIEN_OK;
    char *data = NULL;
    size_t used = 0;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = io_error("read", path);
        goto out;
    }
    if (!S_ISREG(info.st_mode)) {
        status = MIEN_FAIL(IO, "'%s' is not a regular file", path);
        goto out;
    }
    if ((unsigned long long)info.st_size > limit) {
        status = too_many_bytes(path, (unsigned long long)info.st_size, limit);
        goto out;
    }
    MIEN_GO(mien_new_aligned(&data, (size_t)info.st_size + 1)); /* huge pages for large files */
    while (used < (size_t)info.st_size) {
        const ssize_t got = read(fd, data + used, (size_t)info.st_size - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            status = io_error("read", path);
            goto out;
        }
        if (got == 0) break;
        used += (size_t)got;
    }
    data[used] = 0;
    *out = data;
    *size = used;
    data = NULL;
out:
    mien_free(data);
    if (opened && status == MIEN_OK)
        *opened = fd;
    else
        close(fd);
    return status;
}

mien_status mien_file_read_open(const char *path, size_t limit, char **out, size_t *size, int *fd) {
    char name[MIEN_PATH];
    const mien_mount *mount = mien_mount_of(path, name);
    *out = NULL;
    if (fd) *fd = -1;
    if (mount && name[0]) return read_mounted(mount, name, path, limit, out, size);
    return read_regular(path, 0, limit, out, size, fd);
}

mien_status mien_file_read(const char *path, size_t limit, char **out, size_t *size) {
    return mien_file_read_open(path, limit, out, size, NULL);
}

mien_status mien_file_read_plain(const char *path, size_t limit, char **out, size_t *size) {
    return read_regular(path, O_NOFOLLOW, limit, out, size, NULL);
}

static int write_all(int fd, const char *data, size_t size) {
    while (size) {
        const ssize_t put = write(fd, data, size);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return -1;
        data += put;
        size -= (size_t)put;
    }
    return 0;
}

static void sync_folder(const char *path) {
    char folder[MIEN_PATH];
    mien_path_folder(folder, path);
    const int fd = open_again(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0) return;
    (void)sync_again(fd); /* some file systems refuse this; the rename itself has succeeded */
    close(fd);
}

/* A device or pipe (/dev/stdout) is written to directly: a rename would replace it. */
static bool is_stream(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

static mien_status write_stream(const char *path, const void *data, size_t size) {
    const int fd =
        open_again(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK, 0); /* a pipe without a reader fails */
    if (fd < 0) return io_error("write", path);
    fcntl(fd, F_SETFL, 0);
    const mien_status status = write_all(fd, data, size) == 0 ? MIEN_OK : io_error("write", path);
    close(fd);
    return status;
}

/* Its name does not contain that of `path`, which
 * may already have the maximum length. Files left by a killed process with the same id are
 * skipped. */
mien_status mien_file_begin(const char *path, char *temporary, int *fd) {
    static atomic_uint last;
    char folder[MIEN_PATH], name[64];
    if (strlen(path) >= MIEN_PATH) return MIEN_FAIL(INVALID, "the path '%.60s…' is too long", path);
    mien_path_folder(folder, path);
    do {
        snprintf(name, sizeof name, ".mien-%ld-%u", (long)getpid(), atomic_fetch_add(&last, 1));
        MIEN_TRY(mien_path_join(temporary, folder, name));
        *fd = open_again(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    } while (*fd < 0 && errno == EEXIST);
    return *fd < 0 ? io_error("write", path) : MIEN_OK;
}

/* All but the folder. */
static mien_status put_in_place(const char *path, const char *temporary, int fd) {
    const bool synced = sync_again(fd) == 0;
    const int code = errno;
    const bool closed = close_once(fd) == 0;
    if (!synced || !closed || rename(temporary, path) != 0) {
        if (!synced) errno = code;
        const mien_status status = io_error("write", path);
        unlink(temporary);
        return status;
    }
    return MIEN_OK;
}

mien_status mien_file_end(const char *path, const char *temporary, int fd) {
    MIEN_TRY(put_in_place(path, temporary, fd));
    sync_folder(path);
    return MIEN_OK;
}

mien_status mien_file_put(int fd, const char *path, size_t offset, const void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        const ssize_t put =
            pwrite(fd, (const char *)data + done, size - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return io_error("write", path);
        done += (size_t)put;
    }
    /* a hint: the disk works while the caller prepares the rest */
    (void)sync_file_range(fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
    return MIEN_OK;
}

void mien_file_drop(const char *temporary, int fd) {
    close(fd);
    unlink(temporary);
}

mien_status mien_file_write(const char *path, const void *data, size_t size) {
    char temporary[MIEN_PATH];
    int fd = -1;
    if (is_stream(path)) return write_stream(path, data, size);
    MIEN_TRY(mien_file_begin(path, temporary, &fd));
    if (write_all(fd, data, size) == 0) return mien_file_end(path, temporary, fd);
    const mien_status status = io_error("write", path);
    mien_file_drop(temporary, fd);
    return status;
}

mien_status mien_file_create(const char *path, int *fd) {
    if (strcmp(path, "-") == 0) {
        *fd = STDOUT_FILENO;
        return MIEN_OK;
    }
    *fd = open_again(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0644);
    if (*fd < 0) return io_error("write", path);
    fcntl(*fd, F_SETFL, 0); /* only opening must not wait */
    return MIEN_OK;
}

mien_status mien_file_add(int fd, const char *path, const void *data, size_t size) {
    return write_all(fd, data, size) == 0 ? MIEN_OK : io_error("write", path);
}

mien_status mien_file_close(int fd, const char *path) {
    if (fd < 0 || fd == STDOUT_FILENO) return MIEN_OK;
    return close_once(fd) == 0 ? MIEN_OK : io_error("write", path);
}

mien_status mien_file_write_at(const char *path, uint64_t at, const void *data, size_t size,
                               bool *shorter) {
    struct stat now;
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
    if (fd < 0) return io_error("write", path);
    bool good = fstat(fd, &now) == 0 && S_ISREG(now.st_mode);
    *shorter = good && (uint64_t)now.st_size < at;
    if (good && !*shorter)
        good = ftruncate(fd, (off_t)at) == 0 && lseek(fd, (off_t)at, SEEK_SET) >= 0 &&
               write_all(fd, data, size) == 0 && fsync(fd) == 0;
    const mien_status status = good ? MIEN_OK : io_error("write", path);
    if (close(fd) != 0 && status == MIEN_OK) return io_error("write", path);
    return status;
}

/* All but the folder. */
static mien_status link_file(const char *path, const char *name) {
    char temporary[MIEN_PATH];
    int fd = -1;
    if (mien_same_file(path, name)) return MIEN_OK; /* rename would leave both names */
    MIEN_TRY(mien_file_begin(name, temporary, &fd));
    close(fd);
    unlink(temporary); /* link() takes only a name that is free, and this one is */
    if (link(path, temporary) != 0)
        return MIEN_FAIL(UNSUPPORTED, "cannot link '%s': %s", name, strerror(errno));
    if (rename(temporary, name) != 0) {
        const mien_status status = io_error("write", name);
        unlink(temporary);
        return status;
    }
    return MIEN_OK;
}

mien_status mien_file_end_as(const char *path, const char *name, const char *temporary, int fd,
                             bool *linked) {
    MIEN_TRY(put_in_place(path, temporary, fd));
    *linked = link_file(path, name) == MIEN_OK;
    sync_folder(path);
    return MIEN_OK;
}

/* Temporary names hold the number of the process that writes. */
void mien_remove_temporaries(const char *folder) {
    char path[MIEN_PATH];
    DIR *dir = opendir(folder);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        long process;
        if (sscanf(e->d_name, ".mien-%ld-", &process) != 1 || process <= 0) continue;
        if (kill((pid_t)process, 0) == 0 || errno != ESRCH) continue;
        if (mien_path_join(path, folder, e->d_name) == MIEN_OK) unlink(path);
    }
    if (dir) closedir(dir);
}

mien_status mien_lock_folder(const char *folder, int *lock) {
    char path[MIEN_PATH];
    MIEN_TRY(mien_path_join(path, folder, ".lock"));
    *lock = open_again(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (*lock < 0) return io_error("write", path);
    int busy = flock(*lock, LOCK_EX | LOCK_NB);
    /* one who only looks whether there is a lock holds it for an instant */
    for (int i = 0; i < 5 && busy && errno == EWOULDBLOCK; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        busy = flock(*lock, LOCK_EX | LOCK_NB);
    }
    if (!busy || errno != EWOULDBLOCK) {
        mien_remove_temporaries(folder); /* no lock at all where the file system has none */
        return MIEN_OK;
    }
    close(*lock);
    *lock = -1;
    return MIEN_FAIL(INVALID, "another process is training in '%s'", folder);
}

void mien_unlock_folder(const char *folder, int lock) {
    char path[MIEN_PATH];
    if (lock < 0) return;
    if (mien_path_join(path, folder, ".lock") == MIEN_OK) unlink(path);
    close(lock);
}

bool mien_file_exists(const char *path) {
    struct stat info;
    char name[MIEN_PATH];
    size_t size;
    const mien_mount *mount = mien_mount_of(path, name);
    if (mount && name[0])
        return mount->read(mount->files, name, &size) || mount->is_folder(mount->files, name);
    return stat(path, &info) == 0;
}

bool mien_same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool mien_is_folder(const char *path) {
    struct stat info;
    char name[MIEN_PATH];
    const mien_mount *mount = mien_mount_of(path, name);
    if (mount) return mount->is_folder(mount->files, name);
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

mien_status mien_make_folders(const char *path) {
    char part[MIEN_PATH];
    if (!*path) return MIEN_FAIL(INVALID, "the folder name is empty");
    if (strlen(path) >= sizeof part)
        return MIEN_FAIL(INVALID, "the path '%.60s…' is too long", path);
    strcpy(part, path);
    for (char *at = part + 1;; at++) {
        if (*at != '/' && *at != 0) continue;
        const char end = *at;
        *at = 0;
        if (mkdir(part, 0755) != 0 && errno != EEXIST) return io_error("create folder", part);
        if (end == 0) break;
        *at = '/';
    }
    if (!mien_is_folder(path)) return MIEN_FAIL(IO, "'%s' exists and is not a folder", path);
    return MIEN_OK;
}

mien_status mien_path_join(char *out, const char *folder, const char *name) {
    const bool plain = name[0] == '/' || folder[0] == 0;
    const int need = plain ? snprintf(out, MIEN_PATH, "%s", name)
                           : snprintf(out, MIEN_PATH, "%s/%s", folder, name);
    if (need < 0 || need >= MIEN_PATH)
        return MIEN_FAIL(INVALID, "the path '%.60s…' is too long", name);
    return MIEN_OK;
}

void mien_path_folder(char *out, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) {
        strcpy(out, ".");
    } else if (slash == path) {
        strcpy(out, "/");
    } else {
        const size_t length =
            (size_t)(slash - path) < MIEN_PATH ? (size_t)(slash - path) : MIEN_PATH - 1;
        memcpy(out, path, length);
        out[length] = 0;
    }
}

void mien_path_stem(char *out, size_t size, const char *path) {
    const char *slash = strrchr(path, '/');
    snprintf(out, size, "%s", slash ? slash + 1 : path);
    char *dot = strrchr(out, '.');
    if (dot && dot != out) *dot = 0;
}

bool mien_path_ends(const char *path, const char *suffix) {
    const size_t n = strlen(path), m = strlen(suffix);
    return n >= m && strcasecmp(path + n - m, suffix) == 0;
}
