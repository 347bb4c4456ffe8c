/* Running mien-h5 on blocks of memory. */
#ifndef MIEN_TEST_H5_RUN_H
#define MIEN_TEST_H5_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct blob {
    unsigned char *data;
    size_t size;
};

/* How one run ended: its exit status, or minus the signal that killed it. */
struct outcome {
    int status;
    struct blob out;
    char error[1024];
};

/* Starts the program named by the environment variable MIEN_H5 with the three descriptors as its
 * 2, 3 and 4 (-1 leaves one closed) and a leaked copy of the output as 7. */
pid_t start_program(const char *mode, int in_fd, int out_fd, int error_fd);

/* Waits for it and returns the status as in struct outcome. */
int wait_program(pid_t pid);

/* A memfd with a high number, clear of the descriptors that the program expects. */
int memory_file(const void *data, size_t size);

/* Reads a whole memfd; a NUL follows the data. */
struct blob file_content(int fd);

/* Runs one conversion from start to end. */
struct outcome run_program(const char *mode, struct blob in);

/* Fails the test unless the run ended with `status`; a failure must leave exactly one message,
 * which contains `fragment`, and no output. */
void expect_outcome(const struct outcome *o, int status, const char *fragment, const char *what);

/* A container from its header's JSON and its data; pads the header. */
struct blob make_container(const char *json, const void *data, size_t size);

/* Runs the program and returns its output; the run must succeed. */
struct blob convert(const char *mode, struct blob in, const char *what);

/* Fails the test unless both hold the same bytes. */
void expect_same(struct blob got, struct blob want, const char *what);

/* A container with exactly the order and layout of `read`, so that the results can be compared. */
struct blob model_container(void);

#endif
