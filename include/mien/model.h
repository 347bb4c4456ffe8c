/* Models: a network, its weights, and the other data that prediction needs.
 *
 *     mien_model *model;
 *     if (mien_model_load("best.h5", &model) == MIEN_OK)
 *         puts(mien_model_class_name(model, 0));
 *
 * A loaded model is immutable; threads may share it. */
#ifndef MIEN_MODEL_H
#define MIEN_MODEL_H

#include "status.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mien_model mien_model;

/* Loads a model file, recognised by its content (a .h5 of training, a .safetensors of `mien
 * convert`, or any other format that this build reads), or the best model of a run directory.
 * `path` NULL: the model in $MIEN_MODEL, else the one installed with the library.
 * Predictors run a model in int8 in f32 on a CPU without int8 instructions. NOT_FOUND, IO, FORMAT
 * (damaged, or not a model), UNSUPPORTED (a layer or format version that this build does not know,
 * or a build without HDF5). Free with mien_model_free. */
mien_status mien_model_load(const char *path, mien_model **out);
/* NULL is allowed. Free the model's predictors first. */
void mien_model_free(mien_model *model);
int mien_model_class_count(const mien_model *model);
/* Name of class 0 … count - 1; owned by the model. */
const char *mien_model_class_name(const mien_model *model, int index);
/* The shape of the model's input image: n = 1, h x w pixels, c channels of uint8. */
mien_shape mien_model_input(const mien_model *model);

#ifdef __cplusplus
}
#endif
#endif
