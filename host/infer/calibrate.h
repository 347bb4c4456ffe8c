/* From a trained network to one in eight bits: ranges over example images, weights rounded. */
#ifndef HOST_INFER_CALIBRATE_H
#define HOST_INFER_CALIBRATE_H

#include "host/formats/model.h"
#include "host/infer/clip.h"

enum { MIEN_CALIBRATION_LEAST = 32 };

/* How the network in bytes compares with the one it was made from, on the images it was calibrated
 * with. */
typedef struct mien_calibration {
    size_t images;
    int layers;    /* in bytes */
    bool measured; /* false: this machine cannot run bytes; the clip is the usual best */
    mien_clip clip;
    double agreement; /* share of images with the same class */
    double error;     /* mean absolute difference of a probability */
} mien_calibration;

/* Fills model->quant and rounds the weights of the layers named there; batch normalisation that ran
 * in their weights stays there. The images are the `part` of the data set. INVALID with fewer than
 * MIEN_CALIBRATION_LEAST images, or a network without a layer that gains. */
mien_status mien_calibrate(mien_model *model, const mien_dataset *set, mien_part part,
                           mien_backend *backend, mien_calibration *result);

#endif
