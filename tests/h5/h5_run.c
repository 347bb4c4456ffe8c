/* Running mien-h5 on blocks of memory. */
#include "tests/h5/h5_run.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

#define FIRST_FREE_FD 20

int memory_file(const void *data, size_t size) {
    const int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    const int high = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    assert_true(high >= 0);
    close(fd);
    for (size_t done = 0; done < size;) {
        const ssize_t step = write(high, (const char *)data + done, size - done);
        assert_true(step > 0);
        done += (size_t)step;
    }
    /* The position stays at the end, where the program must not start reading. */
    return high;
}

struct blob file_content(int fd) {
    const off_t size = lseek(fd, 0, SEEK_END);
    assert_true(size >= 0);
    struct blob b = {malloc((size_t)size + 1), (size_t)size};
    assert_non_null(b.data);
    for (size_t done = 0; done < b.size;) {
        const ssize_t step = pread(fd, b.data + done, b.size - done, (off_t)done);
        assert_true(step > 0);
        done += (size_t)step;
    }
    b.data[size] = '\0';
    return b;
}

pid_t start_program(const char *mode, int in_fd, int out_fd, int error_fd) {
    const char *const program = getenv("MIEN_H5");
    if (!program) fail_msg("set MIEN_H5 to the path of the program");
    posix_spawn_file_actions_t actions;
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    if (error_fd >= 0) posix_spawn_file_actions_adddup2(&actions, error_fd, 2);
    if (in_fd >= 0) posix_spawn_file_actions_adddup2(&actions, in_fd, 3);
    if (out_fd >= 0) posix_spawn_file_actions_adddup2(&actions, out_fd, 4);
    if (out_fd >= 0) posix_spawn_file_actions_adddup2(&actions, out_fd, 7);
    char *const args[] = {(char *)"mien-h5", (char *)mode, NULL};
    char *const none[] = {NULL};
    pid_t pid = -1;
    assert_int_equal(posix_spawn(&pid, program, &actions, NULL, args, none), 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

int wait_program(pid_t pid) {
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct outcome run_program(const char *mode, struct blob in) {
    const int in_fd = memory_file(in.data, in.size);
    const int out_fd = memory_file(NULL, 0);
    const int error_fd = memory_file(NULL, 0);
    struct outcome o = {.status = wait_program(start_program(mode, in_fd, out_fd, error_fd))};
    o.out = file_content(out_fd);
    struct blob error = file_content(error_fd);
    const size_t kept = error.size < sizeof o.error ? error.size : sizeof o.error - 1;
    memcpy(o.error, error.data, kept);
    free(error.data);
    close(in_fd);
    close(out_fd);
    close(error_fd);
    return o;
}

void expect_outcome(const struct outcome *o, int status, const char *fragment, const char *what) {
    if (o->status != status)
        fail_msg("%s: status %d instead of %d: %s", what, o->status, status, o->error);
    const size_t length = strlen(o->error);
    if (status == 0) {
        if (length != 0) fail_msg("%s: an error message despite success: %s", what, o->error);
        return;
    }
    if (o->out.size != 0) fail_msg("%s: output despite an error", what);
    const char *const newline = strchr(o->error, '\n');
    if (length < 3 || newline != o->error + length - 1 || newline[-1] != '.')
        fail_msg("%s: not one message: '%s'", what, o->error);
    if (!strstr(o->error, fragment)) fail_msg("%s: no '%s' in: %s", what, fragment, o->error);
}

struct blob make_container(const char *json, const void *data, size_t size) {
    const size_t length = strlen(json);
    const size_t padded = (length + 7) / 8 * 8;
    struct blob b = {malloc(8 + padded + size + 1), 8 + padded + size};
    assert_non_null(b.data);
    for (int i = 0; i < 8; i++) {
        b.data[i] = (unsigned char)((uint64_t)padded >> 8 * i);
    }
    memset(b.data + 8, ' ', padded);
    memcpy(b.data + 8, json, length);
    if (size) memcpy(b.data + 8 + padded, data, size);
    return b;
}

void expect_same(struct blob got, struct blob want, const char *what) {
    if (got.size == want.size && memcmp(got.data, want.data, got.size) == 0) return;
    fail_msg("%s: %zu bytes differ from the expected %zu", what, got.size, want.size);
}

struct blob convert(const char *mode, struct blob in, const char *what) {
    const struct outcome o = run_program(mode, in);
    expect_outcome(&o, 0, "", what);
    return o.out;
}

struct blob model_container(void) {
    static const char header[] =
        "{\"__metadata__\":{\"group:/\":\"\",\"attr:/@backend\":\"\\\"tensorflow\\\"\","
        "\"attr:/@void\":\"\\\"\\\"\",\"group:/m\":\"\",\"attr:/m@empty\":\"[]\","
        "\"attr:/m@names\":\"[\\\"a/b:0\\\",\\\"b\xC3\xBC\\\",\\\"\\\"]\","
        "\"attr:/m@number\":\"-9223372036854775808\",\"attr:/m@numbers\":\"[1,-2]\","
        "\"attr:/m@real\":\"0.10000000000000001\",\"attr:/m@reals\":\"[1.0,-2.5e-300]\","
        "\"group:/m/a@b\":\"\",\"attr:/m/a@b/kernel:0@note\":\"\\\"\\\\\\\"x\\\\n\\\"\","
        "\"group:/m/flat\":\"\",\"group:/m/\xC3\xBC\":\"\"},"
        "\"/m/a@b/empty\":{\"dtype\":\"F64\",\"shape\":[0,3],\"data_offsets\":[0,0]},"
        "\"/m/a@b/real\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]},"
        "\"/steps\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[8,16]},"
        "\"/m/a@b/kernel:0\":{\"dtype\":\"F32\",\"shape\":[3,1,2],\"data_offsets\":[16,40]}}";
    unsigned char data[40];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (unsigned char)(i * 37 + 5);
    }
    /* A signalling NaN and a negative zero survive only if nothing converts them. */
    memcpy(data + 16, "\x01\x00\x80\x7F\x00\x00\x00\x80", 8);
    return make_container(header, data, sizeof data);
}
