/* The detector that haar.cc and haar_absent.c implement (mien_detector_kind); a build links one of
 * them. */
#ifndef HOST_VISION_HAAR_H
#define HOST_VISION_HAAR_H

#include "host/vision/vision.h"

mien_status haar_open(const char *file, int threads, void **out);
void haar_close(void *haar);
mien_status haar_run(void *haar, const mien_image *photo, int min_face, double min_score,
                     mien_faces *out);
/* haar_open with a cascade in memory: `xml` is zero-terminated untrusted text of `size` bytes;
 * `name` is used in messages. */
mien_status haar_parse(const char *xml, size_t size, const char *name, int threads, void **out);

#endif
