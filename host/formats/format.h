/* Between model.c and the file formats: each reads and writes models in one kind of file. A new
 * format is a file that fills a mien_model_format and a row in the table of model.c. */
#ifndef HOST_FORMATS_FORMAT_H
#define HOST_FORMATS_FORMAT_H

#include "host/formats/model.h"

enum { MIEN_SUFFIXES_MAX = 4 };

/* What a model of a format is good for. */
typedef enum mien_format_flags {
    MIEN_FORMAT_TRAINABLE = 1, /* training can go on from it */
    MIEN_FORMAT_INT8 = 2,      /* it computes in int8 */
    MIEN_FORMAT_WRITTEN = 4,   /* no row sets it: it is a question for rows that have a `write` */
} mien_format_flags;

/* A whole file in memory. model.c owns `bytes`; a reader that no longer needs them may free them
 * early with mien_free and must then set them to NULL. */
typedef struct mien_model_source {
    char *bytes;
    size_t size;
    const char *name; /* what messages call it */
} mien_model_source;

typedef struct mien_model_format {
    const char *name;    /* as `mien inspect --json` names it */
    const char *content; /* what the bytes are, for messages: "HDF5" */
    /* Lower case, with the dot; the rest is NULL. Rows may share a suffix when their contents
     * differ: the first of them then answers for a file that no row accepts. */
    const char *suffixes[MIEN_SUFFIXES_MAX];
    unsigned flags; /* mien_format_flags */
    /* Is this content of the format? It looks at the bytes alone, says yes to no file of another
     * row, and may say yes to a damaged file. It is asked about any file and keeps nothing. */
    bool (*sniff)(const char *bytes, size_t size);
    /* Fills the zeroed `model`; the caller releases it, also after a failure. Trusts nothing. It is
     * also called for a file with a suffix of this row that no row accepts, and then says what is
     * wrong with it: FORMAT for damage, UNSUPPORTED for what this program does not read. Messages
     * name the file. */
    mien_status (*read)(mien_model_source *from, mien_model *model);
    /* Composes the file; *bytes is freed by the caller with mien_free, also after a failure. `path`
     * is for messages. INVALID for a model that the format cannot hold. NULL: it is only read. */
    mien_status (*write)(const mien_model *model, const char *path, char **bytes, size_t *size);
} mien_model_format;

extern const mien_model_format mien_format_keras_h5, mien_format_int8;

/* The rows in the order in which they are asked; NULL after the last. */
const mien_model_format *mien_model_format_at(size_t index);
/* The format that a file of this content is in; NULL for none. */
const mien_model_format *mien_model_format_sniff(const char *bytes, size_t size);
/* The format that a path's suffix stands for, without case; NULL for none. */
const mien_model_format *mien_model_format_of(const char *path);
/* The suffixes of the formats that have all of `flags`, as in ".h5 or .safetensors". */
void mien_model_suffixes(unsigned flags, char *out, size_t size);

#endif
