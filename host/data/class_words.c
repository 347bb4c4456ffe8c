#include "host/data/class_words.h"

#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/data/classes.h"
#include "host/data/csv_rows.h"

mien_status class_words_index(class_words *w, const char *word, int *index) {
    if (w->last < w->count && strcmp(w->names[w->last], word) == 0) {
        *index = w->last;
        return MIEN_OK;
    }
    for (int k = 0; k < w->count; k++)
        if (mien_class_same(w->names[k], word)) {
            *index = w->last = k;
            return MIEN_OK;
        }
    if (!*word) return MIEN_FAIL(FORMAT, "it has no label");
    for (const char *c = word; *c; c++) /* it appears in reports, tables and model files */
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return MIEN_FAIL(FORMAT, "its label holds a control character");
    if (strlen(word) >= MIEN_CLASS_NAME)
        return MIEN_FAIL(FORMAT, "the label '%.40s…' is longer than %d bytes", word,
                         MIEN_CLASS_NAME - 1);
    if (w->count == MIEN_CLASSES_MAX)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is one more label than the %d classes a model may have: is this "
                         "column the class?",
                         word, MIEN_CLASSES_MAX);
    MIEN_TRY(mien_grow(&w->names, &w->capacity, (size_t)w->count + 1, MIEN_CLASS_NAME));
    strcpy(w->names[w->count], word);
    *index = w->last = w->count++;
    return MIEN_OK;
}

/* Its index in FER2013's order, or -1. */
static int emotion_of(const char *word) {
    for (int k = 0; k < CSV_CLASSES_MAX; k++)
        if (mien_class_same(csv_class_names[k], word)) return k;
    return -1;
}

bool class_words_known(const char *word) {
    return emotion_of(word) >= 0;
}

/* A name with the index it had. */
typedef struct word_rank {
    char name[MIEN_CLASS_NAME];
    int emotion, was;
} word_rank;

static int by_rank(const void *a, const void *b) {
    const word_rank *x = a, *y = b;
    return x->emotion != y->emotion ? x->emotion - y->emotion : strcmp(x->name, y->name);
}

mien_status class_words_order(class_words *w, uint16_t *to) {
    word_rank *ranks;
    bool known = true;
    MIEN_TRY(mien_new(&ranks, (size_t)w->count + 1, sizeof *ranks));
    for (int k = 0; k < w->count; k++)
        known = known && class_words_known(w->names[k]);
    for (int k = 0; k < w->count; k++) {
        ranks[k].was = k;
        ranks[k].emotion = known ? emotion_of(w->names[k]) : 0;
        strcpy(ranks[k].name, known ? csv_class_names[ranks[k].emotion] : w->names[k]);
    }
    qsort(ranks, (size_t)w->count, sizeof *ranks, by_rank);
    for (int k = 0; k < w->count; k++) {
        strcpy(w->names[k], ranks[k].name);
        to[ranks[k].was] = (uint16_t)k;
    }
    mien_free(ranks);
    return MIEN_OK;
}

void class_words_release(class_words *w) {
    mien_free(w->names);
    *w = (class_words){0};
}
