/* A data set: the label, the part (train, val, test) and the pixels of each sample; pixels are in
 * memory or read from the source on demand. Sources fill it through the vtable of source.h; then it
 * is split (split.h) and surveyed. */
#ifndef HOST_DATA_DATASET_H
#define HOST_DATA_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "host/base/file.h"
#include "host/base/text.h"

typedef enum mien_part {
    MIEN_TRAIN,
    MIEN_VAL,
    MIEN_TEST,
    MIEN_PARTS,
    MIEN_NO_PART = MIEN_PARTS
} mien_part;

enum { MIEN_CLASSES_MAX = 4096, MIEN_CLASS_NAME = 64 };

/* The size and channels that every image is converted to. */
typedef struct mien_image_spec {
    int height, width, channels;
} mien_image_spec;

/* What to do with a damaged row or file. */
typedef struct mien_on_bad {
    bool skip;
    long long max; /* fail after this many skipped ones; -1: no limit */
} mien_on_bad;

/* Where the pixels are kept. AUTO: resident, unless that takes more than half of the memory
 * available to the process. In the order of the choices of data.memory. */
typedef enum mien_memory { MIEN_MEMORY_AUTO, MIEN_MEMORY_RESIDENT, MIEN_MEMORY_STREAM } mien_memory;
#define MIEN_MEMORY_CHOICES "auto|resident|stream"

struct mien_class_choice;

/* What is wanted of the labels, where reading depends on it. */
typedef struct mien_label_rules {
    /* applied after reading, one after the other: a class that they leave out or merge with another
     * need not be in every part. NULL: all classes stay */
    const struct mien_class_choice *choice, *drop;
    int soft_mode; /* mien_soft_mode of votes that one of several sources holds */
} mien_label_rules;

enum { MIEN_BAD_BYTES = 16 << 20 };

struct mien_source_def;

typedef struct mien_dataset {
    char source[MIEN_PATH];
    mien_image_spec spec;
    size_t count, capacity;
    uint8_t *pixels;    /* [count][height][width][channels]; NULL when they are streamed */
    uint16_t *labels;   /* [count] */
    uint8_t *usage;     /* [count] the part that the source assigns, or MIEN_NO_PART */
    uint8_t *part;      /* [count] set by mien_split_apply */
    uint32_t *group;    /* [count] identity; samples of one group stay in one part */
    bool grouped;       /* the source provides the groups: data without parts is split by them */
    uint32_t *row;      /* [count] index in the source, from 0, bad rows included */
    uint32_t *origin;   /* [count] the sample's index for `def`; NULL: the same */
    float *targets;     /* [count][classes] a distribution per sample; NULL: one-hot labels */
    int *votes;         /* [source's row][10] FER+ votes that the source itself holds, else NULL */
    bool drawn;         /* every epoch draws one class from each distribution in `targets` */
    size_t source_rows; /* good and bad rows of a source whose order is meaningful, else 0 */
    bool balanced;      /* training epochs show every class equally often */
    bool labelled;
    int classes;
    char (*class_names)[MIEN_CLASS_NAME];
    long long skipped; /* bad rows or files left out */
    mien_text bad;     /* a line for each of them, up to MIEN_BAD_BYTES */
    bool listed;       /* mien_dataset_list: the files were not read, and there are no pixels */
    bool videos;       /* of a set that is only listed: files may be videos */
    bool streamed;     /* the pixels are read through `def` on demand */
    const struct mien_source_def *def;
    void *reader; /* state of the source, kept while the set is streamed or needs file names */
    mien_memory memory;            /* as requested */
    const mien_label_rules *rules; /* while the source is read; NULL: none */
    size_t budget;                 /* maximum bytes of pixels to keep in memory */
} mien_dataset;

/* "fail", "skip" or "skip:MAX". */
mien_status mien_on_bad_parse(const char *text, mien_on_bad *out);

/* Reads a source of any form in the table of sources.c. Every image is converted to `spec`. Every
 * row is checked, even when its pixels are not kept. Release it even after a failure. */
mien_status mien_dataset_load(const char *source, mien_image_spec spec, mien_on_bad on_bad,
                              mien_memory memory, mien_dataset *out);
/* The same with rules for the labels (or NULL) and `budget` bytes for the pixels that are kept. */
mien_status mien_dataset_load_within(const char *source, mien_image_spec spec, mien_on_bad on_bad,
                                     mien_memory memory, const mien_label_rules *rules,
                                     size_t budget, mien_dataset *out);
/* Lists the pictures, and if wanted the videos, of a folder with their classes and parts, in a
 * fixed order, without reading them; `on_bad` is for folders that cannot be read. Only for a source
 * whose samples are files: otherwise UNSUPPORTED. Release it even after a failure. */
mien_status mien_dataset_list(const char *source, bool videos, mien_on_bad on_bad,
                              mien_dataset *out);
/* Bytes of pixels that may be kept in memory at present. */
size_t mien_dataset_budget(mien_memory memory);
void mien_dataset_release(mien_dataset *set);
/* Frees only the pixels, once they are in backend memory. */
void mien_dataset_drop_pixels(mien_dataset *set);

/* Removes the samples whose keep[i] is false. */
mien_status mien_dataset_keep(mien_dataset *set, const bool *keep);

/* ---- for sources ---- */
mien_status mien_dataset_classes(mien_dataset *set, const char *const *names, int count);
/* Appends `count` samples with default values, for the source to fill in. set->pixels is NULL
 * afterwards when pixels are not kept or exceed the budget. */
mien_status mien_dataset_extend(mien_dataset *set, size_t count);
/* Reads the pixels of every sample if set->pixels is allocated, with all threads. */
mien_status mien_dataset_fill(mien_dataset *set);
/* Handles a bad row or file as on_bad says: fails with the stored message, or counts the row and
 * logs the first ten. */
mien_status mien_dataset_bad(mien_dataset *set, const mien_on_bad *on_bad);
/* Resizes height x width gray pixels to the spec's size and copies them to all its channels. */
void mien_image_shape(mien_image_spec spec, const uint8_t *gray, int height, int width,
                      uint8_t *out);

/* Reads the pixels of `count` samples (NULL: the first `count`) from the source into `pixels`, with
 * all threads. Of several failures the first sample's is reported. */
mien_status mien_dataset_read(const mien_dataset *set, const uint32_t *samples, size_t count,
                              uint8_t *pixels);
/* The same, from memory where the set keeps its pixels. */
mien_status mien_dataset_fetch(const mien_dataset *set, const uint32_t *samples, size_t count,
                               uint8_t *pixels);
static inline bool mien_dataset_belongs(const mien_dataset *set, size_t i, mien_part part) {
    return part == MIEN_NO_PART || set->part[i] == part;
}

/* Bytes of one image. */
size_t mien_image_bytes(mien_image_spec spec);
static inline uint8_t *mien_dataset_image(const mien_dataset *set, size_t i) {
    return set->pixels + i * mien_image_bytes(set->spec);
}

/* Counts samples by class in a part (MIEN_NO_PART: in all); returns the total. */
size_t mien_dataset_counts(const mien_dataset *set, mien_part part, size_t *by_class);

/* Logs one line per part with its number of images of each class; split the set first. */
void mien_dataset_describe(const mien_dataset *set);
/* The same for one part (MIEN_NO_PART: all samples), called `name`. */
void mien_dataset_describe_part(const mien_dataset *set, mien_part part, const char *name);
/* Warns if no class has the name of an emotion, or two have names that mean the same. */
void mien_dataset_check_names(const mien_dataset *set);

/* Results of one pass over the pixels of a part. */
typedef struct mien_survey {
    char sha256[65]; /* of labels, targets and pixels: identifies the data */
    /* per channel; integers, so the order of summation does not matter */
    uint64_t numbers, sum[4], squares[4];
} mien_survey;

/* Surveys a part (MIEN_NO_PART: all samples). Fails where streamed pixels cannot be read or memory
 * runs out. */
mien_status mien_dataset_survey(const mien_dataset *set, mien_part part, mien_survey *out);
/* Mean and std of each channel of pixel * scale. */
void mien_survey_statistics(const mien_survey *survey, int channels, double scale, double *mean,
                            double *std);
const char *mien_part_name(mien_part part);

#endif
