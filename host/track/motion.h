/* How a face moves: a Kalman filter of constant velocity for its centre and the logarithm of its
 * size, each on its own. Noise is relative to the face's size. */
#ifndef HOST_TRACK_MOTION_H
#define HOST_TRACK_MOTION_H

#include "host/image/draw.h"

typedef struct mien_motion_axis {
    double at, speed;              /* the estimate */
    double var_at, cov, var_speed; /* its covariance */
} mien_motion_axis;

typedef struct mien_motion {
    mien_motion_axis x, y, size;
} mien_motion;

void mien_motion_start(mien_motion *motion, mien_rect box);
/* The estimate `seconds` later. */
void mien_motion_predict(mien_motion *motion, double seconds);
/* The box of an estimate. */
mien_rect mien_motion_box(const mien_motion *motion);
/* Corrects a prediction by a measured box. */
void mien_motion_correct(mien_motion *motion, mien_rect box);
/* The logarithm of the density of `box` under a prediction (centre in pixels, size logarithmic). */
double mien_motion_density(const mien_motion *motion, mien_rect box);

#endif
