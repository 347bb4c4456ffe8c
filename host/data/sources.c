/* Finds the source that reads a name, and loads the data set. */
#include <stdio.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/text.h"
#include "host/data/archive.h"
#include "host/data/container.h"
#include "host/data/source.h"

static const mien_source_def *const sources[] = {
    &mien_source_sample,    &mien_source_foreign,     &mien_source_csv,
    &mien_source_npy,       &mien_source_rafdb,       &mien_source_ferplus,
    &mien_source_affectnet, &mien_source_label_table, &mien_source_folder};
enum { SOURCES = sizeof sources / sizeof sources[0] };

const mien_source_def *mien_source_at(size_t index) {
    return index < SOURCES ? sources[index] : NULL;
}

static bool is_last_of_its_form(size_t i) {
    for (size_t k = i + 1; k < SOURCES; k++)
        if (strcmp(sources[k]->form, sources[i]->form) == 0) return false;
    return true;
}

/* "a, b or c": each form once. */
static void list_forms(mien_text *out) {
    size_t left = 0;
    mien_text_puts(out, ARCHIVE_FORMS ", ");
    for (size_t i = 0; i < SOURCES; i++)
        left += is_last_of_its_form(i);
    for (size_t i = 0; i < SOURCES; i++) {
        if (!is_last_of_its_form(i)) continue;
        left--;
        mien_text_printf(out, "%s%s", sources[i]->form, left > 1 ? ", " : left ? " or " : "");
    }
}

static mien_status refuse(const char *source) {
    static const char *const packed[] = {".rar", ".7z", ".zst", ".tar.Z", ".lz4"};
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++)
        if (mien_path_ends(source, packed[i]) && mien_file_exists(source))
            return MIEN_FAIL(UNSUPPORTED,
                             "'%s' is an archive of a kind that is not read: unpack it first, and "
                             "give the folder or file in it",
                             source);
    mien_text forms = {0};
    list_forms(&forms);
    const char *known = forms.data ? forms.data : "another source";
    const mien_status status =
        mien_file_exists(source)
            ? MIEN_FAIL(UNSUPPORTED, "'%s' has no known format: give %s", source, known)
            : MIEN_FAIL(NOT_FOUND, "'%s' does not exist: give %s", source, known);
    mien_text_release(&forms);
    return status;
}

static mien_status load_from(const mien_source_def *def, mien_on_bad on_bad, mien_dataset *set) {
    char inside[MIEN_PATH];
    set->def = def;
    MIEN_TRY(def->open(set->source, &on_bad, set));
    if (set->count == 0) return MIEN_FAIL(FORMAT, "'%s' holds no usable image", set->source);
    if (set->skipped)
        MIEN_WARN("%s: %lld bad rows or files were left out", set->source, set->skipped);
    mien_dataset_check_names(set);
    if (set->listed) return MIEN_OK;
    set->streamed = !set->pixels;
    if (set->streamed && mien_mount_of(set->source, inside))
        return MIEN_FAIL(NO_MEMORY,
                         "the images of '%s' take more than half of the free memory: unpack the "
                         "archive and give the folder, which can be streamed",
                         set->source);
    if (!set->streamed && !def->file) def->close(set);
    if (set->streamed && set->memory == MIEN_MEMORY_AUTO)
        MIEN_INFO("%s: %zu images would take more than half of the free memory: they are "
                  "streamed from the source (data.memory)",
                  set->source, set->count);
    return MIEN_OK;
}

static const mien_source_def *find(const char *source) {
    for (size_t i = 0; i < SOURCES; i++)
        if (sources[i]->accepts(source)) return sources[i];
    return NULL;
}

/* Reads set->source. */
static mien_status load_plain(mien_on_bad on_bad, mien_dataset *set) {
    if (find(set->source) == &mien_source_folder) MIEN_TRY(container_table(set->source));
    const mien_source_def *def = find(set->source);
    return def ? load_from(def, on_bad, set) : refuse(set->source);
}

/* An archive is a folder while it is read; its images must then be in memory. */
static mien_status load_archive(const char *source, mien_on_bad on_bad, mien_dataset *set) {
    archive_files files = {0};
    const mien_mount mount = {source,      &files, archive_bytes, archive_open, archive_has_folder,
                              archive_list};
    if (set->memory == MIEN_MEMORY_STREAM)
        return MIEN_FAIL(
            UNSUPPORTED,
            "'%s' is an archive and cannot be streamed: unpack it and give the folder, "
            "or set data.memory to resident",
            source);
    mien_status status = archive_read(source, mien_memory_available() / 2, &files);
    if (status == MIEN_OK && files.left_out)
        MIEN_INFO("%s: %zu hidden files, links and names that lead outside are left out", source,
                  files.left_out);
    if (status == MIEN_OK) {
        mien_mount_files(&mount);
        status = container_root(source, set->source);
        if (status == MIEN_OK) status = load_plain(on_bad, set);
        mien_unmount();
    }
    archive_release(&files);
    snprintf(set->source, sizeof set->source, "%s", source);
    return status;
}

mien_status mien_dataset_load_within(const char *source, mien_image_spec spec, mien_on_bad on_bad,
                                     mien_memory memory, const mien_label_rules *rules,
                                     size_t budget, mien_dataset *out) {
    *out = (mien_dataset){
        .spec = spec, .labelled = true, .memory = memory, .rules = rules, .budget = budget};
    snprintf(out->source, sizeof out->source, "%s", source);
    const bool packed = archive_is(source) && !mien_is_folder(source);
    const mien_status status = packed ? load_archive(source, on_bad, out) : load_plain(on_bad, out);
    out->rules = NULL; /* the caller's, not the set's */
    return status;
}

mien_status mien_dataset_load(const char *source, mien_image_spec spec, mien_on_bad on_bad,
                              mien_memory memory, mien_dataset *out) {
    return mien_dataset_load_within(source, spec, on_bad, memory, NULL, mien_dataset_budget(memory),
                                    out);
}

mien_status mien_dataset_list(const char *source, bool videos, mien_on_bad on_bad,
                              mien_dataset *out) {
    *out = (mien_dataset){.spec = {1, 1, 1}, .labelled = true, .listed = true, .videos = videos};
    snprintf(out->source, sizeof out->source, "%s", source);
    if (archive_is(source) && !mien_is_folder(source))
        return MIEN_FAIL(UNSUPPORTED, "'%s' is an archive: unpack it and give the folder", source);
    if (find(source) == &mien_source_folder) MIEN_TRY(container_table(out->source));
    const mien_source_def *def = find(out->source);
    if (!def) return refuse(source);
    if (!def->file)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' holds the pixels of faces, not photos: give a folder of photos in "
                         "class folders",
                         out->source);
    return load_from(def, on_bad, out);
}
