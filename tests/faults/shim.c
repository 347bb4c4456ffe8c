/* Loaded with LD_PRELOAD into mien: makes the n-th call of one kind fail, kills or signals the
 * process there, and records what is written. Only calls from the program's own code count, because
 * those of libraries are not Mien's to handle. Settings are environment variables:
 *
 *   SHIM_KIND    io, save (calls that change files) or memory: which calls count
 *   SHIM_AT      the number of the call at which something happens, from 1; 0: none
 *   SHIM_EVER    1: all later calls of the kind fail as well
 *   SHIM_ERROR   errno of the failing call; 0: half of a read or write is done
 *   SHIM_SIGNAL  instead of failing, the process sends itself this signal before the call
 *   SHIM_DELAY   microseconds that every call of the kind takes longer
 *   SHIM_LOG     file to which a line per call is appended; at the end "live N", blocks not freed
 *   SHIM_RECORD  file to which everything that changes files is appended, for power_loss.py
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

enum kind { IO = 1, SAVE = 2, MEMORY = 4 };

static unsigned kind; /* of the calls that count; 0: the shim is asleep */
static long at, delay;
static int error_number, signal_number, log_fd = -1, record_fd = -1;
static bool ever;
static atomic_long calls;
static uintptr_t text_begin, text_end;

static long setting(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

static int append_to(const char *name) {
    const char *path = getenv(name);
    return path ? (int)syscall(SYS_openat, AT_FDCWD, path,
                               O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)
                : -1;
}

/* The first object is the program itself. */
static int find_text(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size, (void)context;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
            text_begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            text_end = text_begin + info->dlpi_phdr[i].p_memsz;
        }
    return 1;
}

__attribute__((constructor)) static void begin(void) {
    const char *word = getenv("SHIM_KIND");
    if (!word || strcmp(program_invocation_short_name, "mien") != 0) return;
    dl_iterate_phdr(find_text, NULL);
    at = setting("SHIM_AT");
    ever = setting("SHIM_EVER");
    delay = setting("SHIM_DELAY");
    error_number = (int)setting("SHIM_ERROR");
    signal_number = (int)setting("SHIM_SIGNAL");
    log_fd = append_to("SHIM_LOG");
    record_fd = append_to("SHIM_RECORD");
    kind = strcmp(word, "io") == 0 ? IO | SAVE : strcmp(word, "save") == 0 ? SAVE : MEMORY;
}

static void put(int fd, const void *data, size_t size) {
    if (syscall(SYS_write, fd, data, size) != (long)size) abort();
}

/* Whether this call is to fail. */
static bool fails(unsigned of, const void *caller, const char *name, const char *what) {
    char line[512];
    const uintptr_t from = (uintptr_t)caller;
    if (!(kind & of) || from < text_begin || from >= text_end) return false;
    const long n = atomic_fetch_add(&calls, 1) + 1;
    if (log_fd >= 0 && of != MEMORY) {
        const int size = snprintf(line, sizeof line, "%ld %s %.400s\n", n, name, what ? what : "");
        put(log_fd, line, (size_t)size);
    }
    if (delay) {
        const struct timespec pause = {0, delay * 1000};
        nanosleep(&pause, NULL);
    }
    if (!at || !(n == at || (ever && n > at))) return false;
    if (signal_number) {
        if (n == at) kill(getpid(), signal_number);
        return false;
    }
    errno = error_number;
    return true;
}

#define REAL(name)                                                                                 \
    static __typeof__(name) *real;                                                                 \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define CALLER __builtin_return_address(0)

/* ---- the record ---- */

/* One line, then `size` bytes of data: op inode offset size path [other] */
static void record(const char *op, unsigned long long inode, long long offset, const void *data,
                   size_t size, const char *path, const char *other) {
    char line[2 * 4096 + 128];
    if (record_fd < 0) return;
    const int length = snprintf(line, sizeof line, "%s\t%llu\t%lld\t%zu\t%s\t%s\n", op, inode,
                                offset, size, path, other);
    put(record_fd, line, (size_t)length);
    if (size) put(record_fd, data, size);
}

static unsigned long long inode_of(int fd) {
    struct stat info;
    return record_fd >= 0 && fstat(fd, &info) == 0 ? info.st_ino : 0;
}

/* The path of a descriptor, for the log. */
static const char *path_of(int fd, char path[4096]) {
    char link[32];
    path[0] = 0;
    if (log_fd < 0 && record_fd < 0) return path;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const long size = syscall(SYS_readlinkat, AT_FDCWD, link, path, 4095);
    path[size > 0 ? size : 0] = 0;
    return path;
}

/* ---- files ---- */

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, int) : 0;
    va_end(rest);
    if (fails(flags & O_CREAT ? SAVE : IO, CALLER, "open", path)) {
        if (!error_number) errno = EINTR;
        return -1;
    }
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd >= 0 && flags & O_CREAT) record("open", inode_of(fd), 0, NULL, 0, path, "");
    return fd;
}

int close(int fd) {
    char path[4096];
    const bool failing = fails(SAVE, CALLER, "close", path_of(fd, path));
    const int code = errno;
    const int result = (int)syscall(SYS_close, fd); /* a close that fails has closed */
    if (!failing) return result;
    errno = code ? code : EINTR;
    return -1;
}

static size_t half(size_t size) {
    return size > 1 ? size / 2 : size;
}

ssize_t write(int fd, const void *data, size_t size) {
    char path[4096];
    if (fails(SAVE, CALLER, "write", path_of(fd, path))) {
        if (error_number) return -1;
        size = half(size);
    }
    const long long offset = record_fd >= 0 ? lseek(fd, 0, SEEK_CUR) : 0;
    const ssize_t done = syscall(SYS_write, fd, data, size);
    if (done > 0) record("write", inode_of(fd), offset, data, (size_t)done, path, "");
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    char path[4096];
    if (fails(SAVE, CALLER, "pwrite", path_of(fd, path))) {
        if (error_number) return -1;
        size = half(size);
    }
    const ssize_t done = syscall(SYS_pwrite64, fd, data, size, offset);
    if (done > 0) record("write", inode_of(fd), offset, data, (size_t)done, path, "");
    return done;
}

ssize_t read(int fd, void *data, size_t size) {
    char path[4096];
    if (fails(IO, CALLER, "read", path_of(fd, path))) {
        if (error_number) return -1;
        size = half(size);
    }
    return syscall(SYS_read, fd, data, size);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset) {
    char path[4096];
    if (fails(IO, CALLER, "pread", path_of(fd, path))) {
        if (error_number) return -1;
        size = half(size);
    }
    return syscall(SYS_pread64, fd, data, size, offset);
}

/* NAME(PARAMETERS), by a system call, recorded as OP. Where half a call makes no sense, it is
 * interrupted. */
#define FILE_CALL(kind, name, parameters, what, call, op)                                          \
    int name parameters {                                                                          \
        char path[4096];                                                                           \
        (void)path;                                                                                \
        if (fails(kind, CALLER, #name, what)) {                                                    \
            if (!error_number) errno = EINTR;                                                      \
            return -1;                                                                             \
        }                                                                                          \
        const int result = (int)(call);                                                            \
        if (result == 0) op;                                                                       \
        return result;                                                                             \
    }
FILE_CALL(SAVE, fsync, (int fd), path_of(fd, path), syscall(SYS_fsync, fd),
          record("fsync", inode_of(fd), 0, NULL, 0, path_of(fd, path), ""))
FILE_CALL(SAVE, fdatasync, (int fd), path_of(fd, path), syscall(SYS_fdatasync, fd),
          record("fsync", inode_of(fd), 0, NULL, 0, path_of(fd, path), ""))
FILE_CALL(SAVE, ftruncate, (int fd, off_t size), path_of(fd, path),
          syscall(SYS_ftruncate, fd, size),
          record("truncate", inode_of(fd), size, NULL, 0, path_of(fd, path), ""))
FILE_CALL(SAVE, rename, (const char *from, const char *to), to, syscall(SYS_rename, from, to),
          record("rename", 0, 0, NULL, 0, from, to))
FILE_CALL(SAVE, link, (const char *from, const char *to), to, syscall(SYS_link, from, to),
          record("link", 0, 0, NULL, 0, from, to))
FILE_CALL(SAVE, unlink, (const char *name), name, syscall(SYS_unlink, name),
          record("unlink", 0, 0, NULL, 0, name, ""))
FILE_CALL(SAVE, mkdir, (const char *name, mode_t mode), name, syscall(SYS_mkdir, name, mode),
          record("mkdir", 0, 0, NULL, 0, name, ""))

int memfd_create(const char *name, unsigned flags) {
    if (!fails(IO, CALLER, "memfd_create", name))
        return (int)syscall(SYS_memfd_create, name, flags);
    if (!error_number) errno = EINTR;
    return -1;
}

DIR *opendir(const char *name) {
    REAL(opendir);
    if (!fails(IO, CALLER, "opendir", name)) return real(name);
    if (!error_number) errno = EINTR;
    return NULL;
}

struct dirent *readdir(DIR *dir) {
    REAL(readdir);
    if (!fails(IO, CALLER, "readdir", NULL)) return real(dir);
    if (!error_number) errno = EINTR;
    return NULL;
}

FILE *fopen(const char *path, const char *mode) {
    REAL(fopen);
    if (!fails(IO, CALLER, "fopen", path)) return real(path, mode);
    if (!error_number) errno = EINTR;
    return NULL;
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
    REAL(posix_spawn);
    if (fails(IO, CALLER, "posix_spawn", path)) return error_number ? error_number : EINTR;
    return real(pid, path, actions, attributes, argv, envp);
}

/* ---- memory ---- */

/* Blocks that the program's own code got and nobody has freed. */
enum { SLOTS = 1 << 16 };
static void *live[SLOTS];
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

static size_t slot_of(const void *block) {
    return (size_t)(((uintptr_t)block >> 4) * 0x9E3779B97F4A7C15u >> 48);
}

static void keep(const void *caller, void *block) {
    const uintptr_t from = (uintptr_t)caller;
    if (!(kind & MEMORY) || !block || from < text_begin || from >= text_end) return;
    pthread_mutex_lock(&guard);
    for (size_t i = slot_of(block), tries = 0; tries < SLOTS; i = (i + 1) % SLOTS, tries++)
        if (!live[i] || live[i] == (void *)1) {
            live[i] = block;
            break;
        }
    pthread_mutex_unlock(&guard);
}

static void drop(void *block) {
    if (!(kind & MEMORY) || !block) return;
    pthread_mutex_lock(&guard);
    for (size_t i = slot_of(block), tries = 0; live[i] && tries < SLOTS;
         i = (i + 1) % SLOTS, tries++)
        if (live[i] == block) {
            live[i] = (void *)1; /* a slot that was used keeps the search going */
            break;
        }
    pthread_mutex_unlock(&guard);
}

__attribute__((destructor)) static void end(void) {
    char line[128];
    long left = 0;
    for (size_t i = 0; i < SLOTS; i++)
        left += (uintptr_t)live[i] > 1;
    if (!kind || log_fd < 0) return;
    const int size =
        snprintf(line, sizeof line, "calls %ld\nlive %ld\n", atomic_load(&calls), left);
    put(log_fd, line, (size_t)size);
}

#define BLOCK(name, what, call)                                                                    \
    do {                                                                                           \
        if (fails(MEMORY, CALLER, name, what)) {                                                   \
            errno = ENOMEM;                                                                        \
            return NULL;                                                                           \
        }                                                                                          \
        void *const block = call;                                                                  \
        keep(CALLER, block);                                                                       \
        return block;                                                                              \
    } while (0)

void *malloc(size_t size) {
    BLOCK("malloc", NULL, __libc_malloc(size));
}

void *calloc(size_t count, size_t size) {
    BLOCK("calloc", NULL, __libc_calloc(count, size));
}

void *aligned_alloc(size_t align, size_t size) {
    BLOCK("aligned_alloc", NULL, __libc_memalign(align, size));
}

void *realloc(void *old, size_t size) {
    if (fails(MEMORY, CALLER, "realloc", NULL)) {
        errno = ENOMEM;
        return NULL;
    }
    drop(old);
    void *const block = __libc_realloc(old, size);
    keep(CALLER, block ? block : size ? old : NULL);
    return block;
}

int posix_memalign(void **out, size_t align, size_t size) {
    if (fails(MEMORY, CALLER, "posix_memalign", NULL)) return ENOMEM;
    *out = __libc_memalign(align, size);
    keep(CALLER, *out);
    return *out ? 0 : ENOMEM;
}

char *strdup(const char *text) {
    if (fails(MEMORY, CALLER, "strdup", NULL)) {
        errno = ENOMEM;
        return NULL;
    }
    const size_t size = strlen(text) + 1;
    char *const copy = __libc_malloc(size);
    if (copy) memcpy(copy, text, size);
    keep(CALLER, copy);
    return copy;
}

void *mmap(void *wanted, size_t size, int protection, int flags, int fd, off_t offset) {
    if (fails(MEMORY, CALLER, "mmap", NULL)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, wanted, size, protection, flags, fd, offset);
}

void free(void *block) {
    drop(block);
    __libc_free(block);
}
