/* FER+ as its own script writes it: FER2013Train, FER2013Valid and FER2013Test, each with pictures
 * and a label.csv without header: file, face box, ten people's votes. One such folder alone is read
 * too. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/part_words.h"
#include "host/data/listing.h"
#include "host/data/pictures.h"
#include "host/data/records.h"
#include "host/data/votes.h"

enum { TABLE_MAX = 1 << 26, VOTES_MAX = 1000, FIELDS = 2 + MIEN_VOTE_COLUMNS };

static const char table_name[] = "label.csv";

/* Whether a folder has a label.csv whose second field is a box "(…", as no other table's is. */
static bool has_table(const char *folder) {
    char path[MIEN_PATH], line[512] = "";
    if (mien_path_join(path, folder, table_name) != MIEN_OK || mien_is_folder(path)) return false;
    FILE *file = fopen(path, "r");
    if (!file) return false;
    const char *second = fgets(line, sizeof line, file) ? strchr(line, ',') : NULL;
    fclose(file);
    return second && second[1 + strspn(second + 1, " \"")] == '(';
}

/* Keeps the folders with a table. */
static mien_status find_folders(const char *base, listing *out) {
    char path[MIEN_PATH];
    MIEN_TRY(listing_folders(base, out));
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++)
        if (mien_path_join(path, base, out->names[i]) == MIEN_OK && has_table(path))
            out->names[kept++] = out->names[i];
    out->count = kept;
    return MIEN_OK;
}

static bool has_folders(const char *base) {
    listing folders;
    const bool found = find_folders(base, &folders) == MIEN_OK && folders.count > 0;
    listing_release(&folders);
    return found;
}

/* The folder of the parts, relative to the source: the source, or its folder "data", as in FER+'s
 * repository, or its only folder. */
static bool find_base(const char *source, char base[MIEN_PATH]) {
    char path[MIEN_PATH];
    listing folders;
    bool found = false;
    *base = 0;
    if (has_folders(source)) return true;
    if (listing_folders(source, &folders) == MIEN_OK)
        for (size_t i = 0; i < folders.count && !found; i++)
            found = (folders.count == 1 || strcmp(folders.names[i], "data") == 0) &&
                    mien_path_join(path, source, folders.names[i]) == MIEN_OK &&
                    has_folders(path) && mien_path_join(base, "", folders.names[i]) == MIEN_OK;
    listing_release(&folders);
    return found;
}

static bool accepts(const char *source) {
    char base[MIEN_PATH];
    return mien_is_folder(source) && (has_table(source) || find_base(source, base));
}

/* Files whose rows are read, as the sources' order of samples has it. */
typedef struct vote_list {
    int (*votes)[MIEN_VOTE_COLUMNS];
    size_t count, capacity;
} vote_list;

/* A name from a table must not lead to another folder. */
static bool is_plain_name(const char *name) {
    return *name && *name != '.' && !strchr(name, '/') && listing_is_picture(name);
}

/* Parses a row of file, box and votes. */
static mien_status read_row(const mien_records *csv, int votes[MIEN_VOTE_COLUMNS]) {
    int box[4];
    char rest;
    if (csv->count != FIELDS || !is_plain_name(csv->fields[0]))
        return MIEN_FAIL(FORMAT,
                         "'%s': line %lld is not of the form 'fer0000000.png,\"(0, 0, 48, 48)\"' "
                         "with ten votes",
                         csv->path, csv->line);
    if (sscanf(csv->fields[1], " (%d ,%d ,%d ,%d ) %c", box, box + 1, box + 2, box + 3, &rest) !=
            4 ||
        box[0] != 0 || box[1] != 0 || box[2] <= 0 || box[3] <= 0)
        return MIEN_FAIL(FORMAT,
                         "'%s': line %lld: the face box '%.40s' is not (0, 0, width, height): only "
                         "whole pictures are read",
                         csv->path, csv->line, csv->fields[1]);
    for (int c = 0; c < MIEN_VOTE_COLUMNS; c++) {
        char *end;
        const char *text = csv->fields[2 + c];
        const double v = strtod(text, &end);
        if (end == text || *end || !(v >= 0 && v <= VOTES_MAX) || v != (int)v)
            return MIEN_FAIL(FORMAT,
                             "'%s': line %lld: the votes for '%s' are not a number from 0 to %d",
                             csv->path, csv->line, mien_vote_column(c), VOTES_MAX);
        votes[c] = (int)v;
    }
    return MIEN_OK;
}

/* The class with the most votes; a rule of data.soft_mode replaces it before training. */
static int first_label(const int votes[MIEN_VOTE_COLUMNS]) {
    int best = 0;
    for (int c = 1; c < MIEN_VOTE_CLASSES; c++)
        if (votes[c] > votes[best]) best = c;
    return best;
}

static mien_status read_table(mien_dataset *set, mien_records *csv, const char *folder, int usage,
                              const mien_on_bad *on_bad, vote_list *list, size_t *rows) {
    char path[MIEN_PATH];
    for (;;) {
        int votes[MIEN_VOTE_COLUMNS];
        MIEN_TRY(mien_records_next(csv));
        if (!csv->count) return MIEN_OK;
        if (read_row(csv, votes) != MIEN_OK) {
            MIEN_TRY(mien_dataset_bad(set, on_bad));
            continue;
        }
        MIEN_TRY(mien_path_join(path, folder, csv->fields[0]));
        MIEN_TRY(pictures_add(set, path, first_label(votes), usage));
        MIEN_TRY(mien_grow(&list->votes, &list->capacity, list->count + 1, sizeof *list->votes));
        memcpy(list->votes[list->count++], votes, sizeof votes);
        ++*rows;
    }
}

static mien_status read_folder(mien_dataset *set, const char *folder, int usage,
                               const mien_on_bad *on_bad, vote_list *list) {
    char full[MIEN_PATH], path[MIEN_PATH];
    mien_records csv = {0};
    listing files = {0};
    size_t rows = 0;
    mien_status status;
    snprintf(full, sizeof full, "%s", set->source);
    if (*folder) MIEN_GO(mien_path_join(full, set->source, folder));
    MIEN_GO(mien_path_join(path, full, table_name));
    MIEN_GO(mien_records_open(&csv, path, TABLE_MAX));
    MIEN_GO(read_table(set, &csv, folder, usage, on_bad, list, &rows));
    MIEN_GO(listing_pictures(full, &files));
    listing_warn_unread(full, &files.unread);
    if (files.count > rows)
        MIEN_WARN("%s: %zu of %zu pictures have no line in %s and are left out", full,
                  files.count - rows, files.count, table_name);
out:
    listing_release(&files);
    mien_records_release(&csv);
    return status;
}

static int part_of(const char *folder) {
    char prefix[PART_WORD];
    return part_word_ends(folder, prefix);
}

static bool is_among(const listing *list, const char *name) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->names[i], name) == 0) return true;
    return false;
}

/* A part without a table would be missed silently. */
static mien_status check_tables(const char *base, const listing *folders) {
    listing all;
    mien_status status = listing_folders(base, &all);
    for (size_t i = 0; i < all.count && status == MIEN_OK; i++)
        if (part_of(all.names[i]) != MIEN_NO_PART && !is_among(folders, all.names[i]))
            status = MIEN_FAIL(FORMAT,
                               "'%s/%s' has no %s of votes, unlike '%s' beside it: add it or move "
                               "the folder away",
                               base, all.names[i], table_name, folders->names[0]);
    listing_release(&all);
    return status;
}

/* Reads the parts in the folder `base`, relative to the source. */
static mien_status read_parts(mien_dataset *set, const char *base, const mien_on_bad *on_bad,
                              vote_list *list) {
    const char *seen[MIEN_PARTS] = {0};
    char full[MIEN_PATH], relative[MIEN_PATH];
    listing folders = {0};
    mien_status status;
    snprintf(full, sizeof full, "%s", set->source);
    if (*base) MIEN_GO(mien_path_join(full, set->source, base));
    MIEN_GO(find_folders(full, &folders));
    MIEN_GO(check_tables(full, &folders));
    for (size_t i = 0; i < folders.count; i++) {
        const char *name = folders.names[i];
        const int usage = part_of(name);
        status = MIEN_OK;
        if (usage == MIEN_NO_PART)
            status = MIEN_FAIL(FORMAT,
                               "'%s/%s' holds votes, but its name tells no part: call it Train, "
                               "Valid or Test",
                               full, name);
        else if (seen[usage])
            status = MIEN_FAIL(FORMAT, "'%s' has two folders for one part: '%s' and '%s'", full,
                               seen[usage], name);
        MIEN_GO(status);
        seen[usage] = name;
        MIEN_GO(mien_path_join(relative, base, name));
        MIEN_GO(read_folder(set, relative, usage, on_bad, list));
    }
out:
    listing_release(&folders);
    return status;
}

static mien_status open_ferplus(const char *source, const mien_on_bad *on_bad, mien_dataset *set) {
    const char *names[MIEN_VOTE_CLASSES];
    char base[MIEN_PATH];
    vote_list list = {0};
    mien_status status;
    (void)source;
    MIEN_GO(pictures_start(set));
    for (int c = 0; c < MIEN_VOTE_CLASSES; c++)
        names[c] = mien_vote_column(c);
    MIEN_GO(mien_dataset_classes(set, names, MIEN_VOTE_CLASSES));
    if (has_table(set->source)) {
        MIEN_GO(read_folder(set, "", MIEN_NO_PART, on_bad, &list));
    } else {
        find_base(set->source, base);
        MIEN_GO(read_parts(set, base, on_bad, &list));
    }
    set->votes = (int *)list.votes;
    list.votes = NULL;
    MIEN_GO(pictures_load(set, on_bad));
out:
    mien_free(list.votes);
    return status;
}

const mien_source_def mien_source_ferplus = {"a folder of pictures", accepts,        open_ferplus,
                                             pictures_read,          pictures_close, pictures_file,
                                             pictures_size};
