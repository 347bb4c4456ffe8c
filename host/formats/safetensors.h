/* The safetensors container: named tensors and text metadata in one block of bytes.
 *
 *     u64 little-endian header length | JSON header | raw data
 *
 * It carries what mien-h5 reads and writes, the golden files of the tests, and checkpoints. Reading
 * trusts nothing: header at most 100 MB, offsets contiguous and in order, sizes equal to shapes,
 * total equal to the file's length. */
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

/* Borrows `bytes`; owns the rest. */
typedef struct mien_safetensors {
    mien_tree tree;
    const mien_value *metadata; /* map of texts, or NULL */
    mien_st_tensor *tensors;
    size_t count;
} mien_safetensors;

/* Release it also after a failure; `bytes` must stay until then. `source` is for messages. */
mien_status mien_safetensors_parse(const char *bytes, size_t size, const char *source,
                                   mien_safetensors *out);
void mien_safetensors_release(mien_safetensors *container);
/* NULL when there is none of that name. */
const mien_st_tensor *mien_safetensors_find(const mien_safetensors *container, const char *name);
const char *mien_safetensors_meta(const mien_safetensors *container, const char *key);
/* Copies `count` elements as float (F64 is rounded); INVALID when the tensor has another count. */
mien_status mien_st_floats(const mien_st_tensor *tensor, float *out, size_t count);

/* Writing: describe all tensors (F32 or I8), then the bytes are composed. Metadata keys must be
 * unique.
 */
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
