#include "host/data/merge.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/data/classes.h"
#include "host/data/container.h"
#include "host/data/label_columns.h"
#include "host/data/listing.h"
#include "host/data/source.h"
#include "host/data/votes.h"

/* The sources of a merged set, each with the index of its first sample. */
typedef struct merged {
    mien_dataset *members; /* [count] */
    size_t *starts;        /* [count] */
    size_t count;
} merged;

static mien_status read_merged(const mien_dataset *set, size_t i, mien_read_buffer *buffer,
                               uint8_t *pixels) {
    const merged *m = set->reader;
    size_t k = m->count - 1;
    while (m->starts[k] > i)
        k--;
    const mien_dataset *member = &m->members[k];
    if (!member->pixels) return mien_source_read(member, i - m->starts[k], buffer, pixels);
    memcpy(pixels, mien_dataset_image(member, i - m->starts[k]), mien_image_bytes(set->spec));
    return MIEN_OK;
}

static void close_merged(mien_dataset *set) {
    merged *m = set->reader;
    if (!m) return;
    for (size_t k = 0; k < m->count; k++)
        mien_dataset_release(&m->members[k]);
    mien_free(m->members);
    mien_free(m->starts);
    mien_free(m);
    set->reader = NULL;
}

/* Not in the table of sources.c: a merged set is opened source by source. */
static const mien_source_def source_merged = {.read = read_merged, .close = close_merged};

/* Adds the member's classes that the set lacks. */
static mien_status join_classes(mien_dataset *set, const mien_dataset *member) {
    char(*names)[MIEN_CLASS_NAME];
    int n = set->classes;
    if (n + member->classes > MIEN_CLASSES_MAX)
        return MIEN_FAIL(UNSUPPORTED, "the sources have more than %d classes", MIEN_CLASSES_MAX);
    MIEN_TRY(mien_new(&names, (size_t)(n + member->classes), MIEN_CLASS_NAME));
    if (n) memcpy(names, set->class_names, (size_t)n * MIEN_CLASS_NAME);
    for (int k = 0; k < member->classes; k++)
        if (mien_class_find((const char(*)[MIEN_CLASS_NAME])names, n, member->class_names[k]) < 0)
            memcpy(names[n++], member->class_names[k], MIEN_CLASS_NAME);
    mien_free(set->class_names);
    set->class_names = names;
    set->classes = n;
    return MIEN_OK;
}

/* Appends a member's samples without their pixels. Its classes must already be the set's. */
static mien_status append(mien_dataset *set, const mien_dataset *member, size_t number) {
    const size_t from = set->count, n = member->count;
    MIEN_TRY(mien_dataset_extend(set, n));
    memcpy(set->labels + from, member->labels, n * sizeof *set->labels);
    memcpy(set->usage + from, member->usage, n);
    memcpy(set->row + from, member->row, n * sizeof *set->row);
    for (size_t i = 0; i < n; i++) /* equal groups of two sources are different people */
        set->group[from + i] = member->group[i] + (uint32_t)number * 0x9E3779B9u;
    set->skipped += member->skipped;
    mien_text_append(&set->bad, member->bad.data, member->bad.size);
    set->labelled &= member->labelled;
    set->grouped &= member->grouped;
    return MIEN_OK;
}

/* Copies all pixels into one array, freeing each member's own after its copy. */
static mien_status join_pixels(mien_dataset *set, merged *m) {
    const size_t image = mien_image_bytes(set->spec);
    size_t have = 0;
    MIEN_TRY(mien_grow_to(&set->pixels, &have, set->count, image));
    for (size_t k = 0; k < m->count; k++) {
        memcpy(set->pixels + m->starts[k] * image, m->members[k].pixels,
               m->members[k].count * image);
        mien_dataset_drop_pixels(&m->members[k]);
    }
    return MIEN_OK;
}

static mien_status name_set(mien_dataset *set, const char *source) {
    const size_t used = strlen(set->source);
    const int more = snprintf(set->source + used, sizeof set->source - used, "%s%s",
                              used ? MIEN_MERGE_SIGN : "", source);
    if ((size_t)more < sizeof set->source - used) return MIEN_OK;
    return MIEN_FAIL(UNSUPPORTED, "the names of the data sources together exceed %zu bytes",
                     sizeof set->source);
}

/* The members' targets, with one-hot ones for hard labels. The majority's are labels already. */
static mien_status join_targets(mien_dataset *set, const merged *m) {
    const size_t classes = (size_t)set->classes;
    bool soft = false;
    for (size_t k = 0; k < m->count; k++)
        soft |= m->members[k].targets != NULL;
    if (!soft) return MIEN_OK;
    MIEN_TRY(mien_new(&set->targets, set->count * classes, sizeof *set->targets));
    for (size_t k = 0; k < m->count; k++) {
        const mien_dataset *member = &m->members[k];
        const size_t own = (size_t)member->classes; /* the first of the set's */
        float *to = set->targets + m->starts[k] * classes;
        for (size_t i = 0; i < member->count; i++, to += classes) {
            if (member->targets)
                memcpy(to, member->targets + i * own, own * sizeof *to);
            else
                to[member->labels[i]] = 1;
        }
        set->drawn |= member->drawn;
    }
    return MIEN_OK;
}

static mien_status label_by_votes(mien_dataset *member, const mien_label_rules *rules) {
    const mien_soft_mode mode = rules ? (mien_soft_mode)rules->soft_mode : MIEN_SOFT_MAJORITY;
    MIEN_TRY(mien_votes_apply_own(member, mode, rules ? rules->choice : NULL));
    if (mode != MIEN_SOFT_MAJORITY) return MIEN_OK;
    mien_free(member->targets);
    member->targets = NULL;
    return MIEN_OK;
}

static mien_status load_members(const char *const *sources, mien_on_bad on_bad,
                                const mien_label_rules *rules, merged *m, mien_dataset *set) {
    size_t budget = mien_dataset_budget(set->memory);
    const long long most = on_bad.max;
    for (size_t k = 0; k < m->count; k++) {
        mien_dataset *member = &m->members[k];
        if (most >= 0) on_bad.max = most - set->skipped;
        MIEN_TRY(mien_dataset_load_within(sources[k], set->spec, on_bad, set->memory, rules, budget,
                                          member));
        if (member->votes) MIEN_TRY(label_by_votes(member, rules));
        const size_t kept = member->streamed ? 0 : member->count * mien_image_bytes(set->spec);
        budget = kept < budget ? budget - kept : 0;
        MIEN_TRY(name_set(set, sources[k]));
        MIEN_TRY(join_classes(set, member));
        m->starts[k] = set->count;
        set->streamed |= member->streamed;
        /* later members only append classes, so labels can be mapped already */
        MIEN_TRY(mien_dataset_map(member, (const char(*)[MIEN_CLASS_NAME])set->class_names,
                                  set->classes, "the merged data"));
        MIEN_TRY(append(set, member, k));
    }
    return join_targets(set, m);
}

mien_status mien_dataset_merge(const char *const *sources, size_t count, mien_image_spec spec,
                               mien_on_bad on_bad, mien_memory memory,
                               const mien_label_rules *rules, mien_dataset *out) {
    merged *m;
    if (count == 1)
        return mien_dataset_load_within(sources[0], spec, on_bad, memory, rules,
                                        mien_dataset_budget(memory), out);
    *out = (mien_dataset){
        .spec = spec, .labelled = true, .grouped = true, .memory = memory, .def = &source_merged};
    MIEN_TRY(mien_new(&m, 1, sizeof *m));
    out->reader = m;
    MIEN_TRY(mien_new(&m->members, count, sizeof *m->members));
    MIEN_TRY(mien_new(&m->starts, count, sizeof *m->starts));
    m->count = count;
    MIEN_TRY(load_members(sources, on_bad, rules, m, out));
    if (out->streamed) return MIEN_OK;
    MIEN_TRY(join_pixels(out, m));
    close_merged(out);
    return MIEN_OK;
}

enum { SOURCES_MAX = 64 };

/* Splits joined names, in `text`; false when there are too many. */
static bool split_names(const char *names, char text[static MIEN_PATH],
                        const char *sources[static SOURCES_MAX], size_t *count) {
    *count = 0;
    snprintf(text, MIEN_PATH, "%s", names);
    for (char *at = text; at;) {
        if (*count == SOURCES_MAX) return false;
        sources[(*count)++] = at;
        char *sign = mien_file_exists(names) ? NULL : strstr(at, MIEN_MERGE_SIGN);
        at = sign ? sign + strlen(MIEN_MERGE_SIGN) : NULL;
        if (sign) *sign = 0;
    }
    return true;
}

mien_status mien_dataset_load_all(const char *names, mien_image_spec spec, mien_on_bad on_bad,
                                  mien_memory memory, const mien_label_rules *rules,
                                  mien_dataset *out) {
    char text[MIEN_PATH];
    const char *sources[SOURCES_MAX];
    size_t count;
    *out = (mien_dataset){0};
    if (!split_names(names, text, sources, &count))
        return MIEN_FAIL(UNSUPPORTED, "'%.60s…' names more than %d sources", names, SOURCES_MAX);
    return mien_dataset_merge(sources, count, spec, on_bad, memory, rules, out);
}

/* Whether `path` is in `folder`, or only in a subfolder, like the pictures of class folders. */
static bool in_folder(const char *folder, const char *path, bool deeper) {
    char outer[PATH_MAX], inner[PATH_MAX];
    if (!realpath(folder, outer) || !realpath(path, inner)) return false;
    const size_t length = strlen(outer);
    return strncmp(outer, inner, length) == 0 && inner[length] == '/' &&
           (!deeper || strchr(inner + length + 1, '/') != NULL);
}

/* Whether `path` is a picture or table of a source that a table describes. */
static bool is_of_table(const char *source, const char *path) {
    char folder[MIEN_PATH];
    if (!mien_source_label_table.accepts(source)) return false;
    if (!listing_is_picture(path) && !label_columns_peek(path)) return false;
    if (mien_is_folder(source)) return in_folder(source, path, false);
    mien_path_folder(folder, source);
    return in_folder(folder, path, false);
}

bool mien_dataset_reads(const char *names, const char *path) {
    char text[MIEN_PATH];
    const char *sources[SOURCES_MAX];
    size_t count;
    char table[MIEN_PATH];
    split_names(names, text, sources, &count);
    for (size_t i = 0; i < count; i++)
        if (mien_same_file(sources[i], path) ||
            (mien_path_join(table, "", sources[i]) == MIEN_OK &&
             container_table(table) == MIEN_OK && mien_same_file(table, path)) ||
            ((listing_is_picture(path) || mien_path_ends(path, "/label.csv")) &&
             in_folder(sources[i], path, true)) ||
            is_of_table(sources[i], path))
            return true;
    return false;
}
