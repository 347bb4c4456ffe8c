/* Container to HDF5: builds the file in memory the way h5py and Keras lay it out.
 * The output is deterministic: time stamps are off, and objects are created in the container's
 * order.
 */
#include "host/h5/container.h"
#include "host/h5/convert.h"
#include "host/h5/text.h"

#include <hdf5.h>
#include <json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The space for an attribute's value in a 64 KiB object header message. This is Keras's number, so
 * that lists are split where Keras splits them. */
#define MAX_INLINE      64512u
#define MAX_ATTR_NAME   512
#define GROWTH          ((size_t)1 << 20)
#define GROUP_KEY       "group:"
#define ATTR_KEY        "attr:"
#define KEY_IS(key, is) (strncmp((key), (is), sizeof(is) - 1) == 0)

struct writer {
    struct container in;
    struct h5_error *err;
    hid_t file;
    hid_t untimed; /* data set creation properties without time stamps */
};

/* One attribute while it is written. */
struct target {
    struct h5_error *err;
    const char *path;
    const char *name;
    hid_t object;
};

static bool fail(const struct target *t, const char *what) {
    return h5_fail(t->err, "The attribute '%.100s' of '%.200s' %s.", t->name, t->path, what);
}

/* A property list that marks a name as UTF-8 if it is not plain ASCII, as h5py does. */
static hid_t name_properties(hid_t class, const char *name) {
    const hid_t list = H5Pcreate(class);
    if (list >= 0 && !h5_is_ascii(name)) H5Pset_char_encoding(list, H5T_CSET_UTF8);
    return list;
}

/* Creates a group if it does not exist; its parent must exist. */
static bool make_group(struct writer *w, const char *path) {
    const htri_t exists = H5Lexists(w->file, path, H5P_DEFAULT);
    if (exists > 0) return true;
    const hid_t links = name_properties(H5P_LINK_CREATE, path);
    const hid_t group = exists < 0 || links < 0
                            ? H5I_INVALID_HID
                            : H5Gcreate2(w->file, path, links, H5P_DEFAULT, H5P_DEFAULT);
    if (links >= 0) H5Pclose(links);
    if (group < 0) return h5_fail(w->err, "The group '%.300s' cannot be made.", path);
    H5Gclose(group);
    return true;
}

/* Creates every group above `path`. */
static bool make_parents(struct writer *w, const char *path) {
    char *const prefix = strdup(path);
    if (!prefix) return h5_fail(w->err, "There is not enough memory for the groups.");
    bool ok = true;
    for (char *slash = strchr(prefix + 1, '/'); ok && slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        ok = make_group(w, prefix);
        *slash = '/';
    }
    free(prefix);
    return ok;
}

/* First pass over the metadata: every group, and no key of an unknown kind. */
static bool write_groups(struct writer *w) {
    json_object_object_foreach(w->in.metadata, key, value) {
        (void)value;
        if (KEY_IS(key, ATTR_KEY)) continue;
        const char *const path = key + sizeof GROUP_KEY - 1;
        if (!KEY_IS(key, GROUP_KEY) || (strcmp(path, "/") != 0 && !h5_path_valid(path)))
            return h5_fail(w->err,
                           "The container's metadata entry '%.300s' is not a valid group "
                           "or attribute.",
                           key);
        if (strcmp(path, "/") == 0) continue;
        if (!make_parents(w, path) || !make_group(w, path)) return false;
    }
    return true;
}

static hid_t data_type(enum tensor_type type) {
    return type == TENSOR_F32   ? H5T_IEEE_F32LE
           : type == TENSOR_F64 ? H5T_IEEE_F64LE
                                : H5T_STD_I64LE;
}

/* Writes one data set; a rank of 0 makes it a scalar, as h5py does. */
static bool write_dataset(struct writer *w, const struct tensor *t) {
    if (!make_parents(w, t->name)) return false;
    hsize_t shape[H5_MAX_RANK] = {0};
    for (unsigned i = 0; i < t->rank; i++) {
        shape[i] = t->shape[i];
    }
    const hid_t type = data_type(t->type);
    const hid_t space =
        t->rank ? H5Screate_simple((int)t->rank, shape, NULL) : H5Screate(H5S_SCALAR);
    const hid_t links = name_properties(H5P_LINK_CREATE, t->name);
    const hid_t set = space < 0 || links < 0 ? H5I_INVALID_HID
                                             : H5Dcreate2(w->file, t->name, type, space, links,
                                                          w->untimed, H5P_DEFAULT);
    const unsigned char *const data = w->in.data + t->offset;
    const bool ok = set >= 0 && (t->bytes == 0 ||
                                 H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    if (set >= 0) H5Dclose(set);
    if (links >= 0) H5Pclose(links);
    if (space >= 0) H5Sclose(space);
    return ok ? true : h5_fail(w->err, "The data set '%.300s' cannot be written.", t->name);
}

/* Creates and writes one attribute. */
static bool put_attribute(const struct target *t, const char *name, hid_t type, hid_t space,
                          const void *data) {
    const hid_t properties = name_properties(H5P_ATTRIBUTE_CREATE, name);
    const hid_t attribute = type < 0 || space < 0 || properties < 0
                                ? H5I_INVALID_HID
                                : H5Acreate2(t->object, name, type, space, properties, H5P_DEFAULT);
    const bool ok = attribute >= 0 && (!data || H5Awrite(attribute, type, data) >= 0);
    if (attribute >= 0) H5Aclose(attribute);
    if (properties >= 0) H5Pclose(properties);
    return ok ? true : fail(t, "cannot be written");
}

/* Writes `count` elements, or a scalar when `list` is false. */
static bool put_values(const struct target *t, const char *name, hid_t type, bool list,
                       size_t count, const void *data) {
    const hsize_t length = count;
    const hid_t space = list ? H5Screate_simple(1, &length, NULL) : H5Screate(H5S_SCALAR);
    const bool ok = put_attribute(t, name, type, space, data);
    if (space >= 0) H5Sclose(space);
    return ok;
}

/* A single string is stored in the global heap, which has no length limit: a model's JSON may be
 * large. */
static bool put_string(const struct target *t, const char *text) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    const bool ready =
        type >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0;
    const bool ok =
        ready ? put_values(t, t->name, type, false, 1, &text) : fail(t, "cannot be written");
    if (type >= 0) H5Tclose(type);
    return ok;
}

/* Writes a table of equal fields as one attribute, or as Keras does when it does not fit an object
 * header: as NAME0, NAME1, ... in the fewest nearly equal parts (numpy's array_split) that fit. */
static bool put_fields(const struct target *t, hid_t type, const char *fields, size_t size,
                       size_t count) {
    if (size * count <= MAX_INLINE) return put_values(t, t->name, type, true, count, fields);
    const size_t most = MAX_INLINE / size;
    const size_t parts = (count + most - 1) / most;
    size_t at = 0;
    for (size_t part = 0; part < parts; part++) {
        const size_t length = count / parts + (part < count % parts);
        char name[MAX_ATTR_NAME + 24];
        snprintf(name, sizeof name, "%s%zu", t->name, part);
        if (!put_values(t, name, type, true, length, fields + at * size)) return false;
        at += length;
    }
    return true;
}

/* A list of strings is stored as h5py stores a numpy 'S' array: as null-padded fields. */
static bool put_strings(const struct target *t, struct json_object *list, size_t count) {
    size_t size = 1; /* HDF5 has no empty fields */
    bool ascii = true;
    for (size_t i = 0; i < count; i++) {
        struct json_object *const item = json_object_array_get_idx(list, i);
        if (!json_object_is_type(item, json_type_string)) return fail(t, "mixes kinds of values");
        const size_t length = (size_t)json_object_get_string_len(item);
        ascii = ascii && h5_is_ascii(json_object_get_string(item));
        if (length > size) size = length;
    }
    if (size > MAX_INLINE) return fail(t, "holds a list with a string above 64,512 bytes");
    if (size > SIZE_MAX / count) return fail(t, "is too large");
    char *const fields = calloc(count, size);
    const hid_t type = H5Tcopy(H5T_C_S1);
    const H5T_cset_t set = ascii ? H5T_CSET_ASCII : H5T_CSET_UTF8;
    const bool ready = fields && type >= 0 && H5Tset_size(type, size) >= 0 &&
                       H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 && H5Tset_cset(type, set) >= 0;
    for (size_t i = 0; ready && i < count; i++) {
        struct json_object *const item = json_object_array_get_idx(list, i);
        memcpy(fields + i * size, json_object_get_string(item),
               (size_t)json_object_get_string_len(item));
    }
    const bool ok = ready ? put_fields(t, type, fields, size, count) : fail(t, "is too large");
    if (type >= 0) H5Tclose(type);
    free(fields);
    return ok;
}

/* Numbers become 64-bit integers when all are integers, else doubles. */
static bool put_numbers(const struct target *t, struct json_object *value, bool list,
                        size_t count) {
    if (count * 8 > MAX_INLINE) return fail(t, "holds too many numbers");
    union number {
        int64_t whole;
        double real;
    } *const numbers = calloc(count, sizeof *numbers);
    if (!numbers) return fail(t, "is too large");
    bool whole = true;
    bool ok = true;
    for (size_t i = 0; i < count; i++) {
        struct json_object *const item = list ? json_object_array_get_idx(value, i) : value;
        const bool is_int = json_object_is_type(item, json_type_int);
        if (!is_int && !json_object_is_type(item, json_type_double))
            ok = fail(t, "holds something other than strings or numbers");
        /* json-c stores integers above 63 bits as unsigned. */
        if (is_int && json_object_get_int64(item) >= 0 &&
            json_object_get_uint64(item) > (uint64_t)INT64_MAX)
            ok = fail(t, "holds an integer above 63 bits");
        whole = whole && is_int;
    }
    for (size_t i = 0; ok && i < count; i++) {
        struct json_object *const item = list ? json_object_array_get_idx(value, i) : value;
        if (whole)
            numbers[i].whole = json_object_get_int64(item);
        else
            numbers[i].real = json_object_get_double(item);
    }
    const hid_t native = whole ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE;
    ok = ok && put_values(t, t->name, native, list, count, numbers);
    free(numbers);
    return ok;
}

/* Writes a value of any of the kinds that the container may hold. */
static bool put_json(const struct target *t, struct json_object *value) {
    if (json_object_is_type(value, json_type_string)) {
        return put_string(t, json_object_get_string(value));
    }
    if (!json_object_is_type(value, json_type_array)) return put_numbers(t, value, false, 1);
    const size_t count = json_object_array_length(value);
    /* For an empty list h5py writes numpy's empty array, whose type is double. */
    if (count == 0) return put_values(t, t->name, H5T_IEEE_F64LE, true, 0, NULL);
    struct json_object *const first = json_object_array_get_idx(value, 0);
    if (json_object_is_type(first, json_type_string)) return put_strings(t, value, count);
    return put_numbers(t, value, true, count);
}

/* Writes the attribute that one metadata entry describes. */
static bool write_attribute(struct writer *w, const char *key, const char *text) {
    char *const path = strdup(key + sizeof ATTR_KEY - 1);
    if (!path) return h5_fail(w->err, "There is not enough memory for the attributes.");
    char *const mark = strrchr(path, '@');
    if (mark) *mark = '\0';
    const bool named = mark && mark[1] && strlen(mark + 1) <= MAX_ATTR_NAME;
    bool ok = named && (strcmp(path, "/") == 0 || h5_path_valid(path));
    if (!ok) h5_fail(w->err, "The container's metadata entry '%.300s' is malformed.", key);
    struct json_object *const value = ok ? container_json(text) : NULL;
    if (ok) {
        struct target t = {.err = w->err, .path = path, .name = mark + 1};
        t.object = H5Oopen(w->file, path, H5P_DEFAULT);
        if (t.object < 0)
            ok = fail(&t, "belongs to no group or data set");
        else
            ok = value ? put_json(&t, value) : fail(&t, "is not valid JSON");
        if (t.object >= 0) H5Oclose(t.object);
    }
    json_object_put(value);
    free(path);
    return ok;
}

static bool write_attributes(struct writer *w) {
    json_object_object_foreach(w->in.metadata, key, value) {
        if (KEY_IS(key, ATTR_KEY) && !write_attribute(w, key, json_object_get_string(value)))
            return false;
    }
    return true;
}

/* Creates the file in memory and fills it. */
static bool write_all(struct writer *w) {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    w->untimed = H5Pcreate(H5P_DATASET_CREATE);
    if (access < 0 || w->untimed < 0 || H5Pset_obj_track_times(w->untimed, false) < 0 ||
        H5Pset_fapl_core(access, GROWTH, 0) < 0)
        return h5_fail(w->err, "The HDF5 library cannot be prepared.");
    w->file = H5Fcreate("/image", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (w->file < 0) return h5_fail(w->err, "The HDF5 file cannot be made.");
    if (!write_groups(w)) return false;
    for (size_t i = 0; i < w->in.count; i++) {
        if (!write_dataset(w, &w->in.tensors[i])) return false;
    }
    return write_attributes(w);
}

/* Copies the finished file out of the library. */
static bool take_image(const struct writer *w, struct h5_bytes *out) {
    const bool flushed = H5Fflush(w->file, H5F_SCOPE_LOCAL) >= 0;
    const ssize_t size = flushed ? H5Fget_file_image(w->file, NULL, 0) : -1;
    out->data = size > 0 ? malloc((size_t)size) : NULL;
    if (!out->data || H5Fget_file_image(w->file, out->data, (size_t)size) != size)
        return h5_fail(w->err, "There is not enough memory for the HDF5 file.");
    out->size = (size_t)size;
    return true;
}

bool h5_write(struct h5_bytes *in, struct h5_bytes *out, struct h5_error *err) {
    struct writer w = {.err = err, .file = H5I_INVALID_HID, .untimed = H5I_INVALID_HID};
    const bool ok = container_parse(&w.in, *in, err) && write_all(&w);
    container_free(&w.in);
    free(in->data);
    *in = (struct h5_bytes){NULL, 0};
    return ok && take_image(&w, out);
}
