/* .keras: a zip of the architecture, config.json, and the weights in an HDF5 file. */
#include <string.h>

#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/formats/format.h"
#include "host/formats/keras.h"
#include "host/formats/zip_members.h"

static const char config_name[] = "config.json", weights_name[] = "model.weights.h5";
enum { CONFIG_MAX = 64 << 20, METADATA_MAX = 1 << 20 };
static const size_t weights_limit = (size_t)2 << 30;

static bool sniff(const char *bytes, size_t size) {
    return mien_zip_has(bytes, size, config_name) && mien_zip_has(bytes, size, weights_name);
}

/* The major version of Keras; files from 2.12 on have it. */
static int read_version(const mien_model_source *from) {
    char *text;
    size_t size;
    int version = 0;
    mien_tree tree = {0};
    if (mien_zip_member(from->bytes, from->size, from->name, "metadata.json", METADATA_MAX, &text,
                        &size) != MIEN_OK)
        return 0;
    if (mien_json_parse(text, size, from->name, &tree) == MIEN_OK) {
        const char *word = mien_value_string(tree.root, "keras_version");
        if (word && word[0] >= '0' && word[0] <= '9') version = word[0] - '0';
    }
    mien_tree_release(&tree);
    mien_free(text);
    return version;
}

static mien_status read_file(mien_model_source *from, mien_model *model) {
    char *config = NULL, *weights = NULL, *container = NULL;
    size_t config_size, weights_size, container_size;
    mien_status status;
    if (!sniff(from->bytes, from->size))
        return MIEN_FAIL(FORMAT,
                         "'%s' is not a .keras file, or is cut short: it is no zip archive "
                         "with %s and %s",
                         from->name, config_name, weights_name);
    const int version = read_version(from);
    MIEN_GO(mien_zip_member(from->bytes, from->size, from->name, config_name, CONFIG_MAX, &config,
                            &config_size));
    MIEN_GO(mien_zip_member(from->bytes, from->size, from->name, weights_name, weights_limit,
                            &weights, &weights_size));
    mien_free(from->bytes); /* so that a large model is not in memory twice */
    from->bytes = NULL;
    MIEN_GO(mien_h5_run("read", from->name, weights, weights_size, &container, &container_size));
    mien_free(weights);
    weights = NULL;
    status = mien_keras_import(from->name, from->options, container, container_size, config,
                               config_size, version, model);
out:
    mien_free(config);
    mien_free(weights);
    mien_free(container);
    return status;
}

const mien_model_format mien_format_keras_zip = {
    .name = "keras",
    .content = "a Keras archive",
    .suffixes = {".keras"},
    .flags = MIEN_FORMAT_TRAINABLE,
    .sniff = sniff,
    .read = read_file,
};
