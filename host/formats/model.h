/* A model: the graph, its numbers, and everything that prediction needs beside them. */
#ifndef HOST_FORMATS_MODEL_H
#define HOST_FORMATS_MODEL_H

#include "host/data/loader.h"
#include "host/data/split.h"
#include "host/data/votes.h"
#include "host/graph/quant.h"
#include "host/graph/weights.h"
#include "host/image/crop.h"
#include "include/mien/model.h"

/* Of a model that says nothing else: the detector's own square boxes, and one half. */
#define MIEN_CROP_DEFAULT    ((mien_crop){.square = true, .margin = 0})
#define MIEN_UNCERTAIN_BELOW 0.5

/* What Keras does not store; it lies in the file's root attribute `mien`. */
typedef struct mien_meta {
    int classes;
    char (*class_names)[MIEN_CLASS_NAME];
    mien_image_spec input;
    mien_normalise normalise;
    char resize[16];        /* filter that brings images to the input's size */
    mien_crop crop;         /* how a face is cut out of a photo */
    double temperature;     /* logits are divided by it before the softmax */
    double uncertain_below; /* a confidence that is no answer */
    /* the data it was trained on */
    char data[MIEN_PATH];  /* several sources: as mien_dataset_load_all takes them */
    char soft_labels[256]; /* name of the file of votes behind its labels, no path; "" for none */
    mien_soft_mode soft_mode;
    mien_split split;
    size_t part_count[MIEN_PARTS];
    char train_sha256[65];
    char producer[64]; /* "mien 0.1.0" */
    char commit[48];
    char recipe[64]; /* name of the config */
    long long step;
    int epoch;
} mien_meta;

struct mien_model {
    mien_graph graph;
    mien_weights weights;
    mien_meta meta;
    /* of a model in int8: its layers of bytes, whose weights are multiples of their scales */
    mien_quant quant;
    char calibration[160]; /* what its scales were found with, for people */
};

/* Opens a .h5 that Mien wrote, a run directory (its best.h5), or a .safetensors of mien convert.
 * Release it also after a failure. */
mien_status mien_model_open(const char *path, mien_model *model);
/* Writes a Keras-compatible .h5; an old file stays whole when this fails. */
mien_status mien_model_save(const mien_model *model, const char *path);
void mien_model_release(mien_model *model);
/* The file that `path` stands for: itself, or best.h5 of a run directory. */
mien_status mien_model_file(const char *path, char *out);
/* default.c: the model that is used when nobody names one: $MIEN_MODEL, else MIEN_MODEL_NAME of
 * PREFIX/share/mien/models, else of models/ in the source tree. NOT_FOUND says what to do. */
#define MIEN_MODEL_NAME "fer2013-small.h5"
mien_status mien_model_default(char *out);

/* int8_file.c: a model in int8 as .safetensors; parsing trusts nothing. */
mien_status mien_int8_save(const mien_model *model, const char *path);
mien_status mien_int8_parse(const char *bytes, size_t size, const char *source, mien_model *model);

/* keras_json.c: the graph as Keras's model_config and back. */
void mien_keras_write_config(const mien_graph *graph, mien_text *out);
mien_status mien_keras_read_config(const mien_value *config, const char *source, mien_graph *graph);
/* The order in which Keras lists (and so loads) the layers: indices of nodes that are not implicit;
 * returns how many. `order` has room for graph->count. */
int mien_keras_order(const mien_graph *graph, int *order);

/* meta_json.c: the attribute `mien`. */
void mien_meta_write(const mien_meta *meta, mien_text *out);
mien_status mien_meta_read(const mien_value *root, const char *source, mien_meta *meta);

/* h5_process.c: runs the mien-h5 program. `verb` is read or write; *out is freed by the caller. */
mien_status mien_h5_available(void); /* UNSUPPORTED, with what to do, when this build has none */
mien_status mien_h5_run(const char *verb, const char *source, const void *in, size_t in_size,
                        char **out, size_t *out_size);

#endif
