#include "host/infer/prepare_names.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"

enum { STEM = 240, FIRST = 1024 }; /* a file name has 255 bytes, with "-1000000.png" at the end */

static size_t slot_of(const prepare_names *names, const char *name) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    size_t at = (size_t)hash & (names->capacity - 1);
    while (names->slots[at] && strcmp(names->text.data + names->slots[at] - 1, name) != 0)
        at = (at + 1) & (names->capacity - 1);
    return at;
}

static mien_status widen(prepare_names *names) {
    prepare_names wider = {.text = names->text,
                           .capacity = names->capacity ? 2 * names->capacity : FIRST};
    if (2 * (names->count + 1) < names->capacity) return MIEN_OK;
    MIEN_TRY(mien_new(&wider.slots, wider.capacity, sizeof *wider.slots));
    for (size_t i = 0; i < names->capacity; i++)
        if (names->slots[i])
            wider.slots[slot_of(&wider, names->text.data + names->slots[i] - 1)] = names->slots[i];
    mien_free(names->slots);
    names->slots = wider.slots;
    names->capacity = wider.capacity;
    return MIEN_OK;
}

mien_status prepare_names_add(prepare_names *names, const char *name, bool *added) {
    MIEN_TRY(widen(names));
    const size_t at = slot_of(names, name);
    *added = !names->slots[at];
    if (!*added) return MIEN_OK;
    names->slots[at] = names->text.size + 1;
    names->count++;
    mien_text_append(&names->text, name, strlen(name) + 1);
    return names->text.status;
}

static void stem_of(const char *file, char stem[STEM + 1]) {
    mien_path_stem(stem, STEM + 1, file);
    size_t length = strlen(stem);
    while (length == STEM && ((unsigned char)stem[length - 1] & 0xc0) == 0x80)
        stem[--length] = 0; /* no half of a letter */
}

mien_status prepare_names_folder(char *folder, const char *video) {
    char stem[STEM + 1], above[MIEN_PATH];
    stem_of(video, stem);
    strcpy(above, folder);
    return mien_path_join(folder, above, stem);
}

mien_status prepare_names_next(prepare_names *names, const char *folder, const char *file,
                               char *out) {
    char stem[STEM + 1], name[STEM + 32];
    bool added = false;
    stem_of(file, stem);
    for (int n = 1; !added; n++) {
        if (n == 1)
            snprintf(name, sizeof name, "%s.png", stem);
        else
            snprintf(name, sizeof name, "%s-%d.png", stem, n);
        MIEN_TRY(mien_path_join(out, folder, name));
        MIEN_TRY(prepare_names_add(names, out, &added));
    }
    return MIEN_OK;
}

void prepare_names_release(prepare_names *names) {
    mien_free(names->slots);
    mien_text_release(&names->text);
    *names = (prepare_names){0};
}
