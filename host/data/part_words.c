#include "host/data/part_words.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "host/data/dataset.h"

int part_word_of(const char *word, size_t length) {
    static const struct {
        const char *word;
        int usage;
    } known[] = {
        {"Training", MIEN_TRAIN}, {"PublicTest", MIEN_VAL},  {"PrivateTest", MIEN_TEST},
        {"train", MIEN_TRAIN},    {"val", MIEN_VAL},         {"test", MIEN_TEST},
        {"valid", MIEN_VAL},      {"validation", MIEN_VAL},  {"dev", MIEN_VAL},
        {"testing", MIEN_TEST},   {"train_set", MIEN_TRAIN}, {"val_set", MIEN_VAL},
        {"test_set", MIEN_TEST},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].word) == length && strncasecmp(word, known[i].word, length) == 0)
            return known[i].usage;
    return MIEN_NO_PART;
}

int part_word_begins(const char *word) {
    size_t length = 0;
    while (isalpha((unsigned char)word[length]))
        length++;
    return part_word_of(word, length);
}
