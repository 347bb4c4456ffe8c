/* The function table of the module mien-vision.so, the detectors that need OpenCV (see
 * host/base/module.h). */
#ifndef HOST_VISION_VISION_MODULE_H
#define HOST_VISION_VISION_MODULE_H

#include "host/base/module.h"
#include "host/base/services.h"
#include "host/vision/vision.h"

enum { MIEN_VISION_MODULE_VERSION = 2 };

/* What the module has of a kind of mien_detector_kinds. */
typedef struct mien_vision_detector {
    const char *name;
    mien_status (*open)(const char *file, int threads, void **state);
    mien_status (*run)(void *state, const mien_image *photo, int min_face, double min_score,
                       mien_faces *out);
    void (*close)(void *state);
} mien_vision_detector;

typedef struct mien_vision_module {
    mien_module head;
    void (*use)(const mien_services *services); /* must be called first */
    const mien_vision_detector *detectors;      /* the one after the last has no name */
} mien_vision_module;

#endif
