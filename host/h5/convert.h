/* The two directions of mien-h5.  Both work on memory alone, inside the sandbox. */
#ifndef MIEN_H5_CONVERT_H
#define MIEN_H5_CONVERT_H

#include "host/h5/text.h"

#include <stdbool.h>

/* Turns an HDF5 file image into a container in a block of `allocate`. With `locate` it says of most
 * data sets only where the image has them: see container.h. */
bool h5_read(struct h5_bytes *in, bool locate, h5_allocate *allocate, struct h5_bytes *out,
             struct h5_error *err);

/* Turns a container into an HDF5 file image; releases `in` early to halve the memory needed. */
bool h5_write(struct h5_bytes *in, struct h5_bytes *out, struct h5_error *err);

#endif
