/* The vtable of a data source: one file per format, one row in the table of sources.c. */
#ifndef HOST_DATA_SOURCE_H
#define HOST_DATA_SOURCE_H

#include "host/data/dataset.h"

/* A buffer for reading one image. Each thread has its own and frees `bytes` at the end. */
typedef struct mien_read_buffer {
    char *bytes;
    size_t capacity;
} mien_read_buffer;

typedef struct mien_source_def {
    const char *form; /* what a user gives, for messages: "a .csv or .csv.gz file"; may be shared */
    /* Whether the source has this format, decided by name, folder listing and, for tables, the
     * first line. */
    bool (*accepts)(const char *source);
    /* Appends every sample (mien_dataset_extend) in the source's order, with its pixels while
     * set->pixels is not NULL; mien_dataset_fill or `read` supplies them later. Whatever `read`
     * needs goes to set->reader. */
    mien_status (*open)(const char *source, const mien_on_bad *on_bad, mien_dataset *set);
    /* Reads the image of sample i, converted to set->spec. Called by many threads at a time. Not
     * called if the source can only be read sequentially: `open` then keeps all pixels or fails. */
    mien_status (*read)(const mien_dataset *set, size_t i, mien_read_buffer *buffer,
                        uint8_t *pixels);
    /* Frees set->reader, which may be NULL. */
    void (*close)(mien_dataset *set);
    /* The file of sample i, relative to set->source. NULL: samples are not files. With it,
     * set->reader is kept as long as the set. */
    const char *(*file)(const mien_dataset *set, size_t i);
    /* The size of sample i before it was converted to set->spec. NULL: not known, or the same for
     * all samples. */
    void (*size)(const mien_dataset *set, size_t i, int *width, int *height);
} mien_source_def;

/* The same for sample i of a set that may hold only some of the source's samples. */
static inline mien_status mien_source_read(const mien_dataset *set, size_t i,
                                           mien_read_buffer *buffer, uint8_t *pixels) {
    return set->def->read(set, set->origin ? set->origin[i] : i, buffer, pixels);
}

static inline const char *mien_source_file(const mien_dataset *set, size_t i) {
    return set->def->file(set, set->origin ? set->origin[i] : i);
}

/* The rows in the order in which they are asked; NULL after the last. */
const mien_source_def *mien_source_at(size_t index);

extern const mien_source_def mien_source_sample, mien_source_foreign, mien_source_csv,
    mien_source_npy, mien_source_rafdb, mien_source_ferplus, mien_source_affectnet,
    mien_source_label_table, mien_source_folder;

#endif
