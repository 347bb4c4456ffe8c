/* The statistics of `mien identify`: which output is which class, and how sure that is. */
#ifndef HOST_EVAL_IDENTIFY_STATS_H
#define HOST_EVAL_IDENTIFY_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

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
    double loss;                 /* mean of `losses` */
} mien_fit;
/* losses[n]: the cross-entropy of each image after the temperature that suits the answers best, so
 * that over- and under-confidence do not count. */
mien_status mien_fit_measure(const mien_answers *answers, const int *order, mien_fit *fit,
                             double *losses);
/* Resamples the images and counts how often each of `count` candidates has the lowest loss:
 * losses[candidate][n], shares[count]. */
void mien_fit_shares(double *const *losses, int count, size_t n, int draws, double *shares);
/* The same for a pair: the share of resamplings in which `a` has the lower loss. */
double mien_fit_better(double *a, double *b, size_t n, int draws);

#endif
