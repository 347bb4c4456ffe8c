/* The words by which people name a part of a data set: in columns, file names and arrays. */
#ifndef HOST_DATA_PART_WORDS_H
#define HOST_DATA_PART_WORDS_H

#include <stddef.h>

/* The part that the first `length` letters of `word` name, in any case, or MIEN_NO_PART. */
int part_word_of(const char *word, size_t length);
/* The same for words such as "train_labels" or "test.csv", which begin with the part's name. */
int part_word_begins(const char *word);

#endif
