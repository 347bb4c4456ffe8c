/* The reader of ONNX files. onnx_proto.c parses the file, onnx_values.c keeps the values of its
 * graph, onnx_fold.c computes those that are constant, onnx_view.c follows how the axes of a tensor
 * lie in Mien's, onnx_windows.c, onnx_arithmetic.c and onnx_layers.c turn operators into layers,
 * and onnx.c drives them.
 *
 * A network is read for a batch of one image: axis 0 has size 1, which makes all shapes known. */
#ifndef HOST_FORMATS_ONNX_H
#define HOST_FORMATS_ONNX_H

#include "host/formats/imported.h"
#include "host/formats/onnx_proto.h"

/* A constant: values of an initialiser, or computed. */
typedef struct mien_onnx_constant {
    const mien_onnx_tensor *tensor; /* values that have not been decoded yet, or NULL */
    double *values;                 /* of a computed constant; owned by the reader */
    int rank;
    long long dims[MIEN_ONNX_RANK_MAX];
    size_t count;
    bool whole; /* of an integer type: divisions round towards zero */
} mien_onnx_constant;

enum { MIEN_ONNX_FACTORS_MAX = 20 };

/* How a tensor of the ONNX graph lies in the output of a layer. Each of its axes is a product of
 * factors, each of which is a run of elements of that output at a stride. A transposition therefore
 * needs no layer, nor does a reshape, nor NCHW against NHWC, until an operator wants one order. */
typedef struct mien_onnx_view {
    int layer;   /* of mien_import, or MIEN_IMPORT_IMAGE */
    int h, w, c; /* that layer's output */
    bool flat;
    bool positive; /* no element is below zero */
    int rank;
    long long dims[MIEN_ONNX_RANK_MAX];
    struct mien_onnx_factor {
        long long size, stride;
        int axis;
    } factors[MIEN_ONNX_FACTORS_MAX]; /* in the order of the axes, outermost first; no size is 1 */
    int count;
} mien_onnx_view;

typedef struct mien_onnx_value {
    mien_slice name;
    enum { MIEN_ONNX_UNDEFINED, MIEN_ONNX_CONSTANT, MIEN_ONNX_TENSOR } kind;
    int consumers;
    int weight; /* its index in the table of weights, or -1 */
    mien_onnx_constant constant;
    mien_onnx_view view;
} mien_onnx_value;

typedef struct mien_onnx_reader {
    const char *source;
    mien_onnx_model model;
    mien_import import;
    mien_onnx_value *values;
    int value_count;
    int *ports; /* the value of each port of the model, -1 for an input that is left out */
    int *slots; /* hash table of values by name: index + 1 */
    size_t slot_count;
    bool *needed; /* nodes that the output depends on */
    mien_import_weight *weights;
    size_t spread;  /* elements for which constants were repeated, which is bounded */
    double **owned; /* values of computed constants */
    size_t owned_count, owned_capacity, owned_numbers;
    mien_onnx_tensor **tensors; /* of Constant nodes */
    size_t own_tensors, own_tensor_capacity;
    char *external; /* the file of external data */
    size_t external_size;
    char external_name[256];
    mien_meta own; /* of a file that Mien wrote: its settings */
    bool has_own;
} mien_onnx_reader;

/* The node that is being read. */
typedef struct mien_onnx_op {
    mien_onnx_reader *r;
    const mien_onnx_node *node;
    const int *in, *out; /* values; an input that is left out is -1 */
    int in_count, out_count;
    char name[MIEN_NAME]; /* for layers */
} mien_onnx_op;

/* ---- onnx_values.c ---- */
/* Makes a value of every name and marks the nodes that `output` needs. */
mien_status mien_onnx_values_create(mien_onnx_reader *r);
mien_status mien_onnx_mark(mien_onnx_reader *r, int output);
void mien_onnx_values_release(mien_onnx_reader *r);
/* A value by name, or -1. */
int mien_onnx_find(const mien_onnx_reader *r, mien_slice name);
void mien_onnx_begin(mien_onnx_reader *r, const mien_onnx_node *node, mien_onnx_op *op);
/* "file: node 'name' (Conv): " and the message. */
mien_status mien_onnx_refuse(const mien_onnx_op *op, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Attributes with defaults. */
double mien_onnx_real(const mien_onnx_op *op, const char *name, double otherwise);
long long mien_onnx_integer(const mien_onnx_op *op, const char *name, long long otherwise);
bool mien_onnx_word_is(const mien_onnx_op *op, const char *name, const char *word,
                       const char *otherwise);
bool mien_onnx_has(const mien_onnx_op *op, const char *name);
/* Fills `out` from a list attribute; false, leaving it, if there is none. INVALID for another
 * count. */
mien_status mien_onnx_ints(const mien_onnx_op *op, const char *name, int count, int *out);
/* The inputs: NULL if input i is left out or of the other kind. */
const mien_onnx_constant *mien_onnx_constant_in(const mien_onnx_op *op, int i);
const mien_onnx_view *mien_onnx_view_in(const mien_onnx_op *op, int i);
bool mien_onnx_given(const mien_onnx_op *op, int i);
/* Sets output 0. */
mien_status mien_onnx_set(const mien_onnx_op *op, const mien_onnx_view *view);
mien_status mien_onnx_set_constant(const mien_onnx_op *op, const mien_onnx_constant *constant);
/* Memory for the values of a computed constant; UNSUPPORTED for very many. */
mien_status mien_onnx_allocate(mien_onnx_reader *r, size_t count, double **out);
/* The values of a constant as doubles, owned by the reader. */
mien_status mien_onnx_doubles(const mien_onnx_op *op, mien_onnx_constant *constant);
/* The values as new floats, which the caller frees; marks the weight as used. */
mien_status mien_onnx_floats(const mien_onnx_op *op, int input, float **out);
/* The axes that an operator names, by attribute or as input `i`, made positive; *count 0: none. */
mien_status mien_onnx_axes(const mien_onnx_op *op, int i, int rank, int *axes, int *count);

/* ---- onnx_fold.c: an operator whose inputs are all constant, or which asks for a shape ---- */
/* *done: it was computed. */
mien_status mien_onnx_fold(const mien_onnx_op *op, bool *done);

/* ---- onnx_view.c ---- */
/* A view of a new layer's output, which has the tensor's axes in memory in the order `axes` (NULL:
 * the tensor's own order). */
void mien_onnx_view_make(mien_onnx_view *view, int layer, const mien_onnx_view *like,
                         const int *axes, int h, int w, int c, bool flat);
/* Emits the layers after which the axes lie in memory in the order `axes` (NULL: the tensor's own)
 * and the layer's output is h x w x c, or flat. */
mien_status mien_onnx_arrange(const mien_onnx_op *op, mien_onnx_view *view, const int *axes, int h,
                              int w, int c, bool flat);
/* The same for an image [1, C, H, W]: UNSUPPORTED for another rank. */
mien_status mien_onnx_image(const mien_onnx_op *op, mien_onnx_view *view);
/* In the tensor's own order as 1 x rows x columns, where columns is the last axis. */
mien_status mien_onnx_rows(const mien_onnx_op *op, mien_onnx_view *view);
/* Around one axis: (axes before) x axis x (axes after). */
mien_status mien_onnx_around(const mien_onnx_op *op, mien_onnx_view *view, int axis);
/* Changes the shape. */
mien_status mien_onnx_reshape(const mien_onnx_op *op, mien_onnx_view *view, const long long *dims,
                              int rank);
void mien_onnx_transpose(mien_onnx_view *view, const int *perm);
bool mien_onnx_same_view(const mien_onnx_view *a, const mien_onnx_view *b);
bool mien_onnx_same_dims(const mien_onnx_view *a, const mien_onnx_view *b);
long long mien_onnx_count(const mien_onnx_view *view);
/* UNSUPPORTED for more elements than a layer may have. */
mien_status mien_onnx_check_size(const mien_onnx_op *op, const mien_onnx_view *view);
/* The element of the layer's output that the tensor's element number `at`, in its own order, is. */
long long mien_onnx_offset(const mien_onnx_view *view, long long at);
/* The axes in the order in which they lie in memory, outermost first. */
void mien_onnx_memory_order(const mien_onnx_view *view, int *axes);
/* Gives the layer's output another shape, leaving its elements where they are. */
mien_status mien_onnx_layer_shape(const mien_onnx_op *op, mien_onnx_view *view, int h, int w, int c,
                                  bool flat);
/* Emits a layer that changes no shape. */
mien_status mien_onnx_unary(const mien_onnx_op *op, const char *def, mien_onnx_view *view,
                            int *layer);

/* ---- operators ---- */
typedef struct mien_onnx_operator {
    const char *op;
    mien_status (*read)(const mien_onnx_op *op);

} mien_onnx_operator;
extern const mien_onnx_operator mien_onnx_window_ops[], mien_onnx_arithmetic_ops[],
    mien_onnx_layer_ops[], mien_onnx_shape_ops[], mien_onnx_part_ops[];
/* y = x * scale + shift per channel of the layer's output, [c] each; takes over both arrays, also
 * after a failure. */
mien_status mien_onnx_affine(const mien_onnx_op *op, mien_onnx_view *view, float *scale,
                             float *shift);
/* The same per element of the layer's output. */
mien_status mien_onnx_affine_elements(const mien_onnx_op *op, mien_onnx_view *view, float *scale,
                                      float *shift);
/* y = x * factor + offset for every element. */
mien_status mien_onnx_rescale(const mien_onnx_op *op, mien_onnx_view *view, double factor,
                              double offset);
/* Constant input i, broadcast to the view, in the order of the layer's output, which the caller
 * frees. *per_channel: only the first [c] are needed, as all pixels have the same. */
mien_status mien_onnx_spread(const mien_onnx_op *op, const mien_onnx_view *view, int i, float **out,
                             bool *per_channel);
mien_status mien_onnx_activation(const mien_onnx_op *op, mien_onnx_view *view, const char *name);
/* onnx_write.c: the writer of the format's row. */
mien_status mien_onnx_write(const mien_model *model, const char *path, char **bytes, size_t *size);
/* Counts elements for which a constant is repeated; UNSUPPORTED if the file has too many. */
mien_status mien_onnx_count_spread(const mien_onnx_op *op, size_t count);
/* Sets output k. */
mien_status mien_onnx_set_output(const mien_onnx_op *op, int k, const mien_onnx_view *view);
mien_status mien_onnx_copy_view(const mien_onnx_op *op);

#endif
