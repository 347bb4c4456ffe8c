/* The crop rule: how a face's box becomes the picture that a model reads. It lies in the model
 * file, so that prediction cuts as the training pictures were cut. */
#ifndef HOST_IMAGE_CROP_H
#define HOST_IMAGE_CROP_H

#include <stdbool.h>

#include "host/image/draw.h"

typedef struct mien_crop {
    bool square;   /* the box's longer side on both sides, about its centre */
    double margin; /* of that side, added on every side; below 0 it is taken away */
} mien_crop;

/* What a rule may ask for. */
#define MIEN_CROP_MARGIN_MIN (-0.4)
#define MIEN_CROP_MARGIN_MAX 1.0

/* The part of a photo that the rule takes for a box; it may reach beyond the photo. */
mien_rect mien_crop_rect(mien_rect box, mien_crop rule);
/* Cuts that part, brings it to height x width by area and to `channels` (1 or 3, at most the
 * photo's) and writes [height][width][channels] bytes. Beyond the photo its edge goes on. */
mien_status mien_crop_face(const mien_image *photo, mien_rect box, mien_crop rule, int height,
                           int width, int channels, uint8_t *out);

#endif
