/* The detectors of the module mien-vision.so: the only code that includes OpenCV's headers. No
 * exception leaves it. The functions are those of mien_vision_detector.
 *
 *   module.c   the module's table
 *   haar.cc    Haar cascades
 */
#ifndef HOST_VISION_OPENCV_DETECTORS_H
#define HOST_VISION_OPENCV_DETECTORS_H

#include "host/vision/vision_module.h"

mien_status haar_open(const char *file, int threads, void **out);
mien_status haar_run(void *haar, const mien_image *photo, int min_face, double min_score,
                     mien_faces *out);
void haar_close(void *haar);

#endif
