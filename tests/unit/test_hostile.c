/* Over 200 hand-made hostile model files, each given to the program: it must end by itself with
 * status 1 or 2, one message and no other output, within 5 s of processor time and 2 GiB. */
#include "tests/unit/hostile.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/formats/model.h"
#include "host/formats/proto_write.h"
#include "host/formats/zip_members.h"
#include "tests/support/keras_file.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

enum { SECONDS_MOST = 5, NAME = 4200 };
static const rlim_t memory_most = (rlim_t)2 << 30;
static int files;
static const char secret[] = "A secret beside the folder of the model.";

/* ---- the program ---- */

static void become_program(const char *model, const char *architecture) {
    char program[NAME];
    const char *build = getenv("MIEN_BUILD");
    const struct rlimit memory = {memory_most, memory_most}, seconds = {SECONDS_MOST, SECONDS_MOST};
    const int out = open(scratch_path("out"), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    const int err = open(scratch_path("err"), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    snprintf(program, sizeof program, "%s/mien", build ? build : "build/release");
    if (dup2(out, 1) < 0 || dup2(err, 2) < 0 ||
        (!SANITIZED && setrlimit(RLIMIT_AS, &memory) != 0) || setrlimit(RLIMIT_CPU, &seconds) != 0)
        _exit(99);
    execl(program, program, "inspect", model, "-q", "--preprocess", "unit",
          architecture ? "--architecture" : (char *)NULL, architecture, (char *)NULL);
    _exit(99);
}

/* Lines of a text that are the program's message. */
static int messages(const char *text) {
    int count = 0;
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        if (!strchr(line, '\n')) return -1;
        if (strncmp(line, "mien: ", 6) == 0)
            count++;
        else if (strncmp(line, "warning: ", 9) != 0 && strncmp(line, "see mien ", 9) != 0)
            return -1;
    }
    return count;
}

static void expect_refused(const char *what, size_t index, const char *model,
                           const char *architecture) {
    char own[NAME], *out, *err;
    size_t out_size, err_size;
    int result;
    snprintf(own, sizeof own, "%s", scratch_path(model));
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) become_program(own, architecture);
    assert_int_equal(waitpid(child, &result, 0), child);
    expect_ok(mien_file_read(scratch_path("out"), 1 << 20, &out, &out_size));
    expect_ok(mien_file_read(scratch_path("err"), 1 << 20, &err, &err_size));
    const bool ended = WIFEXITED(result) && (WEXITSTATUS(result) == 1 || WEXITSTATUS(result) == 2);
    if (!ended || messages(err) != 1 || out_size != 0 || strstr(err, "secret b"))
        fail_msg("%s %zu: wait status %d, '%s', output '%.300s'", what, index, result, err, out);
    mien_free(out);
    mien_free(err);
    files++;
}

/* ---- files ---- */

static void edited(const char *text, size_t size, const hostile_edit *edit, mien_text *out) {
    *out = (mien_text){0};
    if (!edit->from) {
        mien_text_puts(out, edit->to);
        return;
    }
    const char *at = memmem(text, size, edit->from, strlen(edit->from));
    if (!at) fail_msg("'%s' does not occur", edit->from);
    mien_text_append(out, text, (size_t)(at - text));
    mien_text_puts(out, edit->to);
    at += strlen(edit->from);
    mien_text_append(out, at, (size_t)(text + size - at));
}

static void architectures(void **state) {
    (void)state;
    char *json, path[NAME];
    size_t size;
    if (mien_h5_available() != MIEN_OK) skip();
    keras_file_unpack("weights_only.h5");
    expect_ok(mien_file_read(keras_file_unpack("weights_only.json"), KERAS_FILE_MAX, &json, &size));
    for (size_t i = 0; i < hostile_json_count; i++) {
        mien_text text;
        edited(json, size, &hostile_json[i], &text);
        scratch_put_text("a.json", &text);
        snprintf(path, sizeof path, "%s", scratch_path("a.json"));
        expect_refused("json", i, "weights_only.h5", path);
    }
    mien_free(json);
}

/* `~` and `` ` `` of the table as they are in the header. */
static void quoted(const char *text, char *out, size_t size) {
    mien_text made = {0};
    for (; *text; text++)
        if (*text == '~')
            mien_text_puts(&made, "\\\\\\\"");
        else if (*text == '`')
            mien_text_puts(&made, "\\\"");
        else
            mien_text_append(&made, text, 1);
    snprintf(out, size, "%s", made.data ? made.data : "");
    mien_text_release(&made);
}

static void hdf5_contents(void **state) {
    (void)state;
    keras_file_parts p;
    if (mien_h5_available() != MIEN_OK) skip();
    keras_file_take_apart("k2_sequential.h5", &p);
    const size_t length = (unsigned char)p.container[0] |
                          (size_t)(unsigned char)p.container[1] << 8 |
                          (size_t)(unsigned char)p.container[2] << 16;
    for (size_t i = 0; i < hostile_h5_count; i++) {
        char from[500], to[500], *h5;
        size_t h5_size;
        mien_text header, file = {0};
        quoted(hostile_h5[i].from, from, sizeof from);
        quoted(hostile_h5[i].to, to, sizeof to);
        edited(p.container + 8, length, &(hostile_edit){from, to}, &header);
        while (header.size % 8)
            mien_text_puts(&header, " ");
        for (int k = 0; k < 8; k++)
            mien_text_append(&file, &(char){(char)(header.size >> 8 * k)}, 1);
        mien_text_append(&file, header.data, header.size);
        mien_text_append(&file, p.container + 8 + length, p.container_size - 8 - length);
        if (mien_h5_run("write", "edited", file.data, file.size, &h5, &h5_size) != MIEN_OK)
            fail_msg("h5 %zu: %s", i, mien_error_message());
        scratch_put("a.h5", h5, h5_size);
        expect_refused("h5", i, "a.h5", NULL);
        mien_free(h5);
        mien_text_release(&file);
        mien_text_release(&header);
    }
    keras_file_drop(&p);
}

/* Applies a patch relative to `start`; returns the new size. */
static size_t patched(char *bytes, size_t size, size_t start, const hostile_patch *p) {
    const size_t at = p->at < 0 ? size - (size_t)-p->at : start + (size_t)p->at;
    assert_true(at + (size_t)p->width <= size);
    for (int k = 0; k < p->width; k++)
        bytes[at + (size_t)k] = (char)(p->value >> 8 * k);
    return p->width ? size : at;
}

static void hdf5_bytes(void **state) {
    (void)state;
    char *bytes, *copy = NULL;
    size_t size;
    if (mien_h5_available() != MIEN_OK) skip();
    expect_ok(mien_file_read(keras_file_unpack("k2_sequential.h5"), KERAS_FILE_MAX, &bytes, &size));
    expect_ok(mien_new(&copy, size, 1));
    for (size_t i = 0; i < hostile_h5_bytes_count; i++) {
        memcpy(copy, bytes, size);
        scratch_put("a.h5", copy, patched(copy, size, 0, &hostile_h5_bytes[i]));
        expect_refused("h5 bytes", i, "a.h5", NULL);
    }
    mien_free(copy);
    mien_free(bytes);
}

typedef struct member {
    const char *name;
    char *bytes;
    size_t size;
} member;

static void take_member(const char *name, member *out) {
    char *bytes;
    size_t size;
    expect_ok(
        mien_file_read(keras_file_unpack("k3_sequential.keras"), KERAS_FILE_MAX, &bytes, &size));
    out->name = name;
    expect_ok(mien_zip_member(bytes, size, "net", name, KERAS_FILE_MAX, &out->bytes, &out->size));
    mien_free(bytes);
}

static void zip_of(const member *members, int count, mien_text *out) {
    *out = (mien_text){0};
    mien_zip_writer zip = {.out = out};
    for (int i = 0; i < count; i++)
        expect_ok(mien_zip_add(&zip, members[i].name, members[i].bytes, members[i].size));
    expect_ok(mien_zip_end(&zip));
}

/* Where the last record with a signature begins. */
static size_t record(const mien_text *zip, const char *signature) {
    for (size_t at = zip->size - 4;; at--)
        if (memcmp(zip->data + at, signature, 4) == 0) return at;
}

static void archives(void **state) {
    (void)state;
    member config, weights;
    if (mien_h5_available() != MIEN_OK) skip();
    take_member("config.json", &config);
    take_member("model.weights.h5", &weights);
    for (size_t i = 0; i < hostile_archives_count; i++) {
        const hostile_archive *a = &hostile_archives[i];
        const member made[] = {{a->config_name, a->config ? (char *)a->config : config.bytes,
                                a->config ? strlen(a->config) : config.size},
                               {a->weights_name, a->weights ? (char *)a->weights : weights.bytes,
                                a->weights ? strlen(a->weights) : weights.size}};
        mien_text zip;
        zip_of(made, 2, &zip);
        scratch_put_text("a.keras", &zip);
        expect_refused("archive", i, "a.keras", NULL);
    }
    const member good[] = {{"metadata.json", (char *)"{}", 2}, config, weights};
    for (size_t i = 0; i < hostile_zip_count; i++) {
        mien_text zip;
        zip_of(good, 3, &zip);
        const size_t end = record(&zip, "PK\5\6"), central = record(&zip, "PK\1\2");
        size_t local = 0; /* of the weights: after two others */
        for (int k = 0; k < 2; k++)
            local += 30 + strlen(good[k].name) + good[k].size;
        assert_memory_equal(zip.data + local, "PK\3\4", 4);
        const size_t starts[] = {local, central, end};
        scratch_put(
            "a.keras", zip.data,
            patched(zip.data, zip.size, starts[hostile_zip[i].part], &hostile_zip[i].patch));
        expect_refused("zip", i, "a.keras", NULL);
        mien_text_release(&zip);
    }
    mien_free(config.bytes);
    mien_free(weights.bytes);
}

/* ---- ONNX ---- */

static char *word(char **rest) {
    char *begin = *rest + strspn(*rest, " ");
    char *end = begin + strcspn(begin, " ");
    *rest = *end ? end + 1 : end;
    *end = 0;
    return begin;
}

static char *item(char **rest) {
    char *begin = *rest, *end = begin + strcspn(begin, ",");
    *rest = *end ? end + 1 : end;
    *end = 0;
    return begin;
}

static void add_info(mien_text *graph, unsigned field, const char *name, char *dims) {
    mien_text shape = {0}, tensor = {0}, type = {0}, info = {0};
    while (*dims) {
        mien_text dim = {0};
        const char *one = item(&dims);
        if (*one == '?')
            mien_proto_text(&dim, 2, "n");
        else
            mien_proto_number(&dim, 1, strtoull(one, NULL, 10));
        mien_proto_message(&shape, 1, &dim);
    }
    mien_proto_number(&tensor, 1, 1);
    mien_proto_message(&tensor, 2, &shape);
    mien_proto_message(&type, 1, &tensor);
    mien_proto_text(&info, 1, name);
    mien_proto_message(&info, 2, &type);
    mien_proto_message(graph, field, &info);
}

static void add_entry(mien_text *tensor, const char *key, const char *value) {
    mien_text entry = {0};
    mien_proto_text(&entry, 1, key);
    mien_proto_text(&entry, 2, value);
    mien_proto_message(tensor, 13, &entry);
}

static void add_weight(mien_text *graph, char *rest, bool external) {
    mien_text tensor = {0};
    const char *name = word(&rest);
    char *dims = word(&rest);
    unsigned long long count = 1;
    while (*dims) {
        const unsigned long long one = strtoull(item(&dims), NULL, 10);
        mien_proto_number(&tensor, 1, one);
        count *= one;
    }
    mien_proto_number(&tensor, 2, 1);
    mien_proto_text(&tensor, 8, name);
    if (external) {
        add_entry(&tensor, "location", word(&rest));
        add_entry(&tensor, "offset", word(&rest));
        add_entry(&tensor, "length", word(&rest));
        mien_proto_number(&tensor, 14, 1);
    } else {
        static const float values[4096] = {0.5f, -0.25f, 1};
        if (*rest) count = strtoull(word(&rest), NULL, 10);
        assert_true(count <= 4096);
        mien_proto_bytes(&tensor, 9, values, (size_t)count * sizeof *values);
    }
    mien_proto_message(graph, 5, &tensor);
}

static void add_node(mien_text *graph, char *rest) {
    mien_text node = {0};
    const char *op = word(&rest);
    char *in = word(&rest), *out = word(&rest);
    while (*in)
        mien_proto_text(&node, 1, item(&in));
    mien_proto_text(&node, 3, out);
    while (*out)
        mien_proto_text(&node, 2, item(&out));
    mien_proto_text(&node, 4, op);
    while (*rest) {
        mien_text attribute = {0};
        char *key = word(&rest), *values = strchr(key, '=');
        assert_non_null(values);
        *values++ = 0;
        const bool list =
            strchr(values, ',') != NULL || strstr(key, "shape") || strcmp(key, "axes") == 0;
        mien_proto_text(&attribute, 1, key);
        while (*values)
            mien_proto_number(&attribute, list ? 8 : 3,
                              (unsigned long long)strtoll(item(&values), NULL, 10));
        mien_proto_number(&attribute, 20, list ? 7 : 2);
        mien_proto_message(&node, 5, &attribute);
    }
    mien_proto_message(graph, 1, &node);
}

static void onnx_of(const char *statements, mien_text *file) {
    char text[1000], *save = NULL;
    mien_text graph = {0}, versions = {0};
    *file = (mien_text){0};
    snprintf(text, sizeof text, "%s", statements);
    for (char *s = strtok_r(text, ";", &save); s; s = strtok_r(NULL, ";", &save)) {
        char *rest = s;
        const char kind = *word(&rest);
        if (kind == 'n') {
            add_node(&graph, rest);
        } else if (kind == 'v') {
            mien_text set = {0};
            mien_proto_number(&versions, 1, strtoull(word(&rest), NULL, 10));
            mien_proto_number(&set, 2, strtoull(word(&rest), NULL, 10));
            mien_proto_message(&versions, 8, &set);
        } else if (kind == 'w' || kind == 'e') {
            add_weight(&graph, rest, kind == 'e');
        } else {
            const char *name = word(&rest);
            add_info(&graph, kind == 'i' ? 11 : 12, name, word(&rest));
        }
    }
    mien_proto_message(file, 7, &graph);
    mien_text_append(file, versions.data, versions.size);
    mien_text_release(&versions);
}

static void onnx_files(void **state) {
    (void)state;
    mien_model model;
    mien_text file;
    onnx_of("i x 1,1,8,8;o y;w k 4,1,3,3;n Conv x,k c kernel_shape=3,3;n GlobalAveragePool c g;"
            "n Flatten g y;v 8 13",
            &file);
    scratch_put_text("good.onnx", &file); /* the statements themselves are understood */
    expect_ok(mien_model_open_with(scratch_path("good.onnx"),
                                   &(mien_model_options){.preprocess = "unit"}, &model));
    mien_model_release(&model);
    scratch_put("secret.data", secret, sizeof secret);
    for (size_t i = 0; i < hostile_onnx_count; i++) {
        onnx_of(hostile_onnx[i], &file);
        scratch_put_text("folder/m.onnx", &file);
        scratch_put("folder/secret.data", secret, sizeof secret);
        expect_refused(hostile_onnx[i], i, "folder/m.onnx", NULL);
    }
}

static void there_are_200(void **state) {
    (void)state;
    print_message("%d files\n", files);
    if (mien_h5_available() == MIEN_OK) assert_true(files >= 200);
}

int main(void) {
    const char *build = getenv("MIEN_BUILD");
    setenv("MIEN_MODULES", build ? build : "build/release", 0); /* mien-h5 */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(architectures), cmocka_unit_test(hdf5_contents),
        cmocka_unit_test(hdf5_bytes),    cmocka_unit_test(archives),
        cmocka_unit_test(onnx_files),    cmocka_unit_test(there_are_200),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
