/* Inside of keras_weights.c and keras_groups.c. */
#ifndef HOST_FORMATS_KERAS_WEIGHTS_H
#define HOST_FORMATS_KERAS_WEIGHTS_H

#include "host/formats/keras.h"

/* Binds the weights `items` of one layer, by their roles or else by their order. */
mien_status keras_bind_layer(const keras_reader *r, keras_layer *layer, keras_weight **items,
                             size_t count);
/* Binds those of a nested model, which are in one list: by name or else by order. */
mien_status keras_bind_nested(const keras_reader *r, keras_layer *layer, keras_weight **items,
                              size_t count);
/* Binds weights at layers/<class>_<n>/vars/<i>. */
mien_status keras_bind_classes(keras_reader *r, keras_net *net, const char *prefix);

#endif
