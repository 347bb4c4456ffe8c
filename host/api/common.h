/* What the public functions for photos and videos share. */
#ifndef HOST_API_COMMON_H
#define HOST_API_COMMON_H

#include "host/infer/ensemble.h"
#include "host/vision/vision.h"
#include "include/mien/photo.h"

/* Opens one model (NULL: the default one) for at most `batch` faces at a time. Release the ensemble
 * also after a failure. */
mien_status api_open_model(const char *path, mien_backend *backend, int batch, mien_ensemble *out);
/* Reads a detector setting (NULL: haar). *none: each picture is one face. */
mien_status api_choose_detector(const char *text, mien_detector_choice *out, bool *none);

#endif
