/* Resizing images: area averaging to shrink, bilinear to enlarge (Keras's and OpenCV's INTER_AREA
 * and INTER_LINEAR with half-pixel centres). */
#ifndef HOST_IMAGE_RESIZE_H
#define HOST_IMAGE_RESIZE_H

#include <stdint.h>

/* Resizes [h][w][channels] bytes to [oh][ow][channels], 1 to 4 channels; rounds to nearest. `in`
 * and `out` must not overlap. */
void mien_resize(const uint8_t *in, int h, int w, int channels, uint8_t *out, int oh, int ow);

#endif
