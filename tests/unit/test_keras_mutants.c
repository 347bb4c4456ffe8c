/* Changed files of Keras: each is read or refused with a sentence, in time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/text.h"
#include "host/formats/model.h"
#include "host/formats/zip_members.h"
#include "tests/support/keras_file.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

enum { SECONDS_MOST = 5 };

static uint32_t chance(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* How many files are changed in all; tests/all changes more. */
static int mutants(void) {
    const char *wanted = getenv("MIEN_MUTATIONS");
    return wanted ? atoi(wanted) : 5000;
}

/* A changed file is refused with a sentence or read, and in time. */
static void expect_sentence(mien_status status, double start) {
    if (status != MIEN_OK) assert_true(*mien_error_message());
    if (mien_seconds() - start > SECONDS_MOST) fail_msg("it took more than %d s", SECONDS_MOST);
}

static void mutate(char *bytes, size_t size, uint32_t *seed) {
    static const char *const words[] = {"null", "-1",         "1e300", "[]",
                                        "{}",   "4294967296", "\"\"",  "]"};
    const int changes = 1 + (int)(chance(seed) % 3);
    for (int i = 0; i < changes; i++) {
        const size_t at = chance(seed) % size;
        const char *word = words[chance(seed) % (sizeof words / sizeof words[0])];
        if (chance(seed) % 2)
            bytes[at] = (char)chance(seed);
        else
            for (size_t k = 0; word[k] && at + k < size; k++)
                bytes[at + k] = word[k];
    }
}

static void mutated_architectures_end_in_a_sentence(void **state) {
    (void)state;
    static const char *const names[] = {"k3_residual.h5", "k2_partly.h5", "k3_operators.h5",
                                        "era_1_lambda.h5", "k2_operators_vgg16.h5"};
    enum { NAMES = sizeof names / sizeof names[0] };
    uint32_t seed = 7;
    if (mien_h5_available() != MIEN_OK) skip();
    for (int n = 0; n < NAMES; n++) {
        keras_file_parts p;
        char *copy = NULL;
        keras_file_take_apart(names[n], &p);
        expect_ok(mien_new(&copy, p.config_size + 1, 1));
        for (int i = 0; i < mutants() / 2 / NAMES; i++) {
            memcpy(copy, p.config, p.config_size);
            mutate(copy, p.config_size, &seed);
            const double start = mien_seconds();
            expect_sentence(keras_file_import(&p, copy, p.config_size), start);
        }
        mien_free(copy);
        keras_file_drop(&p);
    }
}

static void mutated_containers_end_in_a_sentence(void **state) {
    (void)state;
    uint32_t seed = 8;
    keras_file_parts p;
    char *copy = NULL;
    if (mien_h5_available() != MIEN_OK) skip();
    keras_file_take_apart("k3_residual.h5", &p);
    const keras_file_parts own = p;
    expect_ok(mien_new(&copy, p.container_size, 1));
    p.container = copy;
    for (int i = 0; i < mutants() / 4; i++) {
        memcpy(copy, own.container, own.container_size);
        mutate(copy, own.container_size, &seed);
        const double start = mien_seconds();
        expect_sentence(keras_file_import(&p, p.config, p.config_size), start);
    }
    mien_free(copy);
    p = own;
    keras_file_drop(&p);
}

static void mutated_archives_end_in_a_sentence(void **state) {
    (void)state;
    uint32_t seed = 9;
    char *bytes, *copy = NULL, *out;
    size_t size, out_size;
    expect_ok(mien_file_read(keras_file_unpack("deflated.keras"), KERAS_FILE_MAX, &bytes, &size));
    expect_ok(mien_new(&copy, size, 1));
    for (int i = 0; i < mutants() / 2; i++) {
        memcpy(copy, bytes, size);
        for (int k = 0; k < 4; k++) /* mostly the tables */
            copy[k % 2 ? size - 1 - chance(&seed) % 400 : chance(&seed) % size] =
                (char)chance(&seed);
        const size_t length = chance(&seed) % 4 ? size : chance(&seed) % size;
        if (mien_zip_member(copy, length, "net", "model.weights.h5", KERAS_FILE_MAX, &out,
                            &out_size) != MIEN_OK)
            assert_true(*mien_error_message());
        mien_free(out);
    }
    assert_int_equal(mien_zip_member(bytes, size, "net", "model.weights.h5", 1000, &out, &out_size),
                     MIEN_FORMAT);
    expect_in_message("larger");
    assert_int_equal(mien_zip_member(bytes, size, "net", "../x", 1000, &out, &out_size),
                     MIEN_NOT_FOUND);
    mien_free(copy);
    mien_free(bytes);
}

/* Whole files, through mien-h5. */
static void mutated_files_end_in_a_sentence(void **state) {
    (void)state;
    static const char *const names[] = {"k3_logits.h5", "era_1_tf.h5", "deflated.keras",
                                        "k3.weights.h5"};
    uint32_t seed = 10;
    if (mien_h5_available() != MIEN_OK) skip();
    for (int i = 0; i < mutants() / 50; i++) {
        mien_model model;
        char *bytes;
        size_t size;
        expect_ok(mien_file_read(keras_file_unpack(names[i % 4]), KERAS_FILE_MAX, &bytes, &size));
        mutate(bytes, size, &seed);
        scratch_put("mutant.h5", bytes, chance(&seed) % 8 ? size : chance(&seed) % size);
        const double start = mien_seconds();
        expect_sentence(mien_model_open(scratch_path("mutant.h5"), &model), start);
        mien_model_release(&model);
        mien_free(bytes);
    }
}

/* Every number of an architecture as one that no network has. */
static void impossible_numbers_end_in_a_sentence(void **state) {
    (void)state;
    static const char *const words[] = {
        "-1",    "0", "4398046511104", "1e300", "0.5", "\"1\"", "null", "[1000000000, 1000000000]",
        "[[[]]]"};
    enum { WORDS = sizeof words / sizeof words[0] };
    int count = 0, refused = 0;
    keras_file_parts p;
    if (mien_h5_available() != MIEN_OK) skip();
    keras_file_take_apart("k3_residual.h5", &p);
    for (const char *at = p.config; at < p.config + p.config_size - 2; at++) {
        if (!strchr(" [", at[0]) || !strchr("0123456789-", at[1])) continue;
        const char *end = at + 1 + strspn(at + 1, "0123456789.-e");
        for (int twice = 0; twice < 2; twice++) {
            mien_text text = {0};
            mien_text_append(&text, p.config, (size_t)(at + 1 - p.config));
            mien_text_puts(&text, words[count++ % WORDS]);
            mien_text_append(&text, end, (size_t)(p.config + p.config_size - end));
            const double start = mien_seconds();
            const mien_status status = keras_file_import(&p, text.data, text.size);
            expect_sentence(status, start);
            refused += status != MIEN_OK;
            mien_text_release(&text);
        }
    }
    print_message("%d numbers, %d refused\n", count, refused);
    assert_true(count > 200 && refused > count / 4);
    keras_file_drop(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_architectures_end_in_a_sentence),
        cmocka_unit_test(mutated_containers_end_in_a_sentence),
        cmocka_unit_test(mutated_archives_end_in_a_sentence),
        cmocka_unit_test(mutated_files_end_in_a_sentence),
        cmocka_unit_test(impossible_numbers_end_in_a_sentence),
    };
    const char *build = getenv("MIEN_BUILD");
    setenv("MIEN_MODULES", build ? build : "build/release", 0); /* mien-h5 */
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
