/* A model: the graph, its weights, and everything else that prediction needs. */
#ifndef HOST_FORMATS_MODEL_H
#define HOST_FORMATS_MODEL_H

#include "host/data/choose.h"
#include "host/data/loader.h"
#include "host/data/split.h"
#include "host/data/votes.h"
#include "host/formats/safetensors.h"
#include "host/graph/quant.h"
#include "host/graph/weights.h"
#include "host/image/crop.h"
#include "include/mien/model.h"

/* Defaults for a model that does not set them: the square around the detector's box, and 0.5. */
#define MIEN_CROP_DEFAULT    ((mien_crop){.square = true, .margin = 0})
#define MIEN_UNCERTAIN_BELOW 0.5

enum { MIEN_INPUT_SIDE_MAX = 4096, MIEN_INPUT_CHANNELS_MAX = 4 };

/* What the network's outputs are. Networks that Mien trains end in a softmax; others come from
 * other programs. */
typedef enum mien_head {
    MIEN_HEAD_SOFTMAX, /* probabilities of classes that exclude each other */
    MIEN_HEAD_LOGITS,  /* the same, but its file ends before the softmax, which was added here */
    MIEN_HEAD_SIGMOID, /* a probability each; one output is one probability */
    MIEN_HEAD_VALUES,  /* numbers of another kind: ages, coordinates, boxes */
} mien_head;
const char *mien_head_name(mien_head head);

/* What a file of another program does not say, and nobody has said yet. */
enum { MIEN_UNKNOWN_CLASSES = 1, MIEN_UNKNOWN_PREPROCESSING = 2 };
/* Beside these: the network scales pixels in its first layers; the user may still say otherwise. */
enum { MIEN_OWN_SCALE = 4 };
enum { MIEN_OUTPUT_RANK_MAX = 4, MIEN_OUTPUTS_MAX = 1 << 18 };

/* Metadata that Keras does not store; saved in the root attribute `mien` of the file. */
typedef struct mien_meta {
    int classes; /* the number of outputs, which without a class each are only numbers */
    char (*class_names)[MIEN_CLASS_NAME];
    mien_head head;
    unsigned unknown; /* MIEN_UNKNOWN_…: the defaults below are a guess */
    int output_rank;  /* of MIEN_HEAD_VALUES: the shape of its outputs; 0: a list */
    int output_shape[MIEN_OUTPUT_RANK_MAX];
    mien_image_spec input;
    mien_normalise normalise;
    char resize[16];        /* filter for resizing images to the input size */
    mien_crop crop;         /* how a face is cropped from a photo */
    double temperature;     /* logits are divided by it before the softmax */
    double uncertain_below; /* predictions with less confidence are marked uncertain */
    /* the training data: */
    char data[MIEN_PATH];  /* source; several are joined as for mien_dataset_load_all */
    char soft_labels[256]; /* file name (no path) of the votes that gave its labels; "" for none */
    mien_soft_mode soft_mode;
    mien_split split;
    mien_on_bad on_bad;       /* what its bad rows and files called for */
    mien_class_choice choice; /* the classes of its data that were merged or left out */
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
    /* of an int8 model: its quantised layers, whose weights are multiples of their scales */
    mien_quant quant;
    char calibration[160]; /* text for display: the data and clip that gave the scales */
    /* for a format with MIEN_FORMAT_SCALES: the file's network scales pixels and applies the
     * temperature itself */
    bool scaled_inside;
};

/* What a caller knows of a file of another program that does not say it itself. */
typedef struct mien_model_options {
    const char *output;     /* which of several outputs; NULL: the only one */
    const char *classes;    /* "a,b,…" in the order of the outputs; "none": they are no classes */
    const char *preprocess; /* MIEN_PREPROCESS_CHOICES */
    const char *architecture; /* a file with the network of a file of weights only, or its name */
    int height, width;        /* of images, for a network that is known by name; 0: the usual */
    bool several; /* the options are for those of several models that need them, not for each */
} mien_model_options;
#define MIEN_PREPROCESS_CHOICES "unit|tf|caffe|torch|x/127.5-1|none"

/* In a run directory: the model of the best epoch, and the newest checkpoint. */
#define MIEN_RUN_BEST "best.h5"
#define MIEN_RUN_LAST "last.safetensors"

/* model.c. Opens a model file in any known format, or the best model of a run directory. The format
 * is recognised by content; the suffix only selects the error message for an unrecognised file.
 * Release the model also after a failure. */
mien_status mien_model_open(const char *path, mien_model *model);
/* The same with options, or NULL. INVALID for options that the file answers itself. */
mien_status mien_model_open_with(const char *path, const mien_model_options *options,
                                 mien_model *model);
/* settings.c. The scaling of one of MIEN_PREPROCESS_CHOICES, and whether the network then reads
 * BGR. INVALID for another name. */
mien_status mien_preprocess_find(const char *name, mien_normalise *rule, bool *bgr);
/* Completes a model by what the options say. */
mien_status mien_model_settle(mien_model *model, const char *path,
                              const mien_model_options *options);
/* INVALID, with what to do, if something that prediction needs is still unknown. */
mien_status mien_model_complete(const mien_model *model, const char *path);
/* channel_order.c. Changes the weights of a network that reads BGR images so that it reads RGB.
 * UNSUPPORTED for a first layer that has no order of channels. */
mien_status mien_model_swap_channels(mien_model *model, const char *path);
/* new_head.c. The first node of the head: of the layer that makes the classes, or, for a network
 * that ends in features, of what comes after them. UNSUPPORTED if no single layer makes the
 * classes. */
mien_status mien_model_head(const mien_model *model, const char *path, int *first);
/* Replaces the head by a dense layer with a softmax over these classes, after global average
 * pooling if the features are images. Its weights are drawn by the seed; with `keep`, classes that
 * the model knows keep theirs. *first: the first node of the new head; *kept: classes that kept
 * their weights. Settings that belonged to the old classes get their defaults. */
mien_status mien_model_replace_head(mien_model *model, const char *path,
                                    const char (*names)[MIEN_CLASS_NAME], int classes,
                                    uint32_t seed, bool keep, int *first, int *kept);
/* Writes a file in the format of the path's suffix; an old file stays whole when this fails.
 * INVALID for a suffix that no written format has, and for a model that the format cannot hold: a
 * model in int8 needs a format of int8, any other a format of floats. */
mien_status mien_model_save(const mien_model *model, const char *path);
void mien_model_release(mien_model *model);
/* The model file for `path`: the path itself, or best.h5 of a run directory, or, before its first
 * validation, the newest checkpoint. */
mien_status mien_model_file(const char *path, char *out);
/* default.c: the path of the default model: $MIEN_MODEL, or MIEN_MODEL_NAME in
 * PREFIX/share/mien/models or in models/ of the source tree. NOT_FOUND if there is none. */
#define MIEN_MODEL_NAME "fer2013-small.h5"
mien_status mien_model_default(char *out);

/* keras_json.c: the graph as Keras's model_config and back. */
void mien_keras_write_config(const mien_graph *graph, mien_text *out);
/* The same with the layers in the order of mien_keras_order. */
void mien_keras_write_sorted(const mien_graph *graph, mien_text *out);
mien_status mien_keras_read_config(const mien_value *config, const char *source, mien_graph *graph);
/* The order in which Keras lists and loads the layers: indices of nodes that are not implicit;
 * returns how many. `order` has graph->count entries. */
int mien_keras_order(const mien_graph *graph, int *order);

/* meta.c: defaults for metadata that a file does not have: pixels / 255, square face crops without
 * a margin, temperature 1, uncertain below 0.5, split by usage. `start` leaves input and classes
 * empty; `default` takes their sizes from the graph and names the classes "class 0", "class 1", ….
 * UNSUPPORTED if the graph's input is not an image or it has fewer than 2 classes. Free
 * meta->class_names also after a failure. */
/* The class of the greatest score; the first of several. */
int mien_best_class(const float *scores, int classes);
void mien_meta_start(mien_meta *meta);
/* How bad rows and files of a source are treated unless the user says: as in training if it is the
 * training data, else as an error. */
mien_on_bad mien_meta_on_bad(const mien_meta *meta, const char *source);
mien_status mien_meta_default(const mien_graph *graph, const char *source, mien_meta *meta);

/* meta_json.c: the attribute `mien`. Missing optional fields have the defaults of mien_meta_start.
 */
void mien_meta_write(const mien_meta *meta, mien_text *out);
mien_status mien_meta_read(const mien_value *root, const char *source, mien_meta *meta);

/* h5_process.c: UNSUPPORTED if this build has no mien-h5 program. */
mien_status mien_h5_available(void);
/* Runs mien-h5. `verb` is "read", "locate" or "write"; the caller frees *out with mien_free. */
mien_status mien_h5_run(const char *verb, const char *source, const void *in, size_t in_size,
                        char **out, size_t *out_size);
/* The container of an HDF5 file, by mien-h5 locate: most of its numbers are still in the file's
 * content `in`, which must remain valid. `fd` is the file, or -1 if it has no descriptor. Release
 * the container also after a failure. */
typedef struct mien_h5_container {
    char *bytes; /* mapped */
    size_t size;
    const char *input; /* the file's content */
    size_t input_size;
} mien_h5_container;
mien_status mien_h5_read(const char *source, int fd, const void *in, size_t in_size,
                         mien_h5_container *out);
/* Its tensors, wherever their numbers are. */
mien_status mien_h5_parse(const mien_h5_container *container, const char *source,
                          mien_safetensors *out);
void mien_h5_release(mien_h5_container *container);

#endif
