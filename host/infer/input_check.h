/* Do the pixels of a prediction suit its model? A batch normalisation after the first convolution
 * (or before it) keeps mean and variance of what it saw in training. Pixels on another scale, 0 to
 * 255 for 0 to 1, make the variance thousands of times too large or too small. */
#ifndef HOST_INFER_INPUT_CHECK_H
#define HOST_INFER_INPUT_CHECK_H

#include "host/formats/model.h"

typedef struct mien_input_check mien_input_check;

/* *out is NULL for a model without such a layer. `model` must outlive the check. */
mien_status mien_input_check_create(const mien_model *model, mien_input_check **out);
void mien_input_check_free(mien_input_check *check);
/* Looks at a few pixels of the first images that have contrast. `check` may be NULL. */
void mien_input_check_add(mien_input_check *check, const uint8_t *images, int n);
/* How many times the variance in training the variance is; 1 unless it is so far from it that the
 * scale must be wrong. */
double mien_input_check_ratio(const mien_input_check *check);

#endif
