/* Where to cut a range off, so that the bytes that are left lose least. */
#ifndef HOST_INFER_CLIP_H
#define HOST_INFER_CLIP_H

#include <stddef.h>

enum { MIEN_HISTOGRAM = 2048 };

/* Magnitudes of the numbers that are not 0, in equal bins from 0 to `most`. */
typedef struct mien_histogram {
    float most;
    double bins[MIEN_HISTOGRAM];
} mien_histogram;

typedef enum mien_clip {
    MIEN_CLIP_MAX,        /* nothing is cut off */
    MIEN_CLIP_PERCENTILE, /* all but one number in ten thousand is kept */
    MIEN_CLIP_MSE,        /* the least mean squared error */
    MIEN_CLIP_KL,         /* the least divergence between the two distributions */
    MIEN_CLIPS
} mien_clip;

const char *mien_clip_name(mien_clip clip);
/* The magnitude that becomes the largest byte; `levels`: bytes on one side of 0 (255 or 127). 0
 * when the histogram is empty. */
float mien_clip_find(const mien_histogram *histogram, mien_clip clip, int levels);

#endif
