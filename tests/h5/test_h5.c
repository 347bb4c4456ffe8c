/* Tests of mien-h5 as a program: conversions, and the files it refuses. */
#include "tests/h5/h5_hostile.h"
#include "tests/h5/h5_make.h"
#include "tests/h5/h5_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/test.h"

static void test_round_trip(void **state) {
    (void)state;
    struct blob c = model_container();
    struct blob h5 = convert("write", c, "write");
    struct blob back = convert("read", h5, "read");
    expect_same(back, c, "round trip");
    free(back.data);
    free(h5.data);
    free(c.data);
}

/* A container may have its entries and tensors in any order; missing groups are created. */
static void test_other_order(void **state) {
    (void)state;
    struct blob shuffled =
        make_container("{\"/b/c/x\":{\"shape\":[1],\"dtype\":\"I64\",\"data_offsets\":[4,12]},"
                       "\"/a\":{\"data_offsets\":[0,4],\"dtype\":\"F32\",\"shape\":[1]},"
                       "\"__metadata__\":{\"attr:/b/c@n\":\" [ 1 , 2.5 ] \"}}",
                       "aaaaxxxxxxxx", 12);
    struct blob want =
        make_container("{\"__metadata__\":{\"group:/\":\"\",\"group:/b\":\"\",\"group:/b/c\":\"\","
                       "\"attr:/b/c@n\":\"[1.0,2.5]\"},"
                       "\"/b/c/x\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
                       "\"/a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
                       "xxxxxxxxaaaa", 12);
    struct blob h5 = convert("write", shuffled, "write");
    struct blob back = convert("read", h5, "read");
    expect_same(back, want, "other order");
    free(back.data);
    free(h5.data);
    free(want.data);
    free(shuffled.data);
}

/* Writes a container whose one attribute is a list of `count` names of `length` bytes. */
static struct blob write_names(size_t count, size_t length) {
    char *const json = malloc(count * (length + 8) + 256);
    assert_non_null(json);
    char *at = json + sprintf(json, "{\"__metadata__\":{\"attr:/g@names\":\"[");
    for (size_t i = 0; i < count; i++) {
        at += sprintf(at, "%s\\\"%0*zu\\\"", i ? "," : "", (int)length, i);
    }
    sprintf(at, "]\",\"group:/g\":\"\"}}");
    struct blob c = make_container(json, NULL, 0);
    struct blob h5 = convert("write", c, "list of names");
    free(json);
    free(c.data);
    return h5;
}

/* Checks one part of a list: its length, and that its first name is number `first`. */
static void check_part(hid_t file, const char *name, size_t length, hsize_t count, long first) {
    const hid_t attribute = H5Aopen_by_name(file, "/g", name, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0) fail_msg("no attribute %s", name);
    const hid_t type = H5Aget_type(attribute);
    const hid_t space = H5Aget_space(attribute);
    assert_int_equal(H5Tget_class(type), H5T_STRING);
    assert_int_equal(H5Tget_strpad(type), H5T_STR_NULLPAD);
    assert_int_equal(H5Tget_size(type), length);
    assert_int_equal(H5Sget_simple_extent_npoints(space), count);
    char *const fields = calloc(count + 1, length);
    assert_non_null(fields);
    assert_true(H5Aread(attribute, type, fields) >= 0);
    char text[64] = "";
    memcpy(text, fields, length);
    assert_int_equal(strtol(text, NULL, 10), first);
    free(fields);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
}

static void test_large_lists(void **state) {
    (void)state;
    struct blob whole = write_names(1024, 63); /* exactly Keras' limit of 64,512 bytes */
    hid_t file = open_h5(whole);
    check_part(file, "names", 63, 1024, 0);
    H5Fclose(file);
    struct blob split = write_names(3075, 63); /* four parts, the first three one longer */
    file = open_h5(split);
    check_part(file, "names0", 63, 769, 0);
    check_part(file, "names2", 63, 769, 1538);
    check_part(file, "names3", 63, 768, 2307);
    assert_true(H5Aexists_by_name(file, "/g", "names", H5P_DEFAULT) == 0);
    assert_true(H5Aexists_by_name(file, "/g", "names4", H5P_DEFAULT) == 0);
    H5Fclose(file);
    struct blob back = convert("read", split, "split list");
    assert_non_null(strstr((char *)back.data + 8, "\"attr:/g@names3\":\"[\\\"000"));
    free(back.data);
    free(split.data);
    free(whole.data);
}

static void test_long_string(void **state) {
    (void)state;
    const size_t length = 3000000;
    char *const json = malloc(length + 128);
    assert_non_null(json);
    const int lead = sprintf(json, "{\"__metadata__\":{\"group:/\":\"\",\"attr:/@config\":\"\\\"");
    memset(json + lead, 'x', length);
    strcpy(json + lead + length, "\\\"\"}}");
    struct blob c = make_container(json, NULL, 0);
    struct blob h5 = convert("write", c, "long string");
    struct blob back = convert("read", h5, "long string");
    expect_same(back, c, "long string");
    free(back.data);
    free(h5.data);
    free(c.data);
    free(json);
}

/* h5py and Keras write an empty list as an empty array of doubles. */
static void test_attribute_kinds(void **state) {
    (void)state;
    struct blob c = model_container();
    struct blob h5 = convert("write", c, "write");
    const hid_t file = open_h5(h5);
    const hid_t empty = H5Aopen_by_name(file, "/m", "empty", H5P_DEFAULT, H5P_DEFAULT);
    const hid_t real = H5Aget_type(empty);
    const hid_t space = H5Aget_space(empty);
    assert_true(H5Tequal(real, H5T_IEEE_F64LE) > 0);
    assert_int_equal(H5Sget_simple_extent_ndims(space), 1);
    assert_int_equal(H5Sget_simple_extent_npoints(space), 0);
    const hid_t scalar = H5Aopen_by_name(file, "/", "backend", H5P_DEFAULT, H5P_DEFAULT);
    const hid_t text = H5Aget_type(scalar);
    assert_true(H5Tis_variable_str(text) > 0);
    assert_int_equal(H5Tget_cset(text), H5T_CSET_UTF8);
    H5Tclose(text);
    H5Aclose(scalar);
    H5Sclose(space);
    H5Tclose(real);
    H5Aclose(empty);
    H5Fclose(file);
    free(h5.data);
    free(c.data);
}

/* The pause would change any time stamp, which counts whole seconds. */
static void test_same_bytes(void **state) {
    (void)state;
    struct blob c = model_container();
    struct blob first = convert("write", c, "first");
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 100000000}, NULL);
    struct blob second = convert("write", c, "second");
    expect_same(second, first, "the same container");
    free(second.data);
    free(first.data);
    free(c.data);
}

static void fill_types(hid_t file) {
    const hid_t half = H5Tcopy(H5T_IEEE_F32BE);
    assert_true(H5Tset_fields(half, 15, 10, 5, 0, 10) >= 0 && H5Tset_size(half, 2) >= 0 &&
                H5Tset_ebias(half, 15) >= 0);
    const hsize_t two[] = {2};
    put_dataset(file, "a", half, 1, two, H5P_DEFAULT, "\x3E\x00\xC0\x00");
    put_dataset(file, "b", H5T_IEEE_F32BE, 1, two, H5P_DEFAULT, "\x3F\xC0\0\0\xC0\0\0\0");
    put_dataset(file, "c", H5T_IEEE_F64BE, 0, NULL, H5P_DEFAULT, "\x3F\xF8\0\0\0\0\0\0");
    put_dataset(file, "d", H5T_STD_I8LE, 1, two, H5P_DEFAULT, "\x01\xFE");
    put_dataset(file, "e", H5T_STD_U16BE, 1, two, H5P_DEFAULT, "\x00\x01\xFF\xFE");
    H5Tclose(half);
}

static void test_types(void **state) {
    (void)state;
    static const char data[] = "\0\0\0\0\0\0\xF8\x3F"
                               "\1\0\0\0\0\0\0\0\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
                               "\1\0\0\0\0\0\0\0\xFE\xFF\0\0\0\0\0\0"
                               "\0\0\xC0\x3F\0\0\0\xC0\0\0\xC0\x3F\0\0\0\xC0";
    struct blob want =
        make_container("{\"__metadata__\":{\"group:/\":\"\"},"
                       "\"/c\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]},"
                       "\"/d\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[8,24]},"
                       "\"/e\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[24,40]},"
                       "\"/a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[40,48]},"
                       "\"/b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[48,56]}}",
                       data, sizeof data - 1);
    struct blob h5 = make_h5(fill_types);
    struct blob got = convert("read", h5, "types");
    expect_same(got, want, "types");
    free(got.data);
    free(h5.data);
    free(want.data);
}

/* A user block before the file does not change what is read. */
static void test_user_blocks(void **state) {
    (void)state;
    struct blob plain = make_h5(fill_types);
    struct blob want = convert("read", plain, "no block");
    for (size_t block = 512; block <= 65536; block *= 2) {
        struct blob h5 = make_h5_after(block, fill_types);
        assert_memory_equal(h5.data, "The user's own.", 15);
        assert_memory_equal(h5.data + block, "\x89HDF\r\n\x1a\n", 8);
        struct blob got = convert("read", h5, "block");
        expect_same(got, want, "a file after a block");
        free(got.data);
        struct blob cut = {h5.data, block + 60};
        const struct outcome o = run_program("read", cut);
        expect_outcome(&o, 1, "cut short", "cut after the block");
        free(o.out.data);
        free(h5.data);
    }
    free(want.data);
    free(plain.data);
}

static const float plain_numbers[] = {1.5f, -2.25f, 3.125f, 1e30f};

static void fill_storage(hid_t file) {
    const hsize_t four[] = {4};
    const hid_t chunks = H5Pcreate(H5P_DATASET_CREATE), late = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_chunk(chunks, 1, four) >= 0);
    put_dataset(file, "a_chunk", H5T_IEEE_F32LE, 1, four, chunks, plain_numbers);
    put_dataset(file, "b_other_order", H5T_IEEE_F32BE, 1, four, H5P_DEFAULT, plain_numbers);
    put_dataset(file, "c_plain", H5T_IEEE_F32LE, 1, four, H5P_DEFAULT, plain_numbers);
    const hid_t space = H5Screate_simple(1, four, NULL); /* no storage: it was never written */
    const hid_t hollow =
        H5Dcreate2(file, "d_hollow", H5T_IEEE_F32LE, space, H5P_DEFAULT, late, H5P_DEFAULT);
    assert_true(hollow >= 0);
    H5Dclose(hollow);
    H5Sclose(space);
    H5Pclose(late);
    H5Pclose(chunks);
}

/* `locate` leaves where it is what the file holds as the container would, also after a user block,
 * and copies the rest. */
static void test_locate(void **state) {
    (void)state;
    for (size_t block = 0; block <= 2048; block = block ? 2 * block : 512) {
        struct blob h5 = block ? make_h5_after(block, fill_storage) : make_h5(fill_storage);
        struct blob read = convert("read", h5, "read");
        struct blob got = convert("locate", h5, "locate");
        const char *const header = (const char *)got.data + 8;
        const char *const plain = strstr(header, "\"/c_plain\":");
        assert_non_null(plain);
        const char *const offset = strstr(plain, "\"file_offset\":");
        assert_non_null(offset);
        assert_true(strstr(header, "\"file_offset\":") == offset);
        assert_null(strstr(offset + 1, "\"file_offset\":"));
        assert_non_null(strstr(plain, "\"shape\":[4],\"data_offsets\":[32,32]"));
        const size_t at = strtoul(offset + strlen("\"file_offset\":"), NULL, 10);
        assert_true(at + sizeof plain_numbers <= h5.size);
        assert_memory_equal(h5.data + at, plain_numbers, sizeof plain_numbers);
        /* the others are the same as with `read`, where these bytes are between them */
        assert_memory_equal(read.data + read.size - 64, got.data + got.size - 48, 32);
        assert_memory_equal(read.data + read.size - 16, got.data + got.size - 16, 16);
        free(got.data);
        free(read.data);
        free(h5.data);
    }
}

/* Every file is accepted or refused as its row says, and none exposes the external file. */
static void test_peculiar_files(void **state) {
    (void)state;
    strcpy(h5_secret_path, "/tmp/mien-h5-secret-XXXXXX");
    const int fd = mkstemp(h5_secret_path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, h5_secret, strlen(h5_secret)), strlen(h5_secret));
    close(fd);
    for (size_t i = 0; i < 2 * h5_case_count; i++) {
        const struct h5_case *const c = &h5_cases[i / 2];
        struct blob h5 = make_h5(c->fill);
        struct outcome o = run_program(i % 2 ? "locate" : "read", h5);
        expect_outcome(&o, c->status, c->fragment, c->name);
        if (c->status == 0 && !memmem(o.out.data, o.out.size, c->fragment, strlen(c->fragment)))
            fail_msg("%s: no %s in the container", c->name, c->fragment);
        if (memmem(o.out.data, o.out.size, h5_secret, 16) || strstr(o.error, "must never show"))
            fail_msg("%s: the outside file shows", c->name);
        free(o.out.data);
        free(h5.data);
    }
    unlink(h5_secret_path);
}

/* Data with deflate, shuffle and fletcher32 is read back correctly. */
static void test_deflated_values(void **state) {
    (void)state;
    for (size_t i = 0; i < h5_case_count; i++) {
        if (strcmp(h5_cases[i].name, "deflate") != 0) continue;
        struct blob h5 = make_h5(h5_cases[i].fill);
        assert_true(h5.size < 4096 * sizeof(float));
        struct blob got = convert("read", h5, "deflate");
        const unsigned char *const data = got.data + got.size - 4096 * sizeof(float);
        for (int k = 0; k < 4096; k++) {
            float value = 0;
            memcpy(&value, data + 4 * k, sizeof value);
            assert_true(value == (float)(k % 7));
        }
        free(got.data);
        free(h5.data);
        return;
    }
    fail_msg("the deflate case is gone");
}

int main(void) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_other_order),
        cmocka_unit_test(test_large_lists),     cmocka_unit_test(test_long_string),
        cmocka_unit_test(test_attribute_kinds), cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_types),           cmocka_unit_test(test_peculiar_files),
        cmocka_unit_test(test_user_blocks),     cmocka_unit_test(test_deflated_values),
        cmocka_unit_test(test_cut_files),       cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test(test_garbage),         cmocka_unit_test(test_bad_containers),
        cmocka_unit_test(test_usage),           cmocka_unit_test(test_sandbox),
        cmocka_unit_test(test_pipe_input),      cmocka_unit_test(test_locate),
    };
    return cmocka_run_group_tests_name("mien-h5", tests, NULL, NULL);
}
