/* Evidence about scaling without labels: a batch normalisation near the input keeps the mean and
 * variance of what it saw in training, and only the right scaling gives these again. */
#ifndef HOST_EVAL_IDENTIFY_NORM_H
#define HOST_EVAL_IDENTIFY_NORM_H

#include "host/eval/identify.h"

/* A misfit below this share of another's is clearly smaller. */
#define MIEN_NORM_CLEAR 0.5
/* Above this none fits. */
#define MIEN_NORM_FITS 0.5

/* Sets the misfit of every candidate: the mean over channels of the divergence between the Gaussian
 * that the batch normalisation expects and the one that these images give. They stay NAN for a
 * network without one right after the input, or after its first convolution. */
mien_status mien_norm_misfits(const mien_model *model, const mien_dataset *set,
                              mien_candidate *list, int count);

#endif
