#include "host/base/keys.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/file.h"
#include "host/base/yaml.h"

static void *field(const mien_key *key, void *owner) {
    return (char *)owner + key->offset;
}

/* "file:3", or the flag alone. */
static const char *position(const char *source, int line, char out[MIEN_PATH]) {
    if (source[0] == '-')
        snprintf(out, MIEN_PATH, "%s", source);
    else
        snprintf(out, MIEN_PATH, "%s:%d", source, line);
    return out;
}

static mien_status wrong(const mien_key *key, const mien_value *v, const char *source,
                         const char *expected) {
    const bool scalar = v->text != NULL;
    char at[MIEN_PATH];
    return MIEN_FAIL(INVALID, "%s: '%s' must be %s, not %s%s%s", position(source, v->line, at),
                     key->name, expected, scalar ? "'" : "",
                     scalar ? v->text : mien_value_kind_name(v), scalar ? "'" : "");
}

static mien_status number(const mien_key *key, const mien_value *v, const char *source,
                          double *out) {
    const bool whole = key->type == MIEN_KEY_INT || key->type == MIEN_KEY_PAIR ||
                       key->type == MIEN_KEY_INTS || key->type == MIEN_KEY_SIDES;
    char expected[160];
    snprintf(expected, sizeof expected, "a %snumber from %g to %g%s%s", whole ? "whole " : "",
             key->min, key->max, key->choices ? " or one of " : "",
             key->choices ? key->choices : "");
    if (v->kind != MIEN_VALUE_NUMBER || v->number < key->min || v->number > key->max ||
        (whole && v->number != floor(v->number)))
        return wrong(key, v, source, expected);
    *out = v->number;
    return MIEN_OK;
}

static int find_choice(const char *choices, const char *word) {
    const char *part;
    size_t length;
    for (int i = 0; mien_next_part(&choices, '|', &part, &length); i++)
        if (strlen(word) == length && strncmp(word, part, length) == 0) return i;
    return -1;
}

void mien_key_choice(const mien_key *key, int index, char *out, size_t size) {
    const char *list = key->choices, *part;
    size_t length;
    out[0] = 0;
    for (int i = 0; mien_next_part(&list, '|', &part, &length); i++)
        if (i == index) snprintf(out, size, "%.*s", (int)length, part);
}

static void release_texts(mien_texts *list) {
    for (size_t i = 0; i < list->count; i++)
        mien_free(list->items[i]);
    mien_free(list->items);
    *list = (mien_texts){0};
}

static mien_status read_pair(const mien_key *key, const mien_value *v, const char *source,
                             int *out) {
    double a, b;
    if (v->kind == MIEN_VALUE_LIST && v->count == 2) {
        MIEN_TRY(number(key, v->first, source, &a));
        MIEN_TRY(number(key, v->last, source, &b));
    } else if (v->kind == MIEN_VALUE_LIST) {
        return wrong(key, v, source, "a number or a list of two");
    } else {
        MIEN_TRY(number(key, v, source, &a));
        b = a;
    }
    out[0] = (int)a;
    out[1] = (int)b;
    return MIEN_OK;
}

/* [[top, bottom], [left, right]]; a single number replaces a pair or the whole list. */
static mien_status read_sides(const mien_key *key, const mien_value *v, const char *source,
                              int *out) {
    const bool list = v->kind == MIEN_VALUE_LIST && v->count == 2;
    int sides[4];
    if (!list) {
        MIEN_TRY(read_pair(key, v, source, sides));
        sides[2] = sides[3] = sides[1];
    } else {
        MIEN_TRY(read_pair(key, v->first, source, sides));
        MIEN_TRY(read_pair(key, v->last, source, sides + 2));
    }
    memcpy(out, sides, sizeof sides);
    return MIEN_OK;
}

static mien_status read_ints(const mien_key *key, const mien_value *v, const char *source,
                             mien_ints *out) {
    const bool many = v->kind == MIEN_VALUE_LIST;
    mien_ints list = {.count = 0};
    if (many && v->count > MIEN_INTS_MAX) return wrong(key, v, source, "a shorter list");
    const mien_value *item = many ? v->first : (v->kind == MIEN_VALUE_NULL ? NULL : v);
    for (; item; item = many ? item->next : NULL) {
        double x;
        MIEN_TRY(number(key, item, source, &x));
        list.items[list.count++] = (int)x;
    }
    *out = list;
    return MIEN_OK;
}

static mien_status read_reals(const mien_key *key, const mien_value *v, const char *source,
                              mien_reals *out) {
    const bool many = v->kind == MIEN_VALUE_LIST;
    if (!many && v->kind != MIEN_VALUE_NUMBER)
        return wrong(key, v, source, "a number or a list of numbers");
    double *items = NULL;
    size_t n = 0;
    MIEN_TRY(mien_new(&items, many ? v->count : 1, sizeof *items));
    for (const mien_value *item = many ? v->first : v; item; item = many ? item->next : NULL) {
        const mien_status status = number(key, item, source, &items[n++]);
        if (status != MIEN_OK) {
            mien_free(items);
            return status;
        }
    }
    mien_free(out->items);
    *out = (mien_reals){items, n};
    return MIEN_OK;
}

/* A list of texts; a single text is a list of one, `none` an empty list. */
static mien_status read_texts(const mien_key *key, const mien_value *v, const char *source,
                              mien_texts *out) {
    mien_texts list = {0};
    const bool many = v->kind == MIEN_VALUE_LIST;
    MIEN_TRY(mien_new(&list.items, many ? v->count : 1, sizeof *list.items));
    mien_status status = MIEN_OK;
    for (const mien_value *item = many ? v->first : v; item; item = many ? item->next : NULL) {
        if (!item->text)
            status = wrong(key, item, source, "text or a list of texts");
        else if (many || strcmp(item->text, "none") != 0)
            status = mien_copy_text(&list.items[list.count++], item->text);
        if (status != MIEN_OK) {
            release_texts(&list);
            return status;
        }
    }
    release_texts(out);
    *out = list;
    return MIEN_OK;
}

static void release_lists(mien_lists *lists) {
    for (size_t i = 0; i < lists->count; i++) {
        mien_free(lists->items[i].name);
        release_texts(&lists->items[i].texts);
    }
    mien_free(lists->items);
    *lists = (mien_lists){0};
}

static mien_status read_lists(const mien_key *key, const mien_value *v, const char *source,
                              mien_lists *out) {
    mien_lists lists = {0};
    const bool none = v->kind == MIEN_VALUE_NULL || (v->text && strcmp(v->text, "none") == 0);
    if (v->kind != MIEN_VALUE_MAP && !none)
        return wrong(key, v, source, "a map of names to lists, such as {new: [a, b]}");
    MIEN_TRY(mien_new(&lists.items, v->count + 1, sizeof *lists.items));
    mien_status status = MIEN_OK;
    for (const mien_value *item = none ? NULL : v->first; item && status == MIEN_OK;
         item = item->next) {
        struct mien_named_list *list = &lists.items[lists.count++];
        status = mien_copy_text(&list->name, item->key);
        if (status == MIEN_OK) status = read_texts(key, item, source, &list->texts);
    }
    release_lists(status == MIEN_OK ? out : &lists);
    if (status == MIEN_OK) *out = lists;
    return status;
}

static mien_status read_word_or_number(const mien_key *key, const mien_value *v, const char *source,
                                       mien_number_or *out) {
    out->word = v->kind == MIEN_VALUE_NULL ? find_choice(key->choices, "none")
                                           : (v->text ? find_choice(key->choices, v->text) : -1);
    if (out->word >= 0) return MIEN_OK;
    return number(key, v, source, &out->number);
}

static mien_status read_choice(const mien_key *key, const mien_value *v, const char *source,
                               int *out) {
    char expected[256];
    const int choice = v->text ? find_choice(key->choices, v->text) : -1;
    if (choice < 0) {
        snprintf(expected, sizeof expected, "one of %s", key->choices);
        return wrong(key, v, source, expected);
    }
    *out = choice;
    return MIEN_OK;
}

static mien_status read_one(const mien_key *key, void *owner, const mien_value *v,
                            const char *source) {
    void *to = field(key, owner);
    double x;
    switch (key->type) {
    case MIEN_KEY_BOOL:
        if (v->kind != MIEN_VALUE_BOOL) return wrong(key, v, source, "true or false");
        *(bool *)to = v->number != 0;
        return MIEN_OK;
    case MIEN_KEY_INT:
        MIEN_TRY(number(key, v, source, &x));
        *(int *)to = (int)x;
        return MIEN_OK;
    case MIEN_KEY_REAL:
        MIEN_TRY(number(key, v, source, &x));
        *(double *)to = x;
        return MIEN_OK;
    case MIEN_KEY_TEXT:
        if (!v->text || strlen(v->text) >= key->size)
            return wrong(key, v, source, v->text ? "a shorter text" : "text");
        strcpy(to, v->text);
        return MIEN_OK;
    case MIEN_KEY_CHOICE:
        return read_choice(key, v, source, to);
    case MIEN_KEY_PAIR:
        return read_pair(key, v, source, to);
    case MIEN_KEY_REALS:
        return read_reals(key, v, source, to);
    case MIEN_KEY_TEXTS:
        return read_texts(key, v, source, to);
    case MIEN_KEY_NUMBER_OR:
        return read_word_or_number(key, v, source, to);
    case MIEN_KEY_INTS:
        return read_ints(key, v, source, to);
    case MIEN_KEY_SIDES:
        return read_sides(key, v, source, to);
    case MIEN_KEY_LISTS:
        return read_lists(key, v, source, to);
    }
    return MIEN_OK;
}

const mien_key *mien_keys_find(mien_keys keys, const char *name) {
    for (size_t i = 0; i < keys.count; i++)
        if (strcmp(keys.rows[i].name, name) == 0) return &keys.rows[i];
    return NULL;
}

static bool is_section(mien_keys keys, const char *name) {
    const size_t n = strlen(name);
    for (size_t i = 0; i < keys.count; i++)
        if (strncmp(keys.rows[i].name, name, n) == 0 && keys.rows[i].name[n] == '.') return true;
    return false;
}

/* The last part of a dotted name. */
static const char *last_part(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

/* Whether `word` abbreviates `name` by the first letters of its words, as "lr" does
 * "learning_rate". */
static bool is_short_for(const char *word, const char *name) {
    for (size_t i = 0; name[i]; i++)
        if ((i == 0 || name[i - 1] == '_') && name[i] != *word++) return false;
    return *word == 0;
}

/* Edit distance of `name` (whose last part is `part`) from a key or section; 99 when it is too far
 * to be a typo. A name without a section may mean a key of any section. */
static int distance_to(const char *name, const char *part, const char *known, bool section) {
    char owner[2][128];
    const char *last = last_part(known);
    if (section) {
        const int d = mien_word_distance(name, known);
        return d <= (int)strlen(name) / 3 + 1 ? d : 99;
    }
    snprintf(owner[0], sizeof owner[0], "%.*s", (int)(part - name), name);
    snprintf(owner[1], sizeof owner[1], "%.*s", (int)(last - known), known);
    const int far = part == name ? last != known : mien_word_distance(owner[0], owner[1]);
    const int d = is_short_for(part, last) ? 1 : mien_word_distance(part, last);
    return far <= (int)(part - name) / 3 + 1 && d <= (int)strlen(part) / 3 + 1 ? 2 * d + far : 99;
}

static mien_status unknown(mien_keys keys, const char *name, const char *source, int line) {
    char best[128] = "";
    char at[MIEN_PATH];
    int least = 99;
    for (size_t i = 0; i < keys.count; i++) {
        const char *known = keys.rows[i].name;
        for (size_t end = 1; end <= strlen(known); end++) { /* its sections, then the key itself */
            char word[128];
            if (known[end] && known[end] != '.') continue;
            snprintf(word, sizeof word, "%.*s", (int)end, known);
            const int d = distance_to(name, last_part(name), word, known[end] != 0);
            if (d >= least) continue;
            least = d;
            strcpy(best, word);
        }
    }
    return MIEN_FAIL(INVALID, "%s: unknown key '%s'%s%s%s", position(source, line, at), name,
                     *best ? "; did you mean '" : "", best, *best ? "'?" : "");
}

static mien_status read_map(mien_keys keys, void *owner, const mien_value *map, const char *source,
                            const char *prefix, bool *seen) {
    for (const mien_value *v = map->first; v; v = v->next) {
        char name[128];
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", v->key);
        const mien_key *key = mien_keys_find(keys, name);
        if (key) {
            MIEN_TRY(read_one(key, owner, v, source));
            if (seen) seen[key - keys.rows] = true;
        } else if (is_section(keys, name) && v->kind == MIEN_VALUE_MAP) {
            MIEN_TRY(read_map(keys, owner, v, source, name, seen));
        } else if (is_section(keys, name)) {
            return MIEN_FAIL(INVALID, "%s:%d: '%s' is a section: write its keys below it", source,
                             v->line, name);
        } else {
            return unknown(keys, name, source, v->line);
        }
    }
    return MIEN_OK;
}

mien_status mien_keys_read(mien_keys keys, void *owner, const mien_value *map, const char *source,
                           bool *seen) {
    if (map->kind == MIEN_VALUE_NULL) return MIEN_OK;
    if (map->kind != MIEN_VALUE_MAP)
        return MIEN_FAIL(INVALID, "%s:%d: expected keys with values here, not %s", source,
                         map->line, mien_value_kind_name(map));
    return read_map(keys, owner, map, source, "", seen);
}

mien_status mien_keys_set(mien_keys keys, void *owner, const char *assignment) {
    const char *equal = strchr(assignment, '=');
    char name[128];
    if (!equal || equal == assignment || (size_t)(equal - assignment) >= sizeof name)
        return MIEN_FAIL(INVALID, "--set needs key=value, not '%s'", assignment);
    snprintf(name, sizeof name, "%.*s", (int)(equal - assignment), assignment);
    const mien_key *key = mien_keys_find(keys, name);
    if (!key) return unknown(keys, name, "--set", 1);
    mien_tree tree = {0};
    mien_status status = mien_yaml_parse(equal + 1, strlen(equal + 1), "--set", &tree);
    if (status == MIEN_FORMAT) status = mien_fail_context(MIEN_INVALID, "the value of %s", name);
    if (status == MIEN_OK) status = read_one(key, owner, tree.root, "--set");
    mien_tree_release(&tree);
    return status;
}

mien_status mien_keys_defaults(mien_keys keys, void *owner) {
    for (size_t i = 0; i < keys.count; i++) {
        const mien_key *key = &keys.rows[i];
        mien_tree tree = {0};
        if (!key->fallback) continue;
        mien_status status =
            mien_yaml_parse(key->fallback, strlen(key->fallback), "default", &tree);
        if (status == MIEN_OK) status = read_one(key, owner, tree.root, "default");
        mien_tree_release(&tree);
        MIEN_TRY(status);
    }
    return MIEN_OK;
}

/* Quotes text that YAML would otherwise read as something else. */
static void print_text(const char *text, mien_text *out) {
    mien_value probe = {.text = text};
    mien_value_resolve(&probe);
    const bool plain = probe.kind == MIEN_VALUE_STRING &&
                       !strpbrk(text, ":#{}[],&*!|>'\"%@`\n\\") && text[0] != '-' &&
                       text[0] != '?' && text[0] != ' ';
    if (plain) {
        mien_text_puts(out, text);
        return;
    }
    mien_text_puts(out, "\"");
    for (const char *c = text; *c; c++)
        mien_text_printf(out, *c == '"' || *c == '\\' ? "\\%c" : (*c == '\n' ? "\\n" : "%c"), *c);
    mien_text_puts(out, "\"");
}

/* Prints the shortest decimal that reads back as the same double. */
static void print_real(double x, mien_text *out) {
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        double back;
        if (sscanf(text, "%lf", &back) == 1 && back == x) break;
    }
    mien_text_puts(out, text);
}

static void print_texts(const mien_texts *list, mien_text *out) {
    for (size_t i = 0; i < list->count; i++) {
        mien_text_puts(out, i ? ", " : "[");
        print_text(list->items[i], out);
    }
    mien_text_puts(out, list->count ? "]" : "[]");
}

static void print_lists(const mien_lists *lists, mien_text *out) {
    mien_text_puts(out, "{");
    for (size_t i = 0; i < lists->count; i++) {
        if (i) mien_text_puts(out, ", ");
        print_text(lists->items[i].name, out);
        mien_text_puts(out, ": ");
        print_texts(&lists->items[i].texts, out);
    }
    mien_text_puts(out, "}");
}

void mien_key_print_value(const mien_key *key, const void *owner, mien_text *out) {
    const void *from = (const char *)owner + key->offset;
    char word[64];
    switch (key->type) {
    case MIEN_KEY_BOOL:
        mien_text_puts(out, *(const bool *)from ? "true" : "false");
        break;
    case MIEN_KEY_INT:
        mien_text_printf(out, "%d", *(const int *)from);
        break;
    case MIEN_KEY_REAL:
        print_real(*(const double *)from, out);
        break;
    case MIEN_KEY_TEXT:
        print_text(from, out);
        break;
    case MIEN_KEY_CHOICE:
        mien_key_choice(key, *(const int *)from, word, sizeof word);
        mien_text_puts(out, word);
        break;
    case MIEN_KEY_PAIR:
        mien_text_printf(out, "[%d, %d]", ((const int *)from)[0], ((const int *)from)[1]);
        break;
    case MIEN_KEY_REALS: {
        const mien_reals *list = from;
        for (size_t i = 0; i < list->count; i++) {
            mien_text_puts(out, i ? ", " : "[");
            print_real(list->items[i], out);
        }
        mien_text_puts(out, list->count ? "]" : "[]");
        break;
    }
    case MIEN_KEY_TEXTS:
        print_texts(from, out);
        break;
    case MIEN_KEY_LISTS:
        print_lists(from, out);
        break;
    case MIEN_KEY_NUMBER_OR: {
        const mien_number_or *value = from;
        mien_key_choice(key, value->word, word, sizeof word);
        if (value->word >= 0)
            mien_text_puts(out, word);
        else
            print_real(value->number, out);
        break;
    }
    case MIEN_KEY_INTS: {
        const mien_ints *list = from;
        for (int i = 0; i < list->count; i++)
            mien_text_printf(out, i ? ", %d" : "[%d", list->items[i]);
        mien_text_puts(out, list->count ? "]" : "[]");
        break;
    }
    case MIEN_KEY_SIDES: {
        const int *sides = from;
        mien_text_printf(out, "[[%d, %d], [%d, %d]]", sides[0], sides[1], sides[2], sides[3]);
        break;
    }
    }
}

/* Rows of one section are adjacent in a table, so comparing neighbours gives the nesting. */
void mien_keys_print(mien_keys keys, const void *owner, mien_text *out) {
    char open[128] = "";
    for (size_t i = 0; i < keys.count; i++) {
        const char *name = keys.rows[i].name;
        int depth = 0;
        for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.'), depth++) {
            const size_t n = (size_t)(dot - name);
            if (strncmp(open, name, n) == 0 && open[n] == '.') continue;
            const char *start = name;
            for (const char *c = name; c < dot; c++)
                if (*c == '.') start = c + 1;
            mien_text_printf(out, "%*s%.*s:\n", 2 * depth, "", (int)(dot - start), start);
        }
        mien_text_printf(out, "%*s%s: ", 2 * depth, "", last_part(name));
        mien_key_print_value(&keys.rows[i], owner, out);
        mien_text_puts(out, "\n");
        snprintf(open, sizeof open, "%s", name);
    }
}

void mien_keys_release(mien_keys keys, void *owner) {
    for (size_t i = 0; i < keys.count; i++) {
        if (keys.rows[i].type == MIEN_KEY_TEXTS) release_texts(field(&keys.rows[i], owner));
        if (keys.rows[i].type == MIEN_KEY_LISTS) release_lists(field(&keys.rows[i], owner));
        if (keys.rows[i].type == MIEN_KEY_REALS) {
            mien_reals *list = field(&keys.rows[i], owner);
            mien_free(list->items);
            *list = (mien_reals){0};
        }
    }
}
