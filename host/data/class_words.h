/* Classes that a table or array names in words: collected in the order of their rows, then put into
 * a fixed order. Synonyms (sad, Sadness) are one class. */
#ifndef HOST_DATA_CLASS_WORDS_H
#define HOST_DATA_CLASS_WORDS_H

#include <stdint.h>

#include "host/data/dataset.h"

typedef struct class_words {
    char (*names)[MIEN_CLASS_NAME]; /* [count] */
    int count;
    size_t capacity;
    int last; /* the word found last: rows of a class often follow each other */
} class_words;

/* The index of a word, which is added if it is new. Fails for an empty or unprintable one, one that
 * is too long, and one beyond MIEN_CLASSES_MAX; the message has no subject. */
mien_status class_words_index(class_words *words, const char *word, int *index);
/* Puts the names into FER2013's order and spelling if all are its emotions or contempt, else into
 * the order of their bytes. to[i] becomes the new index of word i; `to` has MIEN_CLASSES_MAX
 * elements. */
mien_status class_words_order(class_words *words, uint16_t *to);
/* Whether the word is an emotion of FER2013 or contempt, or a synonym. */
bool class_words_known(const char *word);
void class_words_release(class_words *words);

#endif
