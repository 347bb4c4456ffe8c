#include "tests/support/keras_file.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "host/base/file.h"
#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/formats/keras.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

const char *keras_file_unpack(const char *name) {
    char path[MIEN_PATH];
    char *bytes = NULL;
    snprintf(path, sizeof path, "tests/golden/keras/%s.gz", name);
    gzFile in = gzopen(path, "rb");
    assert_non_null(in);
    expect_ok(mien_new(&bytes, KERAS_FILE_MAX, 1));
    const int size = gzread(in, bytes, KERAS_FILE_MAX);
    assert_int_equal(gzclose(in), Z_OK);
    assert_true(size > 0 && size < KERAS_FILE_MAX);
    scratch_put(name, bytes, (size_t)size);
    mien_free(bytes);
    return scratch_path(name);
}

void keras_file_take_apart(const char *name, keras_file_parts *out) {
    char *bytes;
    size_t size;
    mien_safetensors file;
    mien_tree tree;
    expect_ok(mien_file_read(keras_file_unpack(name), KERAS_FILE_MAX, &bytes, &size));
    expect_ok(mien_h5_run("read", name, bytes, size, &out->container, &out->container_size));
    expect_ok(mien_safetensors_parse(out->container, out->container_size, name, &file));
    const char *json = mien_safetensors_meta(&file, "attr:/@model_config");
    assert_non_null(json);
    expect_ok(mien_json_parse(json, strlen(json), name, &tree));
    out->config_size = strlen(tree.root->text);
    expect_ok(mien_new(&out->config, out->config_size + 1, 1));
    memcpy(out->config, tree.root->text, out->config_size);
    mien_tree_release(&tree);
    mien_safetensors_release(&file);
    mien_free(bytes);
}

void keras_file_drop(keras_file_parts *p) {
    mien_free(p->container);
    mien_free(p->config);
}

mien_status keras_file_import(const keras_file_parts *p, const char *config, size_t size) {
    static const mien_model_options options = {0};
    mien_model model = {0};
    const mien_h5_container container = {.bytes = p->container, .size = p->container_size};
    const mien_status status =
        mien_keras_import("net.h5", &options, &container, config, size, 0, &model);
    mien_model_release(&model);
    return status;
}
