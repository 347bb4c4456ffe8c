/* The vtable of a data source: one room a form of data, one line in sources.c. */
#ifndef HOST_DATA_SOURCE_H
#define HOST_DATA_SOURCE_H

#include "host/data/dataset.h"

/* A reader's room for one image on its way: a thread has its own and frees `bytes` at the end. */
typedef struct mien_read_buffer {
    char *bytes;
    size_t capacity;
} mien_read_buffer;

typedef struct mien_source_def {
    /* Is the source of this form? Judged by name and folder listing, not by content. */
    bool (*accepts)(const char *source);
    /* Appends every sample (mien_dataset_extend) in the source's order. Where the pixels are at
     * hand on the way they are kept, as long as set->pixels stays; else `read` brings them. What
     * `read` needs goes to set->reader. */
    mien_status (*open)(const char *source, const mien_on_bad *on_bad, mien_dataset *set);
    /* The image of sample i, shaped by mien_image_shape. Many threads call it at a time. NULL: the
     * form can only be read from front to end, and `open` has kept all pixels. */
    mien_status (*read)(const mien_dataset *set, size_t i, mien_read_buffer *buffer,
                        uint8_t *pixels);
    /* Frees set->reader, which may be NULL. */
    void (*close)(mien_dataset *set);
    /* The file of sample i, below set->source. NULL: samples are no files; else the reader stays
     * open as long as the set. */
    const char *(*file)(const mien_dataset *set, size_t i);
} mien_source_def;

/* The same of a sample of the set, also when the set holds only some of the source's. */
static inline mien_status mien_source_read(const mien_dataset *set, size_t i,
                                           mien_read_buffer *buffer, uint8_t *pixels) {
    return set->def->read(set, set->origin ? set->origin[i] : i, buffer, pixels);
}

static inline const char *mien_source_file(const mien_dataset *set, size_t i) {
    return set->def->file(set, set->origin ? set->origin[i] : i);
}

extern const mien_source_def mien_source_sample, mien_source_csv, mien_source_npy,
    mien_source_rafdb, mien_source_affectnet, mien_source_folder;

#endif
