/* The safetensors container: named tensors and text metadata in one block of memory.
 *
 *     u64 little-endian header length | JSON header | raw data
 * Used for int8 models, the exchange with mien-h5, and the golden files of the tests. The content
 * is untrusted and must have a header of at most 100 MB, contiguous offsets in order, sizes that
 * match the shapes, and a total that matches the file's length. */
#ifndef HOST_FORMATS_SAFETENSORS_H
#define HOST_FORMATS_SAFETENSORS_H

#include "host/base/text.h"
#include "host/base/value.h"

enum { MIEN_RANK_MAX = 8 };
typedef enum mien_st_type { MIEN_ST_F32, MIEN_ST_F64, MIEN_ST_I64, MIEN_ST_I8 } mien_st_type;

typedef struct mien_st_tensor {
    const char *name;
    mien_st_type type;
    int rank;
    long long shape[MIEN_RANK_MAX];
    size_t count;     /* elements */
    const void *data; /* not necessarily aligned: read with memcpy or mien_st_floats */
} mien_st_tensor;

/* Borrows `bytes` (and `file`); owns the rest. */
typedef struct mien_safetensors {
    mien_tree tree;
    const mien_value *metadata; /* map of strings, or NULL */
    mien_st_tensor *tensors;
    size_t count;
} mien_safetensors;

/* Parses a container. Release it also after a failure; `bytes` must remain valid until then.
 * `source` is for messages. */
mien_status mien_safetensors_parse(const char *bytes, size_t size, const char *source,
                                   mien_safetensors *out);
/* The same for a container whose tensors may have the key "file_offset" and no data of their own:
 * they are in `file`, which must also remain valid, at that offset. */
mien_status mien_safetensors_parse_over(const char *bytes, size_t size, const char *source,
                                        const char *file, size_t file_size, mien_safetensors *out);
void mien_safetensors_release(mien_safetensors *container);
/* Both return NULL if there is none of that name. */
const mien_st_tensor *mien_safetensors_find(const mien_safetensors *container, const char *name);
const char *mien_safetensors_meta(const mien_safetensors *container, const char *key);
/* Copies `count` elements, converted to float; INVALID if the tensor has a different count. */
mien_status mien_st_floats(const mien_st_tensor *tensor, float *out, size_t count);

/* Writing: mien_safetensors_compose appends a container of the described tensors (F32 or I8) to a
 * text. Metadata keys must be unique. */
typedef struct mien_st_entry {
    const char *name;
    int rank;
    long long shape[MIEN_RANK_MAX];
    const void *data;
    mien_st_type type;
} mien_st_entry;

typedef struct mien_st_meta {
    const char *key, *value;
} mien_st_meta;

mien_status mien_safetensors_compose(const mien_st_entry *entries, size_t count,
                                     const mien_st_meta *metadata, size_t meta_count,
                                     mien_text *out);

#endif
