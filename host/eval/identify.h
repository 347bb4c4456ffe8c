/* Finds out what a model's file does not say, from labelled images: how pixels are scaled, the
 * order of the colour channels, and which output is which class. */
#ifndef HOST_EVAL_IDENTIFY_H
#define HOST_EVAL_IDENTIFY_H

#include "host/base/text.h"
#include "host/eval/identify_stats.h"
#include "host/formats/model.h"

enum {
    MIEN_IDENTIFY_LIMIT = 500,
    MIEN_CANDIDATES_MAX = MIEN_FIT_CANDIDATES,
    MIEN_IDENTIFY_LEAST = 5, /* images of each class */
    MIEN_CROPS = 3
};
/* From this share of resamplings on an answer is sure. */
#define MIEN_IDENTIFY_SURE 0.95
/* From this chance on a scaling is. */
#define MIEN_SCALING_SURE 0.9

/* All pointers are borrowed and must outlive the identity. */
typedef struct mien_identify_request {
    const char *model, *data;
    const mien_part *part; /* MIEN_NO_PART: all; NULL: the first of val, test and all in the data */
    size_t limit;          /* images at most; rare classes have more than their part */
    const mien_on_bad *on_bad;  /* NULL: fail */
    mien_model_options options; /* what is known already */
    const volatile int *stop;   /* checked between batches; or NULL */
} mien_identify_request;

/* A way to scale pixels, and how well the model answers with it. */
typedef struct mien_candidate {
    const char *name; /* one of MIEN_PREPROCESS_CHOICES, "standardised", "per-image", "as stored" */
    bool bgr;         /* the network reads BGR */
    bool per_image;   /* each image by its own mean and std, which a model cannot store */
    mien_normalise normalise; /* of red, green and blue */
    int *order;               /* [classes] the data's class of each output */
    mien_fit fit;
    double share;  /* the chance that it is the right one, all evidence together */
    double misfit; /* from a batch normalisation near the input (identify_norm.h); NAN: none */
    double *loss, *calibrated; /* [images] */
} mien_candidate;

/* What decided. */
typedef enum mien_decided {
    MIEN_BY_LABELS, /* the fit to the labels, and how plausible the confidence is */
    MIEN_BY_NORM,   /* a batch normalisation near the input fits one alone */
} mien_decided;

typedef struct mien_identity {
    mien_identify_request request;
    mien_model model;
    mien_dataset data; /* only the images that were used */
    mien_part part;
    bool gray;        /* a colour model on gray images: the order of colours does not show */
    bool finds_order; /* the file does not name its classes */
    mien_candidate list[MIEN_CANDIDATES_MAX]; /* the best first */
    int count;
    mien_decided decided;
    double sure;         /* the chance that the scaling is right; 1 for MIEN_BY_NORM */
    bool or_own;         /* scaling each image by itself, which cannot be stored, fits as well */
    double order_share;  /* of resamplings that give the best candidate's order */
    double order_chance; /* that unrelated labels would fit as well */
    double crop_accuracy[MIEN_CROPS]; /* margin -0.1, 0, 0.1 with the best candidate */
    double crop_better[MIEN_CROPS];   /* share of resamplings in which it beats margin 0 */
    char doubt[320];                  /* why the answer is not sure; empty: it is */
} mien_identity;

extern const double mien_crop_margins[MIEN_CROPS];

/* Release `out` also after a failure. INVALID: nothing is unknown, the model has no classes, or the
 * data do not fit it. That the answer is in doubt is no failure. */
mien_status mien_identify(const mien_identify_request *request, mien_backend *backend,
                          mien_identity *out);
/* Puts the answer into out->model, to be saved. INVALID if it is in doubt; UNSUPPORTED if the
 * winner cannot be stored. */
mien_status mien_identify_apply(mien_identity *identity);
void mien_identity_release(mien_identity *identity);

/* "alphabetical", "FER2013" or "other": the order of the outputs. */
const char *mien_identity_order(const mien_identity *identity);
/* The name of output `i` of the best candidate. */
const char *mien_identity_class(const mien_identity *identity, int i);
/* identify_text.c. Append the result for a terminal, and as JSON; failures are in out->status. */
void mien_identity_table(const mien_identity *identity, mien_text *out);
void mien_identity_document(const mien_identity *identity, bool pretty, mien_text *out);

#endif
