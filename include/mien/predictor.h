/* Predictors: a model bound to a device, with its own memory.
 *
 *     mien_predictor *p;
 *     mien_predictor_create(model, backend, 32, &p);
 *     mien_predictor_run(p, faces, n, probabilities);
 *
 * A predictor belongs to one thread at a time. */
#ifndef MIEN_PREDICTOR_H
#define MIEN_PREDICTOR_H

#include <stdint.h>

#include "backend.h"
#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mien_predictor mien_predictor;

/* INVALID for a model of another program of which nobody has said how pixels are scaled or what its
 * classes are (`mien convert --preprocess … --classes …`).
 * `model` and `backend` must outlive the predictor, which processes at most `max_batch` images at a
 * time. */
mien_status mien_predictor_create(const mien_model *model, mien_backend *backend, int max_batch,
                                  mien_predictor **out);
void mien_predictor_free(mien_predictor *predictor);
/* `images`: [n][h][w][c] uint8, 0..255, in the model's input size (the model does the scaling).
 * `probabilities`: [n][classes], written; a model of another program that does not answer in
 * probabilities writes its own numbers here. n may be any number; a batch size used for the first
 * time allocates memory. */
mien_status mien_predictor_run(mien_predictor *predictor, const uint8_t *images, int n,
                               float *probabilities);

#ifdef __cplusplus
}
#endif
#endif
