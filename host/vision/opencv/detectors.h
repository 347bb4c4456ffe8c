/* The detectors of the module mien-vision.so: the only code that includes OpenCV's headers. No
 * exception leaves it. The functions are those of mien_vision_detector.
 *
 *   module.c   the module's table
 *   haar.cc    Haar cascades
 *   yunet.cc   YuNet, a network that also finds the eyes; yunet_file.c checks its file
 */
#ifndef HOST_VISION_OPENCV_DETECTORS_H
#define HOST_VISION_OPENCV_DETECTORS_H

#include "host/vision/vision_module.h"

mien_status haar_open(const char *file, int threads, void **out);
mien_status haar_run(void *haar, const mien_image *photo, int min_face, double min_score,
                     mien_faces *out);
void haar_close(void *haar);

mien_status yunet_open(const char *file, int threads, void **out);
mien_status yunet_run(void *yunet, const mien_image *photo, int min_face, double min_score,
                      mien_faces *out);
void yunet_close(void *yunet);

/* haar.cc: sets how many threads OpenCV uses, 0: all, and starts them. */
void opencv_start_threads(int threads);

#endif
