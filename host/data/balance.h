/* Balanced sampling: an epoch shows every class equally often. */
#ifndef HOST_DATA_BALANCE_H
#define HOST_DATA_BALANCE_H

#include "host/data/dataset.h"

typedef struct mien_balance {
    size_t count;      /* samples of the training part, and of an epoch */
    int classes;       /* those that have any */
    uint32_t *samples; /* [count] by class */
    size_t *starts;    /* [classes + 1] in `samples` */
    uint32_t *epoch;   /* [count] what the last mien_balance_draw chose */
} mien_balance;

mien_status mien_balance_create(const mien_dataset *set, mien_balance *balance);
void mien_balance_release(mien_balance *balance);

/* The samples of an epoch, by class, in balance->epoch: as many as the training part has, of each
 * class the same number or one more. A class is walked round and round, every epoch from where the
 * one before has come to, so that all its samples are shown alike. A function of the epoch alone;
 * shuffling comes after. */
void mien_balance_draw(mien_balance *balance, uint64_t epoch);

#endif
