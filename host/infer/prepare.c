#include "host/infer/prepare.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/search.h"
#include "host/data/listing.h"
#include "host/data/pictures.h"
#include "host/data/source.h"
#include "host/infer/prepare_folder.h"
#include "host/infer/prepare_names.h"
#include "host/infer/prepare_photo.h"

/* Photos at a time: their encoded crops are in memory until they are written. */
enum { BATCH_MIN = 16, BATCH_MAX = 64, BATCH_OF_THREAD = 8, CLASS_LIST_MAX = 1 << 20 };

typedef struct made {
    bool is;
    mien_status status;
    char message[MIEN_MESSAGE], warning[PREPARE_WARNING];
} made;

typedef struct run {
    const mien_prepare *o;
    mien_dataset set;
    prepare_folder folder;
    prepare_names names;
    prepare_photo *photos; /* [set.count] */
    bool *done;            /* [set.count] */
    size_t done_count;
    long long unreadable;
    mien_detector *detectors[BATCH_MAX]; /* of the threads; opened by them, when needed */
    size_t *todo;                        /* [todo_count] samples */
    size_t todo_count;
    int batch;
    made *made; /* [batch] */
} run;

static int thread_count(void) {
    const int count = omp_get_max_threads();
    return count < BATCH_MAX ? count : BATCH_MAX;
}

/* ---- the list of photos ---- */

static mien_status list_photos(run *r) {
    const mien_prepare *o = r->o;
    MIEN_TRY(mien_dataset_list(o->source, true, o->bad_folders, &r->set));
    const pictures *list = r->set.reader;
    if (list->boxes)
        return MIEN_FAIL(UNSUPPORTED,
                         "the table of '%s' gives the face of every picture: mien train cuts them "
                         "out itself",
                         o->source);
    MIEN_TRY(mien_new(&r->photos, r->set.count, sizeof *r->photos));
    MIEN_TRY(mien_new(&r->done, r->set.count, sizeof *r->done));
    return mien_new(&r->todo, r->set.count, sizeof *r->todo);
}

/* The folder of the crops of a photo or video: as in the source, or made from part and class where
 * a table of labels gives them. */
static mien_status folder_of(const run *r, size_t i, char *out) {
    char class[MIEN_CLASS_NAME];
    const mien_dataset *set = &r->set;
    const char *file = mien_source_file(set, i), *slash = strrchr(file, '/');
    if (set->def == &mien_source_folder) {
        snprintf(out, MIEN_PATH, "%.*s", slash ? (int)(slash - file) : 0, file);
        return MIEN_OK;
    }
    snprintf(class, sizeof class, "%s", set->class_names[set->labels[i]]);
    for (char *c = class; *c; c++)
        if (*c == '/' || (c == class && *c == '.')) *c = '_';
    return mien_path_join(out, set->usage[i] == MIEN_NO_PART ? "" : mien_part_name(set->usage[i]),
                          class);
}

/* Creates the folders of all photos, since a class without a face is a class all the same. */
static mien_status make_folders(const run *r) {
    char folder[MIEN_PATH], path[MIEN_PATH], last[MIEN_PATH] = "", source[MIEN_PATH];
    for (size_t i = 0; i < r->set.count; i++) {
        MIEN_TRY(folder_of(r, i, folder));
        if (i && strcmp(folder, last) == 0) continue;
        strcpy(last, folder);
        MIEN_TRY(pictures_path(&r->set, i, path));
        mien_path_folder(source, path);
        MIEN_TRY(prepare_folder_apart(source, r->o->out)); /* through a link */
        MIEN_TRY(mien_path_join(path, r->o->out, folder));
        MIEN_TRY(mien_make_folders(path));
        mien_remove_temporaries(path);
    }
    return MIEN_OK;
}

/* classes.txt, which names numbered folders, lies beside or above them. */
static mien_status copy_class_list(const run *r) {
    char folder[MIEN_PATH], name[MIEN_PATH], path[MIEN_PATH];
    if (r->set.def != &mien_source_folder) return MIEN_OK;
    MIEN_TRY(folder_of(r, 0, folder));
    for (bool last = false; !last;) {
        char *slash = strrchr(folder, '/'), *bytes;
        size_t size;
        last = !slash;
        *(slash ? slash : folder) = 0;
        MIEN_TRY(mien_path_join(name, folder, "classes.txt"));
        MIEN_TRY(mien_path_join(path, r->set.source, name));
        if (!mien_file_exists(path)) continue;
        MIEN_TRY(mien_file_read(path, CLASS_LIST_MAX, &bytes, &size));
        mien_status status = mien_path_join(path, r->o->out, name);
        if (status == MIEN_OK) status = mien_file_write(path, bytes, size);
        mien_free(bytes);
        MIEN_TRY(status);
    }
    return MIEN_OK;
}

/* ---- what earlier runs did ---- */

typedef struct earlier {
    const char *source;
    prepare_photo *photo;
    size_t sample; /* SIZE_MAX: none yet */
} earlier;

static int by_source(const void *a, const void *b) {
    return strcmp(((const earlier *)a)->source, ((const earlier *)b)->source);
}

/* The first record of this photo that no sample has; NULL: none. */
static earlier *find_earlier(earlier *all, size_t count, const char *source) {
    const earlier wanted = {.source = source};
    size_t i = mien_search(&wanted, all, count, sizeof *all, by_source);
    while (i < count && all[i].sample != SIZE_MAX)
        i++;
    return i < count && strcmp(all[i].source, source) == 0 ? &all[i] : NULL;
}

/* Whether the photo's file is the one that was done; the hash decides where the time differs. */
static bool is_same(const char *path, const prepare_photo *before) {
    prepare_photo now = {0};
    if (prepare_photo_identify(path, false, &now) != MIEN_OK) return !before->sha256[0];
    if (now.size == before->size && now.time_ns == before->time_ns) return true;
    return now.size == before->size && prepare_photo_identify(path, true, &now) == MIEN_OK &&
           strcmp(now.sha256, before->sha256) == 0;
}

/* Takes over the record of a sample. A changed photo without crops is done again. */
static mien_status take_record(run *r, size_t i, earlier *e) {
    char path[MIEN_PATH];
    prepare_photo *before = e->photo;
    e->sample = i;
    MIEN_TRY(pictures_path(&r->set, i, path));
    if (!is_same(path, before)) {
        if (!before->count) return MIEN_OK;
        return MIEN_FAIL(INVALID,
                         "'%s' was changed after its faces were written to '%s': begin anew with "
                         "--force",
                         path, r->o->out);
    }
    r->photos[i] = *before;
    *before = (prepare_photo){0};
    r->done[i] = true;
    r->done_count++;
    r->unreadable += r->photos[i].reject == MIEN_REJECT_UNREADABLE;
    for (int k = 0; k < r->photos[i].count; k++) {
        bool added;
        MIEN_TRY(prepare_names_add(&r->names, r->photos[i].crops[k].file, &added));
    }
    return MIEN_OK;
}

static mien_status match_records(run *r, earlier *all, size_t count) {
    for (size_t i = 0; i < r->set.count; i++) {
        earlier *e = find_earlier(all, count, mien_source_file(&r->set, i));
        if (e) MIEN_TRY(take_record(r, i, e));
        if (!r->done[i]) r->todo[r->todo_count++] = i;
    }
    for (size_t k = 0; k < count; k++)
        if (all[k].sample == SIZE_MAX && all[k].photo->count)
            return MIEN_FAIL(INVALID,
                             "'%s' has faces of '%s', which is no longer in '%s': begin anew with "
                             "--force",
                             r->o->out, all[k].source, r->o->source);
    return MIEN_OK;
}

static mien_status take_records(run *r) {
    const prepare_records *records = &r->folder.done;
    earlier *all;
    MIEN_TRY(mien_new(&all, records->count + 1, sizeof *all));
    for (size_t k = 0; k < records->count; k++)
        all[k] = (earlier){records->items[k].source, &records->items[k], SIZE_MAX};
    qsort(all, records->count, sizeof *all, by_source);
    const mien_status status = match_records(r, all, records->count);
    mien_free(all);
    return status;
}

/* ---- a batch ---- */

static bool is_stopped(const run *r) {
    return r->o->stop && *r->o->stop;
}

/* Runs in many threads. */
static mien_status make_photo(run *r, size_t i, char *warning) {
    char path[MIEN_PATH];
    mien_detector **detector = &r->detectors[omp_get_thread_num()];
    prepare_photo *photo = &r->photos[i];
    MIEN_TRY(mien_copy_text(&photo->source, mien_source_file(&r->set, i)));
    MIEN_TRY(pictures_path(&r->set, i, path));
    if (r->o->detector && !*detector) MIEN_TRY(mien_detector_open(r->o->detector, detector));
    photo->video = listing_is_video(photo->source);
    if (photo->video) return prepare_video_make(r->o, *detector, path, photo);
    return prepare_photo_make(r->o, *detector, path, photo, warning);
}

static void make_photos(run *r, const size_t *samples, int count) {
    const int threads = thread_count();
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int k = 0; k < count; k++) {
        made *m = &r->made[k];
        *m = (made){.is = !is_stopped(r)};
        if (!m->is) continue;
        m->status = make_photo(r, samples[k], m->warning);
        if (m->status != MIEN_OK)
            snprintf(m->message, sizeof m->message, "%s", mien_error_message());
        if (m->status == MIEN_INTERRUPTED) {
            m->is = false;
            prepare_photo_release(&r->photos[samples[k]]);
        }
    }
}

/* Fails if the photo is one too many that cannot be read. */
static mien_status check_bad(run *r, const prepare_photo *photo) {
    const mien_on_bad *rule = &r->o->bad_photos;
    if (photo->reject != MIEN_REJECT_UNREADABLE) return MIEN_OK;
    if (!rule->skip) return MIEN_FAIL(FORMAT, "%s", photo->message);
    r->unreadable++;
    if (rule->max < 0 || r->unreadable <= rule->max) return MIEN_OK;
    return MIEN_FAIL(FORMAT, "more than %lld photos cannot be read: %s", rule->max, photo->message);
}

/* In the order of the list, so that names do not depend on the threads. */
static mien_status name_crops(run *r, size_t i) {
    char folder[MIEN_PATH], name[MIEN_PATH], frame[64];
    prepare_photo *photo = &r->photos[i];
    MIEN_TRY(folder_of(r, i, folder));
    if (photo->video) MIEN_TRY(prepare_names_folder(folder, photo->source));
    for (int k = 0; k < photo->count; k++) {
        snprintf(frame, sizeof frame, "t%09.3f.png", photo->crops[k].time);
        MIEN_TRY(prepare_names_next(&r->names, folder, photo->video ? frame : photo->source, name));
        MIEN_TRY(mien_copy_text(&photo->crops[k].file, name));
    }
    return MIEN_OK;
}

/* Names the crops of the photos that were made and writes their lines to `lines`. *good: the number
 * of photos before the first that was not made or must not be kept. */
static mien_status settle(run *r, const size_t *samples, int count, mien_text *lines, int *good) {
    for (*good = 0; *good < count; (*good)++) {
        const made *m = &r->made[*good];
        prepare_photo *photo = &r->photos[samples[*good]];
        if (!m->is) return MIEN_OK;
        if (m->status != MIEN_OK) return mien_fail(m->status, __FILE__, __LINE__, "%s", m->message);
        if (m->warning[0]) MIEN_WARN("'%s' has %s", photo->source, m->warning);
        MIEN_TRY(check_bad(r, photo));
        MIEN_TRY(name_crops(r, samples[*good]));
        prepare_records_line(lines, photo);
    }
    return MIEN_OK;
}

/* A video's crops have a folder of their own. */
static mien_status make_folder_of(const char *path) {
    char folder[MIEN_PATH];
    mien_path_folder(folder, path);
    MIEN_TRY(mien_make_folders(folder));
    mien_remove_temporaries(folder);
    return MIEN_OK;
}

static mien_status write_photo(const run *r, size_t i) {
    char path[MIEN_PATH];
    const prepare_photo *photo = &r->photos[i];
    for (int k = 0; k < photo->count; k++) {
        prepare_crop *crop = &photo->crops[k];
        MIEN_TRY(mien_path_join(path, r->o->out, crop->file));
        if (photo->video && !k) MIEN_TRY(make_folder_of(path));
        MIEN_TRY(mien_file_write(path, crop->png.data, crop->png.size));
        mien_text_release(&crop->png);
    }
    return MIEN_OK;
}

static mien_status write_photos(run *r, const size_t *samples, int count) {
    const int threads = thread_count();
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int k = 0; k < count; k++) {
        made *m = &r->made[k];
        m->status = write_photo(r, samples[k]);
        if (m->status != MIEN_OK)
            snprintf(m->message, sizeof m->message, "%s", mien_error_message());
    }
    for (int k = 0; k < count; k++)
        if (r->made[k].status != MIEN_OK)
            return mien_fail(r->made[k].status, __FILE__, __LINE__, "%s", r->made[k].message);
    return MIEN_OK;
}

/* Writes the lines of `count` photos, their crops, and the commit. */
static mien_status keep(run *r, const size_t *samples, int count, const mien_text *lines) {
    static char word[] = PREPARE_COMMIT;
    const mien_text commit = {.data = word, .size = sizeof word - 1};
    if (!count) return MIEN_OK;
    MIEN_TRY(prepare_folder_log(&r->folder, lines));
    MIEN_TRY(write_photos(r, samples, count));
    MIEN_TRY(prepare_folder_log(&r->folder, &commit));
    for (int k = 0; k < count; k++)
        r->done[samples[k]] = true;
    r->done_count += (size_t)count;
    return MIEN_OK;
}

/* Does a batch; of one with a failure, the photos before it. */
static mien_status do_batch(run *r, const size_t *samples, int count) {
    mien_text lines = {0};
    char message[MIEN_MESSAGE];
    int good;
    make_photos(r, samples, count);
    const mien_status settled = settle(r, samples, count, &lines, &good);
    snprintf(message, sizeof message, "%s", mien_error_message());
    mien_status status = keep(r, samples, good, &lines);
    mien_text_release(&lines);
    if (status == MIEN_OK && settled != MIEN_OK)
        status = mien_fail(settled, __FILE__, __LINE__, "%s", message);
    return status;
}

static mien_status do_photos(run *r) {
    for (size_t first = 0; first < r->todo_count; first += (size_t)r->batch) {
        const size_t rest = r->todo_count - first;
        if (r->o->progress) r->o->progress(r->o->context, r->done_count, r->set.count);
        if (!is_stopped(r))
            MIEN_TRY(do_batch(r, r->todo + first, rest < (size_t)r->batch ? (int)rest : r->batch));
        if (is_stopped(r) && r->done_count < r->set.count)
            return MIEN_FAIL(INTERRUPTED,
                             "interrupted after %zu of %zu photos; the same command continues",
                             r->done_count, r->set.count);
    }
    return MIEN_OK;
}

/* ---- the run ---- */

/* All lines in the order of the list, which is not that of a run that was continued after photos
 * were added. */
static mien_status write_log(run *r) {
    mien_text text = {0};
    for (size_t i = 0; i < r->set.count; i++)
        prepare_records_line(&text, &r->photos[i]);
    mien_text_puts(&text, PREPARE_COMMIT);
    const mien_status status = prepare_folder_replace_log(&r->folder, &text);
    mien_text_release(&text);
    return status;
}

/* Writes the tables also after a failure, whose message is kept. */
static mien_status finish(run *r, mien_status status, mien_prepare_result *result) {
    char message[MIEN_MESSAGE];
    snprintf(message, sizeof message, "%s", mien_error_message());
    mien_status written = prepare_write_tables(r->o->out, &r->set, r->photos, r->done);
    if (written == MIEN_OK) written = prepare_count(&r->set, r->photos, r->done, result);
    if (status == MIEN_OK && written == MIEN_OK) return write_log(r);
    return status == MIEN_OK ? written : mien_fail(status, __FILE__, __LINE__, "%s", message);
}

static mien_status start(run *r) {
    const int threads = thread_count(), batch = threads * BATCH_OF_THREAD;
    r->batch = batch < BATCH_MIN ? BATCH_MIN : batch > BATCH_MAX ? BATCH_MAX : batch;
    MIEN_TRY(mien_new(&r->made, (size_t)r->batch, sizeof *r->made));
    MIEN_TRY(prepare_folder_apart(r->o->source, r->o->out));
    MIEN_TRY(list_photos(r));
    if (r->o->detector) MIEN_TRY(mien_detector_open(r->o->detector, &r->detectors[0]));
    MIEN_TRY(prepare_folder_open(r->o, &r->folder));
    MIEN_TRY(take_records(r));
    MIEN_TRY(make_folders(r));
    return copy_class_list(r);
}

static void release(run *r) {
    for (size_t i = 0; r->photos && i < r->set.count; i++)
        prepare_photo_release(&r->photos[i]);
    for (int t = 0; t < BATCH_MAX; t++)
        mien_detector_close(r->detectors[t]);
    prepare_folder_close(&r->folder);
    prepare_names_release(&r->names);
    mien_free(r->photos);
    mien_free(r->done);
    mien_free(r->todo);
    mien_free(r->made);
    mien_dataset_release(&r->set);
}

mien_status mien_prepare_run(const mien_prepare *options, mien_prepare_result *result) {
    run r = {.o = options, .folder = {.lock = -1, .log = -1}};
    *result = (mien_prepare_result){0};
    mien_status status = start(&r);
    if (status == MIEN_OK) {
        result->earlier = r.done_count;
        status = finish(&r, do_photos(&r), result);
    }
    release(&r);
    return status;
}
