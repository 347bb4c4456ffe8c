#include "host/data/part_words.h"

#include <ctype.h>
#include <string.h>

#include "host/data/dataset.h"

/* Longer words come before their own ends, for part_word_ends. */
static const struct {
    const char *word;
    int usage;
} known[] = {{"privatetest", MIEN_TEST}, {"publictest", MIEN_VAL}, {"validation", MIEN_VAL},
             {"development", MIEN_VAL},  {"training", MIEN_TRAIN}, {"testing", MIEN_TEST},
             {"train", MIEN_TRAIN},      {"valid", MIEN_VAL},      {"test", MIEN_TEST},
             {"val", MIEN_VAL},          {"dev", MIEN_VAL},        {"trn", MIEN_TRAIN},
             {"tst", MIEN_TEST}};
enum { KNOWN = sizeof known / sizeof known[0] };

/* Lower case, letters and digits only, without a last "set", "data", "images", …: "Train_Set" is
 * "train". Names that are too long become "". */
static void plain_name(const char *name, size_t length, char out[PART_WORD]) {
    const char *end = name + length;
    static const char *const ends[] = {"sets", "set",   "data",   "split", "images",
                                       "imgs", "faces", "folder", "part"};
    size_t n = 0;
    for (; name < end && n < PART_WORD - 1; name++)
        if (isalnum((unsigned char)*name)) out[n++] = (char)tolower((unsigned char)*name);
    out[name < end ? 0 : n] = 0;
    n = strlen(out);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const size_t most = strlen(ends[i]);
        if (n <= most || strcmp(out + n - most, ends[i]) != 0) continue;
        n -= most;
        out[n] = 0;
        i = (size_t)-1; /* "train_data_set" */
    }
}

int part_word_of(const char *word, size_t length) {
    char plain[PART_WORD];
    plain_name(word, length, plain);
    for (size_t i = 0; i < KNOWN; i++)
        if (strcmp(plain, known[i].word) == 0) return known[i].usage;
    return MIEN_NO_PART;
}

int part_word_begins(const char *word) {
    size_t length = 0;
    while (isalpha((unsigned char)word[length]))
        length++;
    return part_word_of(word, length);
}

int part_word_ends(const char *name, char prefix[PART_WORD]) {
    plain_name(name, strlen(name), prefix);
    const size_t n = strlen(prefix);
    for (size_t i = 0; i < KNOWN; i++) {
        const size_t length = strlen(known[i].word);
        if (n < length || strcmp(prefix + n - length, known[i].word) != 0) continue;
        prefix[n - length] = 0;
        return known[i].usage;
    }
    return MIEN_NO_PART;
}
