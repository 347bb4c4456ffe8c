/* NumPy arrays in files: .npy, and the members of .npz. Data is read on demand, except that of
 * compressed members, which is unpacked in memory. */
#ifndef HOST_DATA_NPY_FILE_H
#define HOST_DATA_NPY_FILE_H

#include <sys/stat.h>

#include "host/data/npy_header.h"

typedef struct npy_array {
    char *name; /* for messages; NULL: not open */
    npy_header head;
    int fd;
    uint64_t offset; /* offset of the data in the file */
    struct stat before;
    uint8_t *bytes; /* the unpacked .npy file of a compressed member, else NULL */
} npy_array;

typedef struct npz_entry {
    char name[64];                 /* "x_train", without .npy */
    uint64_t offset, packed, size; /* of the local header; bytes in the file and unpacked */
    uint32_t crc;
    bool deflated;
} npz_entry;

typedef struct npz_file {
    const char *path; /* must outlive the npz_file */
    int fd;
    uint64_t size;
    npz_entry *entries;
    size_t count;
} npz_file;

mien_status npy_open(const char *path, npy_array *out);
/* Reads `size` bytes of the data from byte `from`; fails when the file was changed since it was
 * opened. */
mien_status npy_read(const npy_array *array, uint64_t from, size_t size, uint8_t *to);
void npy_close(npy_array *array);

/* Reads the table of members. Close it even after a failure. */
mien_status npz_open(const char *path, npz_file *out);
const npz_entry *npz_find(const npz_file *file, const char *name);
/* Opens a member as an independent array: the archive may be closed afterwards. */
mien_status npz_member(const npz_file *file, const npz_entry *entry, npy_array *out);
void npz_close(npz_file *file);

/* npy_open_file opens a regular file; npy_pread reads exactly `size` bytes of one. */
mien_status npy_open_file(const char *path, int *fd, uint64_t *size);
mien_status npy_pread(const char *name, int fd, uint64_t from, size_t size, uint8_t *to);
/* Parses the header of an array that begins at byte `base` of its file, or of array->bytes; closes
 * the array on failure. */
mien_status npy_start(npy_array *array, uint64_t base, uint64_t size);

#endif
