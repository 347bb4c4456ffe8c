/* Balanced sampling: an epoch shows every class equally often. */
#ifndef HOST_DATA_BALANCE_H
#define HOST_DATA_BALANCE_H

#include "host/data/dataset.h"

typedef struct mien_balance {
    size_t count;      /* samples of the training part, and of an epoch */
    int classes;       /* classes with training samples */
    uint32_t *samples; /* [count] by class */
    size_t *starts;    /* [classes + 1] where each class begins in `samples` */
    uint32_t *epoch;   /* [count] the choice of the last mien_balance_draw */
} mien_balance;

mien_status mien_balance_create(const mien_dataset *set, mien_balance *balance);
void mien_balance_release(mien_balance *balance);

/* Chooses the samples of an epoch, grouped by class, in balance->epoch: as many as the training
 * part has, with class counts that differ by at most one. Each class is cycled through, every epoch
 * starting one even share further on, so that all its samples are shown equally often. The result
 * depends only on `epoch`; the caller shuffles it. */
void mien_balance_draw(mien_balance *balance, uint64_t epoch);

#endif
