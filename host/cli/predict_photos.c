/* The photos of mien predict: faces are cut out of one photo after the other and go through the
 * network in batches that may hold the faces of many. */
#include <stdio.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/cli/predict.h"
#include "host/data/listing.h"
#include "host/data/pictures.h"

enum { BATCH = 32, PHOTOS = 64 };

/* ---- which photos ---- */

static mien_status add_file(predict_args *args, const char *folder, const char *name) {
    char path[MIEN_PATH];
    MIEN_TRY(mien_path_join(path, folder, name));
    MIEN_TRY(
        mien_grow(&args->files, &args->file_capacity, args->file_count + 1, sizeof *args->files));
    args->files[args->file_count] = (predict_file){0};
    return mien_copy_text(&args->files[args->file_count++].path, path);
}

static mien_status add_folder(predict_args *args, const char *folder) {
    listing found = {0};
    mien_status status = listing_pictures(folder, &found);
    if (status == MIEN_OK && found.count == 0)
        status = MIEN_FAIL(NOT_FOUND,
                           "the folder '%s' holds no pictures (jpg, png, bmp, pgm, ppm); folders "
                           "inside it are not looked into: name them",
                           folder);
    if (status == MIEN_IO || status == MIEN_NOT_FOUND) {
        MIEN_GO(add_file(args, "", folder));
        MIEN_GO(mien_copy_text(&args->files[args->file_count - 1].error, mien_error_message()));
        goto out;
    }
    if (status != MIEN_OK) goto out;
    for (size_t i = 0; i < found.count; i++)
        MIEN_GO(add_file(args, folder, found.names[i]));
    if (found.ignored)
        MIEN_INFO("%s: %zu other files and folders are ignored", folder, found.ignored);
out:
    listing_release(&found);
    return status;
}

mien_status predict_collect(predict_args *args) {
    for (int i = 0; i < args->images.count; i++) {
        const char *name = args->images.items[i];
        MIEN_TRY(mien_is_folder(name) ? add_folder(args, name) : add_file(args, "", name));
    }
    return MIEN_OK;
}

void predict_forget(predict_args *args) {
    for (size_t i = 0; i < args->file_count; i++) {
        mien_free(args->files[i].path);
        mien_free(args->files[i].error);
    }
    mien_free(args->files);
}

/* ---- the detector ---- */

static void *open_detector(void *context) {
    predict_detector *o = context;
    o->status = mien_detector_open(o->xml, o->threads, &o->detector);
    if (o->status != MIEN_OK) snprintf(o->message, sizeof o->message, "%s", mien_error_message());
    return NULL;
}

void predict_detector_begin(predict_detector *opening, const predict_args *args) {
    *opening = (predict_detector){.xml = args->xml, .threads = cli_threads(&args->common)};
    if (args->whole || args->data) return;
    opening->begun = pthread_create(&opening->thread, NULL, open_detector, opening) == 0;
    if (!opening->begun) open_detector(opening);
}

/* Its sentence was left in another thread. */
static mien_status wait_for(predict_detector *opening) {
    if (opening->begun) pthread_join(opening->thread, NULL);
    opening->begun = false;
    if (opening->status == MIEN_OK) return MIEN_OK;
    return mien_fail(opening->status, __FILE__, __LINE__, "%s", opening->message);
}

void predict_detector_close(predict_detector *opening) {
    if (opening->begun) pthread_join(opening->thread, NULL);
    mien_detector_close(opening->detector);
}

/* ---- what is in them ---- */

typedef struct walk {
    const predict_args *args;
    mien_ensemble *models;
    mien_detector *detector; /* NULL: a picture is a face */
    predict_output *out;
    predict_photo photos[PHOTOS];
    int photo_count;
    predict_face *faces;
    uint8_t *pixels; /* [faces] of the model's input */
    float *scores;   /* [faces][classes] */
    size_t face_capacity, pixel_capacity, score_capacity;
    int face_count;
} walk;

static mien_status more_faces(walk *w, int count) {
    const mien_meta *meta = &w->models->models[0].meta;
    const size_t need = (size_t)w->face_count + (size_t)count;
    MIEN_TRY(mien_grow(&w->faces, &w->face_capacity, need, sizeof *w->faces));
    MIEN_TRY(mien_grow(&w->pixels, &w->pixel_capacity, need, mien_image_bytes(meta->input)));
    return mien_grow(&w->scores, &w->score_capacity, need,
                     (size_t)meta->classes * sizeof *w->scores);
}

/* Cuts one face; without a detector the picture itself is scaled, as those of training were. */
static mien_status add_face(walk *w, const mien_image *photo, const mien_face *found) {
    const mien_meta *meta = &w->models->models[0].meta;
    const mien_image_spec input = meta->input;
    const mien_rect all = {0, 0, photo->width, photo->height};
    const mien_crop as_it_is = {0};
    predict_face *face = &w->faces[w->face_count];
    uint8_t *pixels = w->pixels + (size_t)w->face_count * mien_image_bytes(input);
    *face = found ? (predict_face){found->box, true, found->score} : (predict_face){all, false, 0};
    MIEN_TRY(mien_crop_face(photo, face->box, found ? meta->crop : as_it_is, input.height,
                            input.width, input.channels, pixels));
    w->face_count++;
    return MIEN_OK;
}

static mien_status find_faces(walk *w, const mien_image *photo) {
    mien_faces found = {0};
    mien_status status;
    if (!w->detector) {
        MIEN_TRY(more_faces(w, 1));
        return add_face(w, photo, NULL);
    }
    MIEN_GO(mien_detector_run(w->detector, photo, w->args->min_face, &found));
    MIEN_GO(more_faces(w, found.count));
    for (int i = 0; i < found.count; i++)
        MIEN_GO(add_face(w, photo, &found.items[i]));
out:
    mien_faces_release(&found);
    return status;
}

static void forget_photo(predict_photo *photo) {
    mien_free(photo->error);
    mien_image_release(&photo->image);
    *photo = (predict_photo){0};
}

/* Scores what has been gathered and puts it out, photo after photo. */
static mien_status flush(walk *w) {
    const size_t classes = (size_t)w->models->models[0].meta.classes;
    mien_status status = MIEN_OK;
    if (w->face_count) status = mien_ensemble_run(w->models, w->pixels, w->face_count, w->scores);
    for (int i = 0; i < w->photo_count; i++) {
        predict_photo *photo = &w->photos[i];
        const size_t first = (size_t)photo->first;
        if (status == MIEN_OK)
            status =
                predict_output_photo(w->out, photo, w->faces + first, w->scores + first * classes);
        forget_photo(photo);
    }
    w->photo_count = w->face_count = 0;
    return status;
}

/* Without a detector the picture is a face, and no smaller than one of training may be. */
static mien_status read_photo(const walk *w, const char *file, mien_image *image) {
    const int channels = w->args->annotate ? 3 : w->models->models[0].meta.input.channels;
    MIEN_TRY(mien_image_read(file, channels, image));
    if (w->detector || (image->width >= PICTURE_SIDE_MIN && image->height >= PICTURE_SIDE_MIN))
        return MIEN_OK;
    return MIEN_FAIL(FORMAT, "'%s' has %dx%d pixels: too small for a face (at least %dx%d)", file,
                     image->width, image->height, PICTURE_SIDE_MIN, PICTURE_SIDE_MIN);
}

static mien_status one_photo(walk *w, const predict_file *file) {
    predict_photo *photo = &w->photos[w->photo_count++];
    *photo = (predict_photo){.file = file->path, .first = w->face_count};
    if (file->error) return mien_copy_text(&photo->error, file->error);
    if (read_photo(w, file->path, &photo->image) != MIEN_OK)
        return mien_copy_text(&photo->error, mien_error_message());
    photo->width = photo->image.width;
    photo->height = photo->image.height;
    MIEN_TRY(find_faces(w, &photo->image));
    photo->count = w->face_count - photo->first;
    if (!w->args->annotate) mien_image_release(&photo->image);
    return MIEN_OK;
}

static mien_status walk_photos(walk *w) {
    for (size_t i = 0; i < w->args->file_count; i++) {
        if (cli_stop) { /* what has been read is not lost */
            MIEN_TRY(flush(w));
            return MIEN_FAIL(INTERRUPTED, "interrupted after %zu of %zu photos", i,
                             w->args->file_count);
        }
        MIEN_TRY(one_photo(w, &w->args->files[i]));
        if (w->args->annotate || w->photo_count == PHOTOS || w->face_count >= BATCH)
            MIEN_TRY(flush(w));
    }
    return flush(w);
}

mien_status predict_photos(const predict_args *args, mien_ensemble *models,
                           predict_detector *opening, predict_output *out) {
    walk w = {.args = args, .models = models, .out = out};
    const int channels = models->models[0].meta.input.channels;
    mien_status status = MIEN_OK;
    if (channels != 1 && channels != 3) {
        status = MIEN_FAIL(UNSUPPORTED,
                           "the model reads pictures of %d channels, photos have 1 "
                           "or 3",
                           channels);
        goto out;
    }
    MIEN_GO(wait_for(opening));
    w.detector = opening->detector;
    if (args->annotate) MIEN_GO(mien_make_folders(args->annotate));
    predict_output_start(out, false);
    status = walk_photos(&w);
out:
    for (int i = 0; i < w.photo_count; i++)
        forget_photo(&w.photos[i]);
    mien_free(w.faces);
    mien_free(w.pixels);
    mien_free(w.scores);
    return status;
}
