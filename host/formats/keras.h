/* The reader of models that Keras 1, 2 and 3 wrote. keras_import.c drives it; keras_net.c parses
 * the architecture, keras_config.c reads a layer's settings, keras_run.c follows the image through
 * the layers, keras_layers.c, keras_windows.c, keras_shapes.c and keras_ops.c turn them into
 * Mien's, keras_lambda.c recognises simple Lambda layers, keras_applications.c knows networks by
 * name, and keras_weights.c finds the weights.
 *
 * Nested models are flattened. A layer that is called several times becomes several layers with
 * equal weights. */
#ifndef HOST_FORMATS_KERAS_H
#define HOST_FORMATS_KERAS_H

#include "host/formats/imported.h"
#include "host/formats/safetensors.h"

enum {
    KERAS_PARAMS_MAX = 5,
    KERAS_OUTPUTS_MAX = 4, /* of a nested model */
    KERAS_OPERANDS_MAX = 64,
    KERAS_DEPTH_MAX = 8, /* of nested models */
};

/* ---- weights ---- */

typedef struct keras_weight {
    const char *name; /* as in weight_names, or its path */
    const mien_st_tensor *tensor;
    int uses;
    bool ignored; /* may be left over: the state of a random generator */
} keras_weight;

/* The weights of a top-level layer in the file. */
typedef struct keras_group {
    const char *name;
    keras_weight **items;
    size_t count;
    bool taken;
} keras_group;

typedef struct keras_file {
    mien_safetensors container;
    keras_weight *weights;
    size_t count;
    keras_group *groups;
    size_t group_count;
    mien_tree *lists; /* JSON of the attributes that name layers and weights */
    size_t list_count, list_capacity;
    bool by_class; /* layers/<class>_<n>/vars/<i>, as in .keras */
    int version;   /* major version of Keras; 0: unknown */
    bool has_backend, theano;
} keras_file;

/* ---- architecture ---- */

typedef struct keras_net keras_net;
typedef struct keras_call keras_call;
typedef struct keras_layer keras_layer;

/* A row of the table of classes. */
typedef struct keras_class {
    const char *names; /* "Conv2D|Convolution2D" */
    mien_status (*convert)(keras_call *call);
    const char *keys; /* that `convert` reads */
    /* The names of its weights in Keras's order; NULL: it has none. */
    int (*roles)(const keras_layer *layer, const char **out);
} keras_class;

struct keras_layer {
    const char *class_name, *name;
    const mien_value *config, *inbound;
    const keras_class *kind; /* NULL for a nested model */
    keras_net *net;          /* of a nested model */
    bool trainable, operation;
    int calls, first_call; /* its results among those of the net */
    int base;              /* index of its first call in references */
    keras_weight *weights[KERAS_PARAMS_MAX];
    int weight_count;
};

struct keras_net {
    const char *name;
    bool sequential;
    keras_layer *layers;
    int count, calls;
    const mien_value *inputs, *outputs; /* of a functional model */
    const mien_value *shape;            /* of the input, where no layer has it */
};

/* ---- values ---- */

/* A tensor without its batch axis. */
typedef struct keras_value {
    int layer;   /* of mien_import, or MIEN_IMPORT_IMAGE */
    int h, w, c; /* of that layer's output */
    bool flat;
    int rank;    /* of Keras's tensor: 1 flat, 2: w x c, 3: an image */
    bool first;  /* Keras's axes are c, h, w */
    int rows[3]; /* flattened from an image of this h, w, c; 0: not, or its order is known */
} keras_value;

typedef struct keras_reader {
    const char *source;
    const mien_model_options *options;
    mien_tree tree; /* the architecture */
    keras_net *net;
    keras_file file;
    mien_import import;
    mien_graph shadow; /* the layers so far, for their shapes */
    int *nodes;        /* of each layer of import: its node in shadow */
    bool th_kernels;   /* kernels are stored as (out, in, h, w) */
    bool rotated;      /* they are stored rotated by 180 degrees */
    bool pads_by_size; /* paddings of the architecture are those of even images */
    int layer_total;
    bool said_std;
} keras_reader;

typedef struct keras_operand {
    bool is_value;
    keras_value value;
    const mien_value *constant;
    const char *key; /* its name, or NULL */
} keras_operand;

struct keras_call {
    keras_reader *r;
    const keras_layer *layer;
    keras_operand operands[KERAS_OPERANDS_MAX];
    int operand_count;
    keras_value in[KERAS_OPERANDS_MAX]; /* the operands that are tensors */
    int in_count;
    keras_value out[KERAS_OUTPUTS_MAX];
    int out_count;
};

/* keras_import.c: opens the weights in a container of mien-h5 and the architecture, and builds the
 * model. `config` and `config_size` are the JSON of the architecture, NULL: a file of weights only,
 * whose architecture is in options->architecture or beside it. */
mien_status mien_keras_import(const char *source, const mien_model_options *options,
                              const mien_h5_container *container, const char *config,
                              size_t config_size, int version, mien_model *model);

/* keras_h5.c: the settings in the attribute `mien`, which must match the network. */
mien_status mien_keras_settings(const mien_safetensors *file, const char *source,
                                mien_model *model);

/* ---- keras_applications.c ---- */
/* Gives the architecture of a network known by name, which was read, the size of image in the
 * options, and takes off the classifier if the file has no weights for it. */
mien_status keras_known_fit(keras_reader *r, const char *name);
/* The zeros (top, bottom, left, right) that the layer `layer` adds to an image of h x w. */
void keras_known_padding(const keras_reader *r, const char *layer, int h, int w, int *sides);

/* ---- keras_net.c ---- */
mien_status keras_net_parse(keras_reader *r, const mien_value *root, keras_net **out);
void keras_net_release(keras_net *net);
/* The shape [batch, …] of the network's input, or NULL. */
const mien_value *keras_net_input(const keras_net *net);
/* Layers with weights, in order, also those of nested models. */
int keras_net_roles(const keras_net *net);

/* ---- keras_config.c ---- */
/* The first of "a|b" that the layer's config has and that is not null. */
const mien_value *keras_get(const keras_layer *layer, const char *names);
double keras_number(const keras_layer *layer, const char *names, double otherwise);
/* The same as a whole number; one beyond a billion becomes that. */
int keras_int(const keras_layer *layer, const char *names, int otherwise);
int keras_whole(double number);
/* The number or list in an object of NumPy: {"type": "ndarray", "value": 0.3} in Keras 2.0, in
 * Keras 3 {"class_name": "__numpy__", "config": {"value": [0.3]}}; any other value as it is. */
const mien_value *keras_plain(const mien_value *v);
/* A number, also in an object of NumPy. */
bool keras_is_number(const mien_value *v, double *out);
bool keras_flag(const keras_layer *layer, const char *names, bool otherwise);
const char *keras_text(const keras_layer *layer, const char *names, const char *otherwise);
/* One number for both axes, or two. */
mien_status keras_pair(const keras_call *call, const char *names, const int *otherwise, int *out);
/* Is `word` one of "a|b|c"? */
bool keras_listed(const char *list, const char *word);
/* UNSUPPORTED, naming the key, for keys that neither the class nor the table of ignored ones has.
 */
mien_status keras_check_keys(const keras_reader *r, const keras_layer *layer);
const keras_class *keras_class_find(const char *class_name);
mien_status keras_refuse(const keras_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool keras_channels_first(const keras_layer *layer);
/* Refuses an order of axes that is not known. */
mien_status keras_check_channels(const keras_call *call);

/* ---- keras_run.c ---- */
mien_status keras_run(keras_reader *r, keras_net *net, const keras_value *inputs, int input_count,
                      int depth, keras_value *outputs, int *output_count);
/* Appends a layer that reads `in`; set its keys, then keras_commit computes its shape. */
mien_status keras_emit(keras_call *call, const char *def, const keras_value *in, int count,
                       int *layer);
/* `value` becomes the layer's output, with the rank of its shape. */
mien_status keras_commit(keras_call *call, int layer, keras_value *value);
/* Emits a layer of one input without weights, which has been given no keys. */
mien_status keras_simple(keras_call *call, const char *def, keras_value *value);
/* Gives the layer the weights that were bound to the Keras layer, in Keras's order. Call it after
 * keras_commit. */
mien_status keras_params(keras_call *call, int layer, const keras_value *in);

/* ---- keras_weights.c ---- */
mien_status keras_file_open(keras_reader *r, const mien_h5_container *container);
void keras_file_release(keras_file *file);
/* Binds the weights of the file to the layers of the network. */
mien_status keras_bind(keras_reader *r);
mien_status keras_leftovers(const keras_reader *r);
/* Keras's snake case: Conv2DTranspose is conv2d_transpose, PReLU is p_re_lu. */
void keras_snake_case(const char *name, char *out, size_t size);

/* ---- converters ---- */
extern const keras_class keras_window_classes[], keras_layer_classes[], keras_shape_classes[],
    keras_op_classes[];
/* The value with the axes h, w, c in memory, or as the layer's data_format wants it. */
mien_status keras_order(keras_call *call, keras_value *value, bool first);
mien_status keras_permute(keras_call *call, keras_value *value, int a, int b, int c);
/* Is the first input `value` with its rank; refuses ranks other than 3. */
mien_status keras_image(keras_call *call, keras_value *value, bool first);
mien_status keras_reshape(keras_call *call, keras_value *value, int rank, int h, int w, int c);
/* The activation named or described by `spec` (NULL: none). */
mien_status keras_activate(keras_call *call, const mien_value *spec, keras_value *value);
/* The choice for a layer's own key `activation`, or NULL: it needs layers of its own. */
const char *keras_plain_activation(const keras_call *call, const mien_value *spec);
/* One number for each of `count` channels from a number or list (NULL: `otherwise`), as new floats.
 */
mien_status keras_per_channel(keras_call *call, const mien_value *v, double otherwise, int count,
                              float **out);
mien_status keras_rescale(keras_call *call, keras_value *value, double scale, double offset);
/* y = x * scale + shift per channel; takes over both arrays [c], also after a failure. */
mien_status keras_affine(keras_call *call, keras_value *value, float *scale, float *shift);
/* A 1x1 convolution with this kernel [c][out], which it takes over. */
mien_status keras_mix(keras_call *call, keras_value *value, float *kernel, int out);
mien_status keras_combine(keras_call *call, const char *def, keras_value *in, int count,
                          keras_value *out);
/* a - b */
mien_status keras_subtract(keras_call *call, const keras_value *a, keras_value b, keras_value *out);
mien_status keras_multiply(keras_call *call, keras_value a, keras_value b, keras_value *out);
mien_status keras_reduce(keras_call *call, keras_value *value, const mien_value *axes,
                         bool keepdims, bool maximum);
mien_status keras_concatenate(keras_call *call, keras_value *in, int count, int axis,
                              keras_value *out);
/* keras_lambda.c: is the compiled function y = x * *scale + *offset? */
bool keras_lambda_affine(const char *text, bool base64, double *scale, double *offset);

/* keras_families.c: the networks of keras.applications, for images of the usual size and the 1,000
 * classes of ImageNet. The file in configs/architectures that has the one of this name, or NULL. */
const char *keras_family_file(const char *name);
void keras_family_names(mien_text *out);
/* Writes what to_json() gives for it. */
mien_status keras_family_write(const char *name, const char *path, mien_text *out);

#endif
