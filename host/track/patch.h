/* A region of a picture, resampled to a small grid. */
#ifndef HOST_TRACK_PATCH_H
#define HOST_TRACK_PATCH_H

#include "host/image/image.h"

enum { MIEN_PATCH_SIDE = 64 };

/* The region (x, y, width, height) of a gray picture as rows x columns cells, at most
 * MIEN_PATCH_SIDE each way. A cell is the mean of at most 3x3 of its pixels, so the cost does not
 * grow with the region. Outside the picture its border pixels go on. */
void mien_patch(const mien_image *gray, double x, double y, double width, double height, int rows,
                int columns, float *out);

#endif
