#include "host/eval/ranking.h"

#include <stdlib.h>

static int descending(const void *a, const void *b) {
    const mien_scored *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

size_t mien_rank(const float *probabilities, const uint16_t *labels, size_t n, int classes, int k,
                 mien_scored *rows) {
    size_t positives = 0;
    for (size_t i = 0; i < n; i++) {
        rows[i] = (mien_scored){probabilities[i * (size_t)classes + (size_t)k], labels[i] == k};
        positives += rows[i].positive;
    }
    qsort(rows, n, sizeof *rows, descending);
    return positives;
}

size_t mien_rank_step(const mien_scored *rows, size_t n, size_t at, double *tp, double *fp) {
    const float score = rows[at].score;
    for (; at < n && rows[at].score == score; at++) {
        *tp += rows[at].positive;
        *fp += !rows[at].positive;
    }
    return at;
}
