/* The header of a NumPy array file: type, shape and start of the data. */
#ifndef HOST_DATA_NPY_HEADER_H
#define HOST_DATA_NPY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

enum { NPY_DIMS = 4, NPY_HEADER_MAX = 1 << 16 };

typedef struct npy_header {
    char kind;   /* u, i, b, f, U, S as NumPy names them */
    size_t item; /* bytes of an element */
    bool big;    /* big-endian */
    int dims;
    size_t shape[NPY_DIMS];
    size_t count; /* elements */
    size_t start; /* offset of the data in the file */
} npy_header;

/* Parses the first `size` bytes (NPY_HEADER_MAX, or all if the file is shorter) of a file of
 * `whole` bytes, and checks that the file holds as much data as the header says. `name` is used in
 * messages. */
mien_status npy_parse(const char *name, const uint8_t *bytes, size_t size, uint64_t whole,
                      npy_header *out);
/* Element `i` of the data as an integer: kinds u, i, b and, as decimal digits, U and S. False for
 * other kinds and for values that do not fit. */
bool npy_integer(const npy_header *header, const uint8_t *data, size_t i, long long *out);

#endif
