/* Temperature scaling (Guo et al. 2017, "On calibration of modern neural networks"): divides the
 * logits by a number so that confidence matches accuracy. Predicted classes do not change. */
#ifndef HOST_EVAL_TEMPERATURE_H
#define HOST_EVAL_TEMPERATURE_H

#include <stddef.h>
#include <stdint.h>

/* With fewer rows the temperature stays 1. */
enum { MIEN_TEMPERATURE_LEAST = 50 };

/* Returns the temperature between 0.05 and 20 that minimises the cross-entropy on `labels` [n].
 * `probabilities` [n][classes] are those at temperature 1. */
double mien_temperature_fit(const float *probabilities, const uint16_t *labels, size_t n,
                            int classes);
/* Converts probabilities [n][classes] from temperature 1 to `temperature`, in place. */
void mien_temperature_apply(float *probabilities, size_t n, int classes, double temperature);

#endif
