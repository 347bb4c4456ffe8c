/* Models: a network, its weights, and what prediction needs beside them.
 *
 *     mien_model *model;
 *     if (mien_model_load("best.h5", &model) == MIEN_OK)
 *         puts(mien_model_class_name(model, 0));
 *
 * A loaded model never changes; threads may share it. */
#ifndef MIEN_MODEL_H
#define MIEN_MODEL_H

#include "status.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mien_model mien_model;

/* Loads a .h5 that Mien wrote, the best.h5 of a run directory, or a .safetensors of `mien convert`
 * (int8; where the CPU has no instructions for it, predictors run it in f32). NOT_FOUND, IO, FORMAT
 * (damaged, or no model), UNSUPPORTED (a layer or format version this build does not know, or a
 * build without HDF5). Free with mien_model_free. */
mien_status mien_model_load(const char *path, mien_model **out);
/* NULL is fine. Predictors of the model must be freed before. */
void mien_model_free(mien_model *model);
int mien_model_class_count(const mien_model *model);
/* Name of class 0 … count - 1; owned by the model. */
const char *mien_model_class_name(const mien_model *model, int index);
/* The image that the model reads: n = 1, pixels in h and w, c channels of bytes. */
mien_shape mien_model_input(const mien_model *model);

#ifdef __cplusplus
}
#endif
#endif
