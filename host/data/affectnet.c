/* AffectNet in its authors' layout: {train_set,val_set}/images/N.jpg, with the emotion of each in
 * annotations/N_exp.npy: 0 to 7; 8, 9 and 10 mean none, uncertain and no face. */
#include <stdio.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/face_sets.h"
#include "host/data/listing.h"
#include "host/data/npy_header.h"

enum { LABEL_FILE_MAX = 4096, LABEL_MAX = 10 };

static const struct {
    const char *name;
    int usage;
} parts[] = {{"train_set", MIEN_TRAIN}, {"val_set", MIEN_VAL}};
enum { PARTS = sizeof parts / sizeof parts[0] };

static bool has_part(const char *source, int part) {
    char folder[MIEN_PATH], path[MIEN_PATH];
    return mien_path_join(folder, source, parts[part].name) == MIEN_OK &&
           mien_path_join(path, folder, "annotations") == MIEN_OK && mien_is_folder(path);
}

static bool accepts(const char *source) {
    for (int p = 0; p < PARTS; p++)
        if (has_part(source, p)) return true;
    return false;
}

static mien_status read_label(const char *source, int part, const char *image, long long *label) {
    char name[MIEN_PATH], path[MIEN_PATH];
    char *bytes;
    size_t size;
    npy_header header;
    const char *dot = strrchr(image, '.'); /* a picture is one by its first bytes, too */
    const int stem = (int)(dot ? (size_t)(dot - image) : strlen(image));
    const int need =
        snprintf(name, sizeof name, "%s/annotations/%.*s_exp.npy", parts[part].name, stem, image);
    if (need < 0 || (size_t)need >= sizeof name)
        return MIEN_FAIL(INVALID, "the name '%.60s…' is too long", image);
    MIEN_TRY(mien_path_join(path, source, name));
    MIEN_TRY(mien_file_read(path, LABEL_FILE_MAX, &bytes, &size));
    mien_status status = npy_parse(path, (const uint8_t *)bytes, size, size, &header);
    if (status == MIEN_OK &&
        (header.count != 1 ||
         !npy_integer(&header, (const uint8_t *)bytes + header.start, 0, label) || *label < 0 ||
         *label > LABEL_MAX))
        status = MIEN_FAIL(FORMAT, "'%s' does not hold an emotion from 0 to %d", path, LABEL_MAX);
    mien_free(bytes);
    return status;
}

static mien_status list_part(mien_dataset *set, int part, const mien_on_bad *on_bad,
                             long long *unlabelled, unread_pictures *unread) {
    char relative[MIEN_PATH], path[MIEN_PATH];
    listing files;
    mien_status status;
    snprintf(relative, sizeof relative, "%s/images", parts[part].name);
    MIEN_TRY(mien_path_join(path, set->source, relative));
    MIEN_GO(listing_pictures(path, &files));
    listing_add_unread(unread, &files.unread);
    for (size_t i = 0; i < files.count; i++) {
        long long label = 0;
        if (read_label(set->source, part, files.names[i], &label) != MIEN_OK) {
            MIEN_GO(mien_dataset_bad(set, on_bad));
        } else if (label >= AFFECTNET_CLASSES) {
            ++*unlabelled;
        } else {
            MIEN_GO(mien_path_join(path, relative, files.names[i]));
            MIEN_GO(pictures_add(set, path, (int)label, parts[part].usage));
        }
    }
out:
    listing_release(&files);
    return status;
}

static mien_status open_affectnet(const char *source, const mien_on_bad *on_bad,
                                  mien_dataset *set) {
    long long unlabelled = 0;
    unread_pictures unread = {0};
    MIEN_TRY(pictures_start(set));
    MIEN_TRY(mien_dataset_classes(set, affectnet_names, AFFECTNET_CLASSES));
    for (int p = 0; p < PARTS; p++)
        if (has_part(source, p)) MIEN_TRY(list_part(set, p, on_bad, &unlabelled, &unread));
    listing_warn_unread(source, &unread);
    if (unlabelled)
        MIEN_INFO("%s: %lld images without an emotion (none, uncertain, no face) are left out",
                  source, unlabelled);
    return pictures_load(set, on_bad);
}

const mien_source_def mien_source_affectnet = {
    "a folder of pictures", accepts,       open_affectnet, pictures_read,
    pictures_close,         pictures_file, pictures_size};
