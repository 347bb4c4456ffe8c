/* A data set in memory: bytes, labels and the part (train, val, test) that each sample belongs to.
 * Readers fill it through the vtable of source.h; the split and the fingerprint come after. */
#ifndef HOST_DATA_DATASET_H
#define HOST_DATA_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "host/base/file.h"

typedef enum mien_part {
    MIEN_TRAIN,
    MIEN_VAL,
    MIEN_TEST,
    MIEN_PARTS,
    MIEN_NO_PART = MIEN_PARTS
} mien_part;

enum { MIEN_CLASSES_MAX = 4096, MIEN_CLASS_NAME = 64 };

/* How readers shape every image. */
typedef struct mien_image_spec {
    int height, width, channels;
} mien_image_spec;

/* What a reader does with a damaged row or file. */
typedef struct mien_on_bad {
    bool skip;
    long long max; /* skipped ones before it fails after all; -1: any number */
} mien_on_bad;

typedef struct mien_dataset {
    char source[MIEN_PATH];
    mien_image_spec spec;
    size_t count, capacity;
    uint8_t *pixels;  /* [count][height][width][channels] */
    uint16_t *labels; /* [count] */
    uint8_t *usage;   /* [count] the part that the data themselves name, or MIEN_NO_PART */
    uint8_t *part;    /* [count] after mien_split_apply */
    uint32_t *group;  /* [count] identity; samples of one group stay together. NULL: none */
    bool labelled;
    int classes;
    char (*class_names)[MIEN_CLASS_NAME];
    long long skipped; /* bad rows or files left out */
} mien_dataset;

/* "fail", "skip" or "skip:MAX". */
mien_status mien_on_bad_parse(const char *text, mien_on_bad *out);

/* Reads a source: `sample`, a .csv or .csv.gz file. Every image is brought to `spec`. Release it
 * also after a failure. */
mien_status mien_dataset_load(const char *source, mien_image_spec spec, mien_on_bad on_bad,
                              mien_dataset *out);
void mien_dataset_release(mien_dataset *set);
/* Frees the pixels alone, once they lie in backend memory. */
void mien_dataset_drop_pixels(mien_dataset *set);

/* ---- for readers ---- */
mien_status mien_dataset_classes(mien_dataset *set, const char *const *names, int count);
/* Appends one image of height x width gray bytes, resized and spread over the channels. */
mien_status mien_dataset_append(mien_dataset *set, const uint8_t *gray, int height, int width,
                                int label, int usage, uint32_t group);
/* A bad row or file: fails with the stored message or counts it, as on_bad says. */
mien_status mien_dataset_bad(mien_dataset *set, const mien_on_bad *on_bad);

/* Counts of samples by class in a part (MIEN_NO_PART: in all); returns the total. */
size_t mien_dataset_counts(const mien_dataset *set, mien_part part, size_t *by_class);
/* SHA-256 over labels and pixels of a part, as hex; tells whether two data sets are the same. */
void mien_dataset_fingerprint(const mien_dataset *set, mien_part part, char out[65]);
/* Mean and deviation of each channel over a part, of pixel * scale. */
void mien_dataset_statistics(const mien_dataset *set, mien_part part, double scale, double *mean,
                             double *deviation);
const char *mien_part_name(mien_part part);

#endif
