/* The safetensors container that mien-h5 exchanges with its caller.
 *
 * Layout: header length as 64-bit little-endian, a JSON header padded with spaces to a multiple
 * of 8 bytes, then the tensors' little-endian data without gaps.  Tensor names are absolute HDF5
 * paths.  The header's "__metadata__" holds one "group:PATH" entry (an empty string) for each
 * group and one "attr:PATH@NAME" entry for each attribute, whose text is the JSON of its value.
 * With the verb "locate" a data set that the input holds as little-endian f32, in one piece, is not
 * copied: its entry has an empty span and the key "file_offset".
 */
#ifndef MIEN_H5_CONTAINER_H
#define MIEN_H5_CONTAINER_H

#include "host/h5/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

enum tensor_type { TENSOR_F32, TENSOR_F64, TENSOR_I64 };

struct tensor {
    char *name;
    enum tensor_type type;
    unsigned rank;
    uint64_t shape[H5_MAX_RANK];
    uint64_t offset; /* from the start of the data section */
    uint64_t bytes;
    bool in_file; /* the data section has no bytes of it: they are in the input, at: */
    uint64_t file_offset;
};

struct container {
    struct tensor *tensors; /* in the order of their data */
    size_t count;
    size_t capacity;
    struct json_object *metadata;
    unsigned char *data; /* the data section, inside the block that was parsed or stored */
    uint64_t data_bytes;
};

/* Makes an empty container; container_free releases it whether or not this succeeded. */
bool container_init(struct container *c, struct h5_error *err);

/* Releases everything but the block that `data` points into. */
void container_free(struct container *c);

/* Computes bytes from type and shape; false when the product does not fit 63 bits. */
bool tensor_measure(struct tensor *t);

/* Appends a copy of `t`, with its own copy of the name. */
bool container_add(struct container *c, const struct tensor *t, struct h5_error *err);

/* Sets one metadata entry to a string. */
bool container_note(struct container *c, const char *key, const char *text, struct h5_error *err);

/* Assigns offsets to the tensors and takes a block of zeros from `allocate`, which may return NULL,
 * with the finished header; `data` then points to the data section for the caller to fill. */
bool container_store(struct container *c, h5_allocate *allocate, struct h5_bytes *out,
                     struct h5_error *err);

/* Reads and validates a whole container; `data` points into `in`, which must remain valid. */
bool container_parse(struct container *c, struct h5_bytes in, struct h5_error *err);

/* Parses `text`, all of which must be strict JSON; NULL otherwise. */
struct json_object *container_json(const char *text);

#endif
