/* A data set: labels and the part (train, val, test) that each sample belongs to, and the pixels,
 * in memory or read from the source whenever they are needed. Readers fill it through the vtable of
 * source.h; the split and the survey come after. */
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

/* Where the pixels are. AUTO: resident, unless that took more than half of the memory that the
 * process may use. In the order of the config key data.memory. */
typedef enum mien_memory { MIEN_MEMORY_AUTO, MIEN_MEMORY_RESIDENT, MIEN_MEMORY_STREAM } mien_memory;
#define MIEN_MEMORY_CHOICES "auto|resident|stream"

struct mien_source_def;

typedef struct mien_dataset {
    char source[MIEN_PATH];
    mien_image_spec spec;
    size_t count, capacity;
    uint8_t *pixels;  /* [count][height][width][channels]; NULL when they are streamed */
    uint16_t *labels; /* [count] */
    uint8_t *usage;   /* [count] the part that the data themselves name, or MIEN_NO_PART */
    uint8_t *part;    /* [count] after mien_split_apply */
    uint32_t *group;  /* [count] identity; samples of one group stay together. NULL: none */
    bool grouped;  /* the source knows the groups: without parts of its own it is split by them */
    uint32_t *row; /* [count] place in the source, from 0; bad ones are counted, too */
    uint32_t *origin;   /* [count] what `def` calls the sample; NULL: the same */
    float *targets;     /* [count][classes] a distribution each; NULL: one-hot of the labels */
    bool drawn;         /* of each of `targets` one class is drawn, in every epoch anew */
    size_t source_rows; /* good and bad rows of a source where their order means something, or 0 */
    bool balanced;      /* every class equally often in an epoch of training */
    bool labelled;
    int classes;
    char (*class_names)[MIEN_CLASS_NAME];
    long long skipped; /* bad rows or files left out */
    bool streamed;     /* the pixels are read through `def` when they are needed */
    const struct mien_source_def *def;
    void *reader; /* the source's own, open as long as the set is streamed or knows its files */
    mien_memory memory; /* what was asked for */
    size_t budget;      /* bytes of pixels; beyond them they are not kept */
} mien_dataset;

/* "fail", "skip" or "skip:MAX". */
mien_status mien_on_bad_parse(const char *text, mien_on_bad *out);

/* Reads a source: `sample`, a .csv, .csv.gz, .npy or .npz file, a folder. Every image is brought to
 * `spec`. Every row is checked here, also when its pixels are not kept. Release it also after a
 * failure. */
mien_status mien_dataset_load(const char *source, mien_image_spec spec, mien_on_bad on_bad,
                              mien_memory memory, mien_dataset *out);
/* The same, of a part of what may be kept: `budget` bytes of pixels. */
mien_status mien_dataset_load_within(const char *source, mien_image_spec spec, mien_on_bad on_bad,
                                     mien_memory memory, size_t budget, mien_dataset *out);
/* Bytes of pixels that may be kept in memory now. */
size_t mien_dataset_budget(mien_memory memory);
void mien_dataset_release(mien_dataset *set);
/* Frees the pixels alone, once they lie in backend memory. */
void mien_dataset_drop_pixels(mien_dataset *set);

/* Leaves out the samples whose keep[i] is false. */
mien_status mien_dataset_keep(mien_dataset *set, const bool *keep);

/* ---- for readers ---- */
mien_status mien_dataset_classes(mien_dataset *set, const char *const *names, int count);
/* Appends `count` samples, zeroed; their arrays are then the reader's to fill. set->pixels is NULL
 * afterwards when they are not wanted or have outgrown their budget. */
mien_status mien_dataset_extend(mien_dataset *set, size_t count);
/* Reads the pixels of every sample where they are wanted, by all threads. */
mien_status mien_dataset_fill(mien_dataset *set);
/* A bad row or file: fails with the stored message or counts it, as on_bad says. */
mien_status mien_dataset_bad(mien_dataset *set, const mien_on_bad *on_bad);
/* Brings height x width gray bytes to the spec's size and channels. */
void mien_image_shape(mien_image_spec spec, const uint8_t *gray, int height, int width,
                      uint8_t *out);

/* Brings the pixels of `count` samples (NULL: the first ones) of a streamed set to `pixels`, by all
 * threads. */
mien_status mien_dataset_read(const mien_dataset *set, const uint32_t *samples, size_t count,
                              uint8_t *pixels);
static inline bool mien_dataset_belongs(const mien_dataset *set, size_t i, mien_part part) {
    return part == MIEN_NO_PART || set->part[i] == part;
}

/* Bytes of one image. */
size_t mien_image_bytes(mien_image_spec spec);
static inline uint8_t *mien_dataset_image(const mien_dataset *set, size_t i) {
    return set->pixels + i * mien_image_bytes(set->spec);
}

/* Counts of samples by class in a part (MIEN_NO_PART: in all); returns the total. */
size_t mien_dataset_counts(const mien_dataset *set, mien_part part, size_t *by_class);

/* What one pass over the pixels of a part tells. */
typedef struct mien_survey {
    char sha256[65]; /* over labels and pixels: tells whether two data sets are the same */
    uint64_t numbers, sum[4], squares[4]; /* by channel; whole numbers, so any order is exact */
} mien_survey;

/* MIEN_NO_PART: of all samples. Fails only where streamed pixels cannot be read. */
mien_status mien_dataset_survey(const mien_dataset *set, mien_part part, mien_survey *out);
/* Mean and deviation of each channel, of pixel * scale. */
void mien_survey_statistics(const mien_survey *survey, int channels, double scale, double *mean,
                            double *std);
const char *mien_part_name(mien_part part);

#endif
