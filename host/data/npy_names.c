#include "host/data/npy_names.h"

#include <ctype.h>
#include <string.h>

#include "host/data/dataset.h"
#include "host/data/part_words.h"

/* What a name says of its array. Arrays of one family are preferred as partners. */
typedef struct meaning {
    bool images, labels;
    int family, usage;
} meaning;

static const struct {
    const char *word;
    bool images;
    int family;
} roles[] = {
    {"x", true, 0},      {"y", false, 0},       {"images", true, 1},    {"labels", false, 1},
    {"image", true, 1},  {"label", false, 1},   {"imgs", true, 1},      {"img", true, 1},
    {"data", true, 2},   {"target", false, 2},  {"targets", false, 2},  {"features", true, 3},
    {"pixels", true, 4}, {"emotion", false, 4}, {"emotions", false, 4}, {"faces", true, 4},
    {"fdatax", true, 5}, {"flabels", false, 5},
};

static bool find_role(const char *word, size_t length, meaning *out) {
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (strlen(roles[i].word) == length && memcmp(roles[i].word, word, length) == 0) {
            out->images = roles[i].images;
            out->labels = !roles[i].images;
            out->family = roles[i].family;
            return true;
        }
    return false;
}

static meaning read_name(const char *name) {
    char word[NPY_NAME];
    size_t n = 0;
    meaning m = {.usage = MIEN_NO_PART};
    for (; *name && n + 1 < sizeof word; name++)
        if (isalnum((unsigned char)*name)) word[n++] = (char)tolower((unsigned char)*name);
    word[n] = 0;
    if (find_role(word, n, &m)) return m;
    for (size_t k = 1; k < n; k++) { /* the part comes before or after: X_train, train_images */
        if (part_word_of(word, k) != MIEN_NO_PART && find_role(word + k, n - k, &m)) {
            m.usage = part_word_of(word, k);
            return m;
        }
        if (part_word_of(word + k, n - k) != MIEN_NO_PART && find_role(word, k, &m)) {
            m.usage = part_word_of(word + k, n - k);
            return m;
        }
    }
    return m;
}

/* Labels of the same family; or any others of the part, if `any`. */
static const char *find_labels(const char *const *names, size_t count, const meaning *of,
                               bool any) {
    const char *found = NULL;
    for (size_t i = 0; i < count; i++) {
        const meaning m = read_name(names[i]);
        if (!m.labels || m.usage != of->usage) continue;
        if (m.family == of->family) return names[i];
        if (any) found = names[i];
    }
    return found;
}

/* Whether another array of the part has labels of its own family: then this one needs them too. */
static bool has_rival(const char *const *names, size_t count, const meaning *of) {
    for (size_t i = 0; i < count; i++) {
        const meaning m = read_name(names[i]);
        if (m.images && m.usage == of->usage && m.family != of->family &&
            find_labels(names, count, &m, false))
            return true;
    }
    return false;
}

static void add_pair(const char *const *names, size_t count, size_t i, npy_pair *pairs, int *n) {
    const meaning m = read_name(names[i]);
    const bool rival = has_rival(names, count, &m);
    const char *labels = find_labels(names, count, &m, !rival);
    if (labels || !rival || m.family < 2) /* "data" beside images and labels is something else */
        pairs[(*n)++] = (npy_pair){names[i], labels, m.usage, false};
}

int npy_names_pair(const char *const *names, size_t count, npy_pair pairs[NPY_PAIRS]) {
    static const int families[] = {1, 0, 2, 3, 4, 5};
    int n = 0;
    for (int k = 0; k <= MIEN_PARTS; k++) {
        const int usage = k ? k - 1 : MIEN_NO_PART; /* arrays without a part come first */
        for (size_t f = 0; f < sizeof families / sizeof families[0]; f++)
            for (size_t i = 0; i < count && n < NPY_PAIRS; i++) {
                const meaning m = read_name(names[i]);
                if (m.images && m.usage == usage && m.family == families[f])
                    add_pair(names, count, i, pairs, &n);
            }
    }
    if (n || count != 2 || strcmp(names[0], "arr_0") != 0 || strcmp(names[1], "arr_1") != 0)
        return n;
    pairs[0] = (npy_pair){names[0], names[1], MIEN_NO_PART, true};
    return 1;
}

bool npy_names_accept(const char *const *names, size_t count) {
    npy_pair pairs[NPY_PAIRS];
    const int n = npy_names_pair(names, count, pairs);
    for (int i = 0; i < n; i++)
        if (pairs[i].labels || read_name(pairs[i].images).family < 2) return true;
    return false;
}
