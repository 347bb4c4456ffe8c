#include "host/data/folder_layout.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/choose.h"
#include "host/data/classes.h"
#include "host/data/part_words.h"

/* ---- parts ---- */

static bool has_pictures_below(const folder_tree *t, size_t folder) {
    return t->folders[folder].total > t->folders[folder].pictures.count;
}

/* The only subfolder of `folder` with pictures, if `folder` itself holds none; else 0. */
static size_t only_child(const folder_tree *t, size_t folder) {
    size_t only = 0;
    if (t->folders[folder].pictures.count) return 0;
    for (size_t i = tree_first(t, folder); i; i = tree_next(t, folder, i)) {
        if (!t->folders[i].total && !t->folders[i].unreadable) continue;
        if (only) return 0;
        only = i;
    }
    return only;
}

/* Whether a subfolder is called as a class or a part would be. */
static bool has_known_child(const folder_tree *t, size_t folder) {
    for (size_t i = tree_first(t, folder); i; i = tree_next(t, folder, i)) {
        const char *name = tree_name(t, i);
        if (mien_class_is_emotion(name) || part_word_of(name, strlen(name)) != MIEN_NO_PART ||
            name[strspn(name, "0123456789")] == 0)
            return true;
    }
    return false;
}

/* Passes through folders such as "archive" that only hold the folder of the parts or classes; in a
 * part (`strict`) only where the names inside leave no doubt. */
static size_t pass_through(const folder_tree *t, size_t folder, bool strict) {
    for (;;) {
        const size_t next = only_child(t, folder);
        if (!next || t->folders[next].pictures.count || !has_pictures_below(t, next) ||
            mien_class_is_emotion(tree_name(t, next)) ||
            part_word_of(tree_name(t, next), strlen(tree_name(t, next))) != MIEN_NO_PART ||
            (strict && !has_known_child(t, next)))
            return folder;
        folder = next;
    }
}

static mien_status add_part(const char *source, const folder_tree *t, size_t folder, int usage,
                            folder_layout *out) {
    for (int i = 0; i < out->part_count; i++)
        if (out->parts[i].usage == usage)
            return MIEN_FAIL(FORMAT, "'%s' has two folders for one part: '%s' and '%s'", source,
                             tree_name(t, out->parts[i].folder), tree_name(t, folder));
    out->parts[out->part_count++] = (layout_part){folder, usage};
    return MIEN_OK;
}

/* Parts such as FER2013Train and FER2013Test: two or more with a common beginning. */
static bool have_prefix(const folder_tree *t, size_t root, char prefix[PART_WORD]) {
    int seen = 0;
    for (size_t i = tree_first(t, root); i; i = tree_next(t, root, i)) {
        char own[PART_WORD];
        if (!t->folders[i].total || part_word_ends(tree_name(t, i), own) == MIEN_NO_PART) continue;
        if (seen++ == 0)
            strcpy(prefix, own);
        else if (strcmp(prefix, own) != 0)
            return false;
    }
    return seen >= 2;
}

mien_status layout_find_parts(const char *source, const folder_tree *t, folder_layout *out) {
    char prefix[PART_WORD] = "", own[PART_WORD];
    size_t others = 0;
    bool plain = false;
    out->root = pass_through(t, 0, false);
    if (out->root)
        MIEN_INFO("%s: the data are in its folder '%s'", source, tree_path(t, out->root));
    const size_t root = out->root;
    for (size_t i = tree_first(t, root); i; i = tree_next(t, root, i))
        plain |= part_word_of(tree_name(t, i), strlen(tree_name(t, i))) != MIEN_NO_PART;
    const bool prefixed = !plain && have_prefix(t, root, prefix);
    for (size_t i = tree_first(t, root); i; i = tree_next(t, root, i)) {
        int usage = part_word_of(tree_name(t, i), strlen(tree_name(t, i)));
        if (prefixed && t->folders[i].total) usage = part_word_ends(tree_name(t, i), own);
        if (usage == MIEN_NO_PART)
            others += t->folders[i].total > 0;
        else
            MIEN_TRY(add_part(source, t, i, usage, out));
    }
    out->ignored += t->folders[root].pictures.count;
    if (out->part_count == 0) return add_part(source, t, root, MIEN_NO_PART, out);
    if (others)
        MIEN_WARN("%s: %zu folders other than train, val and test are ignored", source, others);
    for (int p = 0; p < out->part_count; p++) {
        out->parts[p].folder = pass_through(t, out->parts[p].folder, true);
        out->ignored += t->folders[out->parts[p].folder].pictures.count;
    }
    return MIEN_OK;
}

/* ---- classes ---- */

static mien_status check_name(const char *source, const char *name) {
    if (strlen(name) >= MIEN_CLASS_NAME)
        return MIEN_FAIL(FORMAT, "'%s': the class name '%.40s…' is longer than %d bytes", source,
                         name, MIEN_CLASS_NAME - 1);
    for (const char *c = name; *c; c++) /* it appears in reports, tables and model files */
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return MIEN_FAIL(FORMAT, "'%s': the name of a class folder holds a control character",
                             source);
    return MIEN_OK;
}

/* Whether part p has a folder of exactly this name. */
static bool has_folder(const folder_tree *t, const folder_layout *l, int p, const char *name) {
    const size_t part = l->parts[p].folder;
    for (size_t i = tree_first(t, part); i; i = tree_next(t, part, i))
        if (strcmp(tree_name(t, i), name) == 0) return true;
    return false;
}

/* The class of a folder of part p: one of the same name, else one whose name is the same by case or
 * synonym and that no other folder of this part has; -1 if it is new. */
static int class_of(const folder_tree *t, const folder_layout *l, int p, const char *name) {
    for (int k = 0; k < l->class_count; k++)
        if (strcmp(l->classes[k].name, name) == 0) return k;
    for (int k = 0; k < l->class_count; k++)
        if (!l->classes[k].folder[p] && mien_class_same(l->classes[k].name, name) &&
            !has_folder(t, l, p, l->classes[k].name))
            return k;
    return -1;
}

/* Adds the class folders of part p: those with pictures, and others only to classes known from
 * another part. */
static mien_status add_classes(const char *source, const folder_tree *t, int p, bool filled,
                               size_t *capacity, folder_layout *l) {
    const size_t part = l->parts[p].folder;
    for (size_t i = tree_first(t, part); i; i = tree_next(t, part, i)) {
        const bool has = t->folders[i].total || t->folders[i].unreadable;
        if (has != filled) continue;
        const char *name = tree_name(t, i);
        int k = class_of(t, l, p, name);
        if (k < 0 && !filled) continue;
        if (k < 0) {
            MIEN_TRY(check_name(source, name));
            if (l->class_count == MIEN_CLASSES_MAX)
                return MIEN_FAIL(UNSUPPORTED, "'%s' has more than %d class folders", source,
                                 MIEN_CLASSES_MAX);
            MIEN_TRY(
                mien_grow(&l->classes, capacity, (size_t)l->class_count + 1, sizeof *l->classes));
            k = l->class_count++;
            l->classes[k] = (layout_class){0};
            snprintf(l->classes[k].name, MIEN_CLASS_NAME, "%s", name);
        }
        l->classes[k].folder[p] = i;
        if (!filled)
            MIEN_WARN("%s/%s: no picture of the class '%s'", source, tree_path(t, i),
                      l->classes[k].name);
    }
    return MIEN_OK;
}

/* Names the folders beside the classes that hold no picture, once for all parts. */
static void name_empty(const char *source, const folder_tree *t, const folder_layout *l) {
    enum { NAMED = 5 };
    mien_text names = {0};
    size_t count = 0;
    for (int p = 0; p < l->part_count; p++) {
        const size_t part = l->parts[p].folder;
        for (size_t i = tree_first(t, part); i; i = tree_next(t, part, i)) {
            if (t->folders[i].total || t->folders[i].unreadable ||
                class_of(t, l, p, tree_name(t, i)) >= 0)
                continue;
            if (count++ < NAMED)
                mien_text_printf(&names, "%s'%s'", count > 1 ? ", " : "", tree_path(t, i));
        }
    }
    if (count)
        MIEN_WARN("%s: folders without a picture are no classes: %s%s", source,
                  names.data ? names.data : "", count > NAMED ? ", …" : "");
    mien_text_release(&names);
}

/* What a class is called after the choices; "" if it is left out. */
static const char *chosen_name(const mien_label_rules *rules, const char *name) {
    if (rules && !mien_choice_is_empty(rules->choice)) name = mien_choice_name(rules->choice, name);
    if (rules && *name && !mien_choice_is_empty(rules->drop))
        name = mien_choice_name(rules->drop, name);
    return name;
}

/* Whether part p has class k, or one that is merged with it, or class k is left out. */
static bool part_has(const folder_layout *l, const mien_label_rules *rules, int p, int k) {
    const char *name = chosen_name(rules, l->classes[k].name);
    if (l->classes[k].folder[p] || !*name) return true;
    if (name == l->classes[k].name) return false; /* the usual case, without a choice */
    for (int other = 0; other < l->class_count; other++)
        if (l->classes[other].folder[p] &&
            mien_class_same(chosen_name(rules, l->classes[other].name), name))
            return true;
    return false;
}

static bool in_all_parts(const folder_layout *l, const mien_label_rules *rules, int k) {
    for (int p = 0; p < l->part_count; p++)
        if (!part_has(l, rules, p, k)) return false;
    return true;
}

static mien_status check_parts(const char *source, const folder_tree *t, const mien_on_bad *on_bad,
                               const mien_label_rules *rules, folder_layout *l) {
    mien_text missing = {0};
    for (int p = 0; p < l->part_count; p++)
        for (int k = 0; k < l->class_count && missing.size < 400; k++)
            if (!part_has(l, rules, p, k))
                mien_text_printf(&missing, "%s'%s' is not in %s", missing.size ? ", " : "",
                                 l->classes[k].name, tree_path(t, l->parts[p].folder));
    mien_status status = missing.status;
    if (status == MIEN_OK && missing.size && !on_bad->skip)
        status = MIEN_FAIL(FORMAT,
                           "'%s': the parts have different classes: %s (--on-bad skip continues "
                           "with the classes of all parts, --drop-classes leaves some out)",
                           source, missing.data);
    else if (missing.size)
        MIEN_WARN("%s: the parts have different classes: %s; only the classes of all parts are "
                  "used",
                  source, missing.data);
    mien_text_release(&missing);
    MIEN_TRY(status);
    bool keep[MIEN_CLASSES_MAX];
    int kept = 0;
    for (int k = 0; k < l->class_count; k++)
        keep[k] = in_all_parts(l, rules, k);
    for (int k = 0; k < l->class_count; k++)
        if (keep[k]) l->classes[kept++] = l->classes[k];
    if (l->class_count && !kept)
        return MIEN_FAIL(FORMAT, "'%s': its parts have no class in common", source);
    l->class_count = kept;
    return MIEN_OK;
}

/* Leaves out parts that hold pictures without class folders, such as the test pictures of a
 * competition, if another part has classes. */
static void drop_unlabelled(const char *source, const folder_tree *t, folder_layout *l) {
    bool labelled[MIEN_PARTS], any = false;
    for (int p = 0; p < l->part_count; p++) {
        const size_t part = l->parts[p].folder;
        labelled[p] = has_pictures_below(t, part) || t->text.data[t->folders[part].table];
        for (size_t i = tree_first(t, part); i; i = tree_next(t, part, i))
            labelled[p] |= t->folders[i].unreadable;
        any |= labelled[p];
    }
    int kept = 0;
    for (int p = 0; p < l->part_count; p++) {
        const tree_folder *f = &t->folders[l->parts[p].folder];
        if (any && !labelled[p] && f->pictures.count)
            MIEN_WARN("%s: the %zu pictures of '%s' are in no class folder: without labels, this "
                      "part is left out",
                      source, f->pictures.count, tree_path(t, l->parts[p].folder));
        else
            l->parts[kept++] = l->parts[p];
    }
    l->part_count = kept;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const layout_class *)a)->name, ((const layout_class *)b)->name);
}

mien_status layout_find_classes(const char *source, const folder_tree *t, const mien_on_bad *on_bad,
                                const mien_label_rules *rules, folder_layout *l) {
    size_t capacity = 0;
    drop_unlabelled(source, t, l);
    for (int filled = 1; filled >= 0; filled--)
        for (int usage = MIEN_TRAIN; usage <= MIEN_NO_PART; usage++) /* train's names are used */
            for (int p = 0; p < l->part_count; p++)
                if (l->parts[p].usage == usage)
                    MIEN_TRY(add_classes(source, t, p, filled, &capacity, l));
    if (l->class_count) qsort(l->classes, (size_t)l->class_count, sizeof *l->classes, by_name);
    name_empty(source, t, l);
    return check_parts(source, t, on_bad, rules, l);
}

void layout_release(folder_layout *l) {
    mien_free(l->classes);
    *l = (folder_layout){0};
}
