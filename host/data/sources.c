/* Finds the source that reads a name, and loads the data set. */
#include <stdio.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/base/text.h"
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
    for (size_t i = 0; i < SOURCES; i++)
        left += is_last_of_its_form(i);
    for (size_t i = 0; i < SOURCES; i++) {
        if (!is_last_of_its_form(i)) continue;
        left--;
        mien_text_printf(out, "%s%s", sources[i]->form, left > 1 ? ", " : left ? " or " : "");
    }
}

static mien_status refuse(const char *source) {
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
    set->def = def;
    MIEN_TRY(def->open(set->source, &on_bad, set));
    if (set->count == 0) return MIEN_FAIL(FORMAT, "'%s' holds no usable image", set->source);
    if (set->skipped)
        MIEN_WARN("%s: %lld bad rows or files were left out", set->source, set->skipped);
    mien_dataset_check_names(set);
    set->streamed = !set->pixels;
    if (!set->streamed && !def->file) def->close(set);
    if (set->streamed && set->memory == MIEN_MEMORY_AUTO)
        MIEN_INFO("%s: %zu images would take more than half of the free memory: they are "
                  "streamed from the source (data.memory)",
                  set->source, set->count);
    return MIEN_OK;
}

mien_status mien_dataset_load_within(const char *source, mien_image_spec spec, mien_on_bad on_bad,
                                     mien_memory memory, size_t budget, mien_dataset *out) {
    *out = (mien_dataset){.spec = spec, .labelled = true, .memory = memory, .budget = budget};
    snprintf(out->source, sizeof out->source, "%s", source);
    for (size_t i = 0; i < SOURCES; i++)
        if (sources[i]->accepts(source)) return load_from(sources[i], on_bad, out);
    return refuse(source);
}

mien_status mien_dataset_load(const char *source, mien_image_spec spec, mien_on_bad on_bad,
                              mien_memory memory, mien_dataset *out) {
    return mien_dataset_load_within(source, spec, on_bad, memory, mien_dataset_budget(memory), out);
}
