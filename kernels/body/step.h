/* The state of training that lives in backend memory and advances there, so that a captured step
 * can be replayed: the counter behind every random draw, the bias corrections, the fault flag. */
#ifndef KERNELS_BODY_STEP_H
#define KERNELS_BODY_STEP_H

#include "kernels/body/body.h"

typedef struct body_step {
    uint64_t step;       /* finished optimiser steps */
    uint32_t seed;       /* of every stream */
    uint32_t bad;        /* set when a loss, gradient or parameter is not finite */
    uint64_t skipped;    /* updates that the flag held back */
    double beta_1_power; /* beta_1^(step+1): a running product, because pow differs per device */
    double beta_2_power;
    double learning_rate; /* of the next update */
    double gradient_norm; /* of the last finished backward pass */
    double loss_sum;      /* since the last reset: sum over rows */
    uint64_t rows, correct;
} body_step;

MIEN_BODY void body_step_start(body_step *s, uint64_t seed, double beta_1, double beta_2) {
    s->step = 0;
    s->seed = (uint32_t)seed;
    s->bad = 0;
    s->skipped = 0;
    s->beta_1_power = beta_1;
    s->beta_2_power = beta_2;
    s->learning_rate = 0;
    s->gradient_norm = 0;
    s->loss_sum = 0;
    s->rows = s->correct = 0;
}

/* After an update (or one that the flag held back): the counter always moves on, so that the next
 * step draws new randomness; the bias corrections count real updates only. */
MIEN_BODY void body_step_advance(body_step *s, double beta_1, double beta_2) {
    s->step++;
    if (s->bad) {
        s->skipped++;
        return;
    }
    s->beta_1_power *= beta_1;
    s->beta_2_power *= beta_2;
}

#endif
