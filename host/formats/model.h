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

enum { MIEN_INPUT_SIDE_MAX = 4096, MIEN_INPUT_CHANNELS_MAX = 4 };

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
    bool warm_averages; /* its averages were warmed up (config key train.warm_averages) */
} mien_meta;

struct mien_model {
    const struct mien_model_format *format; /* of the file it was read from, or NULL */
    mien_graph graph;
    mien_weights weights;
    mien_meta meta;
    /* of a model in int8: its layers of bytes, whose weights are multiples of their scales */
    mien_quant quant;
    char calibration[160]; /* what its scales were found with, for people */
};

/* The models that a run leaves in its folder: that of the best epoch, and that of the last. */
#define MIEN_RUN_BEST "best.h5"
#define MIEN_RUN_LAST "last.h5"

/* model.c. Opens a model file in any format of its table, or the best model of a run directory.
 * The content decides on the format, the suffix only for a file that is in none: it chooses the
 * message. Release it also after a failure. */
mien_status mien_model_open(const char *path, mien_model *model);
/* Writes a file in the format of the path's suffix; an old file stays whole when this fails.
 * INVALID for a suffix that no written format has, and for a model that the format cannot hold. */
mien_status mien_model_save(const mien_model *model, const char *path);
void mien_model_release(mien_model *model);
/* The file that `path` stands for: itself, or the best model of a run directory. */
mien_status mien_model_file(const char *path, char *out);
/* default.c: the model that is used when nobody names one: $MIEN_MODEL, else MIEN_MODEL_NAME of
 * PREFIX/share/mien/models, else of models/ in the source tree. NOT_FOUND says what to do. */
#define MIEN_MODEL_NAME "fer2013-small.h5"
mien_status mien_model_default(char *out);

/* keras_json.c: the graph as Keras's model_config and back. */
void mien_keras_write_config(const mien_graph *graph, mien_text *out);
mien_status mien_keras_read_config(const mien_value *config, const char *source, mien_graph *graph);
/* The order in which Keras lists (and so loads) the layers: indices of nodes that are not implicit;
 * returns how many. `order` has room for graph->count. */
int mien_keras_order(const mien_graph *graph, int *order);

/* meta.c: what holds where a file says nothing: pixels / 255, square faces without a margin,
 * temperature 1, one half as the confidence that is no answer, the parts that data name. `start`
 * leaves input and classes empty; `default` takes their sizes from the graph and calls the classes
 * "class 0", "class 1", …. UNSUPPORTED for a graph that reads no images or is no classifier; free
 * meta->class_names also after a failure. */
void mien_meta_start(mien_meta *meta);
mien_status mien_meta_default(const mien_graph *graph, const char *source, mien_meta *meta);

/* meta_json.c: the attribute `mien`. What it does not say is as mien_meta_start sets it. */
void mien_meta_write(const mien_meta *meta, mien_text *out);
mien_status mien_meta_read(const mien_value *root, const char *source, mien_meta *meta);

/* h5_process.c: runs the mien-h5 program. `verb` is read or write; *out is freed by the caller. */
mien_status mien_h5_available(void); /* UNSUPPORTED, with what to do, when this build has none */
mien_status mien_h5_run(const char *verb, const char *source, const void *in, size_t in_size,
                        char **out, size_t *out_size);

#endif
