/* HDF5 files with one peculiarity each, made with the HDF5 library itself. */
#ifndef MIEN_TEST_H5_MAKE_H
#define MIEN_TEST_H5_MAKE_H

#include "tests/h5/h5_run.h"

#include <hdf5.h>

/* One file: how it is filled, and the expected result. */
struct h5_case {
    const char *name;
    void (*fill)(hid_t file);
    int status;
    const char *fragment; /* of the error message, or of the container's header */
};

extern const struct h5_case h5_cases[];
extern const size_t h5_case_count;

/* Content and path of the external file of external_storage. */
extern const char h5_secret[];
extern char h5_secret_path[64];

/* Builds a file in memory. */
struct blob make_h5(void (*fill)(hid_t file));

/* The same with a user block of 512, 1024, 2048, … bytes before it. */
struct blob make_h5_after(size_t user_block, void (*fill)(hid_t file));

/* Opens a file that the program wrote. */
hid_t open_h5(struct blob image);

/* Creates a data set and writes `data` to it, both of the file type `type`. */
void put_dataset(hid_t file, const char *name, hid_t type, int rank, const hsize_t *shape,
                 hid_t properties, const void *data);

#endif
