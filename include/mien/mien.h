/* Mien: training, judging and running convolutional networks that read emotion from faces.
 *
 *     #include <mien/mien.h>
 *
 * includes every public header. */
#ifndef MIEN_H
#define MIEN_H

#define MIEN_VERSION "0.1.0"

#include "include/mien/backend.h"
#include "include/mien/log.h"
#include "include/mien/model.h"
#include "include/mien/predictor.h"
#include "include/mien/status.h"
#include "include/mien/tensor.h"

#endif
