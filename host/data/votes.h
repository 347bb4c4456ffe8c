/* FER+ (Barsoum et al. 2016, arXiv 1608.01041): what ten people saw in each image of FER2013, as
 * labels. A file of votes has one row for each row of the csv of faces, in the same order. */
#ifndef HOST_DATA_VOTES_H
#define HOST_DATA_VOTES_H

#include "host/data/dataset.h"

/* In the order of the config key data.soft_mode. */
typedef enum mien_soft_mode {
    MIEN_SOFT_MAJORITY,     /* the class with more than half of the votes */
    MIEN_SOFT_PROBABILITY,  /* a class drawn from the votes, for every sample and epoch anew */
    MIEN_SOFT_DISTRIBUTION, /* the votes themselves */
    MIEN_SOFT_MULTI,        /* every class with 30 % of the votes is right, each as much */
} mien_soft_mode;
#define MIEN_SOFT_MODES "majority|probability|distribution|multi"

enum { MIEN_VOTE_CLASSES = 8, MIEN_VOTE_COLUMNS = 10 }; /* behind the classes: unknown, NF */

/* What becomes of an image with these votes. */
typedef enum mien_verdict {
    MIEN_VOTES_KEPT,
    MIEN_VOTES_UNKNOWN, /* most say that the expression is none of the eight */
    MIEN_VOTES_NO_FACE, /* most say that there is no face */
    MIEN_VOTES_SPREAD,  /* too few agree */
    MIEN_VERDICTS
} mien_verdict;

const char *mien_soft_mode_name(mien_soft_mode mode);

/* The rule of FER+'s own reader. A single vote for a class is an outlier and does not count.
 * target [MIEN_VOTE_CLASSES] is a distribution where the image is kept; its largest number is
 * the image's class, of equal ones that with the most votes. */
mien_verdict mien_votes_judge(const int votes[MIEN_VOTE_COLUMNS], mien_soft_mode mode,
                              float *target);

/* Gives the set the eight classes, labels and targets of the votes in the file `path`, and leaves
 * out the images whose votes name no class. The set must come from a source whose rows have an
 * order (a csv of faces), be not split yet, and have as many rows as the file, of the same parts.
 * Tells in the log how many were left out and why. */
mien_status mien_votes_apply(mien_dataset *set, const char *path, mien_soft_mode mode);

#endif
