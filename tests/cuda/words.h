/* Words in a text. */
#ifndef TESTS_CUDA_WORDS_H
#define TESTS_CUDA_WORDS_H

/* How often `of` stands in the text. */
int occurrences(const char *text, const char *of);
/* A copy with `to` wherever `from` stood; the caller frees it. */
char *replaced(const char *text, const char *from, const char *to);

#endif
