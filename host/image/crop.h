/* The crop rule: which part of a photo around a face's box becomes the model's input. It is stored
 * in the model file, so that prediction crops as the training pictures were cropped. */
#ifndef HOST_IMAGE_CROP_H
#define HOST_IMAGE_CROP_H

#include <stdbool.h>

#include "host/image/draw.h"

typedef struct mien_crop {
    bool square;   /* extend the box to a square with its longer side, about its centre */
    double margin; /* share of the side, added on every side; negative: removed */
} mien_crop;

/* The limits of `margin`. */
#define MIEN_CROP_MARGIN_MIN (-0.4)
#define MIEN_CROP_MARGIN_MAX 1.0

/* The part of a photo that the rule selects for a box; it may extend beyond the photo. */
mien_rect mien_crop_rect(mien_rect box, mien_crop rule);
/* Crops that part, resizes it to height x width and converts it to `channels` (1 or 3, at most the
 * photo's); `out` is [height][width][channels]. Beyond the photo its edge pixels are repeated. */
mien_status mien_crop_face(const mien_image *photo, mien_rect box, mien_crop rule, int height,
                           int width, int channels, uint8_t *out);
/* The same for a face that is turned by `turn` radians clockwise: the photo is turned back about
 * the middle of that part. 0: exactly mien_crop_face. */
mien_status mien_crop_turned(const mien_image *photo, mien_rect box, mien_crop rule, double turn,
                             int height, int width, int channels, uint8_t *out);

#endif
