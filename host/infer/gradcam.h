/* Grad-CAM (Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via
 * gradient-based localization"): which parts of an image speak for a class.
 *
 *     mien_gradcam_create(&model, backend, &cam);
 *     mien_gradcam_maps(cam, images, classes, n, maps);
 *     mien_gradcam_free(cam);
 */
#ifndef HOST_INFER_GRADCAM_H
#define HOST_INFER_GRADCAM_H

#include "host/formats/model.h"

typedef struct mien_gradcam mien_gradcam;

/* Model and backend must outlive it. UNSUPPORTED if the network has no convolution whose output is
 * larger than 1x1, or does not end in classes. */
mien_status mien_gradcam_create(const mien_model *model, mien_backend *backend, mien_gradcam **out);
/* images: [n][h][w][c], the normalised network input; classes: [n], the output to explain; maps:
 * [n][h][w] of the input's size, from 0 to 1. A map is all 0 where nothing speaks for the class.
 * The feature map is the last one that convolutions make, with the activation and normalisation
 * after them, before pooling; its map is divided by its maximum and resized bilinearly. */
mien_status mien_gradcam_maps(mien_gradcam *cam, const float *images, const uint16_t *classes,
                              int n, float *maps);
/* The same maps before they are resized: [n][height][width] of mien_gradcam_size. */
mien_status mien_gradcam_coarse(mien_gradcam *cam, const float *images, const uint16_t *classes,
                                int n, float *maps);
void mien_gradcam_size(const mien_gradcam *cam, int *height, int *width);
/* NULL is allowed. */
void mien_gradcam_free(mien_gradcam *cam);

#endif
