/* The golden files of Keras, unpacked and in parts. */
#ifndef TESTS_SUPPORT_KERAS_FILE_H
#define TESTS_SUPPORT_KERAS_FILE_H

#include <stddef.h>

#include "host/base/status.h"

enum { KERAS_FILE_MAX = 1 << 22 };

/* Unpacks tests/golden/keras/NAME.gz into the scratch folder; the path is valid until the next
 * call. */
const char *keras_file_unpack(const char *name);

typedef struct keras_file_parts {
    char *container, *config;
    size_t container_size, config_size;
} keras_file_parts;

/* The container of mien-h5 and the model_config of a golden file. */
void keras_file_take_apart(const char *name, keras_file_parts *out);
void keras_file_drop(keras_file_parts *p);
/* Reads the network `config` with the weights of the container. */
mien_status keras_file_import(const keras_file_parts *p, const char *config, size_t size);

#endif
