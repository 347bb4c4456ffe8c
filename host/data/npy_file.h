/* NumPy arrays in files: .npy, and the members of .npz. Data are read when they are asked for, but
 * for members that are compressed: these lie in memory. */
#ifndef HOST_DATA_NPY_FILE_H
#define HOST_DATA_NPY_FILE_H

#include <sys/stat.h>

#include "host/data/npy_header.h"

typedef struct npy_array {
    char *name; /* for messages; NULL: not open */
    npy_header head;
    int fd;
    uint64_t offset; /* of the data in the file */
    struct stat before;
    uint8_t *bytes; /* of a compressed member: the whole array file */
} npy_array;

typedef struct npz_entry {
    char name[64]; /* "x_train", without .npy */
    uint64_t place, packed, size;
    uint32_t crc;
    bool deflated;
} npz_entry;

typedef struct npz_file {
    const char *path; /* kept by the caller */
    int fd;
    uint64_t size;
    npz_entry *entries;
    size_t count;
} npz_file;

mien_status npy_open(const char *path, npy_array *out);
/* Data bytes from .. from + size - 1; fails when the file has changed since it was opened. */
mien_status npy_read(const npy_array *array, uint64_t from, size_t size, uint8_t *to);
void npy_close(npy_array *array);

/* Reads the table of members. Close it also after a failure. */
mien_status npz_open(const char *path, npz_file *out);
const npz_entry *npz_find(const npz_file *file, const char *name);
/* The member as an array of its own: the file may be closed afterwards. */
mien_status npz_member(const npz_file *file, const npz_entry *entry, npy_array *out);
void npz_close(npz_file *file);

/* Opens a regular file, and reads exactly `size` bytes of one. */
mien_status npy_open_file(const char *path, int *fd, uint64_t *size);
mien_status npy_pread(const char *name, int fd, uint64_t from, size_t size, uint8_t *to);
/* Parses the header of an array that lies at `place` of a file and closes it on a failure. */
mien_status npy_start(npy_array *array, uint64_t place, uint64_t size);

#endif
