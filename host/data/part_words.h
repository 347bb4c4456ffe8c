/* The words by which people name a part of a data set: folders, columns, files and arrays. */
#ifndef HOST_DATA_PART_WORDS_H
#define HOST_DATA_PART_WORDS_H

#include <stddef.h>

enum { PART_WORD = 64 };

/* The part that the first `length` letters of `word` name, in any case, or MIEN_NO_PART: train,
 * Training, val_set, dev, PublicTest, … */
int part_word_of(const char *word, size_t length);
/* The same for words such as "train_labels" or "test.csv", which begin with the part's name. */
int part_word_begins(const char *word);
/* The same for names that end in such a word, as FER2013Train; `prefix` becomes what comes before
 * it, in lower case. */
int part_word_ends(const char *name, char prefix[PART_WORD]);

#endif
