/* HDF5 files with one peculiarity each, made with the HDF5 library itself. */
#include "tests/h5/h5_make.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/test.h"

const char h5_secret[] = "outside content that must never show";
char h5_secret_path[64];

struct blob make_h5(void (*fill)(hid_t file)) {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    assert_true(H5Pset_fapl_core(access, 4096, 0) >= 0);
    const hid_t file = H5Fcreate("made-in-memory", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    assert_true(file >= 0);
    fill(file);
    assert_true(H5Fflush(file, H5F_SCOPE_LOCAL) >= 0);
    const ssize_t size = H5Fget_file_image(file, NULL, 0);
    assert_true(size > 0);
    struct blob b = {malloc((size_t)size), (size_t)size};
    assert_non_null(b.data);
    assert_true(H5Fget_file_image(file, b.data, b.size) == size);
    H5Fclose(file);
    H5Pclose(access);
    return b;
}

/* Made on disk, because an in-memory file image of the library omits the user block. */
struct blob make_h5_after(size_t user_block, void (*fill)(hid_t file)) {
    char path[] = "/tmp/mien-h5-block-XXXXXX";
    const int fd = mkstemp(path);
    const hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    assert_true(fd >= 0 && H5Pset_userblock(creation, user_block) >= 0);
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, creation, H5P_DEFAULT);
    assert_true(file >= 0);
    fill(file);
    assert_true(H5Fclose(file) >= 0);
    H5Pclose(creation);
    assert_int_equal(pwrite(fd, "The user's own.", 15, 0), 15);
    struct blob b = file_content(fd);
    close(fd);
    unlink(path);
    return b;
}

hid_t open_h5(struct blob image) {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    assert_true(H5Pset_fapl_core(access, 4096, 0) >= 0);
    assert_true(H5Pset_file_image(access, image.data, image.size) >= 0);
    const hid_t file = H5Fopen("opened-in-memory", H5F_ACC_RDONLY, access);
    assert_true(file >= 0);
    H5Pclose(access);
    return file;
}

void put_dataset(hid_t file, const char *name, hid_t type, int rank, const hsize_t *shape,
                 hid_t properties, const void *data) {
    const hid_t space = rank ? H5Screate_simple(rank, shape, NULL) : H5Screate(H5S_SCALAR);
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    assert_true(set >= 0);
    if (data) assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static void put_small(hid_t file, const char *name) {
    static const float values[] = {1, 2, 3, 4};
    put_dataset(file, name, H5T_IEEE_F32LE, 1, (const hsize_t[]){4}, H5P_DEFAULT, values);
}

static void put_group(hid_t file, const char *name) {
    const hid_t group = H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(group >= 0);
    H5Gclose(group);
}

static void put_string(hid_t file, const char *name, const char *field, size_t size,
                       H5T_str_t padding, H5T_cset_t set) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    assert_true(H5Tset_size(type, size) >= 0 && H5Tset_strpad(type, padding) >= 0 &&
                H5Tset_cset(type, set) >= 0);
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(attribute >= 0 && H5Awrite(attribute, type, field) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

static void soft_link(hid_t file) {
    put_small(file, "a");
    assert_true(H5Lcreate_soft("/a", file, "soft", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void external_link(hid_t file) {
    assert_true(H5Lcreate_external("/etc/other.h5", "/", file, "ext", H5P_DEFAULT, H5P_DEFAULT) >=
                0);
}

static void external_storage(hid_t file) {
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_external(properties, h5_secret_path, 0, 32) >= 0);
    put_dataset(file, "outside", H5T_STD_I8LE, 1, (const hsize_t[]){32}, properties, NULL);
    H5Pclose(properties);
}

static void virtual_dataset(hid_t file) {
    const hid_t space = H5Screate_simple(1, (const hsize_t[]){4}, NULL);
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_virtual(properties, space, "/etc/other.h5", "/a", space) >= 0);
    put_dataset(file, "virtual", H5T_IEEE_F32LE, 1, (const hsize_t[]){4}, properties, NULL);
    H5Pclose(properties);
    H5Sclose(space);
}

/* A data set of `count` floats that takes no space in the file. */
static void put_hollow(hid_t file, hsize_t count) {
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_chunk(properties, 1, (const hsize_t[]){1024}) >= 0);
    put_dataset(file, "hollow", H5T_IEEE_F32LE, 1, &count, properties, NULL);
    H5Pclose(properties);
}

static void huge(hid_t file) {
    put_hollow(file, (hsize_t)1 << 40);
}
static void overflowing(hid_t file) {
    put_hollow(file, (hsize_t)1 << 62);
}
static void above_limit(hid_t file) {
    put_hollow(file, ((hsize_t)16 << 20) + 1);
}
static void at_limit(hid_t file) {
    put_hollow(file, (hsize_t)16 << 20);
}

static void cycle(hid_t file) {
    put_group(file, "a");
    put_group(file, "a/b");
    assert_true(H5Lcreate_hard(file, "/a", file, "/a/b/loop", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void root_cycle(hid_t file) {
    assert_true(H5Lcreate_hard(file, "/", file, "/loop", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void second_link(hid_t file) {
    put_small(file, "a");
    assert_true(H5Lcreate_hard(file, "/a", file, "/b", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void nest(hid_t file, int depth) {
    char path[256] = "";
    for (int i = 0; i < depth; i++) {
        strcat(path, "/g");
        put_group(file, path);
    }
}

static void deep(hid_t file) {
    nest(file, 33);
}
static void deep_enough(hid_t file) {
    nest(file, 32);
}

static void put_filtered(hid_t file, H5Z_filter_t filter) {
    float values[4096];
    for (int i = 0; i < 4096; i++) {
        values[i] = (float)(i % 7);
    }
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_chunk(properties, 1, (const hsize_t[]){512}) >= 0);
    if (filter == H5Z_FILTER_NBIT) {
        assert_true(H5Pset_nbit(properties) >= 0);
    } else {
        assert_true(H5Pset_shuffle(properties) >= 0 && H5Pset_deflate(properties, 9) >= 0 &&
                    H5Pset_fletcher32(properties) >= 0);
    }
    put_dataset(file, "packed", H5T_IEEE_F32LE, 1, (const hsize_t[]){4096}, properties, values);
    H5Pclose(properties);
}

static void deflated(hid_t file) {
    put_filtered(file, H5Z_FILTER_DEFLATE);
}
static void nbit(hid_t file) {
    put_filtered(file, H5Z_FILTER_NBIT);
}

static void string_dataset(hid_t file) {
    put_dataset(file, "text", H5T_C_S1, 1, (const hsize_t[]){4}, H5P_DEFAULT, "abcd");
}

static void named_type(hid_t file) {
    const hid_t type = H5Tcopy(H5T_NATIVE_INT);
    assert_true(H5Tcommit2(file, "type", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Tclose(type);
}

static void no_elements(hid_t file) {
    const hid_t space = H5Screate(H5S_NULL);
    const hid_t set =
        H5Dcreate2(file, "null", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(set >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static void nine_axes(hid_t file) {
    const hsize_t shape[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    put_dataset(file, "nine", H5T_IEEE_F32LE, 9, shape, H5P_DEFAULT, NULL);
}

static void large_unsigned(hid_t file) {
    const uint64_t value = UINT64_MAX;
    put_dataset(file, "max", H5T_NATIVE_UINT64, 0, NULL, H5P_DEFAULT, &value);
}

static void bad_utf8(hid_t file) {
    put_string(file, "name", "a\xC3(", 3, H5T_STR_NULLPAD, H5T_CSET_UTF8);
}

static void bad_name(hid_t file) {
    put_group(file, "a\xFFz");
}

static void dotted_name(hid_t file) {
    put_group(file, "..");
}

static void attribute_with_mark(hid_t file) {
    put_string(file, "a@b", "x", 1, H5T_STR_NULLPAD, H5T_CSET_ASCII);
}

static void inner_nul(hid_t file) {
    put_string(file, "name", "ab\0cd", 5, H5T_STR_NULLPAD, H5T_CSET_ASCII);
}

static void space_padded(hid_t file) {
    put_string(file, "name", "ab   ", 5, H5T_STR_SPACEPAD, H5T_CSET_ASCII);
}

static void latin_ascii(hid_t file) {
    /* Keras writes UTF-8 into strings that are marked ASCII. */
    put_string(file, "name", "\xC3\xBC", 2, H5T_STR_NULLPAD, H5T_CSET_ASCII);
}

static void many_links(hid_t file) {
    for (int i = 0; i < 3000; i++) {
        char name[32];
        snprintf(name, sizeof name, "d%04d", i);
        put_small(file, name);
    }
}

const struct h5_case h5_cases[] = {
    {"soft link", soft_link, 1, "'/soft' is a soft, external"},
    {"external link", external_link, 1, "'/ext' is a soft, external"},
    {"external storage", external_storage, 1, "'/outside' keeps its data in an external file"},
    {"virtual data set", virtual_dataset, 1, "'/virtual' is a virtual data set"},
    {"huge data set", huge, 1, "'/hollow' claims more data"},
    {"overflowing data set", overflowing, 1, "'/hollow' claims more data"},
    {"data set above the limit", above_limit, 1, "'/hollow' claims more data"},
    {"data set at the limit", at_limit, 0, "\"/hollow\""},
    {"hard link cycle", cycle, 1, "'/a/b/loop' is a second hard link"},
    {"hard link to the root", root_cycle, 1, "'/loop' is a second hard link"},
    {"second hard link", second_link, 1, "'/b' is a second hard link"},
    {"deep nesting", deep, 1, "is nested too deeply"},
    {"nesting at the limit", deep_enough, 0, "/g/g\":\"\""},
    {"deflate", deflated, 0, "\"/packed\""},
    {"another filter", nbit, 1, "'/packed' uses a filter"},
    {"string data set", string_dataset, 1, "'/text' has the type 'string'"},
    {"named type", named_type, 1, "'/type' is neither"},
    {"no elements", no_elements, 1, "'/null' has no elements"},
    {"nine dimensions", nine_axes, 1, "'/nine' has more than 8"},
    {"large unsigned number", large_unsigned, 1, "'/max' holds a number above 63 bits"},
    {"attribute in bad UTF-8", bad_utf8, 1, "'name' of '/' is not valid UTF-8"},
    {"name in bad UTF-8", bad_name, 1, "holds a link whose name is not usable"},
    {"name of two dots", dotted_name, 1, "holds a link whose name is not usable"},
    {"attribute name with @", attribute_with_mark, 1, "'a@b' of '/' has a name"},
    {"string with a NUL", inner_nul, 0, "\"attr:/@name\":\"\\\"ab\\\"\""},
    {"string padded with spaces", space_padded, 0, "\"attr:/@name\":\"\\\"ab\\\"\""},
    {"UTF-8 marked ASCII", latin_ascii, 0, "\"attr:/@name\":\"\\\"\xC3\xBC\\\"\""},
    {"many links", many_links, 0, "\"/d2999\""},
};
const size_t h5_case_count = sizeof h5_cases / sizeof h5_cases[0];
