/* The wire format of ONNX: protobuf messages, of which only the fields that a network needs are
 * read. Nothing is copied: slices point into the file, which must outlive the model. The content is
 * untrusted: every length is checked against the message that contains it, and nothing is allocated
 * from a number that the file only claims. */
#ifndef HOST_FORMATS_ONNX_PROTO_H
#define HOST_FORMATS_ONNX_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

enum { MIEN_ONNX_RANK_MAX = 8, MIEN_ONNX_NODES_MAX = 65536, MIEN_ONNX_PORTS_MAX = 256 };
enum { MIEN_ONNX_NAMES_MAX = 1 << 18 }; /* of inputs and outputs of nodes, and of weights */
enum { MIEN_ONNX_IR_MAX = 14, MIEN_ONNX_OPSET_MIN = 7, MIEN_ONNX_OPSET_MAX = 28 };

/* Bytes of the file; as text not zero-terminated. */
typedef struct mien_slice {
    const char *data;
    size_t size;
} mien_slice;

typedef enum mien_onnx_type {
    MIEN_ONNX_FLOAT = 1,
    MIEN_ONNX_UINT8 = 2,
    MIEN_ONNX_INT8 = 3,
    MIEN_ONNX_UINT16 = 4,
    MIEN_ONNX_INT16 = 5,
    MIEN_ONNX_INT32 = 6,
    MIEN_ONNX_INT64 = 7,
    MIEN_ONNX_STRING = 8,
    MIEN_ONNX_BOOL = 9,
    MIEN_ONNX_FLOAT16 = 10,
    MIEN_ONNX_DOUBLE = 11,
    MIEN_ONNX_UINT32 = 12,
    MIEN_ONNX_UINT64 = 13,
    MIEN_ONNX_BFLOAT16 = 16,
} mien_onnx_type;

typedef struct mien_onnx_tensor {
    mien_slice name;
    int type, rank;
    long long dims[MIEN_ONNX_RANK_MAX];
    size_t count;     /* elements; at most MIEN_ONNX_COUNT_MAX */
    mien_slice raw;   /* little-endian values */
    mien_slice whole; /* the tensor's message, whose float_data, int64_data, … hold the values if
                         there is no `raw` */
    bool external;    /* the values are in another file */
    mien_slice location;
    long long offset, length; /* length -1: to the end */
} mien_onnx_tensor;
#define MIEN_ONNX_COUNT_MAX ((size_t)1 << 28)

typedef struct mien_onnx_node {
    mien_slice name, op, domain, message;
    uint32_t first_port; /* in model->ports: its inputs, then its outputs */
    uint16_t inputs, outputs;
} mien_onnx_node;

typedef struct mien_onnx_input {
    mien_slice name;
    int type, rank;                     /* rank -1: it has no shape */
    long long dims[MIEN_ONNX_RANK_MAX]; /* -1: not fixed */
} mien_onnx_input;

typedef struct mien_onnx_model {
    long long ir_version, opset;
    mien_slice producer, producer_version, graph_name;
    mien_slice settings; /* metadata_props: the value of `mien`, which Mien writes */
    mien_onnx_node *nodes;
    mien_onnx_tensor *tensors; /* initialisers */
    mien_onnx_input *inputs, *outputs;
    mien_slice *ports; /* names of the nodes' inputs and outputs; an empty one is left out */
    size_t node_count, tensor_count, input_count, output_count, port_count;
} mien_onnx_model;

typedef struct mien_onnx_attribute {
    mien_slice name;
    int type; /* 1 float, 2 int, 3 string, 4 tensor, 5 graph, 6 floats, 7 ints, 8 strings */
    float f;
    long long i;
    mien_slice s, t;
    mien_slice message;
} mien_onnx_attribute;

/* Do the first fields look like those of an ONNX model? */
bool mien_onnx_sniff(const char *bytes, size_t size);
/* Parses a model; `source` is for messages. Release it also after a failure. */
mien_status mien_onnx_parse(const char *bytes, size_t size, const char *source,
                            mien_onnx_model *model);
void mien_onnx_release(mien_onnx_model *model);
/* One tensor message, as in the attribute `value` of Constant. */
mien_status mien_onnx_parse_tensor(mien_slice message, const char *source, mien_onnx_tensor *out);
/* Finds an attribute of a node; false if there is none. FORMAT errors were found while parsing. */
bool mien_onnx_attribute_of(const mien_onnx_node *node, const char *name, mien_onnx_attribute *out);
/* The numbers of a list attribute (floats or ints); returns how many there are, of which at most
 * `most` are stored. */
size_t mien_onnx_list(const mien_onnx_attribute *attribute, double *out, size_t most);
/* The values of a tensor's float_data, int32_data, …; returns how many there are, of which at most
 * `most` are stored. */
size_t mien_onnx_typed_data(const mien_onnx_tensor *tensor, double *out, size_t most);

bool mien_slice_is(mien_slice slice, const char *text);
/* A slice for "%.*s". */
#define MIEN_SLICE(s) (int)((s).size > 200 ? 200 : (s).size), ((s).data ? (s).data : "")

#endif
