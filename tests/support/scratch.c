#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/log.h"
#include "tests/support/test.h"

char scratch[32];
mien_text said;

int scratch_make(void **state) {
    (void)state;
    strcpy(scratch, "/tmp/mien-test-XXXXXX");
    return mkdtemp(scratch) == NULL;
}

int scratch_drop(void **state) {
    char command[64];
    (void)state;
    mien_log_sink(NULL, NULL);
    mien_text_release(&said);
    snprintf(command, sizeof command, "rm -rf '%s'", scratch);
    return system(command);
}

static void keep(void *context, mien_log_level level, const char *line) {
    (void)context, (void)level;
    mien_text_printf(&said, "%s\n", line);
}

void scratch_listen(void) {
    mien_log_sink(keep, NULL);
}

const char *scratch_path(const char *name) {
    static char path[MIEN_PATH];
    if (mien_path_join(path, scratch, name) != MIEN_OK) fail_msg("%s", mien_error_message());
    return path;
}

void scratch_put(const char *name, const void *bytes, size_t size) {
    char folder[MIEN_PATH];
    const char *path = scratch_path(name);
    mien_path_folder(folder, path);
    assert_int_equal(mien_make_folders(folder), MIEN_OK);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    if (size) assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void scratch_put_text(const char *name, mien_text *text) {
    assert_int_equal(text->status, MIEN_OK);
    scratch_put(name, text->data, text->size);
    mien_text_release(text);
}

void expect_in(const char *text, const char *part) {
    if (!text || !strstr(text, part)) fail_msg("'%s' is not in '%s'", part, text ? text : "");
}

void expect_in_message(const char *part) {
    expect_in(mien_error_message(), part);
}
