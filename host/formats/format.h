/* The interface of a model file format. To add one, write a file that defines a mien_model_format,
 * declare that below and add it to the table in model.c: docs/adding-a-format.md. */
#ifndef HOST_FORMATS_FORMAT_H
#define HOST_FORMATS_FORMAT_H

#include "host/formats/model.h"

enum { MIEN_SUFFIXES_MAX = 4 };

/* Properties of a format. */
typedef enum mien_format_flags {
    MIEN_FORMAT_TRAINABLE = 1, /* training can continue from its models */
    MIEN_FORMAT_INT8 = 2,      /* its models are int8 */
    MIEN_FORMAT_WRITTEN = 4,   /* only for mien_model_suffixes: formats that have a `write` */
    MIEN_FORMAT_SCALES = 8,    /* its networks can scale pixels: mien_model.scaled_inside */
} mien_format_flags;

/* A whole file in memory. model.c owns `bytes`; a reader that no longer needs them may free them
 * early with mien_free and must then set them to NULL. */
typedef struct mien_model_source {
    char *bytes;
    size_t size;
    const char *name;                  /* for messages, and the path */
    const mien_model_options *options; /* never NULL */
    int fd;                            /* the file, open for reading; -1: it is in an archive */
} mien_model_source;

typedef struct mien_model_format {
    const char *name;    /* as in `mien inspect --json` */
    const char *content; /* the kind of file, for messages: "HDF5" */
    /* Lower case, with the dot; the rest is NULL. Formats may share a suffix if their contents
     * differ; the first of them then reports what is wrong with a file that no format accepts. */
    const char *suffixes[MIEN_SUFFIXES_MAX];
    unsigned flags; /* mien_format_flags */
    /* Does the content have this format? Must be false for files of other formats; may be true for
     * a damaged file. Called for any file; must not keep `bytes`. */
    bool (*sniff)(const char *bytes, size_t size);
    /* Fills the zeroed `model`; the caller releases it, also after a failure. The content is
     * untrusted. Also called for a file with this format's suffix that no format accepts, to report
     * what is wrong: FORMAT if it is damaged, UNSUPPORTED if this program does not read it.
     * Messages name the file. */
    mien_status (*read)(mien_model_source *from, mien_model *model);
    /* Composes the file; *bytes is freed by the caller with mien_free, also after a failure. `path`
     * is for messages. The model is in int8 exactly if the row has MIEN_FORMAT_INT8; INVALID for
     * one that the format cannot hold for other reasons. NULL: it is only read. */
    mien_status (*write)(const mien_model *model, const char *path, char **bytes, size_t *size);
} mien_model_format;

extern const mien_model_format mien_format_keras_h5, mien_format_int8, mien_format_float,
    mien_format_checkpoint, mien_format_onnx, mien_format_keras_zip;

/* foreign_model.c: what a file is that this program does not read, with the cure; NULL if that is
 * not known. */
const char *mien_foreign_model(const char *path, const char *bytes, size_t size);

/* The formats in the order in which they are tried; NULL after the last. */
const mien_model_format *mien_model_format_at(size_t index);
/* The format of a file with this content; NULL if unknown. */
const mien_model_format *mien_model_format_sniff(const char *bytes, size_t size);
/* The format for a path's suffix, ignoring case; NULL if unknown. */
const mien_model_format *mien_model_format_of(const char *path);
/* The format that a model in int8, or in float, is written in under this path's suffix; NULL for
 * none. */
const mien_model_format *mien_model_format_for(const char *path, bool int8);
/* The format of an existing file, found as mien_model_open does: by its content, else by its
 * suffix. NULL for none, and for a file that cannot be read and has the suffix of none. */
const mien_model_format *mien_model_format_in(const char *path);
/* The suffixes of the formats that have all of `flags`, as in ".h5 or .safetensors". */
void mien_model_suffixes(unsigned flags, char *out, size_t size);

#endif
