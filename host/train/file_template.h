/* Names of model files with an epoch's results in them, as Keras's ModelCheckpoint makes them:
 * `model-{epoch:02d}-{val_accuracy:.4f}.h5`. */
#ifndef HOST_TRAIN_FILE_TEMPLATE_H
#define HOST_TRAIN_FILE_TEMPLATE_H

#include <stdbool.h>

#include "host/base/file.h"

typedef struct mien_template_value {
    const char *name; /* NULL after the last */
    double value;
    bool whole; /* an integer */
} mien_template_value;

/* Fills the fields in, with the number formats d, f, e, g and % of Python's str.format; `{{` is a
 * brace. INVALID, with the field, for an unknown one or another format. out has MIEN_PATH bytes. */
mien_status mien_template_expand(const char *text, const mien_template_value *values, char *out);
/* Whether the field of this name occurs. */
bool mien_template_has(const char *text, const char *name);

#endif
