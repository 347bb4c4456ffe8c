#include "host/formats/onnx_proto.h"

#include <string.h>

#include "host/base/memory.h"

/* ---- fields ---- */

typedef struct field {
    unsigned number, wire; /* wire: 0 varint, 1 eight bytes, 2 a length and bytes, 5 four bytes */
    uint64_t value;        /* of wire 0, 1 and 5 */
    mien_slice bytes;      /* of wire 2 */
} field;

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static bool varint(mien_slice *in, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 64 && in->size; shift += 7) {
        const unsigned char byte = (unsigned char)*in->data;
        in->data++, in->size--;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

static bool fixed(mien_slice *in, size_t size, uint64_t *out) {
    *out = 0;
    if (in->size < size) return false;
    for (size_t i = 0; i < size; i++)
        *out |= (uint64_t)(unsigned char)in->data[i] << (8 * i);
    in->data += size, in->size -= size;
    return true;
}

/* Takes the next field off a message: 1, 0 at its end, -1 if it is damaged. */
static int next_field(mien_slice *in, field *out) {
    uint64_t tag, size;
    if (!in->size) return 0;
    if (!varint(in, &tag) || tag >> 3 == 0 || tag >> 3 > 536870911) return -1;
    *out = (field){.number = (unsigned)(tag >> 3), .wire = (unsigned)(tag & 7)};
    switch (out->wire) {
    case VARINT:
        return varint(in, &out->value) ? 1 : -1;
    case FIXED64:
        return fixed(in, 8, &out->value) ? 1 : -1;
    case FIXED32:
        return fixed(in, 4, &out->value) ? 1 : -1;
    case BYTES:
        if (!varint(in, &size) || size > in->size) return -1;
        out->bytes = (mien_slice){in->data, (size_t)size};
        in->data += size, in->size -= (size_t)size;
        return 1;
    default: /* groups were never in use */
        return -1;
    }
}

bool mien_slice_is(mien_slice slice, const char *text) {
    return slice.size == strlen(text) && memcmp(slice.data, text, slice.size) == 0;
}

static mien_status damaged(const char *source, const char *what) {
    return MIEN_FAIL(FORMAT, "%s: the ONNX file is damaged or cut off (%s)", source, what);
}

static float as_float(uint64_t bits) {
    const uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return value;
}

static double as_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- tensors and attributes ---- */

/* Adds the numbers of one repeated field, packed or not, to a list. */
static void numbers(const field *f, bool real, size_t *count, double *out, size_t most) {
    mien_slice in = f->bytes;
    uint64_t v = f->value;
    const size_t width = f->wire == FIXED64 ? 8 : 4;
    if (f->wire != BYTES) {
        if (*count < most)
            out[*count] = !real                ? (double)(int64_t)v
                          : f->wire == FIXED64 ? as_double(v)
                                               : (double)as_float(v);
        ++*count;
        return;
    }
    while (in.size && (real ? fixed(&in, width, &v) : varint(&in, &v))) {
        if (*count < most) out[*count] = real ? (double)as_float(v) : (double)(int64_t)v;
        ++*count;
    }
}

static void doubles(mien_slice in, size_t *count, double *out, size_t most) {
    uint64_t v;
    while (fixed(&in, 8, &v)) {
        if (*count < most) out[*count] = as_double(v);
        ++*count;
    }
}

size_t mien_onnx_typed_data(const mien_onnx_tensor *tensor, double *out, size_t most) {
    mien_slice in = tensor->whole;
    size_t count = 0;
    field f;
    while (next_field(&in, &f) == 1) {
        if (f.number == 10 && f.wire == BYTES)
            doubles(f.bytes, &count, out, most);
        else if (f.number == 4 || f.number == 10)
            numbers(&f, true, &count, out, most);
        else if (f.number == 5 || f.number == 7 || f.number == 11)
            numbers(&f, false, &count, out, most);
    }
    return count;
}

static long long decimal(mien_slice text) {
    long long value = 0;
    if (!text.size || text.size > 18) return -2;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return -2;
        value = 10 * value + (text.data[i] - '0');
    }
    return value;
}

/* An entry of external_data: key and value. */
static bool external_entry(mien_slice in, mien_onnx_tensor *out) {
    mien_slice key = {0}, value = {0};
    field f;
    int more;
    while ((more = next_field(&in, &f)) == 1) {
        if (f.wire != BYTES) continue;
        if (f.number == 1) key = f.bytes;
        if (f.number == 2) value = f.bytes;
    }
    if (more < 0) return false;
    if (mien_slice_is(key, "location")) out->location = value;
    if (mien_slice_is(key, "offset")) out->offset = decimal(value);
    if (mien_slice_is(key, "length")) out->length = decimal(value);
    return out->offset >= 0 && out->length >= -1;
}

static bool add_dims(const field *f, mien_onnx_tensor *out) {
    double dims[MIEN_ONNX_RANK_MAX];
    size_t count = 0;
    numbers(f, false, &count, dims, MIEN_ONNX_RANK_MAX);
    if ((size_t)out->rank + count > MIEN_ONNX_RANK_MAX) return false;
    for (size_t i = 0; i < count; i++)
        out->dims[out->rank++] = dims[i] >= 0 && dims[i] < 9e15 ? (long long)dims[i] : -1;
    return true;
}

mien_status mien_onnx_parse_tensor(mien_slice message, const char *source, mien_onnx_tensor *out) {
    mien_slice in = message;
    field f;
    int more;
    bool good = true;
    *out = (mien_onnx_tensor){.whole = message, .length = -1, .count = 1};
    while (good && (more = next_field(&in, &f)) != 0) {
        if (more < 0) return damaged(source, "a tensor");
        if (f.number == 1 && (f.wire == VARINT || f.wire == BYTES)) good = add_dims(&f, out);
        if (f.number == 2 && f.wire == VARINT)
            out->type = f.value < 1000 ? (int)f.value : 0;
        else if (f.number == 8 && f.wire == BYTES)
            out->name = f.bytes;
        else if (f.number == 9 && f.wire == BYTES)
            out->raw = f.bytes;
        else if (f.number == 13 && f.wire == BYTES)
            good = external_entry(f.bytes, out);
        else if (f.number == 14 && f.wire == VARINT)
            out->external = f.value == 1;
    }
    if (!good)
        return MIEN_FAIL(FORMAT, "%s: the tensor '%.*s' is damaged", source, MIEN_SLICE(out->name));
    for (int i = 0; i < out->rank; i++) {
        if (out->dims[i] < 0 ||
            (out->dims[i] > 0 && out->count > MIEN_ONNX_COUNT_MAX / (size_t)out->dims[i]))
            return MIEN_FAIL(FORMAT, "%s: the tensor '%.*s' declares an impossible size", source,
                             MIEN_SLICE(out->name));
        out->count *= (size_t)out->dims[i];
    }
    return MIEN_OK;
}

static bool read_attribute(mien_slice message, mien_onnx_attribute *out) {
    mien_slice in = message;
    field f;
    int more;
    *out = (mien_onnx_attribute){.message = message};
    while ((more = next_field(&in, &f)) == 1) {
        if (f.number == 1 && f.wire == BYTES) out->name = f.bytes;
        if (f.number == 2 && f.wire == FIXED32) out->f = as_float(f.value);
        if (f.number == 3 && f.wire == VARINT) out->i = (long long)f.value;
        if (f.number == 4 && f.wire == BYTES) out->s = f.bytes;
        if (f.number == 5 && f.wire == BYTES) out->t = f.bytes;
        if (f.number == 20 && f.wire == VARINT) out->type = f.value < 1000 ? (int)f.value : 0;
    }
    return more == 0;
}

size_t mien_onnx_list(const mien_onnx_attribute *attribute, double *out, size_t most) {
    mien_slice in = attribute->message;
    size_t count = 0;
    field f;
    while (next_field(&in, &f) == 1)
        if (f.number == 7 || f.number == 8) numbers(&f, f.number == 7, &count, out, most);
    return count;
}

bool mien_onnx_attribute_of(const mien_onnx_node *node, const char *name,
                            mien_onnx_attribute *out) {
    mien_slice in = node->message;
    field f;
    while (next_field(&in, &f) == 1)
        if (f.number == 5 && f.wire == BYTES && read_attribute(f.bytes, out) &&
            mien_slice_is(out->name, name))
            return true;
    *out = (mien_onnx_attribute){0};
    return false;
}

/* ---- graph ---- */

/* Counts the entries of each list first, so that they are allocated once, from what is there. */
typedef struct counts {
    size_t nodes, tensors, inputs, outputs, ports;
} counts;

static mien_status count_node(mien_slice in, const char *source, counts *all) {
    field f;
    int more;
    while ((more = next_field(&in, &f)) != 0) {
        mien_onnx_attribute a;
        if (more < 0) return damaged(source, "a node");
        all->ports += (f.number == 1 || f.number == 2) && f.wire == BYTES;
        if (f.number == 5 && (f.wire != BYTES || !read_attribute(f.bytes, &a)))
            return damaged(source, "an attribute");
    }
    return MIEN_OK;
}

static mien_status count_graph(mien_slice in, const char *source, counts *all) {
    field f;
    int more;
    while ((more = next_field(&in, &f)) != 0) {
        if (more < 0) return damaged(source, "the graph");
        if (f.number == 15)
            return MIEN_FAIL(UNSUPPORTED, "%s: sparse initialisers are not supported", source);
        if (f.wire != BYTES) continue;
        if (f.number == 1) {
            if (++all->nodes > MIEN_ONNX_NODES_MAX)
                return MIEN_FAIL(UNSUPPORTED, "%s: the graph has more than %d nodes", source,
                                 MIEN_ONNX_NODES_MAX);
            MIEN_TRY(count_node(f.bytes, source, all));
        }
        all->tensors += f.number == 5;
        all->inputs += f.number == 11;
        all->outputs += f.number == 12;
        if (all->ports + all->tensors + all->inputs + all->outputs > MIEN_ONNX_NAMES_MAX)
            return MIEN_FAIL(UNSUPPORTED, "%s: the graph has more than %d names", source,
                             MIEN_ONNX_NAMES_MAX);
    }
    return MIEN_OK;
}

static mien_status read_node(mien_slice message, const char *source, mien_onnx_model *model) {
    mien_onnx_node *node = &model->nodes[model->node_count++];
    *node = (mien_onnx_node){.message = message, .first_port = (uint32_t)model->port_count};
    for (unsigned side = 1; side <= 2; side++) {
        mien_slice in = message;
        field f;
        unsigned count = 0;
        while (next_field(&in, &f) == 1) {
            if (f.wire != BYTES) continue;
            if (f.number == side) model->ports[model->port_count++] = f.bytes, count++;
            if (f.number == 3) node->name = f.bytes;
            if (f.number == 4) node->op = f.bytes;
            if (f.number == 7) node->domain = f.bytes;
        }
        if (count > MIEN_ONNX_PORTS_MAX)
            return MIEN_FAIL(UNSUPPORTED, "%s: the node '%.*s' has %u %s; at most %d are supported",
                             source, MIEN_SLICE(node->name), count,
                             side == 1 ? "inputs" : "outputs", MIEN_ONNX_PORTS_MAX);
        *(side == 1 ? &node->inputs : &node->outputs) = (uint16_t)count;
    }
    return MIEN_OK;
}

static int dimension(mien_slice in, long long *out) {
    field f;
    int more;
    *out = -1;
    while ((more = next_field(&in, &f)) == 1)
        if (f.number == 1 && f.wire == VARINT)
            *out = f.value > 0 && f.value < (1u << 30) ? (long long)f.value : -1;
    return more;
}

/* ValueInfoProto: name, and type { tensor_type { elem_type, shape { dim … } } }. */
static mien_status read_input(mien_slice in, const char *source, mien_onnx_input *out) {
    mien_slice type = {0}, tensor = {0}, shape = {0};
    field f;
    int more;
    bool shaped = false;
    *out = (mien_onnx_input){.rank = -1};
    while ((more = next_field(&in, &f)) == 1) {
        if (f.number == 1 && f.wire == BYTES) out->name = f.bytes;
        if (f.number == 2 && f.wire == BYTES) type = f.bytes;
    }
    while (more == 0 && (more = next_field(&type, &f)) == 1) {
        if (f.number == 1 && f.wire == BYTES) tensor = f.bytes;
        more = 0;
    }
    while (more == 0 && (more = next_field(&tensor, &f)) == 1) {
        if (f.number == 1 && f.wire == VARINT) out->type = f.value < 1000 ? (int)f.value : 0;
        if (f.number == 2 && f.wire == BYTES) shape = f.bytes, shaped = true;
        more = 0;
    }
    if (shaped && more == 0) out->rank = 0;
    while (more == 0 && (more = next_field(&shape, &f)) == 1) {
        more = 0;
        if (f.number != 1 || f.wire != BYTES) continue;
        if (out->rank == MIEN_ONNX_RANK_MAX) return damaged(source, "too many dimensions");
        more = dimension(f.bytes, &out->dims[out->rank++]);
    }
    return more < 0 ? damaged(source, "an input or output") : MIEN_OK;
}

static mien_status read_graph(mien_slice graph, const char *source, mien_onnx_model *model) {
    counts all = {0};
    field f;
    mien_slice in = graph;
    MIEN_TRY(count_graph(graph, source, &all));
    MIEN_TRY(mien_new(&model->nodes, all.nodes + 1, sizeof *model->nodes));
    MIEN_TRY(mien_new(&model->tensors, all.tensors + 1, sizeof *model->tensors));
    MIEN_TRY(mien_new(&model->inputs, all.inputs + 1, sizeof *model->inputs));
    MIEN_TRY(mien_new(&model->outputs, all.outputs + 1, sizeof *model->outputs));
    MIEN_TRY(mien_new(&model->ports, all.ports + 1, sizeof *model->ports));
    while (next_field(&in, &f) == 1) {
        if (f.wire != BYTES) continue;
        if (f.number == 1) MIEN_TRY(read_node(f.bytes, source, model));
        if (f.number == 2) model->graph_name = f.bytes;
        if (f.number == 5)
            MIEN_TRY(
                mien_onnx_parse_tensor(f.bytes, source, &model->tensors[model->tensor_count++]));
        if (f.number == 11)
            MIEN_TRY(read_input(f.bytes, source, &model->inputs[model->input_count++]));
        if (f.number == 12)
            MIEN_TRY(read_input(f.bytes, source, &model->outputs[model->output_count++]));
    }
    return MIEN_OK;
}

/* An entry of opset_import: domain and version. */
static bool read_opset(mien_slice in, mien_onnx_model *model) {
    mien_slice domain = {"", 0};
    long long version = 0;
    field f;
    int more;
    while ((more = next_field(&in, &f)) == 1) {
        if (f.number == 1 && f.wire == BYTES) domain = f.bytes;
        if (f.number == 2 && f.wire == VARINT) version = (long long)f.value;
    }
    if (mien_slice_is(domain, "") || mien_slice_is(domain, "ai.onnx")) model->opset = version;
    return more == 0;
}

/* An entry of metadata_props: key and value. */
static bool read_metadata(mien_slice in, mien_onnx_model *model) {
    mien_slice key = {0}, value = {0};
    field f;
    int more;
    while ((more = next_field(&in, &f)) == 1) {
        if (f.wire != BYTES) continue;
        if (f.number == 1) key = f.bytes;
        if (f.number == 2) value = f.bytes;
    }
    if (mien_slice_is(key, "mien")) model->settings = value;
    return more == 0;
}

static mien_status check_versions(const mien_onnx_model *model, const char *source) {
    if (model->ir_version < 1 || model->ir_version > MIEN_ONNX_IR_MAX)
        return MIEN_FAIL(UNSUPPORTED,
                         "%s: the file has ONNX IR version %lld; versions up to %d are supported",
                         source, model->ir_version, MIEN_ONNX_IR_MAX);
    if (model->opset < MIEN_ONNX_OPSET_MIN || model->opset > MIEN_ONNX_OPSET_MAX)
        return MIEN_FAIL(
            UNSUPPORTED,
            "%s: the file has ONNX opset %lld; %d to %d are supported: convert it with "
            "onnx.version_converter",
            source, model->opset, MIEN_ONNX_OPSET_MIN, MIEN_ONNX_OPSET_MAX);
    return MIEN_OK;
}

mien_status mien_onnx_parse(const char *bytes, size_t size, const char *source,
                            mien_onnx_model *model) {
    mien_slice in = {bytes, size}, graph = {0};
    field f;
    int more;
    *model = (mien_onnx_model){0};
    while ((more = next_field(&in, &f)) != 0) {
        if (more < 0) return damaged(source, "the model");
        if (f.number == 1 && f.wire == VARINT) model->ir_version = (long long)f.value;
        if (f.wire != BYTES) continue;
        if (f.number == 2) model->producer = f.bytes;
        if (f.number == 3) model->producer_version = f.bytes;
        if (f.number == 7) graph = f.bytes;
        if (f.number == 8 && !read_opset(f.bytes, model)) return damaged(source, "the opset");
        if (f.number == 14 && !read_metadata(f.bytes, model))
            return damaged(source, "the metadata");
    }
    if (!graph.data) return damaged(source, "it has no graph");
    MIEN_TRY(check_versions(model, source));
    return read_graph(graph, source, model);
}

void mien_onnx_release(mien_onnx_model *model) {
    mien_free(model->nodes);
    mien_free(model->tensors);
    mien_free(model->inputs);
    mien_free(model->outputs);
    mien_free(model->ports);
    *model = (mien_onnx_model){0};
}

/* protobuf has no signature. A model begins with its IR version, a small number, and goes on with
 * fields of ModelProto, of which all but two numbers are bytes. */
bool mien_onnx_sniff(const char *bytes, size_t size) {
    mien_slice in = {bytes, size};
    field f;
    if (next_field(&in, &f) != 1 || f.number != 1 || f.wire != VARINT || f.value < 1 ||
        f.value > 1000)
        return false;
    mien_slice rest = in;
    uint64_t tag;
    if (!varint(&rest, &tag)) return false;
    const unsigned number = (unsigned)(tag >> 3), wire = (unsigned)(tag & 7);
    return (number >= 2 && number <= 25) && wire == (number == 5 ? VARINT : BYTES);
}
