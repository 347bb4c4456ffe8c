/* Runs libhdf5 in a separate, sandboxed program, so that a crafted file that exploits it cannot
 * crash this process or read other files. Input is on descriptor 3, output on descriptor 4. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/base/clock.h"
#include "host/base/memory.h"
#include "host/base/module.h"
#include "host/formats/model.h"

/* EXIT_UNKNOWN: the wait status of exit(1) */
static const size_t output_limit = (size_t)4 << 30;
enum { TIMEOUT_SECONDS = 60, ERROR_TEXT = 400, EXIT_UNKNOWN = 1 << 8 };

static mien_status memory_file(const char *name, const void *data, size_t size, int *fd) {
    *fd = memfd_create(name, MFD_CLOEXEC);
    if (*fd < 0) return MIEN_FAIL(IO, "cannot create a memory file: %s", strerror(errno));
    for (size_t done = 0; done < size;) {
        const ssize_t put = write(*fd, (const char *)data + done, size - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return MIEN_FAIL(IO, "cannot fill a memory file: %s", strerror(errno));
        done += (size_t)put;
    }
    return MIEN_OK;
}

/* The file itself, if it is as large as its content in memory, else a copy of that: a file in an
 * archive has no descriptor. If someone writes to the file meanwhile, the numbers are as wrong as
 * in any file that is read then; mien-h5 trusts nothing. */
static mien_status input_file(int file, const void *in, size_t size, int *fd) {
    struct stat info;
    const bool whole = file >= 0 && fstat(file, &info) == 0 && S_ISREG(info.st_mode) &&
                       (size_t)info.st_size == size;
    *fd = whole ? fcntl(file, F_DUPFD_CLOEXEC, 0) : -1;
    return *fd >= 0 ? MIEN_OK : memory_file("h5-in", in, size, fd);
}

static mien_status measure_output(int fd, off_t *length) {
    *length = lseek(fd, 0, SEEK_END);
    if (*length >= 0 && (size_t)*length <= output_limit) return MIEN_OK;
    return MIEN_FAIL(FORMAT, "the output of mien-h5 has %lld bytes: too many", (long long)*length);
}

static mien_status map_output(int fd, mien_h5_container *out) {
    off_t length;
    MIEN_TRY(measure_output(fd, &length));
    void *at = length ? mmap(NULL, (size_t)length, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0)
                      : MAP_FAILED;
    if (at == MAP_FAILED) return MIEN_FAIL(IO, "cannot read the output of mien-h5");
    out->bytes = at;
    out->size = (size_t)length;
    return MIEN_OK;
}

static mien_status read_output(int fd, char **out, size_t *size) {
    off_t length;
    *out = NULL;
    MIEN_TRY(measure_output(fd, &length));
    MIEN_TRY(mien_new(out, (size_t)length + 1, 1));
    for (size_t done = 0; done < (size_t)length;) {
        const ssize_t got = pread(fd, *out + done, (size_t)length - done, (off_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return MIEN_FAIL(IO, "cannot read the output of mien-h5");
        done += (size_t)got;
    }
    *size = (size_t)length;
    return MIEN_OK;
}

/* The descriptors are first duplicated to 10 and above, because posix_spawn's actions run in order
 * and one dup2 could otherwise overwrite the source of the next. */
static int spawn(const char *program, const char *verb, int in, int out, int err, pid_t *child) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char *const argv[] = {(char *)"mien-h5", (char *)verb, NULL};
    char *const envp[] = {NULL};
    const int high_in = fcntl(in, F_DUPFD_CLOEXEC, 10), high_out = fcntl(out, F_DUPFD_CLOEXEC, 10);
    const int high_err = fcntl(err, F_DUPFD_CLOEXEC, 10);
    int code = high_in < 0 || high_out < 0 || high_err < 0 ? errno : 0;
    if (code == 0) code = posix_spawn_file_actions_init(&actions);
    if (code == 0) code = posix_spawnattr_init(&attributes);
    if (code == 0) {
        /* its own process group: Ctrl-C on the terminal must not interrupt a save */
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawn_file_actions_adddup2(&actions, high_in, 3);
        posix_spawn_file_actions_adddup2(&actions, high_out, 4);
        posix_spawn_file_actions_adddup2(&actions, high_err, 2);
        code = posix_spawn(child, program, &actions, &attributes, argv, envp);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
    }
    const int opened[] = {high_in, high_out, high_err};
    for (int i = 0; i < 3; i++)
        if (opened[i] >= 0) close(opened[i]);
    return code;
}

/* Returns when the child has ended or after the timeout, or at once on an old kernel. */
static void wait_for_end(pid_t child) {
    const int fd = (int)syscall(SYS_pidfd_open, child, 0);
    struct pollfd end = {.fd = fd, .events = POLLIN};
    if (fd < 0) return;
    poll(&end, 1, TIMEOUT_SECONDS * 1000);
    close(fd);
}

/* Waits with a deadline; a child that hangs is killed. */
static int wait_for(pid_t child, bool *late) {
    const double end = mien_seconds() + TIMEOUT_SECONDS;
    int result = 0;
    *late = false;
    wait_for_end(child);
    for (int pause = 0;; pause = pause < 20 ? pause + 1 : 20) {
        const pid_t got = waitpid(child, &result, WNOHANG);
        if (got == child) return result;
        if (got < 0 && errno != EINTR)
            return EXIT_UNKNOWN; /* SIGCHLD is ignored, so the status is lost */
        if (mien_seconds() > end && !*late) {
            *late = true;
            kill(child, SIGKILL);
        }
        poll(NULL, 0, pause);
    }
}

static mien_status check_exit(const char *verb, int result, bool late, int err,
                              const char *source) {
    char text[ERROR_TEXT + 1] = "";
    if (WIFEXITED(result) && WEXITSTATUS(result) == 0) return MIEN_OK;
    if (late) return MIEN_FAIL(FORMAT, "%s: HDF5 took longer than %d s", source, TIMEOUT_SECONDS);
    if (WIFSIGNALED(result))
        return strcmp(verb, "write") != 0
                   ? MIEN_FAIL(FORMAT,
                               "%s: the HDF5 file is damaged (its reader was stopped by signal %d)",
                               source, WTERMSIG(result))
                   : MIEN_FAIL(IO, "%s: mien-h5 was stopped by signal %d while writing", source,
                               WTERMSIG(result));
    const ssize_t got = pread(err, text, ERROR_TEXT, 0);
    text[got > 0 ? got : 0] = 0;
    text[strcspn(text, "\n")] = 0;
    const char *message = strncmp(text, "mien-h5: ", 9) == 0 ? text + 9 : text;
    return MIEN_FAIL(FORMAT, "%s: %s", source, *message ? message : "mien-h5 failed");
}

static mien_status find_program(char *program) {
    if (mien_installed_file("mien-h5", program) == MIEN_OK) return MIEN_OK;
    return MIEN_FAIL(UNSUPPORTED, "this build cannot read or write .h5 files (mien-h5 is "
                                  "missing): build with HDF5=1, which needs libhdf5-dev and "
                                  "libseccomp-dev");
}

mien_status mien_h5_available(void) {
    char program[MIEN_PATH];
    return find_program(program);
}

/* Runs mien-h5 on the descriptor fds[0]; fds[1] is then its output. */
static mien_status run_on(const char *program, const char *verb, const char *source, int *fds) {
    pid_t child;
    bool late;
    MIEN_TRY(memory_file("h5-out", NULL, 0, &fds[1]));
    MIEN_TRY(memory_file("h5-err", NULL, 0, &fds[2]));
    const int code = spawn(program, verb, fds[0], fds[1], fds[2], &child);
    if (code != 0) return MIEN_FAIL(IO, "cannot run '%s': %s", program, strerror(code));
    const int result = wait_for(child, &late);
    return check_exit(verb, result, late, fds[2], source);
}

static void close_all(const int *fds) {
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0) close(fds[i]);
}

mien_status mien_h5_run(const char *verb, const char *source, const void *in, size_t in_size,
                        char **out, size_t *out_size) {
    char program[MIEN_PATH];
    int fds[3] = {-1, -1, -1};
    mien_status status;
    *out = NULL;
    MIEN_TRY(find_program(program));
    MIEN_GO(memory_file("h5-in", in, in_size, &fds[0]));
    MIEN_GO(run_on(program, verb, source, fds));
    MIEN_GO(read_output(fds[1], out, out_size));
out:
    close_all(fds);
    if (status != MIEN_OK) {
        mien_free(*out);
        *out = NULL;
    }
    return status;
}

mien_status mien_h5_read(const char *source, int fd, const void *in, size_t in_size,
                         mien_h5_container *out) {
    char program[MIEN_PATH];
    int fds[3] = {-1, -1, -1};
    mien_status status;
    *out = (mien_h5_container){.input = in, .input_size = in_size};
    MIEN_TRY(find_program(program));
    MIEN_GO(input_file(fd, in, in_size, &fds[0]));
    MIEN_GO(run_on(program, "locate", source, fds));
    status = map_output(fds[1], out);
out:
    close_all(fds);
    return status;
}

mien_status mien_h5_parse(const mien_h5_container *container, const char *source,
                          mien_safetensors *out) {
    return mien_safetensors_parse_over(container->bytes, container->size, source, container->input,
                                       container->input_size, out);
}

void mien_h5_release(mien_h5_container *container) {
    if (container->bytes) munmap(container->bytes, container->size);
    *container = (mien_h5_container){0};
}
