/* The training state that lives in backend memory and advances there, so that a captured step can
 * be replayed: the counter that every random draw uses, the bias corrections, the fault flag. */
#ifndef KERNELS_BODY_STEP_H
#define KERNELS_BODY_STEP_H

#include "kernels/body/body.h"

typedef struct body_step {
    uint64_t step;       /* finished optimiser steps */
    uint32_t seed;       /* of every stream */
    uint32_t bad;        /* set when a loss, gradient or parameter is not finite */
    uint64_t skipped;    /* updates that were skipped */
    double beta_1_power; /* beta_1^(step+1): a running product, because pow differs per device */
    double beta_2_power;
    double learning_rate; /* of the next update */
    double gradient_norm; /* of the last finished backward pass */
    double loss_sum;      /* since the last reset: sum over rows */
    uint64_t rows, correct;
    uint64_t cursor;   /* where the next batch starts in the epoch's order */
    uint64_t tick;     /* steps since that order began: index of the next learning rate */
    double loss_scale; /* factor of the gradients in memory; 0: none, fixed */
    uint64_t good;     /* consecutive updates at this scale */
} body_step;

/* The decay of a running average before its first n + 1 updates are over: the average follows the
 * first values closely, so that what it started from is soon forgotten (as TensorFlow's
 * ExponentialMovingAverage does with num_updates). n counts from 0. */
MIEN_BODY double body_warm_decay(double decay, uint64_t n) {
    const double warm = (1 + (double)n) / (10 + (double)n);
    return warm < decay ? warm : decay;
}

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
    s->cursor = s->tick = 0;
    s->loss_scale = 0;
    s->good = 0;
}

/* Loss scaling (Micikevicius et al. 2018), for gradients of few exponent bits: halved when they
 * overflow, doubled after this many updates without overflow. */
enum { BODY_SCALE_UPDATES = 2000 };

MIEN_BODY double body_loss_scale(const body_step *s) {
    return s->loss_scale > 0 ? s->loss_scale : 1;
}

/* Adds a batch to the epoch's sums. A loss that is not finite would spoil them for the rest of the
 * epoch; it holds back the update instead. */
MIEN_BODY void body_step_loss(body_step *s, double loss, uint64_t correct, uint64_t rows) {
    if (loss - loss != 0) {
        s->bad = 1;
        return;
    }
    s->loss_sum += loss;
    s->correct += correct;
    s->rows += rows;
}

/* Stores the true gradient norm and returns whether this step must skip its update. An overflow is
 * not an error while the scale can still be lowered. */
MIEN_BODY int body_step_check(body_step *s, double scaled_norm) {
    const double norm = scaled_norm / body_loss_scale(s);
    const int finite = norm - norm == 0;
    s->gradient_norm = norm;
    if (finite && !s->bad) return 0;
    if (finite || s->loss_scale <= 1)
        s->bad = 1;
    else
        s->loss_scale *= 0.5;
    s->good = 0;
    return 1;
}

/* After an update, or a skipped one: the counter always advances, so that the next step draws new
 * random numbers; the bias corrections count real updates only. */
MIEN_BODY void body_step_advance(body_step *s, double beta_1, double beta_2, int held_back,
                                 int rows) {
    s->step++;
    s->tick++;
    s->cursor += (uint64_t)rows;
    if (held_back) {
        s->skipped++;
        return;
    }
    s->beta_1_power *= beta_1;
    s->beta_2_power *= beta_2;
    if (s->loss_scale <= 0 || ++s->good < BODY_SCALE_UPDATES) return;
    if (s->loss_scale < 65536) s->loss_scale *= 2;
    s->good = 0;
}

#endif
