/* Shared by the readers of other programs' models: they describe layers in Mien's terms, with their
 * weights, and this builds the network.
 *
 *     mien_import_start(&import, "net.onnx");
 *     mien_import_add(&import, "conv2d", "stem", (int[]){MIEN_IMPORT_IMAGE}, 1, &layer);
 *     mien_import_number(&import, layer, "filters", 8);
 *     mien_import_param(&import, layer, "kernel", values, count);
 *     …
 *     mien_import_build(&import, layer, io, model);
 *     mien_import_release(&import);
 *
 * A failed call is remembered: mien_import_build returns it, so that the setters need no checks. */
#ifndef HOST_FORMATS_IMPORTED_H
#define HOST_FORMATS_IMPORTED_H

#include "host/formats/model.h"

enum { MIEN_IMPORT_IMAGE = -1 }; /* as an input of a layer: the network's input */

typedef struct mien_import_layer {
    const char *def; /* name of the layer in layers.def */
    char name[MIEN_NAME];
    mien_value *keys; /* a map */
    int inputs[MIEN_INPUTS_MAX];
    int input_count;
    struct mien_import_param {
        const char *name;
        float *data;
        size_t count;
    } params[MIEN_PARAMS_MAX];
    int param_count;
    int label; /* for the caller; 0 at first */
    bool needed;
} mien_import_layer;

typedef struct mien_import {
    const char *source;
    mien_tree tree;
    mien_import_layer *layers;
    int count;
    size_t capacity;
    size_t bytes, bytes_most; /* of weights; bytes_most 0: no limit */
    mien_status status;       /* the first failure */
    char message[MIEN_MESSAGE];
    struct mien_import_names *names;
} mien_import;

mien_status mien_import_start(mien_import *import, const char *source);
void mien_import_release(mien_import *import);

/* Appends a layer that reads the outputs of earlier ones. Its name is made from `name` (which may
 * be another program's, with slashes, or empty), unique and fit for Keras. */
mien_status mien_import_add(mien_import *import, const char *def, const char *name,
                            const int *inputs, int input_count, int *layer);
/* Keys of a layer. */
void mien_import_number(mien_import *import, int layer, const char *key, double value);
void mien_import_bool(mien_import *import, int layer, const char *key, bool value);
void mien_import_text(mien_import *import, int layer, const char *key, const char *value);
void mien_import_numbers(mien_import *import, int layer, const char *key, const int *values,
                         int count);
/* [[top, bottom], [left, right]] */
void mien_import_sides(mien_import *import, int layer, const char *key, int top, int bottom,
                       int left, int right);
/* Changes a key that was set. */
void mien_import_replace_bool(mien_import *import, int layer, const char *key, bool value);
/* The values of a parameter in Mien's order (kernels HWIO, dense inputs x outputs). Takes over
 * `data`, also after a failure. */
void mien_import_param(mien_import *import, int layer, const char *name, float *data, size_t count);

/* The first failure so far, for readers that would otherwise go on for long. */
mien_status mien_import_failure(const mien_import *import);

/* Builds the graph from the layers that `output` needs, and copies their weights. Every declared
 * parameter must have been given with as many values, all finite. The caller releases the model. */
mien_status mien_import_build(mien_import *import, int output, mien_graph_io io, mien_model *model);

/* The weights of a file, each of which must be used. */
typedef struct mien_import_weight {
    const char *name;
    int length; /* of the name */
    int uses;
    bool ignored; /* it may be left over */
} mien_import_weight;

/* FORMAT, with their names, if some of the weights were not used. */
mien_status mien_import_leftovers(const char *source, const mien_import_weight *weights,
                                  size_t count);

#endif
