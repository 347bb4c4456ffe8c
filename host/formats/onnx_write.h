/* The writer of ONNX files. onnx_write.c composes the file, onnx_emit.c appends nodes and weights
 * to its graph, and onnx_export.c turns layers into nodes.
 *
 * Images are [N, C, H, W] between the nodes, flat outputs [N, C]. Every name has the form
 * "<layer>/<part>" with one slash, as layers' names have none, so that none occurs twice. */
#ifndef HOST_FORMATS_ONNX_WRITE_H
#define HOST_FORMATS_ONNX_WRITE_H

#include "host/formats/model.h"

enum { MIEN_ONNX_NAME = 2 * MIEN_NAME };
enum { MIEN_ONNX_WRITTEN_OPSET = 13, MIEN_ONNX_WRITTEN_IR = 7 };
#define MIEN_ONNX_INPUT "image"

/* The output of a node of Mien's graph. */
typedef struct mien_onnx_name {
    char text[MIEN_ONNX_NAME];
} mien_onnx_name;

typedef struct mien_onnx_writer {
    const mien_model *model;
    const char *path;         /* for messages */
    mien_text nodes, weights; /* fields of the graph */
    mien_onnx_name *values;   /* by node */
    const mien_node *node;    /* that is being written */
    char layer[MIEN_NAME];    /* the layer that it belongs to, as names begin */
    int made;                 /* names of this layer so far */
} mien_onnx_writer;

/* ---- onnx_emit.c ---- */
/* The fields of a node's attributes, to be appended to an empty text. */
void mien_onnx_put_int(mien_text *attributes, const char *name, long long value);
void mien_onnx_put_ints(mien_text *attributes, const char *name, const int *values, int count);
void mien_onnx_put_float(mien_text *attributes, const char *name, double value);
void mien_onnx_put_text(mien_text *attributes, const char *name, const char *value);

/* Begins a layer: its nodes are named after it. */
void mien_onnx_begin_layer(mien_onnx_writer *w, const mien_node *layer);
/* Appends a node; releases `attributes`, which may be NULL. An empty input is left out. */
mien_onnx_name mien_onnx_emit(mien_onnx_writer *w, const char *op, const char *const *inputs,
                              int count, mien_text *attributes);
/* The same for one input, and for two. */
mien_onnx_name mien_onnx_emit1(mien_onnx_writer *w, const char *op, const char *input,
                               mien_text *attributes);
mien_onnx_name mien_onnx_emit2(mien_onnx_writer *w, const char *op, const char *a, const char *b,
                               mien_text *attributes);
/* Appends a node whose output has this name. */
void mien_onnx_emit_as(mien_onnx_writer *w, const char *op, const char *const *inputs, int count,
                       mien_text *attributes, const char *output);
/* Appends a weight, "<layer>/<part>"; `part` NULL: a constant with a number. */
mien_onnx_name mien_onnx_weight(mien_onnx_writer *w, const char *part, const long long *dims,
                                int rank, const float *values);
mien_onnx_name mien_onnx_number(mien_onnx_writer *w, double value);
mien_onnx_name mien_onnx_integers(mien_onnx_writer *w, const long long *values, int count);
mien_onnx_name mien_onnx_transposed(mien_onnx_writer *w, const char *input, const int *axes);

/* ---- onnx_export.c ---- */
/* Appends the nodes of w->node and sets its value. */
mien_status mien_onnx_export_node(mien_onnx_writer *w);

#endif
