/* Counting and replacing words in a text. */
#ifndef TESTS_CUDA_WORDS_H
#define TESTS_CUDA_WORDS_H

/* Counts how often `of` occurs in the text. */
int occurrences(const char *text, const char *of);
/* Returns a copy with every `from` replaced by `to`; the caller frees it. */
char *replaced(const char *text, const char *from, const char *to);

#endif
