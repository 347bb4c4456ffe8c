/* FER+ (Barsoum et al. 2016, arXiv 1608.01041): labels made from ten people's votes for each image
 * of FER2013. A file of votes has one row for each row of the csv of faces, in the same order. */
#ifndef HOST_DATA_VOTES_H
#define HOST_DATA_VOTES_H

#include "host/data/choose.h"

/* In the order of the choices of data.soft_mode. */
typedef enum mien_soft_mode {
    MIEN_SOFT_MAJORITY,     /* the class with more than half of the votes */
    MIEN_SOFT_PROBABILITY,  /* a class drawn from the votes, again for every sample and epoch */
    MIEN_SOFT_DISTRIBUTION, /* the votes themselves */
    MIEN_SOFT_MULTI,        /* every class with at least 30 % of the votes, equally weighted */
} mien_soft_mode;
#define MIEN_SOFT_MODES "majority|probability|distribution|multi"

enum { MIEN_VOTE_CLASSES = 8, MIEN_VOTE_COLUMNS = 10 }; /* after the classes: unknown, NF */

/* What happens to an image with these votes. */
typedef enum mien_votes_outcome {
    MIEN_VOTES_KEPT,
    MIEN_VOTES_UNKNOWN, /* most say that the expression is none of the eight */
    MIEN_VOTES_NO_FACE, /* most say that there is no face */
    MIEN_VOTES_SPREAD,  /* too few agree */
    MIEN_VOTES_OUTCOMES
} mien_votes_outcome;

const char *mien_soft_mode_name(mien_soft_mode mode);

/* Applies the rule of FER+'s own reader to one image's votes. A single vote for a class is an
 * outlier and does not count. If the image is kept, target [MIEN_VOTE_CLASSES] is a distribution,
 * otherwise zeros; the class with the largest share is the image's label (of equal shares, the one
 * with the most votes). */
mien_votes_outcome mien_votes_target(const int votes[MIEN_VOTE_COLUMNS], mien_soft_mode mode,
                                     float *target);

/* Sets the eight classes, and labels and targets from the votes in the file `path`; removes the
 * images whose votes name no class. The set must come from a source whose rows have an order (a csv
 * of faces), must not be split yet, and must have as many rows as the file, of the same parts. Logs
 * how many images were removed and why. Before the rule of `mode`, the votes of classes that
 * `choice` (may be NULL) merges are added, and those of classes that it leaves out removed. */
mien_status mien_votes_apply(mien_dataset *set, const char *path, mien_soft_mode mode,
                             const mien_class_choice *choice);
/* The same with the votes that the set's own source holds (set->votes). */
mien_status mien_votes_apply_own(mien_dataset *set, mien_soft_mode mode,
                                 const mien_class_choice *choice);
/* The votes of every row of the set's source, [source_rows], as they are; the caller frees them. */
mien_status mien_votes_read(const mien_dataset *set, const char *path,
                            int (**out)[MIEN_VOTE_COLUMNS]);
/* The name of a column of votes, from 0: the eight classes, unknown, NF. */
const char *mien_vote_column(int column);

#endif
