/* The statistics of `mien identify`: which output is which class, and how sure that is. */
#ifndef HOST_EVAL_IDENTIFY_STATS_H
#define HOST_EVAL_IDENTIFY_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

enum { MIEN_FIT_CANDIDATES = 16 };

/* Answers to labelled images. */
typedef struct mien_answers {
    const float *p;         /* [n][classes] probabilities */
    const uint16_t *labels; /* [n] below `classes` */
    size_t n;
    int classes;
} mien_answers;

/* Finds the class of each output: the assignment under which the answers make the labels most
 * likely. How often a class occurs does not count, so that networks which prefer frequent classes
 * are read correctly. order[output] is a class. */
mien_status mien_order_find(const mien_answers *answers, int *order);
/* The share of `draws` resamplings of the images, class by class, that give the same order. */
mien_status mien_order_share(const mien_answers *answers, const int *order, int draws,
                             double *share);
/* The chance that labels unrelated to the images would fit some order as well: the share of
 * `draws` shuffles of the labels that do. */
mien_status mien_order_chance(const mien_answers *answers, int draws, double *chance);

/* How well the answers fit the labels under an order. */
typedef struct mien_fit {
    double accuracy, confidence; /* confidence: mean probability of the predicted class */
    double loss;                 /* cross-entropy */
    double temperature;          /* that suits the answers best */
    double calibrated;           /* cross-entropy after it */
} mien_fit;
/* Also gives both losses of each image, [n]. */
mien_status mien_fit_measure(const mien_answers *answers, const int *order, mien_fit *fit,
                             double *loss, double *calibrated);
/* Resamples the images and counts how often each of `count` candidates has the lowest loss:
 * losses[candidate][n], shares[count]. Equal losses count for the first. */
void mien_fit_shares(const double *const *losses, int count, size_t n, int draws, double *shares);

#endif
