/* HDF5 to container: walks the hard links of a file image and copies every data set out.
 *
 * Two passes: the first finds groups, attributes and data sets and checks what they claim, the
 * second reads each data set directly into the output.  Nothing is allocated for a
 * claim before it has been checked against the size of the input.
 */
#include "host/h5/attr.h"
#include "host/h5/container.h"
#include "host/h5/convert.h"
#include "host/h5/text.h"

#include <stdlib.h>
#include <string.h>

/* deflate shrinks by at most 1032 to 1, so more than this cannot have come from real data. */
#define MAX_EXPANSION UINT64_C(1100)
#define SMALL_FILE    (UINT64_C(64) << 20)
#define MAX_DATA      (UINT64_C(1536) << 20)
#define SEEN_SLOTS    (1u << 18) /* more than twice H5_MAX_OBJECTS keeps probing short */

struct reader {
    struct container out;
    struct attr_reader attrs;
    struct h5_error *err;
    size_t input_bytes;
    bool locate;
    uint64_t data_bytes;
    uint64_t data_limit;
    haddr_t *seen; /* hash set of object addresses, 0 for a free slot; stored plus one */
    size_t objects;
    size_t depth;
    size_t path_length; /* 0 at the root */
    char path[H5_MAX_PATH];
};

static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *info, void *data);

static const char *shown_path(const struct reader *r) {
    return r->path_length ? r->path : "/";
}

static bool fail(struct reader *r, const char *what) {
    return h5_fail(r->err, "The object '%.300s' %s.", shown_path(r), what);
}

/* Each object may be reached only once: a second path means a cycle or repeated work. */
static bool mark_seen(struct reader *r, haddr_t address) {
    if (++r->objects > H5_MAX_OBJECTS)
        return fail(r, "exceeds the 100,000 objects that this converter reads");
    const haddr_t key = address + 1;
    size_t slot = (size_t)(key * UINT64_C(0x9E3779B97F4A7C15) >> 46) % SEEN_SLOTS;
    while (r->seen[slot] != 0) {
        if (r->seen[slot] == key)
            return fail(r, "is a second hard link to an object, which is not supported");
        slot = (slot + 1) % SEEN_SLOTS;
    }
    r->seen[slot] = key;
    return true;
}

static bool read_attributes(struct reader *r, hid_t object) {
    r->attrs.path = shown_path(r);
    return attr_read_all(&r->attrs, object);
}

/* Notes a group and walks its links. */
static bool visit_group(struct reader *r, hid_t group) {
    char key[sizeof "group:" + H5_MAX_PATH] = "group:";
    strcat(key, shown_path(r));
    if (!container_note(&r->out, key, "", r->err) || !read_attributes(r, group)) return false;
    r->depth++;
    const herr_t walked = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_link, r);
    r->depth--;
    return walked >= 0 ? true : fail(r, "is damaged");
}

/* Chooses the container's type for a data set's type. */
static bool choose_type(struct reader *r, hid_t type, struct tensor *t) {
    const H5T_class_t kind = H5Tget_class(type);
    const size_t size = H5Tget_size(type);
    if (kind == H5T_FLOAT && size >= 1 && size <= 4) {
        t->type = TENSOR_F32;
    } else if (kind == H5T_FLOAT && size <= 8) {
        t->type = TENSOR_F64;
    } else if (kind == H5T_INTEGER && size <= 8) {
        t->type = TENSOR_I64;
    } else {
        static const char *const names[] = {"integer",   "float",           "time",     "string",
                                            "bit field", "opaque",          "compound", "reference",
                                            "enum",      "variable-length", "array"};
        const bool known = kind >= 0 && (size_t)kind < sizeof names / sizeof names[0];
        return h5_fail(r->err,
                       "The data set '%.300s' has the type '%s' of %zu bytes, which is not "
                       "supported.",
                       r->path, known ? names[kind] : "unknown", size);
    }
    return true;
}

/* Reads the claimed shape and charges it against what a file of this size may unpack to. */
static bool choose_shape(struct reader *r, hid_t space, struct tensor *t) {
    const H5S_class_t kind = H5Sget_simple_extent_type(space);
    const int rank = H5Sget_simple_extent_ndims(space);
    if (kind != H5S_SCALAR && kind != H5S_SIMPLE) return fail(r, "has no elements to read");
    if (rank < 0 || rank > H5_MAX_RANK) return fail(r, "has more than 8 dimensions");
    hsize_t shape[H5_MAX_RANK] = {0};
    if (rank > 0 && H5Sget_simple_extent_dims(space, shape, NULL) != rank)
        return fail(r, "is damaged");
    t->rank = (unsigned)rank;
    for (unsigned i = 0; i < t->rank; i++) {
        t->shape[i] = shape[i];
        /* Even next to an empty axis, a length must be one that the container can store. */
        if (shape[i] >= INT64_MAX) return fail(r, "claims an impossible shape");
    }
    if (!tensor_measure(t) || t->bytes > r->data_limit - r->data_bytes)
        return fail(r, "claims more data than a file of this size can hold");
    r->data_bytes += t->bytes;
    return true;
}

/* Refuses storage that lies outside the file or needs code that is not built in. */
static bool check_storage(struct reader *r, hid_t properties) {
    const H5D_layout_t layout = H5Pget_layout(properties);
    if (layout == H5D_VIRTUAL) return fail(r, "is a virtual data set, which is not supported");
    if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED)
        return fail(r, "has an unknown storage layout");
    if (H5Pget_external_count(properties) != 0)
        return fail(r, "keeps its data in an external file, which is not supported");
    const int filters = H5Pget_nfilters(properties);
    if (filters < 0) return fail(r, "is damaged");
    for (int i = 0; i < filters; i++) {
        unsigned flags = 0;
        size_t values = 0;
        const H5Z_filter_t filter =
            H5Pget_filter2(properties, (unsigned)i, &flags, &values, NULL, 0, NULL, NULL);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
            filter != H5Z_FILTER_FLETCHER32)
            return fail(r, "uses a filter other than deflate, shuffle and fletcher32");
    }
    return true;
}

/* Notes where the input has a data set's numbers as the container would hold them, if it does so in
 * one piece. */
static void locate(const struct reader *r, hid_t dataset, hid_t type, hid_t properties,
                   struct tensor *t) {
    if (!r->locate || t->bytes == 0 || t->bytes > r->input_bytes ||
        H5Pget_layout(properties) != H5D_CONTIGUOUS || H5Tequal(type, H5T_IEEE_F32LE) <= 0 ||
        H5Dget_storage_size(dataset) != t->bytes)
        return;
    const haddr_t at = H5Dget_offset(dataset);
    t->in_file = at != HADDR_UNDEF && at <= r->input_bytes - t->bytes;
    t->file_offset = at;
}

/* Notes a data set; its data is read later. */
static bool visit_dataset(struct reader *r, hid_t dataset) {
    const hid_t type = H5Dget_type(dataset);
    const hid_t space = H5Dget_space(dataset);
    const hid_t properties = H5Dget_create_plist(dataset);
    struct tensor t = {.name = r->path};
    bool ok = type >= 0 && space >= 0 && properties >= 0 ? true : fail(r, "is damaged");
    ok = ok && choose_type(r, type, &t) && check_storage(r, properties);
    ok = ok && choose_shape(r, space, &t);
    if (ok) locate(r, dataset, type, properties, &t);
    ok = ok && container_add(&r->out, &t, r->err);
    ok = ok && read_attributes(r, dataset);
    if (properties >= 0) H5Pclose(properties);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return ok;
}

/* Opens what a hard link names and visits it. */
static bool visit_object(struct reader *r, hid_t group, const char *name) {
    const hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0) return fail(r, "is damaged");
    H5O_info_t info;
    bool ok = H5Oget_info2(object, &info, H5O_INFO_BASIC) >= 0 ? true : fail(r, "is damaged");
    ok = ok && mark_seen(r, info.addr);
    if (ok && info.type == H5O_TYPE_GROUP)
        ok = visit_group(r, object);
    else if (ok && info.type == H5O_TYPE_DATASET)
        ok = visit_dataset(r, object);
    else if (ok)
        ok = fail(r, "is neither a group nor a data set");
    H5Oclose(object);
    return ok;
}

/* H5Literate's callback; a negative result ends the walk. */
static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *info, void *data) {
    struct reader *const r = data;
    const size_t before = r->path_length;
    const size_t length = strlen(name);
    if (!h5_name_valid(name, length) || before + length + 2 > sizeof r->path) {
        h5_fail(r->err, "The group '%.300s' holds a link whose name is not usable.", shown_path(r));
        return -1;
    }
    r->path[before] = '/';
    memcpy(r->path + before + 1, name, length + 1);
    r->path_length = before + 1 + length;
    if (r->depth > H5_MAX_DEPTH) {
        fail(r, "is nested too deeply");
        return -1;
    }
    const bool ok =
        info->type == H5L_TYPE_HARD
            ? visit_object(r, group, name)
            : fail(r, "is a soft, external or user-defined link, which is not followed");
    r->path_length = before;
    r->path[before] = '\0';
    return ok ? 0 : -1;
}

/* Copies one data set to its offset in the output. */
static bool read_data(struct reader *r, hid_t file, const struct tensor *t) {
    const hid_t dataset = H5Dopen2(file, t->name, H5P_DEFAULT);
    const hid_t type = dataset < 0 ? H5I_INVALID_HID : H5Dget_type(dataset);
    const bool is_unsigned = t->type == TENSOR_I64 && H5Tget_sign(type) == H5T_SGN_NONE;
    const hid_t memory = t->type == TENSOR_F32   ? H5T_IEEE_F32LE
                         : t->type == TENSOR_F64 ? H5T_IEEE_F64LE
                         : is_unsigned           ? H5T_STD_U64LE
                                                 : H5T_STD_I64LE;
    unsigned char *const at = r->out.data + t->offset;
    bool ok = type >= 0 && H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, at) >= 0;
    if (!ok) h5_fail(r->err, "The data of '%.300s' cannot be read.", t->name);
    for (uint64_t i = 7; ok && is_unsigned && i < t->bytes; i += 8) {
        if (at[i] & 0x80)
            ok = h5_fail(r->err, "The data set '%.300s' holds a number above 63 bits.", t->name);
    }
    if (type >= 0) H5Tclose(type);
    if (dataset >= 0) H5Dclose(dataset);
    return ok;
}

/* The image callbacks hand the library our own block instead of copies of it: an input may be
 * nearly as large as the memory this process is allowed. */
static void *image_malloc(size_t size, H5FD_file_image_op_t op, void *data) {
    (void)op;
    const struct h5_bytes *const in = data;
    return size == in->size ? in->data : NULL;
}

static void *image_memcpy(void *to, const void *from, size_t size, H5FD_file_image_op_t op,
                          void *data) {
    (void)op;
    (void)data;
    /* The library asks to copy the block onto itself. */
    return to == from ? to : memcpy(to, from, size);
}

static void *image_realloc(void *block, size_t size, H5FD_file_image_op_t op, void *data) {
    (void)block;
    (void)size;
    (void)op;
    (void)data;
    return NULL; /* a file opened for reading never grows */
}

static herr_t image_free(void *block, H5FD_file_image_op_t op, void *data) {
    (void)block;
    (void)op;
    (void)data;
    return 0;
}

static void *share_data(void *data) {
    return data;
}

static herr_t release_data(void *data) {
    (void)data;
    return 0;
}

/* Opens the image in memory, without a file. */
static hid_t open_image(struct h5_bytes *in) {
    H5FD_file_image_callbacks_t callbacks = {
        .image_malloc = image_malloc,
        .image_memcpy = image_memcpy,
        .image_realloc = image_realloc,
        .image_free = image_free,
        .udata_copy = share_data,
        .udata_free = release_data,
        .udata = in,
    };
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0 || H5Pset_fapl_core(access, 1 << 20, 0) < 0 ||
        H5Pset_file_image_callbacks(access, &callbacks) < 0 ||
        H5Pset_file_image(access, in->data, in->size) < 0)
        return H5I_INVALID_HID;
    /* An absolute name, because for a relative one the library looks up the current directory. */
    return H5Fopen("/image", H5F_ACC_RDONLY, access);
}

/* Walks the file and then copies the data. */
static bool convert(struct reader *r, hid_t file, h5_allocate *allocate, struct h5_bytes *out) {
    const hid_t root = H5Gopen2(file, "/", H5P_DEFAULT);
    H5O_info_t info;
    if (root < 0 || H5Oget_info2(root, &info, H5O_INFO_BASIC) < 0) return fail(r, "is damaged");
    if (!mark_seen(r, info.addr) || !visit_group(r, root)) return false;
    if (!container_store(&r->out, allocate, out, r->err)) return false;
    for (size_t i = 0; i < r->out.count; i++) {
        const struct tensor *const t = &r->out.tensors[i];
        if (t->bytes > 0 && !t->in_file && !read_data(r, file, t)) return false;
    }
    return true;
}

bool h5_read(struct h5_bytes *in, bool locate, h5_allocate *allocate, struct h5_bytes *out,
             struct h5_error *err) {
    struct reader *const r = calloc(1, sizeof *r);
    if (!r) return h5_fail(err, "There is not enough memory to read the file.");
    r->err = err;
    r->attrs.out = &r->out;
    r->attrs.err = err;
    r->input_bytes = in->size;
    r->locate = locate;
    r->data_limit = MAX_EXPANSION * in->size;
    if (r->data_limit < SMALL_FILE) r->data_limit = SMALL_FILE;
    if (r->data_limit > MAX_DATA) r->data_limit = MAX_DATA;
    r->seen = calloc(SEEN_SLOTS, sizeof *r->seen);
    bool ok = container_init(&r->out, err);
    if (!r->seen) ok = h5_fail(err, "There is not enough memory to read the file.");
    const hid_t file = ok && in->size > 0 ? open_image(in) : H5I_INVALID_HID;
    if (ok && file < 0) ok = h5_fail(err, "The input is not an HDF5 file or is cut short.");
    /* The file is never closed, because closing would run more library code on hostile data. */
    ok = ok && convert(r, file, allocate, out);
    container_free(&r->out);
    free(r->seen);
    free(r);
    return ok;
}
