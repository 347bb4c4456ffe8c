/* The values of an ONNX graph, and access to a node's inputs and attributes. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/formats/onnx.h"

/* ---- table of values ---- */

static uint32_t hash(mien_slice name) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < name.size; i++)
        h = (h ^ (unsigned char)name.data[i]) * 16777619u;
    return h;
}

static size_t slot_of(const mien_onnx_reader *r, mien_slice name) {
    size_t at = hash(name) % r->slot_count;
    while (r->slots[at]) {
        const mien_slice other = r->values[r->slots[at] - 1].name;
        if (other.size == name.size && memcmp(other.data, name.data, name.size) == 0) break;
        at = (at + 1) % r->slot_count;
    }
    return at;
}

int mien_onnx_find(const mien_onnx_reader *r, mien_slice name) {
    return r->slots[slot_of(r, name)] - 1;
}

static int intern(mien_onnx_reader *r, mien_slice name) {
    const size_t slot = slot_of(r, name);
    if (!r->slots[slot]) {
        r->values[r->value_count] = (mien_onnx_value){.name = name, .weight = -1};
        r->slots[slot] = ++r->value_count;
    }
    return r->slots[slot] - 1;
}

static mien_status add_weights(mien_onnx_reader *r) {
    const mien_onnx_model *m = &r->model;
    for (size_t i = 0; i < m->tensor_count; i++) {
        const mien_onnx_tensor *t = &m->tensors[i];
        mien_onnx_value *v = &r->values[intern(r, t->name)];
        if (v->kind)
            return MIEN_FAIL(FORMAT, "%s: there are two weights named '%.*s'", r->source,
                             MIEN_SLICE(t->name));
        v->kind = MIEN_ONNX_CONSTANT;
        v->weight = (int)i;
        v->constant = (mien_onnx_constant){
            .tensor = t,
            .rank = t->rank,
            .count = t->count,
            .whole = t->type != MIEN_ONNX_FLOAT && t->type != MIEN_ONNX_DOUBLE &&
                     t->type != MIEN_ONNX_FLOAT16 && t->type != MIEN_ONNX_BFLOAT16};
        memcpy(v->constant.dims, t->dims, sizeof t->dims);
        /* exporters leave counters and settings behind, which are no weights */
        r->weights[i] =
            (mien_import_weight){.name = t->name.data ? t->name.data : "",
                                 .length = (int)(t->name.size < 1000 ? t->name.size : 1000),
                                 .ignored = v->constant.whole || t->count <= 1};
    }
    return MIEN_OK;
}

mien_status mien_onnx_values_create(mien_onnx_reader *r) {
    const mien_onnx_model *m = &r->model;
    const size_t most = m->port_count + m->tensor_count + m->input_count + 1;
    r->slot_count = 2 * most + 1;
    MIEN_TRY(mien_new(&r->values, most, sizeof *r->values));
    MIEN_TRY(mien_new(&r->slots, r->slot_count, sizeof *r->slots));
    MIEN_TRY(mien_new(&r->ports, m->port_count + 1, sizeof *r->ports));
    MIEN_TRY(mien_new(&r->needed, m->node_count + 1, sizeof *r->needed));
    MIEN_TRY(mien_new(&r->weights, m->tensor_count + 1, sizeof *r->weights));
    MIEN_TRY(add_weights(r));
    for (size_t i = 0; i < m->port_count; i++)
        r->ports[i] = m->ports[i].size ? intern(r, m->ports[i]) : -1;
    for (size_t n = 0; n < m->node_count; n++)
        for (int i = 0; i < m->nodes[n].inputs; i++) {
            const int value = r->ports[m->nodes[n].first_port + (uint32_t)i];
            if (value < 0) continue;
            r->values[value].consumers++;
            if (r->values[value].weight >= 0) r->weights[r->values[value].weight].uses++;
        }
    return MIEN_OK;
}

/* A node may only read what an earlier one has made, so that one walk back finds all that are
 * needed, and a cycle cannot be. */
mien_status mien_onnx_mark(mien_onnx_reader *r, int output) {
    const mien_onnx_model *m = &r->model;
    bool *wanted;
    MIEN_TRY(mien_new(&wanted, (size_t)r->value_count + 1, sizeof *wanted));
    wanted[output] = true;
    for (size_t n = m->node_count; n-- > 0;) {
        const mien_onnx_node *node = &m->nodes[n];
        const int *port = r->ports + node->first_port;
        for (int i = 0; i < node->outputs; i++)
            if (port[node->inputs + i] >= 0) r->needed[n] |= wanted[port[node->inputs + i]];
        for (int i = 0; r->needed[n] && i < node->inputs; i++)
            if (port[i] >= 0) wanted[port[i]] = true;
    }
    mien_free(wanted);
    return MIEN_OK;
}

void mien_onnx_values_release(mien_onnx_reader *r) {
    for (size_t i = 0; i < r->owned_count; i++)
        mien_free(r->owned[i]);
    for (size_t i = 0; i < r->own_tensors; i++)
        mien_free(r->tensors[i]);
    mien_free(r->owned);
    mien_free(r->tensors);
    mien_free(r->values);
    mien_free(r->slots);
    mien_free(r->ports);
    mien_free(r->needed);
    mien_free(r->weights);
    mien_free(r->external);
}

/* ---- a node ---- */

void mien_onnx_begin(mien_onnx_reader *r, const mien_onnx_node *node, mien_onnx_op *op) {
    const int *port = r->ports + node->first_port;
    mien_slice name = node->name;
    if (!name.size && node->outputs) name = r->model.ports[node->first_port + node->inputs];
    *op = (mien_onnx_op){r, node, port, port + node->inputs, node->inputs, node->outputs, ""};
    const size_t skip = name.size >= MIEN_NAME ? name.size - MIEN_NAME + 1 : 0;
    for (size_t i = skip; i < name.size; i++) /* a NUL byte would cut the name short */
        op->name[i - skip] = name.data[i] ? name.data[i] : '_';
}

mien_status mien_onnx_refuse(const mien_onnx_op *op, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return MIEN_FAIL(UNSUPPORTED, "%s: node '%s' (%.*s): %s", op->r->source, op->name,
                     MIEN_SLICE(op->node->op), text);
}

bool mien_onnx_has(const mien_onnx_op *op, const char *name) {
    mien_onnx_attribute a;
    return mien_onnx_attribute_of(op->node, name, &a);
}

double mien_onnx_real(const mien_onnx_op *op, const char *name, double otherwise) {
    mien_onnx_attribute a;
    return mien_onnx_attribute_of(op->node, name, &a) ? (double)a.f : otherwise;
}

long long mien_onnx_integer(const mien_onnx_op *op, const char *name, long long otherwise) {
    mien_onnx_attribute a;
    return mien_onnx_attribute_of(op->node, name, &a) ? a.i : otherwise;
}

bool mien_onnx_word_is(const mien_onnx_op *op, const char *name, const char *word,
                       const char *otherwise) {
    mien_onnx_attribute a;
    if (!mien_onnx_attribute_of(op->node, name, &a)) return strcmp(word, otherwise) == 0;
    return mien_slice_is(a.s, word);
}

mien_status mien_onnx_ints(const mien_onnx_op *op, const char *name, int count, int *out) {
    mien_onnx_attribute a;
    double list[2 * MIEN_ONNX_RANK_MAX];
    if (!mien_onnx_attribute_of(op->node, name, &a)) return MIEN_OK;
    if (mien_onnx_list(&a, list, 2 * MIEN_ONNX_RANK_MAX) != (size_t)count)
        return mien_onnx_refuse(op, "its attribute %s does not have %d numbers", name, count);
    for (int i = 0; i < count; i++) {
        if (!(fabs(list[i]) < 1e6))
            return mien_onnx_refuse(op, "its attribute %s is out of range", name);
        out[i] = (int)list[i];
    }
    return MIEN_OK;
}

bool mien_onnx_given(const mien_onnx_op *op, int i) {
    return i < op->in_count && op->in[i] >= 0;
}

const mien_onnx_constant *mien_onnx_constant_in(const mien_onnx_op *op, int i) {
    if (!mien_onnx_given(op, i)) return NULL;
    const mien_onnx_value *v = &op->r->values[op->in[i]];
    return v->kind == MIEN_ONNX_CONSTANT ? &v->constant : NULL;
}

const mien_onnx_view *mien_onnx_view_in(const mien_onnx_op *op, int i) {
    if (!mien_onnx_given(op, i)) return NULL;
    const mien_onnx_value *v = &op->r->values[op->in[i]];
    return v->kind == MIEN_ONNX_TENSOR ? &v->view : NULL;
}

/* ONNX names each value once; the reader relies on it. */
static mien_status define(const mien_onnx_op *op, int k, mien_onnx_value **out) {
    if (k >= op->out_count || op->out[k] < 0) return mien_onnx_refuse(op, "it has no output");
    *out = &op->r->values[op->out[k]];
    if ((*out)->kind)
        return MIEN_FAIL(FORMAT, "%s: two nodes make the value '%.*s'", op->r->source,
                         MIEN_SLICE((*out)->name));
    return MIEN_OK;
}

mien_status mien_onnx_set_output(const mien_onnx_op *op, int k, const mien_onnx_view *view) {
    mien_onnx_value *value = NULL;
    MIEN_TRY(mien_onnx_check_size(op, view));
    MIEN_TRY(define(op, k, &value));
    value->kind = MIEN_ONNX_TENSOR;
    value->view = *view;
    if (view->layer >= 0 && value->consumers > 1)
        op->r->import.layers[view->layer].label += value->consumers - 1;
    return MIEN_OK;
}

mien_status mien_onnx_set(const mien_onnx_op *op, const mien_onnx_view *view) {
    return mien_onnx_set_output(op, 0, view);
}

mien_status mien_onnx_set_constant(const mien_onnx_op *op, const mien_onnx_constant *constant) {
    mien_onnx_value *value = NULL;
    MIEN_TRY(define(op, 0, &value));
    value->kind = MIEN_ONNX_CONSTANT;
    value->constant = *constant;
    return MIEN_OK;
}

/* ---- numbers ---- */

/* Constants that are computed are shapes, and kernels that are transposed: together at most this
 * many numbers. */
#define OWNED_MAX ((size_t)1 << 26)

mien_status mien_onnx_allocate(mien_onnx_reader *r, size_t count, double **out) {
    if (count > OWNED_MAX - r->owned_numbers)
        return MIEN_FAIL(UNSUPPORTED, "%s: its constants are too large to be computed", r->source);
    MIEN_TRY(mien_grow(&r->owned, &r->owned_capacity, r->owned_count + 1, sizeof *r->owned));
    MIEN_TRY(mien_new(out, count + 1, sizeof **out));
    r->owned[r->owned_count++] = *out;
    r->owned_numbers += count;
    return MIEN_OK;
}

static size_t width_of(int type) {
    switch (type) {
    case MIEN_ONNX_FLOAT:
    case MIEN_ONNX_INT32:
    case MIEN_ONNX_UINT32:
        return 4;
    case MIEN_ONNX_DOUBLE:
    case MIEN_ONNX_INT64:
    case MIEN_ONNX_UINT64:
        return 8;
    case MIEN_ONNX_FLOAT16:
    case MIEN_ONNX_BFLOAT16:
    case MIEN_ONNX_INT16:
    case MIEN_ONNX_UINT16:
        return 2;
    case MIEN_ONNX_INT8:
    case MIEN_ONNX_UINT8:
    case MIEN_ONNX_BOOL:
        return 1;
    default:
        return 0;
    }
}

static double half(uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double size = exponent == 31  ? (fraction ? NAN : INFINITY)
                        : exponent == 0 ? ldexp(fraction, -24)
                                        : ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -size : size;
}

static double element(int type, const char *at) {
    float f;
    double d;
    int32_t i4;
    int64_t i8;
    uint32_t u4;
    uint16_t u2;
    switch (type) {
    case MIEN_ONNX_FLOAT:
        return memcpy(&f, at, 4), (double)f;
    case MIEN_ONNX_DOUBLE:
        return memcpy(&d, at, 8), d;
    case MIEN_ONNX_INT32:
        return memcpy(&i4, at, 4), i4;
    case MIEN_ONNX_UINT32:
        return memcpy(&u4, at, 4), u4;
    case MIEN_ONNX_INT64:
    case MIEN_ONNX_UINT64:
        return memcpy(&i8, at, 8), (double)i8;
    case MIEN_ONNX_FLOAT16:
        return memcpy(&u2, at, 2), half(u2);
    case MIEN_ONNX_BFLOAT16:
        memcpy(&u2, at, 2);
        u4 = (uint32_t)u2 << 16;
        return memcpy(&f, &u4, 4), (double)f;
    case MIEN_ONNX_INT16:
        return memcpy(&u2, at, 2), (int16_t)u2;
    case MIEN_ONNX_UINT16:
        return memcpy(&u2, at, 2), u2;
    case MIEN_ONNX_INT8:
        return (signed char)*at;
    default:
        return (unsigned char)*at;
    }
}

static mien_status bad_tensor(const mien_onnx_reader *r, const mien_onnx_tensor *t,
                              const char *what) {
    return MIEN_FAIL(FORMAT, "%s: the weight '%.*s' %s", r->source, MIEN_SLICE(t->name), what);
}

/* Where the tensor's bytes are, if it has raw ones; checks that there are as many as its shape
 * says. */
static mien_status locate(const mien_onnx_reader *r, const mien_onnx_tensor *t, mien_slice *out) {
    const size_t width = width_of(t->type);
    *out = t->raw;
    if (!width)
        return MIEN_FAIL(UNSUPPORTED,
                         "%s: the tensor '%.*s' has the number type %d, which is not supported",
                         r->source, MIEN_SLICE(t->name), t->type);
    if (t->external) {
        const size_t size = r->external_size, need = t->count * width;
        const unsigned long long offset = (unsigned long long)t->offset;
        if (!r->external || offset > size || need > size - offset ||
            (t->length >= 0 && (unsigned long long)t->length != need))
            return bad_tensor(r, t, "lies outside of its file of external data");
        *out = (mien_slice){r->external + offset, need};
    }
    if (out->data && out->size != t->count * width)
        return bad_tensor(r, t, "has another number of values than its shape says");
    return MIEN_OK;
}

/* Decodes values that are not raw bytes but a list of numbers, as some exporters write them. */
static mien_status decode_list(const mien_onnx_reader *r, const mien_onnx_tensor *t, double *out) {
    if (mien_onnx_typed_data(t, out, t->count) != t->count)
        return bad_tensor(r, t, "has another number of values than its shape says");
    for (size_t i = 0; i < t->count && t->type == MIEN_ONNX_FLOAT16; i++)
        out[i] = half((uint16_t)out[i]);
    return MIEN_OK;
}

/* Checks that a tensor has the values that it claims, before memory is allocated for them. */
static mien_status check_values(const mien_onnx_reader *r, const mien_onnx_tensor *t,
                                mien_slice *raw) {
    MIEN_TRY(locate(r, t, raw));
    if (!raw->data && mien_onnx_typed_data(t, NULL, 0) != t->count)
        return bad_tensor(r, t, "has another number of values than its shape says");
    return MIEN_OK;
}

mien_status mien_onnx_doubles(const mien_onnx_op *op, mien_onnx_constant *c) {
    const mien_onnx_tensor *t = c->tensor;
    mien_slice raw;
    if (c->values) return MIEN_OK;
    MIEN_TRY(check_values(op->r, t, &raw));
    MIEN_TRY(mien_onnx_allocate(op->r, c->count, &c->values));
    if (!raw.data) return decode_list(op->r, t, c->values);
    const size_t width = width_of(t->type);
    for (size_t i = 0; i < c->count; i++)
        c->values[i] = element(t->type, raw.data + i * width);
    return MIEN_OK;
}

static mien_status list_to_floats(const mien_onnx_reader *r, const mien_onnx_tensor *t,
                                  float *out) {
    double *list;
    MIEN_TRY(mien_new(&list, t->count + 1, sizeof *list));
    const mien_status status = decode_list(r, t, list);
    for (size_t i = 0; i < t->count; i++)
        out[i] = (float)list[i];
    mien_free(list);
    return status;
}

mien_status mien_onnx_floats(const mien_onnx_op *op, int input, float **out) {
    const mien_onnx_constant *c = &op->r->values[op->in[input]].constant;
    const mien_onnx_tensor *t = c->tensor;
    mien_slice raw = {0};
    mien_status status = MIEN_OK;
    *out = NULL;
    if (!c->values) MIEN_TRY(check_values(op->r, t, &raw));
    MIEN_TRY(mien_new(out, c->count + 1, sizeof **out));
    if (c->values)
        for (size_t i = 0; i < c->count; i++)
            (*out)[i] = (float)c->values[i];
    else if (!raw.data)
        status = list_to_floats(op->r, t, *out);
    else if (t->type == MIEN_ONNX_FLOAT)
        memcpy(*out, raw.data, c->count * sizeof **out);
    else
        for (size_t i = 0; i < c->count; i++)
            (*out)[i] = (float)element(t->type, raw.data + i * width_of(t->type));
    if (status != MIEN_OK) mien_free(*out);
    return status;
}

mien_status mien_onnx_axes(const mien_onnx_op *op, int i, int rank, int *axes, int *count) {
    double list[MIEN_ONNX_RANK_MAX] = {0};
    mien_onnx_attribute a;
    size_t n = 0;
    *count = 0;
    if (mien_onnx_attribute_of(op->node, "axes", &a)) {
        n = mien_onnx_list(&a, list, MIEN_ONNX_RANK_MAX);
    } else if (mien_onnx_given(op, i)) {
        mien_onnx_value *v = &op->r->values[op->in[i]];
        if (v->kind != MIEN_ONNX_CONSTANT) return mien_onnx_refuse(op, "its axes are not constant");
        MIEN_TRY(mien_onnx_doubles(op, &v->constant));
        n = v->constant.count;
        for (size_t k = 0; k < n && k < MIEN_ONNX_RANK_MAX; k++)
            list[k] = v->constant.values[k];
    }
    if (n > (size_t)rank) return mien_onnx_refuse(op, "it names more axes than there are");
    for (size_t k = 0; k < n; k++) {
        const double axis = list[k] < 0 ? list[k] + rank : list[k];
        if (!(axis >= 0 && axis < rank))
            return mien_onnx_refuse(op, "it names an axis that is not");
        axes[k] = (int)axis;
        for (size_t e = 0; e < k; e++)
            if (axes[e] == axes[k]) return mien_onnx_refuse(op, "it names an axis twice");
    }
    *count = (int)n;
    return MIEN_OK;
}
