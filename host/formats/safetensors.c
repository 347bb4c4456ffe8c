#include "host/formats/safetensors.h"

#include <stdint.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/memory.h"

static const size_t header_limit = 100u * 1000 * 1000;
static const char *const type_names[] = {"F32", "F64", "I64", "I8"};
static const size_t type_bytes[] = {4, 8, 8, 1};
enum { TYPES = sizeof type_bytes / sizeof type_bytes[0] };

static mien_status bad(const char *source, const char *name, const char *what) {
    return MIEN_FAIL(FORMAT, "%s: tensor '%s': %s", source, name, what);
}

/* A non-negative whole number that a double holds exactly. */
static bool whole(const mien_value *v, long long *out) {
    if (!v || v->kind != MIEN_VALUE_NUMBER || v->number < 0 || v->number > 9007199254740992.0)
        return false;
    *out = (long long)v->number;
    return (double)*out == v->number;
}

/* What a tensor's numbers may be taken from. */
typedef struct sections {
    const char *data, *file; /* the container's own, and NULL or the file that it is of */
    size_t data_size, file_size;
    size_t expected; /* where the next tensor's data must begin */
} sections;

/* Data in the file instead of the container. */
static mien_status parse_offset(const mien_value *at, const char *source, const sections *from,
                                mien_st_tensor *t) {
    const size_t bytes = t->count * type_bytes[t->type];
    long long offset;
    if (!whole(at, &offset) || bytes > from->file_size ||
        (unsigned long long)offset > from->file_size - bytes)
        return bad(source, t->name, "its file_offset does not match its shape and the file");
    t->data = from->file + offset;
    return MIEN_OK;
}

static mien_status parse_tensor(const mien_value *v, const char *source, sections *from,
                                mien_st_tensor *t) {
    const mien_value *in_file = from->file ? mien_value_get(v, "file_offset") : NULL;
    const size_t most = in_file ? from->file_size : from->data_size;
    t->name = v->key;
    const char *type = mien_value_string(v, "dtype");
    size_t k = 0;
    while (k < TYPES && !(type && strcmp(type, type_names[k]) == 0))
        k++;
    if (k == TYPES) return bad(source, t->name, "its type is not F32, F64, I64 or I8");
    t->type = (mien_st_type)k;
    const mien_value *shape = mien_value_get(v, "shape"), *at = mien_value_get(v, "data_offsets");
    if (!shape || shape->kind != MIEN_VALUE_LIST || shape->count > MIEN_RANK_MAX)
        return bad(source, t->name, "its shape is missing or has more than 8 dimensions");
    t->count = 1;
    for (const mien_value *s = shape->first; s; s = s->next) {
        long long *size = &t->shape[t->rank++];
        if (!whole(s, size))
            return bad(source, t->name, "its shape is not a list of whole numbers");
        if (*size && t->count > most / (size_t)*size)
            return bad(source, t->name, "its shape is larger than the file");
        t->count *= (size_t)*size;
    }
    long long begin, end;
    if (!at || at->kind != MIEN_VALUE_LIST || at->count != 2 || !whole(at->first, &begin) ||
        !whole(at->last, &end))
        return bad(source, t->name, "its data_offsets are missing or damaged");
    if ((size_t)begin != from->expected || end < begin || (size_t)end > from->data_size ||
        (size_t)(end - begin) != (in_file ? 0 : t->count * type_bytes[k]))
        return bad(source, t->name, "its data_offsets do not match its shape and the file");
    if (in_file) return parse_offset(in_file, source, from, t);
    from->expected = (size_t)end;
    t->data = from->data + begin;
    return MIEN_OK;
}

mien_status mien_safetensors_parse(const char *bytes, size_t size, const char *source,
                                   mien_safetensors *out) {
    return mien_safetensors_parse_over(bytes, size, source, NULL, 0, out);
}

mien_status mien_safetensors_parse_over(const char *bytes, size_t size, const char *source,
                                        const char *file, size_t file_size, mien_safetensors *out) {
    *out = (mien_safetensors){0};
    uint64_t length = 0;
    if (size >= 8)
        for (int i = 7; i >= 0; i--)
            length = length << 8 | (unsigned char)bytes[i];
    if (size < 8 || length > header_limit || length > size - 8)
        return MIEN_FAIL(FORMAT, "%s: not a safetensors file (its header is too long)", source);
    MIEN_TRY(mien_json_parse(bytes + 8, (size_t)length, source, &out->tree));
    const mien_value *root = out->tree.root;
    if (root->kind != MIEN_VALUE_MAP)
        return MIEN_FAIL(FORMAT, "%s: not a safetensors file (its header is not a JSON object)",
                         source);
    MIEN_TRY(mien_new(&out->tensors, root->count, sizeof *out->tensors));
    sections from = {.data = bytes + 8 + length,
                     .data_size = size - 8 - (size_t)length,
                     .file = file,
                     .file_size = file_size};
    for (const mien_value *v = root->first; v; v = v->next) {
        if (strcmp(v->key, "__metadata__") == 0) {
            out->metadata = v;
            for (const mien_value *m = v->first; m; m = m->next)
                if (m->kind != MIEN_VALUE_STRING)
                    return MIEN_FAIL(FORMAT, "%s: metadata '%s' is not a string", source,
                                     m->key ? m->key : "");
            continue;
        }
        MIEN_TRY(parse_tensor(v, source, &from, &out->tensors[out->count]));
        out->count++;
    }
    if (from.expected != from.data_size)
        return MIEN_FAIL(FORMAT, "%s: there are data after the last tensor", source);
    return MIEN_OK;
}

void mien_safetensors_release(mien_safetensors *container) {
    mien_tree_release(&container->tree);
    mien_free(container->tensors);
    *container = (mien_safetensors){0};
}

const mien_st_tensor *mien_safetensors_find(const mien_safetensors *container, const char *name) {
    for (size_t i = 0; i < container->count; i++)
        if (strcmp(container->tensors[i].name, name) == 0) return &container->tensors[i];
    return NULL;
}

const char *mien_safetensors_meta(const mien_safetensors *container, const char *key) {
    return mien_value_string(container->metadata, key);
}

mien_status mien_st_floats(const mien_st_tensor *tensor, float *out, size_t count) {
    if (tensor->count != count)
        return MIEN_FAIL(INVALID, "'%s' has %zu values instead of %zu", tensor->name, tensor->count,
                         count);
    const char *from = tensor->data;
    if (tensor->type == MIEN_ST_F32 && count) memcpy(out, from, 4 * count);
    for (size_t i = 0; tensor->type != MIEN_ST_F32 && i < count; i++) {
        double d;
        int64_t n;
        switch (tensor->type) {
        case MIEN_ST_F32:
            break; /* done above */
        case MIEN_ST_F64:
            memcpy(&d, from + 8 * i, 8);
            out[i] = (float)d;
            break;
        case MIEN_ST_I64:
            memcpy(&n, from + 8 * i, 8);
            out[i] = (float)n;
            break;
        case MIEN_ST_I8:
            out[i] = (float)(signed char)from[i];
            break;
        }
    }
    return MIEN_OK;
}

static size_t entry_bytes(const mien_st_entry *e) {
    size_t n = type_bytes[e->type];
    for (int i = 0; i < e->rank; i++)
        n *= (size_t)e->shape[i];
    return n;
}

mien_status mien_safetensors_compose(const mien_st_entry *entries, size_t count,
                                     const mien_st_meta *metadata, size_t meta_count,
                                     mien_text *out) {
    mien_text header = {0};
    mien_json json = {.text = &header};
    size_t at = 0;
    mien_json_open(&json, NULL, '{');
    mien_json_open(&json, "__metadata__", '{');
    for (size_t i = 0; i < meta_count; i++)
        mien_json_string(&json, metadata[i].key, metadata[i].value);
    mien_json_close(&json, '}');
    for (size_t i = 0; i < count; i++) {
        const size_t bytes = entry_bytes(&entries[i]);
        mien_json_open(&json, entries[i].name, '{');
        mien_json_string(&json, "dtype", type_names[entries[i].type]);
        mien_json_open(&json, "shape", '[');
        for (int k = 0; k < entries[i].rank; k++)
            mien_json_integer(&json, NULL, entries[i].shape[k]);
        mien_json_close(&json, ']');
        mien_json_open(&json, "data_offsets", '[');
        mien_json_integer(&json, NULL, (long long)at);
        mien_json_integer(&json, NULL, (long long)(at += bytes));
        mien_json_close(&json, ']');
        mien_json_close(&json, '}');
    }
    mien_json_close(&json, '}');
    while (header.status == MIEN_OK && header.size % 8)
        mien_text_puts(&header, " ");
    /* at once, not by doubling */
    if (header.status == MIEN_OK) mien_text_reserve(out, sizeof(uint64_t) + header.size + at);
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(header.size >> (8 * i));
    mien_text_append(out, length, sizeof length);
    mien_text_append(out, header.data, header.size);
    for (size_t i = 0; i < count; i++)
        mien_text_append(out, entries[i].data, entry_bytes(&entries[i]));
    const mien_status status = header.status != MIEN_OK ? header.status : out->status;
    mien_text_release(&header);
    return status == MIEN_OK ? MIEN_OK : MIEN_FAIL(NO_MEMORY, "out of memory for a model file");
}
