/* Mien: training, evaluating and running convolutional networks that recognise emotions in
 * faces.
 *
 *     #include <mien/mien.h>
 *
 * includes every public header. */
#ifndef MIEN_H
#define MIEN_H

#define MIEN_VERSION "0.1.0"

#include "backend.h"
#include "log.h"
#include "model.h"
#include "predictor.h"
#include "status.h"
#include "tensor.h"

#endif
