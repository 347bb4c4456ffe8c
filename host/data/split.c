#include "host/data/split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/text.h"
#include "kernels/body/rng.h"

typedef struct ranked {
    uint64_t key; /* random word above, index below: no two are equal */
    size_t at;
} ranked;

static int by_key(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

/* Moves shares of the training samples of one class to val and test. */
static mien_status split_class(mien_dataset *set, int label, double val, double test, int seed) {
    ranked *order = NULL;
    size_t n = 0;
    MIEN_TRY(mien_new(&order, set->count, sizeof *order));
    for (size_t i = 0; i < set->count; i++)
        if (set->labels[i] == label && set->part[i] == MIEN_TRAIN)
            order[n++] = (ranked){(uint64_t)rng_word((uint32_t)seed, RNG_SPLIT, 0, i) << 32 | i, i};
    qsort(order, n, sizeof *order, by_key);
    const size_t vals = (size_t)floor(val * (double)n + 0.5);
    const size_t tests = (size_t)floor(test * (double)n + 0.5);
    for (size_t k = 0; k < n && k < vals + tests; k++)
        set->part[order[k].at] = k < vals ? MIEN_VAL : MIEN_TEST;
    mien_free(order);
    return MIEN_OK;
}

static mien_status stratify(mien_dataset *set, double val, double test, int seed) {
    for (int label = 0; label < set->classes; label++)
        MIEN_TRY(split_class(set, label, val, test, seed));
    return MIEN_OK;
}

static uint32_t draw_of(uint32_t group, int seed) {
    return rng_word((uint32_t)seed, RNG_SPLIT, 1, group);
}

/* Few groups may leave validation none: then it gets the training group with the smallest number,
 * unless that is the only one. */
static void lend_group(mien_dataset *set, int seed) {
    bool several = false, found = false;
    uint32_t least = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (set->part[i] == MIEN_VAL) return;
        if (set->part[i] != MIEN_TRAIN) continue;
        const uint32_t own = set->group[i];
        several |= found && own != least;
        if (!found || draw_of(own, seed) < draw_of(least, seed)) least = own;
        found = true;
    }
    for (size_t i = 0; several && i < set->count; i++)
        if (set->part[i] == MIEN_TRAIN && set->group[i] == least) set->part[i] = MIEN_VAL;
}

/* The same for whole groups (identities): each group's own random number decides where it goes. */
static void split_groups(mien_dataset *set, double val, double test, int seed) {
    for (size_t i = 0; i < set->count; i++) {
        if (set->part[i] != MIEN_TRAIN) continue;
        const double u = draw_of(set->group[i], seed) / 4294967296.0;
        set->part[i] = u < val ? MIEN_VAL : (u < val + test ? MIEN_TEST : MIEN_TRAIN);
    }
    if (val > 0) lend_group(set, seed);
}

bool mien_split_named(const mien_dataset *set) {
    for (size_t i = 0; i < set->count; i++)
        if (set->usage[i] != MIEN_NO_PART) return true;
    return false;
}

mien_status mien_split_apply(mien_dataset *set, mien_split *split) {
    const bool named = mien_split_named(set);
    if (split->by == MIEN_BY_AUTO)
        split->by = named ? MIEN_BY_USAGE : set->grouped ? MIEN_BY_GROUP : MIEN_BY_STRATIFIED;
    if (split->by == MIEN_BY_USAGE && !named)
        return MIEN_FAIL(INVALID, "data.split.by is usage, but '%s' names no parts: use stratified",
                         set->source);
    memset(set->part, MIEN_TRAIN, set->count);
    if (split->by == MIEN_BY_GROUP) {
        split_groups(set, split->val, split->test, split->seed);
        return MIEN_OK;
    }
    if (split->by == MIEN_BY_STRATIFIED) return stratify(set, split->val, split->test, split->seed);
    size_t vals = 0, tests = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (set->usage[i] != MIEN_NO_PART) set->part[i] = set->usage[i];
        vals += set->part[i] == MIEN_VAL;
        tests += set->part[i] == MIEN_TEST;
    }
    if (vals || tests == set->count || split->val <= 0) return MIEN_OK;
    MIEN_INFO("%s names no validation part: %g of its training part is set aside for it",
              set->source, split->val);
    if (!set->grouped) return stratify(set, split->val, 0, split->seed);
    split_groups(set, split->val, 0, split->seed); /* no person is in both parts */
    return MIEN_OK;
}

static void warn_of_absent(const mien_dataset *set, const size_t *counts, int present) {
    enum { NAMED = 5 };
    mien_text names = {0};
    int named = 0;
    for (int k = 0; k < set->classes && named < NAMED; k++)
        if (!counts[k])
            mien_text_printf(&names, "%s'%s'", named++ ? ", " : "", set->class_names[k]);
    MIEN_WARN("no training samples for %d of %d classes: %s%s", set->classes - present,
              set->classes, names.data ? names.data : "",
              set->classes - present > NAMED ? ", …" : "");
    mien_text_release(&names);
}

mien_status mien_split_check(const mien_dataset *set, const mien_split *split) {
    size_t counts[MIEN_CLASSES_MAX];
    for (mien_part part = MIEN_TRAIN; part <= MIEN_VAL; part++) {
        const size_t n = mien_dataset_counts(set, part, counts);
        if (n == 0 && (part == MIEN_TRAIN || split->val > 0))
            return MIEN_FAIL(INVALID,
                             "'%s' leaves no sample for the %s part: change data.split (val, "
                             "test, by)%s",
                             set->source, mien_part_name(part),
                             part == MIEN_VAL ? "; val=0 trains without validation" : "");
        int present = 0, last = 0;
        for (int k = 0; k < set->classes; k++)
            if (counts[k]) present++, last = k;
        if (part == MIEN_TRAIN && present < 2)
            return MIEN_FAIL(INVALID,
                             "all %zu training samples of '%s' are of the class '%s': a classifier "
                             "needs two or more classes",
                             n, set->source, set->class_names[last]);
        if (part == MIEN_TRAIN && present < set->classes) warn_of_absent(set, counts, present);
    }
    return MIEN_OK;
}
