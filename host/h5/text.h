/* Text helpers of mien-h5: the error message, UTF-8 and object paths. */
#ifndef MIEN_H5_TEXT_H
#define MIEN_H5_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Bounds that both directions share, so that whatever one writes the other reads. */
#define H5_MAX_DEPTH   32
#define H5_MAX_RANK    8
#define H5_MAX_OBJECTS 100000
#define H5_MAX_PATH    4096

/* A block of memory that its holder frees. */
struct h5_bytes {
    unsigned char *data;
    size_t size;
};

/* Returns a block of zeros, or NULL. */
typedef unsigned char *h5_allocate(size_t size);

/* The error message; empty until something fails. */
struct h5_error {
    char text[640];
};

/* Stores the message of the first failure (later ones follow from it); always returns false. */
bool h5_fail(struct h5_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* True for well-formed UTF-8: no overlong forms, surrogates or values above U+10FFFF. */
bool h5_utf8_valid(const char *text, size_t length);

/* True when no byte is above 127; HDF5 names and strings then keep the plain ASCII marking. */
bool h5_is_ascii(const char *text);

/* True for one name between two slashes: not empty, not "." or "..", no slash, valid UTF-8. */
bool h5_name_valid(const char *name, size_t length);

/* True for an absolute path of valid names within the bounds above; "/" alone is not one. */
bool h5_path_valid(const char *path);

#endif
