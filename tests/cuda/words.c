#include "tests/cuda/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

int occurrences(const char *text, const char *of) {
    int count = 0;
    while ((text = strstr(text, of)) != NULL) {
        count++;
        text++;
    }
    return count;
}

char *replaced(const char *text, const char *from, const char *to) {
    const size_t capacity = strlen(text) + (size_t)occurrences(text, from) * strlen(to) + 1;
    char *out = calloc(1, capacity);
    const char *next;
    size_t at = 0;
    assert_non_null(out);
    while ((next = strstr(text, from)) != NULL) {
        at += (size_t)snprintf(out + at, capacity - at, "%.*s%s", (int)(next - text), text, to);
        text = next + strlen(from);
    }
    snprintf(out + at, capacity - at, "%s", text);
    return out;
}
