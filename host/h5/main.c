/* mien-h5: converts between HDF5 and a safetensors container inside a sandbox.
 *
 * Usage: mien-h5 read|locate|write, with the input on descriptor 3 and the output on descriptor 4.
 * `locate` reads, but says of most data sets only where the input has them.
 * Exit status: 0 done, 1 the input was refused (a one-line message on standard error), 2 wrong
 * usage. Death by a signal means that the sandbox or a limit stopped a hostile file; callers treat
 * it like status 1.
 */
#include "host/h5/convert.h"
#include "host/h5/sandbox.h"
#include "host/h5/text.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <json.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_FD    3
#define INPUT_CAP   ((size_t)2 << 30)
#define FIRST_GUESS ((size_t)1 << 20)

enum status { STATUS_OK = 0, STATUS_REFUSED = 1, STATUS_USAGE = 2 };

/* Writes everything despite short writes and interruptions. */
static bool write_all(int fd, const unsigned char *data, size_t size) {
    while (size > 0) {
        const ssize_t done = write(fd, data, size);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        data += done;
        size -= (size_t)done;
    }
    return true;
}

/* Leaves at once: the HDF5 library's exit handlers must not run after a hostile file. */
static _Noreturn void leave(enum status status, struct h5_error *err) {
    if (status != STATUS_OK) {
        const size_t length = strlen(err->text);
        err->text[length] = '\n';
        write_all(SANDBOX_ERROR_FD, (const unsigned char *)err->text, length + 1);
    }
    _exit(status);
}

/* Enlarges the input buffer, up to one byte past the cap so that oversized input is noticed. */
static bool grow(struct h5_bytes *in, size_t *capacity, struct h5_error *err) {
    if (*capacity > INPUT_CAP) return h5_fail(err, "The input is larger than 2 GiB.");
    size_t wanted = *capacity ? 2 * *capacity : FIRST_GUESS;
    struct stat info;
    if (*capacity == 0 && fstat(INPUT_FD, &info) == 0 && S_ISREG(info.st_mode) && info.st_size >= 0)
        wanted = (uint64_t)info.st_size < INPUT_CAP ? (size_t)info.st_size + 1 : INPUT_CAP + 1;
    if (wanted > INPUT_CAP) wanted = INPUT_CAP + 1;
    unsigned char *const data = realloc(in->data, wanted);
    if (!data) return h5_fail(err, "There is not enough memory for the input.");
    in->data = data;
    *capacity = wanted;
    return true;
}

/* Reads the whole input.  A regular file is read from its start whatever its position, because
 * a parent that has just filled a memfd shares that position with this process. */
static bool read_input(struct h5_bytes *in, struct h5_error *err) {
    size_t capacity = 0;
    lseek(INPUT_FD, 0, SEEK_SET);
    for (;;) {
        if (in->size == capacity && !grow(in, &capacity, err)) return false;
        const ssize_t got = read(INPUT_FD, in->data + in->size, capacity - in->size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return h5_fail(err, "The input cannot be read.");
        if (got == 0) return true;
        in->size += (size_t)got;
    }
}

/* Maps a file that is to be read only, which saves a copy of it. The library never writes to the
 * image; if the file shrinks meanwhile, the process is stopped like one whose input is damaged. */
static bool map_input(struct h5_bytes *in) {
    struct stat info;
    if (fstat(INPUT_FD, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size <= 0 ||
        (uint64_t)info.st_size > INPUT_CAP)
        return false;
    void *const at = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, INPUT_FD, 0);
    if (at == MAP_FAILED) return false;
    *in = (struct h5_bytes){at, (size_t)info.st_size};
    return true;
}

/* The output's own memory where it has any, which saves another copy. */
static bool output_is_mapped;

static unsigned char *allocate_output(size_t size) {
    void *const at = ftruncate(SANDBOX_OUTPUT_FD, (off_t)size) == 0
                         ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                                SANDBOX_OUTPUT_FD, 0)
                         : MAP_FAILED;
    output_is_mapped = at != MAP_FAILED;
    return output_is_mapped ? at : calloc(1, size);
}

/* Drops every descriptor that the caller may have leaked: the sandbox lets the process write
 * only to two of them, but what is closed needs no filter. */
static void close_others(void) {
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    if (close_range(SANDBOX_OUTPUT_FD + 1, ~0u, 0) == 0) return;
    const long most = sysconf(_SC_OPEN_MAX);
    for (int fd = SANDBOX_OUTPUT_FD + 1; fd < most; fd++) {
        close(fd);
    }
}

/* Triggers one-time initialisation in the libraries, which may need files or devices. */
static bool start_libraries(struct h5_error *err) {
    if (H5open() < 0 || H5PLset_loading_state(0) < 0 || H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0)
        return h5_fail(err, "The HDF5 library cannot be started.");
    struct json_object *const seed = json_object_new_object();
    if (seed) json_object_object_add(seed, "seed", NULL);
    json_object_put(seed);
    return true;
}

/* Everything before the conversion, while the process may still use the system. */
static bool prepare(bool reading, struct h5_bytes *in, struct h5_error *err) {
    close_others();
    /* HDF5 reads drivers, plugin paths and debug outputs from the environment. */
    clearenv();
    signal(SIGPIPE, SIG_IGN);
    if (!(reading && map_input(in)) && !read_input(in, err)) return false;
    close(INPUT_FD);
    return sandbox_limit(in->size, err) && start_libraries(err) && sandbox_enter(err);
}

int main(int argc, char **argv) {
    struct h5_error err = {""};
    const bool locating = argc == 2 && strcmp(argv[1], "locate") == 0;
    const bool reading = locating || (argc == 2 && strcmp(argv[1], "read") == 0);
    const bool writing = argc == 2 && strcmp(argv[1], "write") == 0;
    if ((!reading && !writing) || fcntl(INPUT_FD, F_GETFD) < 0 ||
        fcntl(SANDBOX_OUTPUT_FD, F_GETFD) < 0) {
        h5_fail(&err, "Usage: mien-h5 read|locate|write, with the input on descriptor 3 and the "
                      "output on descriptor 4.");
        leave(STATUS_USAGE, &err);
    }
    struct h5_bytes in = {NULL, 0};
    struct h5_bytes out = {NULL, 0};
    if (!prepare(reading, &in, &err)) leave(STATUS_REFUSED, &err);
    const bool ok =
        reading ? h5_read(&in, locating, allocate_output, &out, &err) : h5_write(&in, &out, &err);
    if (ok && !output_is_mapped && !write_all(SANDBOX_OUTPUT_FD, out.data, out.size))
        h5_fail(&err, "The output cannot be written.");
    if (!ok && output_is_mapped) (void)!ftruncate(SANDBOX_OUTPUT_FD, 0); /* no half of an output */
    leave(err.text[0] ? STATUS_REFUSED : STATUS_OK, &err);
}
