/* An audit of a data set before training: duplicates within and across parts, labels that
 * contradict each other, unusual images, and labels that a model doubts. */
#ifndef HOST_AUDIT_AUDIT_H
#define HOST_AUDIT_AUDIT_H

#include "host/base/text.h"
#include "host/eval/evaluate.h"

enum {
    MIEN_AUDIT_SIDE = 48, /* images are compared as gray ones of this size */
    MIEN_AUDIT_SIZES = 9
};

typedef struct mien_audit_request {
    const char *data;  /* for mien_dataset_load_all */
    const char *model; /* NULL: no suspect labels */
    const char *votes; /* a file of FER+ votes, or NULL */
    mien_on_bad on_bad;
    mien_model_options options;
    const volatile int *stop;
} mien_audit_request;

/* Groups of alike images. */
typedef struct mien_alike {
    uint32_t *first; /* [count] of each image: the first image of its group, itself if alone */
    size_t groups[MIEN_PARTS + 1];        /* of two or more within a part; last: in all data */
    size_t surplus[MIEN_PARTS + 1];       /* images beyond the first of each group */
    size_t leaks[MIEN_PARTS][MIEN_PARTS]; /* [a][b]: images of part a with a like one in part b */
    size_t conflicts;                     /* groups of images with different labels */
} mien_alike;

/* Images picked out, the most extreme first. */
typedef struct mien_audit_list {
    uint32_t *samples;
    float *values; /* what they were picked by */
    size_t count;
} mien_audit_list;

typedef struct mien_audit {
    mien_dataset data; /* gray, MIEN_AUDIT_SIDE; with pixels if they fit in memory */
    bool parts;        /* the data name parts */
    mien_alike exact;  /* the same pixels */
    mien_alike near;   /* nearly: scaled, compressed, brightened; contains the exact ones */
    mien_audit_list dark, bright, flat; /* values: mean, mean, std of 0 … 255 */
    mien_audit_list no_face;            /* values: of mien_faceness, above 0 */
    mien_audit_list suspects; /* values: loss of the label; only where the model says otherwise */
    uint16_t *predicted;      /* [data.count] class in `names`, with a model */
    char (*names)[MIEN_CLASS_NAME]; /* of `predicted` */
    double *vote_entropy;           /* [classes] mean over images, in bits; NULL: no votes */
    size_t *voted;                  /* [classes] images with votes */
    size_t voted_no_face;           /* images whose votes have a majority for "no face" */
    size_t sizes[MIEN_AUDIT_SIZES]; /* images by their shorter side, see mien_audit_size */
    bool sized;                     /* the data know the sizes */
    double seconds;
} mien_audit;

/* sizes[i] counts images whose shorter side is at least this many pixels, and less than the next
 * one's. */
int mien_audit_size(int i);

/* Release `out` also after a failure. */
mien_status mien_audit_run(const mien_audit_request *request, mien_backend *backend,
                           mien_audit *out);
/* Whether images of one part are in another, too, exactly or nearly. */
bool mien_audit_leaks(const mien_audit *audit);
void mien_audit_release(mien_audit *audit);

/* document.c */
/* Appends "row 12" of a table, or the name of a file. */
void mien_audit_sample(const mien_audit *audit, size_t sample, mien_text *out);
void mien_audit_table(const mien_audit *audit, mien_text *out);
void mien_audit_document(const mien_audit *audit, mien_text *out);

/* alike.c: the groups of identical, and of nearly identical images of `pixels`
 * [count][MIEN_AUDIT_SIDE²]. */
mien_status mien_alike_find(const mien_dataset *set, const uint8_t *pixels, mien_alike *exact,
                            mien_alike *near);
/* faceness.c: above 0: image i is probably no face. */
void mien_faceness(const uint8_t *pixels, size_t count, float *out);

#endif
