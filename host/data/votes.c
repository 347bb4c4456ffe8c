#include "host/data/votes.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/records.h"

enum { FILE_MAX = 1 << 28, UNKNOWN = 8, NO_FACE = 9, VOTES_MAX = 1000 };

static const char *const columns[MIEN_VOTE_COLUMNS] = {
    "neutral", "happiness", "surprise", "sadness", "anger",
    "disgust", "fear",      "contempt", "unknown", "NF"};
static const char *const usages[MIEN_PARTS] = {"Training", "PublicTest", "PrivateTest"};

typedef struct vote_file {
    mien_records csv;
    int column[MIEN_VOTE_COLUMNS], usage; /* column numbers; usage -1: absent */
    int (*votes)[MIEN_VOTE_COLUMNS];      /* [count] */
    uint8_t *part;                        /* [count] */
    size_t count, votes_capacity, part_capacity;
} vote_file;

/* ---- one image ---- */

static mien_votes_outcome refusal(int column) {
    return column == NO_FACE ? MIEN_VOTES_NO_FACE : MIEN_VOTES_UNKNOWN;
}

static int largest(const int votes[MIEN_VOTE_COLUMNS]) {
    int best = 0;
    for (int c = 1; c < MIEN_VOTE_COLUMNS; c++)
        if (votes[c] > votes[best]) best = c;
    return best;
}

/* Takes classes by descending votes until they hold three quarters of the votes or three classes
 * are taken. Stops where `unknown` or `NF` comes next. */
static mien_votes_outcome choose_distribution(int votes[MIEN_VOTE_COLUMNS], int sum,
                                              int taken[MIEN_VOTE_COLUMNS]) {
    int in = 0, classes = 0;
    bool open = true;
    while (4 * in < 3 * sum && classes < 3 && open) {
        const int most = votes[largest(votes)];
        for (int c = 0; c < MIEN_VOTE_COLUMNS && open; c++) {
            if (votes[c] != most) continue;
            if (c >= UNKNOWN) {
                if (in == 0) return refusal(c);
                open = false;
                continue;
            }
            taken[c] = most;
            votes[c] = 0;
            in += most;
            classes++;
        }
    }
    return 2 * in <= sum || classes > 3 ? MIEN_VOTES_SPREAD : MIEN_VOTES_KEPT;
}

static mien_votes_outcome choose_multi(const int votes[MIEN_VOTE_COLUMNS], int sum,
                                       int taken[MIEN_VOTE_COLUMNS]) {
    int in = 0;
    for (int c = 0; c < MIEN_VOTE_COLUMNS; c++)
        if (10 * votes[c] >= 3 * sum) in += taken[c] = votes[c];
    if (2 * in <= sum) return MIEN_VOTES_SPREAD;
    const int best = largest(taken);
    return best >= UNKNOWN ? refusal(best) : MIEN_VOTES_KEPT;
}

static mien_votes_outcome choose_majority(const int votes[MIEN_VOTE_COLUMNS], int sum,
                                          int taken[MIEN_VOTE_COLUMNS]) {
    const int best = largest(votes);
    if (2 * votes[best] <= sum) return MIEN_VOTES_SPREAD;
    if (best >= UNKNOWN) return refusal(best);
    taken[best] = votes[best];
    return MIEN_VOTES_KEPT;
}

const char *mien_soft_mode_name(mien_soft_mode mode) {
    static const char *const names[] = {"majority", "probability", "distribution", "multi"};
    return names[mode];
}

mien_votes_outcome mien_votes_target(const int given[MIEN_VOTE_COLUMNS], mien_soft_mode mode,
                                     float *target) {
    int votes[MIEN_VOTE_COLUMNS], taken[MIEN_VOTE_COLUMNS] = {0}, sum = 0;
    for (int c = 0; c < MIEN_VOTE_COLUMNS; c++)
        sum += votes[c] = given[c] > 1 ? given[c] : 0;
    mien_votes_outcome outcome;
    if (mode == MIEN_SOFT_MAJORITY)
        outcome = choose_majority(votes, sum, taken);
    else if (mode == MIEN_SOFT_MULTI)
        outcome = choose_multi(votes, sum, taken);
    else
        outcome = choose_distribution(votes, sum, taken);
    int kept = 0;
    for (int c = 0; c < MIEN_VOTE_CLASSES; c++) {
        if (mode == MIEN_SOFT_MULTI) taken[c] = taken[c] > 0;
        kept += taken[c];
    }
    for (int c = 0; c < MIEN_VOTE_CLASSES; c++)
        target[c] = outcome == MIEN_VOTES_KEPT ? (float)taken[c] / (float)kept : 0;
    return outcome;
}

/* ---- the file ---- */

static mien_status read_header(vote_file *f) {
    MIEN_TRY(mien_records_next(&f->csv));
    const int n = f->csv.count;
    char *const *fields = f->csv.fields;
    f->usage = -1;
    for (int i = 0; i < n; i++)
        if (strcasecmp(fields[i], "Usage") == 0) f->usage = i;
    for (int c = 0; c < MIEN_VOTE_COLUMNS; c++) {
        f->column[c] = -1;
        for (int i = 0; i < n; i++)
            if (strcasecmp(fields[i], columns[c]) == 0) f->column[c] = i;
        if (f->column[c] < 0)
            return MIEN_FAIL(FORMAT,
                             "'%s': line %lld has no column '%s': a file of FER+ votes "
                             "(fer2013new.csv) begins with Usage,Image name,neutral,happiness,…",
                             f->csv.path, f->csv.line, columns[c]);
    }
    return MIEN_OK;
}

static mien_status read_votes(vote_file *f) {
    const int n = f->csv.count;
    char *const *fields = f->csv.fields, *end;
    const size_t at = f->count;
    MIEN_TRY(mien_grow(&f->votes, &f->votes_capacity, at + 1, sizeof *f->votes));
    MIEN_TRY(mien_grow(&f->part, &f->part_capacity, at + 1, 1));
    for (int c = 0; c < MIEN_VOTE_COLUMNS; c++) {
        const char *text = f->column[c] < n ? fields[f->column[c]] : "";
        const long v = strtol(text, &end, 10);
        if (end == text || *end || v < 0 || v > VOTES_MAX)
            return MIEN_FAIL(FORMAT,
                             "'%s': line %lld: the votes for '%s' are not a number from 0 to %d",
                             f->csv.path, f->csv.line, columns[c], VOTES_MAX);
        f->votes[at][c] = (int)v;
    }
    f->part[at] = MIEN_NO_PART;
    for (int p = 0; f->usage >= 0 && f->usage < n && p < MIEN_PARTS; p++)
        if (strcasecmp(fields[f->usage], usages[p]) == 0) f->part[at] = (uint8_t)p;
    f->count++;
    return MIEN_OK;
}

static mien_status read_file(vote_file *f, const char *path) {
    MIEN_TRY(mien_records_open(&f->csv, path, FILE_MAX));
    MIEN_TRY(read_header(f));
    for (;;) {
        MIEN_TRY(mien_records_next(&f->csv));
        if (!f->csv.count) return MIEN_OK;
        MIEN_TRY(read_votes(f));
    }
}

/* ---- the set ---- */

static mien_status check_rows(const mien_dataset *set, const vote_file *f) {
    if (!set->source_rows)
        return MIEN_FAIL(UNSUPPORTED,
                         "data.soft_labels needs a csv of faces: '%s' has no order of rows that "
                         "'%s' could match",
                         set->source, f->csv.path);
    if (f->count != set->source_rows)
        return MIEN_FAIL(INVALID,
                         "'%s' has votes for %zu images, but '%s' has %zu: give the file of votes "
                         "that matches these data row by row",
                         f->csv.path, f->count, set->source, set->source_rows);
    for (size_t i = 0; i < set->count; i++) {
        const size_t row = set->row[i];
        if (set->usage[i] != MIEN_NO_PART && f->part[row] != MIEN_NO_PART &&
            set->usage[i] != f->part[row])
            return MIEN_FAIL(INVALID,
                             "image %zu is in %s in '%s' and in %s in '%s': the rows of the two "
                             "files do not match",
                             row + 1, usages[set->usage[i]], set->source, usages[f->part[row]],
                             f->csv.path);
    }
    return MIEN_OK;
}

static void log_counts(const mien_dataset *set, const char *path, const size_t *counts) {
    MIEN_INFO(
        "%s: votes for %zu images; left out: %zu with too little agreement, %zu with no known "
        "expression, %zu without a face",
        path, set->count, counts[MIEN_VOTES_SPREAD], counts[MIEN_VOTES_UNKNOWN],
        counts[MIEN_VOTES_NO_FACE]);
}

/* Sets labels and targets of all images; keep[i] says whether an image stays. */
static mien_status set_targets(mien_dataset *set, const int (*votes)[MIEN_VOTE_COLUMNS],
                               const char *path, mien_soft_mode mode,
                               const mien_class_choice *choice, bool *keep) {
    size_t counts[MIEN_VOTES_OUTCOMES] = {0};
    for (size_t i = 0; i < set->count; i++) {
        float *target = set->targets + i * MIEN_VOTE_CLASSES;
        int own[MIEN_VOTE_COLUMNS];
        memcpy(own, votes[set->row[i]], sizeof own);
        if (!mien_choice_is_empty(choice))
            mien_choice_votes(choice, columns, MIEN_VOTE_CLASSES, own);
        const mien_votes_outcome v = mien_votes_target(own, mode, target);
        int best = 0;
        for (int c = 1; c < MIEN_VOTE_CLASSES; c++)
            if (target[c] > target[best]) best = c;
        /* of equal shares in `multi` the class with the most votes, else the first */
        for (int c = 0; mode == MIEN_SOFT_MULTI && c < MIEN_VOTE_CLASSES; c++)
            if (target[c] > 0 && own[c] > own[best]) best = c;
        set->labels[i] = (uint16_t)best;
        keep[i] = v == MIEN_VOTES_KEPT;
        counts[v]++;
    }
    log_counts(set, path, counts);
    if (counts[MIEN_VOTES_KEPT]) return MIEN_OK;
    return MIEN_FAIL(INVALID, "the votes of '%s' leave no image", path);
}

static mien_status apply(mien_dataset *set, const int (*votes)[MIEN_VOTE_COLUMNS], const char *path,
                         mien_soft_mode mode, const mien_class_choice *choice) {
    bool *keep = NULL;
    mien_status status;
    MIEN_GO(mien_new(&keep, set->count, sizeof *keep));
    mien_free(set->targets);
    MIEN_GO(mien_new(&set->targets, set->count * MIEN_VOTE_CLASSES, sizeof *set->targets));
    mien_free(set->class_names);
    MIEN_GO(mien_dataset_classes(set, columns, MIEN_VOTE_CLASSES));
    MIEN_GO(set_targets(set, votes, path, mode, choice, keep));
    MIEN_GO(mien_dataset_keep(set, keep));
    set->drawn = mode == MIEN_SOFT_PROBABILITY;
    set->labelled = true;
out:
    mien_free(keep);
    return status;
}

mien_status mien_votes_apply(mien_dataset *set, const char *path, mien_soft_mode mode,
                             const mien_class_choice *choice) {
    vote_file f = {0};
    mien_status status;
    MIEN_GO(read_file(&f, path));
    MIEN_GO(check_rows(set, &f));
    MIEN_GO(apply(set, (const int(*)[MIEN_VOTE_COLUMNS])f.votes, path, mode, choice));
out:
    mien_records_release(&f.csv);
    mien_free(f.votes);
    mien_free(f.part);
    return status;
}

mien_status mien_votes_read(const mien_dataset *set, const char *path,
                            int (**out)[MIEN_VOTE_COLUMNS]) {
    vote_file f = {0};
    mien_status status = read_file(&f, path);
    if (status == MIEN_OK) status = check_rows(set, &f);
    mien_records_release(&f.csv);
    mien_free(f.part);
    *out = f.votes;
    if (status != MIEN_OK) {
        mien_free(f.votes);
        *out = NULL;
    }
    return status;
}

mien_status mien_votes_apply_own(mien_dataset *set, mien_soft_mode mode,
                                 const mien_class_choice *choice) {
    return apply(set, (const int(*)[MIEN_VOTE_COLUMNS])set->votes, set->source, mode, choice);
}

const char *mien_vote_column(int column) {
    return columns[column];
}
