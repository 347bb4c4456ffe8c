#include "host/data/choose.h"

#include <stdio.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/text.h"
#include "host/data/classes.h"

/* ---- the rules ---- */

static mien_status check_name(const char *name) {
    if (name[0] && strlen(name) < MIEN_CLASS_NAME) return MIEN_OK;
    return MIEN_FAIL(INVALID, "'%.80s' cannot be the name of a class: use 1 to %d bytes", name,
                     MIEN_CLASS_NAME - 1);
}

static mien_status check_count(int count) {
    if (count < MIEN_CLASSES_MAX) return MIEN_OK;
    return MIEN_FAIL(INVALID,
                     "data.classes, data.merge and data.drop_classes name more than %d "
                     "classes: name fewer",
                     MIEN_CLASSES_MAX);
}

static const mien_class_rule *find_rule(const mien_class_choice *choice, const char *name) {
    for (int i = 0; i < choice->rule_count; i++)
        if (mien_class_same(choice->rules[i].from, name)) return &choice->rules[i];
    return NULL;
}

mien_status mien_choice_add_rule(mien_class_choice *choice, const char *from, const char *to) {
    size_t have = (size_t)choice->rule_count;
    MIEN_TRY(check_name(from));
    if (to[0]) MIEN_TRY(check_name(to));
    MIEN_TRY(check_count(choice->rule_count));
    const mien_class_rule *other = find_rule(choice, from);
    if (other)
        return MIEN_FAIL(INVALID,
                         "the class '%s' is %s%s%s and again %s%s%s: name each class once in "
                         "data.merge and data.drop_classes",
                         from, other->to[0] ? "merged into '" : "left out", other->to,
                         other->to[0] ? "'" : "", to[0] ? "merged into '" : "left out", to,
                         to[0] ? "'" : "");
    MIEN_TRY(mien_grow_to(&choice->rules, &have, have + 1, sizeof *choice->rules));
    mien_class_rule *rule = &choice->rules[choice->rule_count++];
    snprintf(rule->from, sizeof rule->from, "%s", from);
    snprintf(rule->to, sizeof rule->to, "%s", to);
    return MIEN_OK;
}

mien_status mien_choice_add_kept(mien_class_choice *choice, const char *name) {
    size_t have = (size_t)choice->keep_count;
    MIEN_TRY(check_name(name));
    MIEN_TRY(check_count(choice->keep_count));
    if (mien_class_find((const char(*)[MIEN_CLASS_NAME])choice->keep, choice->keep_count, name) >=
        0)
        return MIEN_FAIL(INVALID, "data.classes names '%s' twice, maybe by a synonym", name);
    MIEN_TRY(mien_grow_to(&choice->keep, &have, have + 1, MIEN_CLASS_NAME));
    snprintf(choice->keep[choice->keep_count++], MIEN_CLASS_NAME, "%s", name);
    return MIEN_OK;
}

mien_status mien_choice_create(const mien_texts *classes, const mien_lists *merge,
                               const mien_texts *drop, mien_class_choice *out) {
    *out = (mien_class_choice){0};
    for (size_t i = 0; i < merge->count; i++) {
        if (merge->items[i].texts.count == 0)
            return MIEN_FAIL(INVALID, "data.merge: '%s' has no classes: list those that become it",
                             merge->items[i].name);
        MIEN_TRY(check_name(merge->items[i].name));
        for (size_t k = 0; k < merge->items[i].texts.count; k++)
            MIEN_TRY(
                mien_choice_add_rule(out, merge->items[i].texts.items[k], merge->items[i].name));
    }
    for (size_t i = 0; i < drop->count; i++)
        MIEN_TRY(mien_choice_add_rule(out, drop->items[i], ""));
    for (size_t i = 0; i < classes->count; i++)
        MIEN_TRY(mien_choice_add_kept(out, classes->items[i]));
    if (out->keep_count == 1)
        return MIEN_FAIL(INVALID, "data.classes names only '%s': a classifier needs two or more",
                         out->keep[0]);
    return MIEN_OK;
}

mien_status mien_choice_drops(const char *names, mien_class_choice *out) {
    const char *part;
    size_t length;
    *out = (mien_class_choice){0};
    while (mien_next_part(&names, ',', &part, &length)) {
        char name[MIEN_CLASS_NAME + 1];
        while (length && *part == ' ')
            part++, length--;
        snprintf(name, sizeof name, "%.*s", (int)length, part);
        MIEN_TRY(mien_choice_add_rule(out, name, ""));
    }
    return MIEN_OK;
}

void mien_choice_release(mien_class_choice *choice) {
    mien_free(choice->rules);
    mien_free(choice->keep);
    *choice = (mien_class_choice){0};
}

const char *mien_choice_name(const mien_class_choice *choice, const char *name) {
    const mien_class_rule *rule = find_rule(choice, name);
    if (rule) {
        const mien_class_rule *next = NULL; /* a merged class can be left out as a whole */
        for (int i = 0; i < choice->rule_count && !next; i++)
            if (!choice->rules[i].to[0] && mien_class_same(choice->rules[i].from, rule->to))
                next = &choice->rules[i];
        name = next ? "" : rule->to;
    }
    if (!name[0] || choice->keep_count == 0) return name;
    const int at =
        mien_class_find((const char(*)[MIEN_CLASS_NAME])choice->keep, choice->keep_count, name);
    return at < 0 ? "" : choice->keep[at];
}

void mien_choice_votes(const mien_class_choice *choice, const char *const *names, int count,
                       int *votes) {
    for (int k = 0; k < count; k++) {
        const char *to = mien_choice_name(choice, names[k]);
        int first = 0;
        while (!mien_class_same(mien_choice_name(choice, names[first]), to))
            first++;
        if (!to[0]) {
            votes[k] = 0;
        } else if (first < k) {
            votes[first] += votes[k];
            votes[k] = 0;
        }
    }
}

/* ---- the set ---- */

/* The classes of a set after the choice. */
typedef struct mapping {
    char (*names)[MIEN_CLASS_NAME];
    int count;
    int index[MIEN_CLASSES_MAX]; /* of each class of the set; -1: left out */
} mapping;

static mien_status unknown_name(const mien_dataset *set, const char *key, const char *name) {
    char known[MIEN_CLASS_LIST];
    mien_class_list((const char(*)[MIEN_CLASS_NAME])set->class_names, set->classes, known);
    return MIEN_FAIL(INVALID, "%s names '%s', but the classes of '%s' are %s", key, name,
                     set->source, known);
}

static bool has(const mien_dataset *set, const char *name) {
    return mien_class_find((const char(*)[MIEN_CLASS_NAME])set->class_names, set->classes, name) >=
           0;
}

/* A typo in a name would otherwise train on other classes than the user meant. */
static mien_status check_names(const mien_class_choice *choice, const mien_dataset *set) {
    for (int i = 0; i < choice->rule_count; i++) {
        const mien_class_rule *rule = &choice->rules[i];
        bool known = has(set, rule->from);
        for (int k = 0; !rule->to[0] && k < choice->rule_count; k++)
            known |= mien_class_same(choice->rules[k].to, rule->from);
        if (!known)
            return unknown_name(
                set, rule->to[0] ? "data.merge" : "data.drop_classes (--drop-classes)", rule->from);
    }
    for (int i = 0; i < choice->keep_count; i++) {
        bool known = false;
        for (int k = 0; k < set->classes && !known; k++)
            known = strcmp(mien_choice_name(choice, set->class_names[k]), choice->keep[i]) == 0;
        if (!known) return unknown_name(set, "data.classes", choice->keep[i]);
    }
    return MIEN_OK;
}

/* Names in the order of data.classes, else of the set. */
static mien_status make_mapping(const mien_class_choice *choice, const mien_dataset *set,
                                mapping *m) {
    MIEN_TRY(mien_new(&m->names, (size_t)(set->classes + choice->keep_count), MIEN_CLASS_NAME));
    for (int i = 0; i < choice->keep_count; i++) {
        bool used = false;
        for (int k = 0; k < set->classes && !used; k++)
            used = strcmp(mien_choice_name(choice, set->class_names[k]), choice->keep[i]) == 0;
        if (used) memcpy(m->names[m->count++], choice->keep[i], MIEN_CLASS_NAME);
    }
    for (int k = 0; k < set->classes; k++) {
        const char *to = mien_choice_name(choice, set->class_names[k]);
        m->index[k] = -1;
        if (!to[0]) continue;
        int at = mien_class_find((const char(*)[MIEN_CLASS_NAME])m->names, m->count, to);
        if (at < 0) snprintf(m->names[at = m->count++], MIEN_CLASS_NAME, "%s", to);
        m->index[k] = at;
    }
    return MIEN_OK;
}

/* "left out: contempt 12; negative = angry + sad" */
static void log_mapping(const mien_dataset *set, const mapping *m, const size_t *counts) {
    enum { SHOWN = 20 };
    mien_text text = {0};
    size_t images = 0;
    int out = 0, renamed = 0;
    for (int k = 0; k < set->classes; k++) {
        if (m->index[k] >= 0) continue;
        images += counts[k];
        if (out++ < SHOWN)
            mien_text_printf(&text, "%s%s %zu", out > 1 ? ", " : "", set->class_names[k],
                             counts[k]);
    }
    if (out)
        MIEN_INFO("%s: %d classes with %zu images are left out: %s%s", set->source, out, images,
                  text.data ? text.data : "", out > SHOWN ? ", …" : "");
    mien_text_release(&text);
    for (int k = 0; k < set->classes; k++) {
        if (m->index[k] < 0 || strcmp(m->names[m->index[k]], set->class_names[k]) == 0) continue;
        if (renamed++ < SHOWN)
            mien_text_printf(&text, "%s%s %zu = %s", renamed > 1 ? ", " : "", set->class_names[k],
                             counts[k], m->names[m->index[k]]);
    }
    if (renamed)
        MIEN_INFO("%s: classes merged or renamed: %s%s", set->source, text.data ? text.data : "",
                  renamed > SHOWN ? ", …" : "");
    mien_text_release(&text);
}

/* Shares of merged classes are added and those of dropped ones removed; the rest again sums to 1.
 */
static mien_status map_targets(mien_dataset *set, const mapping *m, bool *keep) {
    const size_t from = (size_t)set->classes, to = (size_t)m->count;
    float *targets;
    if (!set->targets) return MIEN_OK;
    MIEN_TRY(mien_new(&targets, set->count * to, sizeof *targets));
    for (size_t i = 0; i < set->count; i++) {
        const float *old = set->targets + i * from;
        float *new = targets + i *to, sum = 0, all = 0;
        for (size_t k = 0; k < from; k++) {
            all += old[k];
            if (m->index[k] >= 0) new[m->index[k]] += old[k], sum += old[k];
        }
        size_t best = 0;
        for (size_t k = 0; k < to; k++) {
            if (sum > 0 && sum < all) new[k] /= sum;
            if (new[k] > new[best]) best = k;
        }
        keep[i] = sum > 0;
        if (m->index[set->labels[i]] < 0 && sum > 0)
            for (size_t k = 0; k < from; k++) /* the label is a class that is kept */
                if (m->index[k] == (int)best) set->labels[i] = (uint16_t)k;
    }
    mien_free(set->targets);
    set->targets = targets;
    return MIEN_OK;
}

static mien_status map_set(mien_dataset *set, mapping *m, bool *keep) {
    bool all = true;
    for (size_t i = 0; i < set->count; i++)
        keep[i] = m->index[set->labels[i]] >= 0;
    MIEN_TRY(map_targets(set, m, keep));
    for (size_t i = 0; i < set->count; i++) {
        all &= keep[i];
        set->labels[i] = keep[i] ? (uint16_t)m->index[set->labels[i]] : 0;
    }
    mien_free(set->class_names);
    set->class_names = m->names;
    set->classes = m->count;
    m->names = NULL;
    return all ? MIEN_OK : mien_dataset_keep(set, keep);
}

mien_status mien_choice_apply(const mien_class_choice *choice, bool strict, mien_dataset *set) {
    size_t counts[MIEN_CLASSES_MAX];
    mapping m = {0};
    bool *keep = NULL;
    mien_status status;
    if (mien_choice_is_empty(choice) || !set->labelled) return MIEN_OK;
    if (strict) MIEN_TRY(check_names(choice, set));
    MIEN_GO(make_mapping(choice, set, &m));
    mien_dataset_counts(set, MIEN_NO_PART, counts);
    log_mapping(set, &m, counts);
    if (m.count < 2) {
        char known[MIEN_CLASS_LIST];
        mien_class_list((const char(*)[MIEN_CLASS_NAME])set->class_names, set->classes, known);
        status = MIEN_FAIL(INVALID,
                           "data.classes, data.merge and data.drop_classes leave %d of the classes "
                           "of '%s' (%s): a classifier needs two or more",
                           m.count, set->source, known);
        goto out;
    }
    MIEN_GO(mien_new(&keep, set->count, sizeof *keep));
    MIEN_GO(map_set(set, &m, keep));
    if (set->count == 0)
        status = MIEN_FAIL(INVALID, "the chosen classes leave no image of '%s'", set->source);
out:
    mien_free(keep);
    mien_free(m.names);
    return status;
}
