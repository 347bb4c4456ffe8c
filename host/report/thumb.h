/* Small pictures of samples inside a page, as data URIs. */
#ifndef HOST_REPORT_THUMB_H
#define HOST_REPORT_THUMB_H

#include "host/base/text.h"
#include "host/data/dataset.h"

enum { MIEN_THUMB_SIDE = 96 /* larger images are shrunk to it */ };

/* Whether images of this form can be shown: one or three channels. */
bool mien_thumb_possible(mien_image_spec spec);
/* Appends an <img> of one image [height][width][channels]. `alt` is escaped. */
mien_status mien_thumb_put(mien_image_spec spec, const uint8_t *pixels, const char *alt,
                           mien_text *out);
/* The same under a heat map [height][width] from 0 to 1. */
mien_status mien_thumb_put_heat(mien_image_spec spec, const uint8_t *pixels, const float *heat,
                                const char *alt, mien_text *out);

#endif
