/* HDF5 attributes as JSON text.
 *
 * Keras keeps the model's JSON and the order of its layers and weights in attributes, so these
 * are kept whole or the file is refused; only kinds that it never uses (compound values, enums,
 * references, tables) are left out.
 */
#include "host/h5/attr.h"

#include <json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ATTR_BYTES   (UINT64_C(64) << 20)
#define MAX_STRING_BYTES (UINT64_C(32) << 20)
#define MAX_LIST_LENGTH  UINT64_C(1000000) /* a JSON object each, far above any model's layers */
#define JSON_STYLE       (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

/* One attribute while it is read. */
struct attr {
    struct attr_reader *reader;
    const char *name;
    hid_t id;
    hid_t type;
    hid_t space;
    uint64_t count;
    bool list;
};

static bool fail(const struct attr *a, const char *what) {
    return h5_fail(a->reader->err, "The attribute '%.100s' of '%.200s' %s.", a->name,
                   a->reader->path, what);
}

/* Charges the file's attribute budget. */
static bool charge(const struct attr *a, uint64_t bytes) {
    if (bytes > MAX_ATTR_BYTES || a->reader->bytes + bytes > MAX_ATTR_BYTES)
        return fail(a, "exceeds the 64 MiB that a file's attributes may take");
    a->reader->bytes += bytes;
    return true;
}

/* Adds one value to the list, or makes it the value of a scalar; takes ownership of `item`. */
static bool put(const struct attr *a, struct json_object **value, struct json_object *item) {
    if (item && !a->list) {
        *value = item;
        return true;
    }
    if (item && json_object_array_add(*value, item) == 0) return true;
    json_object_put(item);
    return fail(a, "does not fit in memory");
}

static bool put_string(const struct attr *a, struct json_object **value, const char *text,
                       size_t length) {
    if (length > MAX_STRING_BYTES) return fail(a, "holds a string above 32 MiB");
    if (!h5_utf8_valid(text, length)) return fail(a, "is not valid UTF-8");
    return put(a, value, json_object_new_string_len(text, (int)length));
}

/* A memory type for the attribute's strings: the library converts padding, not character sets. */
static hid_t string_type(const struct attr *a, size_t size) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && H5Tset_size(type, size) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 &&
        H5Tset_cset(type, H5Tget_cset(a->type)) >= 0)
        return type;
    if (type >= 0) H5Tclose(type);
    return H5I_INVALID_HID;
}

/* Strings stored in place, each in a field of the same size. */
static bool read_fixed(const struct attr *a, struct json_object **value) {
    const size_t size = H5Tget_size(a->type);
    if (size == 0 || size > MAX_STRING_BYTES) return fail(a, "holds a string above 32 MiB");
    if (!charge(a, size * a->count)) return false;
    char *const text = calloc((size_t)a->count + 1, size);
    const hid_t type = string_type(a, size);
    bool ok = text && type >= 0 && H5Aread(a->id, type, text) >= 0;
    if (!ok) fail(a, "cannot be read");
    for (uint64_t i = 0; ok && i < a->count; i++) {
        /* A NUL ends the string; the rest of the field is padding. */
        const char *const field = text + i * size;
        ok = put_string(a, value, field, strnlen(field, size));
    }
    if (type >= 0) H5Tclose(type);
    free(text);
    return ok;
}

/* Strings that the library allocates one by one from the file's heap. */
static bool read_variable(const struct attr *a, struct json_object **value) {
    char **const texts = calloc((size_t)a->count + 1, sizeof *texts);
    const hid_t type = string_type(a, H5T_VARIABLE);
    bool ok = texts && type >= 0 && H5Aread(a->id, type, texts) >= 0;
    if (!ok) fail(a, "cannot be read");
    for (uint64_t i = 0; ok && i < a->count; i++) {
        const char *const text = texts[i] ? texts[i] : "";
        const size_t length = strlen(text);
        ok = charge(a, length) && put_string(a, value, text, length);
    }
    /* The strings stay allocated: many fields may share one hostile heap entry, and the process
     * ends soon enough. */
    if (type >= 0) H5Tclose(type);
    free(texts);
    return ok;
}

/* Integers of up to 8 bytes. */
static bool read_integers(const struct attr *a, struct json_object **value) {
    const bool is_unsigned = H5Tget_sign(a->type) == H5T_SGN_NONE;
    if (!charge(a, sizeof(int64_t) * a->count)) return false;
    int64_t *const numbers = calloc((size_t)a->count + 1, sizeof *numbers);
    bool ok =
        numbers && H5Aread(a->id, is_unsigned ? H5T_NATIVE_UINT64 : H5T_NATIVE_INT64, numbers) >= 0;
    if (!ok) fail(a, "cannot be read");
    for (uint64_t i = 0; ok && i < a->count; i++) {
        if (is_unsigned && numbers[i] < 0)
            ok = fail(a, "holds a number above 63 bits");
        else
            ok = put(a, value, json_object_new_int64(numbers[i]));
    }
    free(numbers);
    return ok;
}

/* Floating-point numbers of up to 8 bytes; JSON cannot represent values that are not finite. */
static bool read_floats(const struct attr *a, struct json_object **value) {
    if (!charge(a, sizeof(double) * a->count)) return false;
    double *const numbers = calloc((size_t)a->count + 1, sizeof *numbers);
    bool ok = numbers && H5Aread(a->id, H5T_NATIVE_DOUBLE, numbers) >= 0;
    if (!ok) fail(a, "cannot be read");
    for (uint64_t i = 0; ok && i < a->count; i++) {
        if (!isfinite(numbers[i]))
            ok = fail(a, "holds a number that is not finite");
        else
            ok = put(a, value, json_object_new_double(numbers[i]));
    }
    free(numbers);
    return ok;
}

/* Finds out whether the attribute is one value or a list; false for tables and empty ones. */
static bool measure(struct attr *a) {
    const H5S_class_t kind = H5Sget_simple_extent_type(a->space);
    hsize_t length = 1;
    if (kind == H5S_SIMPLE) {
        if (H5Sget_simple_extent_ndims(a->space) != 1) return false;
        if (H5Sget_simple_extent_dims(a->space, &length, NULL) != 1) return false;
        a->list = true;
    }
    a->count = length;
    return kind == H5S_SCALAR || kind == H5S_SIMPLE;
}

/* Reads the value into `value`, which stays NULL for a kind that is left out. */
static bool read_value(const struct attr *a, struct json_object **value) {
    const H5T_class_t kind = H5Tget_class(a->type);
    const size_t size = H5Tget_size(a->type);
    const bool number = (kind == H5T_INTEGER || kind == H5T_FLOAT) && size <= 8;
    if (kind != H5T_STRING && !number) return true;
    if (a->count > MAX_LIST_LENGTH) return fail(a, "has more than a million elements");
    if (a->list) *value = json_object_new_array();
    if (a->list && !*value) return fail(a, "does not fit in memory");
    if (kind == H5T_INTEGER) return read_integers(a, value);
    if (kind == H5T_FLOAT) return read_floats(a, value);
    const htri_t variable = H5Tis_variable_str(a->type);
    if (variable < 0) return fail(a, "cannot be read");
    return variable ? read_variable(a, value) : read_fixed(a, value);
}

/* Stores the value's JSON text under the attribute's key. */
static bool note(const struct attr *a, struct json_object *value) {
    const char *const text = json_object_to_json_string_ext(value, JSON_STYLE);
    const size_t capacity = strlen(a->reader->path) + strlen(a->name) + sizeof "attr:@";
    char *const key = malloc(capacity);
    bool ok = false;
    if (text && key) {
        snprintf(key, capacity, "attr:%s@%s", a->reader->path, a->name);
        ok = container_note(a->reader->out, key, text, a->reader->err);
    } else {
        fail(a, "does not fit in memory");
    }
    free(key);
    return ok;
}

/* H5Aiterate2's callback; a negative result ends the walk. */
static herr_t visit(hid_t object, const char *name, const H5A_info_t *info, void *data) {
    (void)info;
    struct attr a = {.reader = data, .name = name};
    /* The key is split at its last '@', so a name must not contain one. */
    if (!h5_utf8_valid(name, strlen(name)) || strchr(name, '@') || !*name) {
        fail(&a, "has a name that cannot be kept");
        return -1;
    }
    a.id = H5Aopen(object, name, H5P_DEFAULT);
    a.type = a.id < 0 ? H5I_INVALID_HID : H5Aget_type(a.id);
    a.space = a.id < 0 ? H5I_INVALID_HID : H5Aget_space(a.id);
    bool ok = a.type >= 0 && a.space >= 0 ? true : fail(&a, "cannot be read");
    struct json_object *value = NULL;
    if (ok && measure(&a)) ok = read_value(&a, &value);
    if (ok && value) ok = note(&a, value);
    json_object_put(value);
    if (a.space >= 0) H5Sclose(a.space);
    if (a.type >= 0) H5Tclose(a.type);
    if (a.id >= 0) H5Aclose(a.id);
    return ok ? 0 : -1;
}

bool attr_read_all(struct attr_reader *reader, hid_t object) {
    hsize_t at = 0;
    if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &at, visit, reader) >= 0) return true;
    return h5_fail(reader->err, "The attributes of '%.200s' are damaged.", reader->path);
}
