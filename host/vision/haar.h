/* What haar.cc and haar_absent.c both are; a build links one of them. */
#ifndef HOST_VISION_HAAR_H
#define HOST_VISION_HAAR_H

#include "host/vision/vision.h"

/* UNSUPPORTED, with what to do, in a build without OpenCV. */
mien_status haar_available(void);
/* `xml` is zero-terminated text of `size` bytes, from a stranger; `name` stands in messages. */
mien_status haar_open(const char *xml, size_t size, const char *name, int threads, void **out);
void haar_close(void *haar);
/* Faces of at least `least` pixels in any order; *out is freed by the caller, also when it fails.
 */
mien_status haar_run(void *haar, const uint8_t *gray, int width, int height, int least,
                     mien_face **out, int *count);

#endif
