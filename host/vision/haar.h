/* The interface that haar.cc and haar_absent.c implement; a build links one of them. */
#ifndef HOST_VISION_HAAR_H
#define HOST_VISION_HAAR_H

#include "host/vision/vision.h"

/* UNSUPPORTED, with a message that says what to do, in a build without OpenCV. */
mien_status haar_available(void);
/* `xml` is zero-terminated untrusted text of `size` bytes; `name` is used in messages. */
mien_status haar_open(const char *xml, size_t size, const char *name, int threads, void **out);
void haar_close(void *haar);
/* Finds faces of at least `least` pixels and score `sure`, in any order; the caller frees *out even
 * after a failure. */
mien_status haar_run(void *haar, const uint8_t *gray, int width, int height, int least, double sure,
                     mien_face **out, int *count);

#endif
