#include "host/track/motion.h"

#include <math.h>

/* A head's acceleration changes without notice: white noise of this power, in sizes^2 / s^3, and
 * for the logarithm of the size in 1 / s^3. */
static const double power_centre = 2.0;
static const double power_size = 0.3;
/* Deviation of a measured box: of its centre in sizes, and of the logarithm of its size. */
static const double std_centre = 0.07;
static const double std_size = 0.08;
/* Speeds at the start, in sizes per second. */
static const double speed_centre = 2.0;
static const double speed_size = 0.3;
/* Speed decays while a face is not seen, with this time constant in seconds. */
static const double decay = 2.0;

static double log_size(mien_rect box) {
    return 0.5 * log((double)(box.width < 1 ? 1 : box.width) * (box.height < 1 ? 1 : box.height));
}

static double square(double x) {
    return x * x;
}

static mien_motion_axis axis_start(double at, double std, double speed) {
    return (mien_motion_axis){.at = at, .var_at = square(std), .var_speed = square(speed)};
}

static void axis_predict(mien_motion_axis *a, double seconds, double power) {
    const double kept = exp(-seconds / decay);
    const double gain = decay * (1 - kept);
    a->at += gain * a->speed;
    a->speed *= kept;
    a->var_at += 2 * gain * a->cov + gain * gain * a->var_speed + power * pow(seconds, 3) / 3;
    a->cov = kept * (a->cov + gain * a->var_speed) + power * seconds * seconds / 2;
    a->var_speed = kept * kept * a->var_speed + power * seconds;
}

static void axis_correct(mien_motion_axis *a, double measured, double std) {
    const double total = a->var_at + square(std);
    const double gain_at = a->var_at / total;
    const double gain_speed = a->cov / total;
    const double surprise = measured - a->at;
    a->at += gain_at * surprise;
    a->speed += gain_speed * surprise;
    a->var_speed -= gain_speed * a->cov;
    a->cov *= 1 - gain_at;
    a->var_at *= 1 - gain_at;
}

static double axis_density(const mien_motion_axis *a, double measured, double std) {
    const double total = a->var_at + square(std);
    return -0.5 * (square(measured - a->at) / total + log(2 * M_PI * total));
}

void mien_motion_start(mien_motion *motion, mien_rect box) {
    const double log_side = log_size(box);
    const double side = exp(log_side);
    motion->x = axis_start(box.x + 0.5 * box.width, std_centre * side, speed_centre * side);
    motion->y = axis_start(box.y + 0.5 * box.height, std_centre * side, speed_centre * side);
    motion->size = axis_start(log_side, std_size, speed_size);
}

void mien_motion_predict(mien_motion *motion, double seconds) {
    const double side = exp(motion->size.at);
    axis_predict(&motion->x, seconds, power_centre * side * side);
    axis_predict(&motion->y, seconds, power_centre * side * side);
    axis_predict(&motion->size, seconds, power_size);
}

mien_rect mien_motion_box(const mien_motion *motion) {
    const double side = exp(motion->size.at);
    return (mien_rect){(int)lrint(motion->x.at - side / 2), (int)lrint(motion->y.at - side / 2),
                       (int)lrint(side), (int)lrint(side)};
}

void mien_motion_correct(mien_motion *motion, mien_rect box) {
    const double side = exp(motion->size.at);
    axis_correct(&motion->x, box.x + 0.5 * box.width, std_centre * side);
    axis_correct(&motion->y, box.y + 0.5 * box.height, std_centre * side);
    axis_correct(&motion->size, log_size(box), std_size);
}

double mien_motion_density(const mien_motion *motion, mien_rect box) {
    const double side = exp(motion->size.at);
    return axis_density(&motion->x, box.x + 0.5 * box.width, std_centre * side) +
           axis_density(&motion->y, box.y + 0.5 * box.height, std_centre * side) +
           axis_density(&motion->size, log_size(box), std_size);
}
