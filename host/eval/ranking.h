/* Rows ranked by the score of one class, for areas and curves of that class against the rest. */
#ifndef HOST_EVAL_RANKING_H
#define HOST_EVAL_RANKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mien_scored {
    float score;
    bool positive; /* the row's label is the class */
} mien_scored;

/* Fills rows[n] from probabilities [n][classes], the highest score of class k first; returns how
 * many are positive. */
size_t mien_rank(const float *probabilities, const uint16_t *labels, size_t n, int classes, int k,
                 mien_scored *rows);
/* Adds the rows from `at` on that have one score to true and false positives, and returns the row
 * after them: equal scores form one step, so that the order of rows does not matter. */
size_t mien_rank_step(const mien_scored *rows, size_t n, size_t at, double *tp, double *fp);

#endif
