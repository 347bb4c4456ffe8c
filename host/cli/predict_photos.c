/* The photos of mien predict: lists them, reads them, and predicts and prints them in batches. */
#include <stdio.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/cli/predict.h"
#include "host/data/listing.h"

enum { BATCH = 32, PHOTOS = 64 };

/* ---- list of photos ---- */

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
    char suffixes[MIEN_IMAGE_SUFFIXES];
    mien_status status = listing_pictures(folder, &found);
    if (status == MIEN_OK && found.count == 0)
        status = MIEN_FAIL(NOT_FOUND,
                           "the folder '%s' has no pictures (%s); give the folders inside it "
                           "separately",
                           folder, mien_image_suffixes(suffixes));
    listing_warn_unread(folder, &found.unread);
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
    o->status = mien_detector_open(&o->choice, &o->detector);
    if (o->status != MIEN_OK) snprintf(o->message, sizeof o->message, "%s", mien_error_message());
    return NULL;
}

void predict_detector_begin(predict_detector *opening, const predict_args *args) {
    *opening = (predict_detector){.choice = args->faces.choice};
    opening->choice.threads = cli_threads(&args->common);
    if (args->faces.none || args->boxes || args->data) return;
    opening->begun = pthread_create(&opening->thread, NULL, open_detector, opening) == 0;
    if (!opening->begun) open_detector(opening);
}

/* Waits for the detector. The error message, which belongs to the other thread, is set again. */
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

/* ---- prediction ---- */

typedef struct walk {
    const predict_args *args;
    const mien_meta *meta;
    mien_photos *gathered;
    predict_boxes *boxes;
    predict_output *out;
    predict_photo photos[PHOTOS];
    int photo_count;
} walk;

static void forget_photo(predict_photo *photo) {
    mien_free(photo->error);
    *photo = (predict_photo){0};
}

/* Predicts the gathered photos and prints them in order. */
static mien_status flush(walk *w) {
    mien_status status = mien_photos_run(w->gathered);
    for (int i = 0; i < w->photo_count; i++) {
        predict_photo *photo = &w->photos[i];
        mien_photo_view view = {0};
        if (status == MIEN_OK && !photo->error) view = mien_photos_faces(w->gathered, photo->index);
        w->out->values = view.values;
        if (status == MIEN_OK)
            status = predict_output_photo(w->out, photo, view.faces, view.probabilities);
        forget_photo(photo);
    }
    w->photo_count = 0;
    mien_photos_clear(w->gathered);
    return status;
}

/* Finds or looks up the faces of a decoded photo. */
static mien_status add_photo(walk *w, const mien_image *image, size_t file, predict_photo *photo) {
    mien_photo given = {.image = image, .name = photo->file};
    mien_rect *boxes = NULL;
    mien_status status;
    if (photo->width != image->width || photo->height != image->height) {
        given.width = photo->width;
        given.height = photo->height;
    }
    if (w->args->boxes)
        MIEN_GO(predict_boxes_of(w->boxes, w->args->boxes, file, photo->width, photo->height,
                                 &boxes, &given.box_count));
    given.boxes = boxes;
    MIEN_GO(mien_photos_add(w->gathered, &given, &photo->index));
    photo->count = mien_photos_faces(w->gathered, photo->index).count;
out:
    mien_free(boxes);
    return status;
}

static mien_status one_photo(walk *w, size_t index) {
    const predict_file *file = &w->args->files[index];
    predict_photo *photo = &w->photos[w->photo_count++];
    mien_photo_facts facts;
    mien_image image;
    *photo = (predict_photo){.file = file->path};
    if (file->error) return mien_copy_text(&photo->error, file->error);
    /* as in training: a JPEG's gray is its stored luma, whichever outputs are wanted */
    mien_status status = mien_image_read_photo(file->path, w->meta->input.channels, &image, &facts);
    if (status == MIEN_NO_MEMORY) return status; /* the photo may be fine */
    if (status != MIEN_OK) return mien_copy_text(&photo->error, mien_error_message());
    if (facts.warning[0]) MIEN_WARN("'%s' has %s", file->path, facts.warning);
    photo->width = facts.width;
    photo->height = facts.height;
    status = add_photo(w, &image, index, photo);
    mien_image_release(&image);
    if (status == MIEN_FORMAT) return mien_copy_text(&photo->error, mien_error_message());
    return status;
}

static mien_status walk_photos(walk *w) {
    for (size_t i = 0; i < w->args->file_count; i++) {
        if (cli_stop) { /* print what has been read so far */
            MIEN_TRY(flush(w));
            return MIEN_FAIL(INTERRUPTED, "interrupted after %zu of %zu photos", i,
                             w->args->file_count);
        }
        MIEN_TRY(one_photo(w, i));
        if (w->photo_count == PHOTOS || mien_photos_face_count(w->gathered) >= BATCH)
            MIEN_TRY(flush(w));
    }
    return flush(w);
}

mien_status predict_photos(const predict_args *args, mien_ensemble *models,
                           predict_detector *opening, predict_boxes *boxes, predict_output *out) {
    walk w = {.args = args, .meta = &models->models[0].meta, .boxes = boxes, .out = out};
    const mien_photo_options options = {
        .min_face = args->faces.min_face,
        .min_score = args->faces.min_score,
        .given = args->boxes != NULL,
    };
    mien_status status;
    MIEN_GO(mien_photos_supported(models));
    MIEN_GO(wait_for(opening));
    MIEN_GO(mien_photos_create(models, opening->detector, &options, &w.gathered));
    if (args->annotate) MIEN_GO(mien_make_folders(args->annotate));
    predict_output_start(out, false);
    status = walk_photos(&w);
out:
    for (int i = 0; i < w.photo_count; i++)
        forget_photo(&w.photos[i]);
    mien_photos_free(w.gathered);
    return status;
}
