#include "host/base/interrupt.h"
#include "host/data/listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/mount.h"
#include "host/image/image.h"

bool listing_is_picture(const char *name) {
    return mien_image_has_suffix(name);
}

bool listing_is_video(const char *name) {
    static const char *const suffixes[] = {".mp4", ".mov", ".m4v",  ".mkv", ".webm",
                                           ".avi", ".mpg", ".mpeg", ".wmv", ".flv",
                                           ".3gp", ".mts", ".m2ts", ".ogv"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (mien_path_ends(name, suffixes[i])) return true;
    return false;
}

static void count_unread(unread_pictures *unread, const char *ending, size_t count) {
    const size_t kinds = sizeof unread->kinds / sizeof unread->kinds[0];
    size_t i = 0; /* the last entry also counts the endings that have no entry of their own */
    while (i + 1 < kinds && unread->kinds[i].count &&
           strcasecmp(unread->kinds[i].ending, ending) != 0)
        i++;
    snprintf(unread->kinds[i].ending, sizeof unread->kinds[i].ending, "%s",
             i + 1 < kinds ? ending : "others");
    unread->kinds[i].count += count;
}

void listing_add_unread(unread_pictures *to, const unread_pictures *from) {
    for (size_t i = 0; i < sizeof from->kinds / sizeof from->kinds[0]; i++)
        if (from->kinds[i].count) count_unread(to, from->kinds[i].ending, from->kinds[i].count);
}

void listing_warn_unread(const char *source, const unread_pictures *unread) {
    mien_text text = {0};
    for (size_t i = 0; i < sizeof unread->kinds / sizeof unread->kinds[0]; i++)
        if (unread->kinds[i].count)
            mien_text_printf(&text, "%s%zu %s", text.size ? ", " : "", unread->kinds[i].count,
                             unread->kinds[i].ending);
    if (text.size && text.status == MIEN_OK)
        MIEN_WARN("%s: %s are pictures that are not read: convert them to JPEG or PNG", source,
                  text.data);
    mien_text_release(&text);
}

/* Decides by the first bytes of a file that has no suffix of a picture. */
static bool is_picture_inside(const char *folder, const char *name, unread_pictures *unread) {
    char path[MIEN_PATH];
    uint8_t head[MIEN_IMAGE_HEAD];
    if (mien_path_join(path, folder, name) != MIEN_OK) return false;
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* it may be a pipe */
    const ssize_t size = file < 0 ? -1 : read(file, head, sizeof head);
    if (file >= 0) close(file);
    const mien_image_kind kind =
        size <= 0 ? MIEN_IMAGE_NONE : mien_image_kind_of(head, (size_t)size);
    const char *dot = strrchr(name, '.');
    if (kind == MIEN_IMAGE_UNREAD)
        count_unread(unread, dot && strlen(dot) < 12 ? dot : "without an ending", 1);
    return kind == MIEN_IMAGE_READ;
}

/* A file that may hold the labels of the pictures beside it. */
static bool is_table(const char *name) {
    static const char *const suffixes[] = {".csv", ".tsv", ".xlsx", ".xls"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (mien_path_ends(name, suffixes[i])) return true;
    return false;
}

static bool is_folder(const char *path, const struct dirent *entry) {
    char whole[MIEN_PATH];
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK) return entry->d_type == DT_DIR;
    return mien_path_join(whole, path, entry->d_name) == MIEN_OK && mien_is_folder(whole);
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The text buffer moves while it grows, so pointers into it are taken at the end. */
static mien_status sort_names(listing *list) {
    MIEN_TRY(list->text.status);
    MIEN_TRY(mien_new(&list->names, list->count, sizeof *list->names));
    char *at = list->text.data;
    for (size_t i = 0; i < list->count; i++, at += strlen(at) + 1)
        list->names[i] = at;
    if (list->count) qsort(list->names, list->count, sizeof *list->names, by_bytes);
    return MIEN_OK;
}

static bool is_text_table(const char *name) {
    static const char *const suffixes[] = {".csv", ".tsv"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (mien_path_ends(name, suffixes[i])) return true;
    return false;
}

/* What is listed of a folder; `folders` or `files` NULL: not those. */
typedef struct request {
    const char *path;
    listing *folders, *files;
    bool (*wanted)(const char *name); /* of files; NULL: all */
    bool mounted;                     /* in an archive, where suffixes alone decide */
    bool videos;                      /* files that are videos by their suffix, too */
    size_t *other;                    /* counts everything else */
    char *table;                      /* NULL, or as in listing_both */
} request;

static bool is_wanted(const request *r, const char *name) {
    if (!r->files) return false;
    if (!r->wanted || r->wanted(name) || (r->videos && listing_is_video(name))) return true;
    return r->wanted == listing_is_picture && !r->mounted &&
           is_picture_inside(r->path, name, &r->files->unread);
}

static void add_entry(void *context, const char *name, bool folder) {
    const request *r = context;
    listing *to = NULL;
    if (name[0] != '.') to = folder ? r->folders : is_wanted(r, name) ? r->files : NULL;
    if (to) {
        mien_text_append(&to->text, name, strlen(name) + 1);
        to->count++;
        return;
    }
    ++*r->other;
    if (r->table && name[0] != '.' && !folder && is_table(name) &&
        (!*r->table || strcmp(name, r->table) < 0))
        snprintf(r->table, LISTING_NAME, "%s", name);
}

static mien_status read_folder(request *r) {
    MIEN_TRY(mien_interrupt_check(r->path));
    DIR *dir = opendir(r->path);
    if (!dir) return MIEN_FAIL(IO, "cannot read the folder '%s': %s", r->path, strerror(errno));
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            add_entry(r, entry->d_name, is_folder(r->path, entry));
    }
    const int code = errno;
    closedir(dir);
    if (code) return MIEN_FAIL(IO, "cannot read the folder '%s': %s", r->path, strerror(code));
    return MIEN_OK;
}

static mien_status read_names(request r) {
    char inside[MIEN_PATH];
    const mien_mount *mount = mien_mount_of(r.path, inside);
    mien_status status = MIEN_OK;
    r.mounted = mount != NULL;
    if (mount)
        mount->list(mount->files, inside, add_entry, &r);
    else
        status = read_folder(&r);
    if (status == MIEN_OK && r.folders) status = sort_names(r.folders);
    if (status == MIEN_OK && r.files) status = sort_names(r.files);
    /* no names are listed of a folder that was not read to its end */
    if (status != MIEN_OK && r.folders) r.folders->count = 0;
    if (status != MIEN_OK && r.files) r.files->count = 0;
    return status;
}

mien_status listing_folders(const char *path, listing *out) {
    *out = (listing){0};
    return read_names((request){.path = path, .folders = out, .other = &out->ignored});
}

mien_status listing_files(const char *path, bool (*wanted)(const char *name), listing *out) {
    *out = (listing){0};
    return read_names(
        (request){.path = path, .files = out, .wanted = wanted, .other = &out->ignored});
}

mien_status listing_pictures(const char *path, listing *out) {
    return listing_files(path, listing_is_picture, out);
}

mien_status listing_tables(const char *path, listing *out) {
    return listing_files(path, is_text_table, out);
}

mien_status listing_both(const char *path, bool videos, listing *folders, listing *pictures,
                         char *table) {
    *folders = *pictures = (listing){0};
    *table = 0;
    return read_names((request){.path = path,
                                .folders = folders,
                                .files = pictures,
                                .wanted = listing_is_picture,
                                .videos = videos,
                                .other = &pictures->ignored,
                                .table = table});
}

void listing_release(listing *list) {
    mien_text_release(&list->text);
    mien_free(list->names);
    *list = (listing){0};
}
