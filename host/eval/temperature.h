/* A confidence that means something: the temperature that divides a network's logits (Guo et al.
 * 2017, "On calibration of modern neural networks"). It changes no answer, only how sure it is. */
#ifndef HOST_EVAL_TEMPERATURE_H
#define HOST_EVAL_TEMPERATURE_H

#include <stddef.h>
#include <stdint.h>

/* Fewer rows tell too little: the temperature stays 1. */
enum { MIEN_TEMPERATURE_LEAST = 50 };

/* The temperature of the least cross-entropy on `labels` [n], from probabilities [n][classes] at
 * temperature 1; between 0.05 and 20. */
double mien_temperature_fit(const float *probabilities, const uint16_t *labels, size_t n,
                            int classes);
/* Probabilities at temperature 1 become those at `temperature`, in place. */
void mien_temperature_apply(float *probabilities, size_t n, int classes, double temperature);

#endif
