/* HDF5 attributes as JSON text. */
#ifndef MIEN_H5_ATTR_H
#define MIEN_H5_ATTR_H

#include "host/h5/container.h"
#include "host/h5/text.h"

#include <stdbool.h>
#include <stdint.h>

/* Later HDF5 versions rename the types that the walk's callbacks take; ask for the 1.10 ones. */
#define H5_USE_110_API
#include <hdf5.h>

struct attr_reader {
    struct container *out;
    const char *path; /* of the object whose attributes are read */
    uint64_t bytes;   /* of all attribute values so far, against a cap */
    struct h5_error *err;
};

/* Adds every attribute of `object` that is a string, a number or a list of these to the container.
 */
bool attr_read_all(struct attr_reader *reader, hid_t object);

#endif
