/* Chooses the clipping range of a quantised value from the histogram of its magnitudes. */
#ifndef HOST_INFER_CLIP_H
#define HOST_INFER_CLIP_H

#include <stddef.h>

enum { MIEN_HISTOGRAM = 2048 };

/* Histogram of nonzero magnitudes, in equal bins from 0 to `most`. */
typedef struct mien_histogram {
    float most;
    double bins[MIEN_HISTOGRAM];
} mien_histogram;

typedef enum mien_clip {
    MIEN_CLIP_MAX,        /* no clipping */
    MIEN_CLIP_PERCENTILE, /* keeps 99.99 % of the values */
    MIEN_CLIP_MSE,        /* minimises the mean squared error */
    MIEN_CLIP_KL, /* minimises the Kullback-Leibler divergence of the quantised distribution */
    MIEN_CLIPS
} mien_clip;

const char *mien_clip_name(mien_clip clip);
/* Returns the magnitude that is mapped to the largest integer, `levels` (255 or 127). 0 if the
 * histogram is empty. */
float mien_clip_find(const mien_histogram *histogram, mien_clip clip, int levels);

#endif
