/* Post-training quantisation to int8: measures value ranges on example images and rounds weights.
 */
#ifndef HOST_INFER_CALIBRATE_H
#define HOST_INFER_CALIBRATE_H

#include "host/formats/model.h"
#include "host/infer/clip.h"

enum { MIEN_CALIBRATION_LEAST = 32 };

/* How the int8 network compares with the original one on the calibration images. */
typedef struct mien_calibration {
    size_t images;
    int layers;    /* quantised */
    bool measured; /* false: this machine cannot run int8, so the clip is the default, MSE */
    mien_clip clip;
    double agreement; /* fraction of images with the same predicted class */
    double error;     /* mean absolute difference of the probabilities */
} mien_calibration;

/* Fills model->quant and rounds the weights of the layers in it; batch normalisation that is folded
 * into them stays folded. Calibrates on the `part` of the data set. INVALID with fewer than
 * MIEN_CALIBRATION_LEAST images, for a network without a layer worth quantising, or for one that is
 * int8 already. */
mien_status mien_calibrate(mien_model *model, const mien_dataset *set, mien_part part,
                           mien_backend *backend, mien_calibration *result);

#endif
