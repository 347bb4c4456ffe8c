/* docs/config.md and docs/models.md are generated from the key tables; this test fails when they
 * are out of date. MIEN_UPDATE=1 writes them. */
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/layers/layer.h"
#include "host/train/config.h"
#include "tests/support/test.h"

static void row(const mien_key *key, mien_text *out) {
    mien_text_printf(out, "| `%s` | %s | ", key->name, key->fallback ? "" : "required");
    if (key->fallback) mien_text_printf(out, "`%s`", key->fallback);
    mien_text_puts(out, " | ");
    const char *list = key->choices, *part;
    size_t length;
    for (int i = 0; list && mien_next_part(&list, '|', &part, &length); i++)
        mien_text_printf(out, "%s`%.*s`", i ? ", " : "", (int)length, part);
    if (key->min < key->max)
        mien_text_printf(out, "%s%g … %g", key->choices ? ", " : "", key->min, key->max);
    mien_text_printf(out, " | %s |\n", key->doc);
}

static void table(mien_keys keys, mien_text *out) {
    mien_text_puts(out, "| key | | default | values | |\n| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < keys.count; i++)
        row(&keys.rows[i], out);
}

static void compare(const char *path, const mien_text *expected) {
    char *text = NULL;
    size_t size = 0;
    assert_int_equal(expected->status, MIEN_OK);
    if (getenv("MIEN_UPDATE"))
        assert_int_equal(mien_file_write(path, expected->data, expected->size), MIEN_OK);
    assert_int_equal(mien_file_read(path, 1 << 20, &text, &size), MIEN_OK);
    if (size != expected->size || memcmp(text, expected->data, size) != 0)
        fail_msg("%s is not what the key tables say; run MIEN_UPDATE=1 on this test", path);
    mien_free(text);
}

static void config_page(void **state) {
    (void)state;
    mien_text text = {0};
    mien_text_puts(&text,
                   "# Configuration\n\nEvery key with its default, as `mien train --print-config` "
                   "prints them. `--set key=value` sets one.\nPaths in a config are relative to "
                   "it. A missing key has its default; an unknown one is refused, with the "
                   "nearest\nknown one named. Made from the key table by "
                   "tests/unit/test_docs.c.\n\n");
    table(mien_config_keys(), &text);
    compare("docs/config.md", &text);
    mien_text_release(&text);
}

static void models_page(void **state) {
    (void)state;
    mien_text text = {0};
    size_t count;
    const mien_layer_def *const *layers = mien_layers(&count);
    mien_text_puts(
        &text, "# Model files\n\nA model file has a `name` and a list `layers`; each entry is a "
               "layer's name, or a map of the name to its keys.\nNames, keys and defaults are "
               "Keras's. `inputs: [a, b]` names what a layer reads (default: the layer "
               "before;\n`input` is the image). The last layer ends in a softmax; `units: "
               "classes` stands for the data's number of classes.\nMade from the key tables by "
               "tests/unit/test_docs.c.\n\n```yaml\nname: tiny\nlayers:\n  - conv2d: {filters: "
               "8, kernel_size: 3, activation: relu}\n  - max_pooling2d\n  - flatten\n  - dense: "
               "{units: classes, activation: softmax}\n```\n");
    for (size_t i = 1; i < count; i++) {
        mien_text_printf(&text, "\n## %s\nKeras: %s.\n\n", layers[i]->name, layers[i]->class_name);
        table(layers[i]->keys, &text);
    }
    compare("docs/models.md", &text);
    mien_text_release(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(config_page),
                                       cmocka_unit_test(models_page)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
