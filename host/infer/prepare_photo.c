#include "host/infer/prepare_photo.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "host/base/memory.h"
#include "host/base/sha256.h"
#include "host/data/pictures.h"
#include "host/image/encode.h"
#include "host/image/image.h"
#include "host/video/video.h"

enum { HASHED = 1 << 20 };

/* A video may be large: in parts. */
static mien_status hash_file(const char *path, char hex[65]) {
    mien_sha256 sum;
    char *part;
    size_t got;
    FILE *file = fopen(path, "rb");
    if (!file) return MIEN_FAIL(IO, "cannot open '%s': %s", path, strerror(errno));
    mien_status status = mien_new(&part, HASHED, 1);
    mien_sha256_start(&sum);
    while (status == MIEN_OK && (got = fread(part, 1, HASHED, file)) > 0)
        mien_sha256_add(&sum, part, got);
    if (status == MIEN_OK && ferror(file))
        status = MIEN_FAIL(IO, "cannot read '%s': %s", path, strerror(errno));
    if (status == MIEN_OK) mien_sha256_hex(&sum, hex);
    mien_free(part);
    fclose(file);
    return status;
}

mien_status prepare_photo_identify(const char *path, bool hash, prepare_photo *out) {
    struct stat info;
    if (stat(path, &info) != 0) return MIEN_FAIL(IO, "cannot open '%s': %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return MIEN_FAIL(IO, "'%s' is not a regular file", path);
    out->size = (long long)info.st_size;
    out->time_ns = (long long)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    return hash ? hash_file(path, out->sha256) : MIEN_OK;
}

static mien_status reject(prepare_photo *photo, mien_reject reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static mien_status reject(prepare_photo *photo, mien_reject reason, const char *format, ...) {
    char message[MIEN_MESSAGE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    photo->reject = reason;
    return mien_copy_text(&photo->message, message);
}

/* ---- faces ---- */

static double area(const mien_face *face) {
    return (double)face->box.width * face->box.height;
}

/* Keeps the largest face; of equal ones the more certain, then the one further to the left. */
static void keep_largest(mien_faces *faces) {
    int best = 0;
    for (int i = 1; i < faces->count; i++) {
        const mien_face *a = &faces->items[i], *b = &faces->items[best];
        if (area(a) > area(b) || (area(a) == area(b) && a->score > b->score)) best = i;
    }
    if (faces->count) faces->items[0] = faces->items[best];
    if (faces->count > 1) faces->count = 1;
}

static mien_status find_faces(const mien_prepare *o, mien_detector *detector,
                              const mien_image *image, prepare_photo *photo, mien_faces *faces) {
    mien_detect rule = {o->min_face, o->min_score};
    if (rule.min_face && image->width != photo->width) {
        const mien_rect least = {0, 0, rule.min_face, rule.min_face};
        rule.min_face =
            mien_rect_scale(least, photo->width, photo->height, image->width, image->height).width;
    }
    MIEN_TRY(mien_detector_run(detector, image, &rule, faces));
    if (faces->count == 0) {
        photo->reject = MIEN_REJECT_NO_FACE;
    } else if (faces->count > 1 && o->faces == MIEN_FACES_ONE) {
        const int found = faces->count;
        faces->count = 0;
        return reject(photo, MIEN_REJECT_SEVERAL, "%d faces", found);
    }
    if (o->faces == MIEN_FACES_LARGEST) keep_largest(faces);
    return MIEN_OK;
}

/* ---- crops ---- */

/* The size of a crop of this part of the photo. */
static void size_of(const mien_prepare *o, mien_rect part, int *height, int *width) {
    const int longest = part.width > part.height ? part.width : part.height;
    *height = o->height ? o->height : part.height;
    *width = o->height ? o->width : part.width;
    if (o->height || longest <= o->side_max) return;
    const mien_rect whole = {0, 0, part.width, part.height};
    const mien_rect scaled = mien_rect_scale(whole, longest, longest, o->side_max, o->side_max);
    *height = scaled.height;
    *width = scaled.width;
}

/* Cuts a face out, by the same function as prediction, and encodes it. */
static mien_status add_crop(const mien_prepare *o, const mien_image *image, mien_rect box,
                            mien_crop rule, const mien_face *face, double time,
                            prepare_photo *photo) {
    const mien_rect part = mien_crop_rect(box, rule);
    prepare_crop *crop;
    mien_image cut = {.channels = o->channels};
    mien_status status;
    if (part.width < PICTURE_SIDE_MIN || part.height < PICTURE_SIDE_MIN) return MIEN_OK;
    MIEN_TRY(
        mien_grow(&photo->crops, &photo->capacity, (size_t)photo->count + 1, sizeof *photo->crops));
    crop = &photo->crops[photo->count];
    *crop = (prepare_crop){.detected = face != NULL, .score = face ? face->score : 0, .time = time};
    size_of(o, part, &cut.height, &cut.width);
    MIEN_TRY(mien_new(&cut.pixels, (size_t)cut.height * (size_t)cut.width, (size_t)cut.channels));
    MIEN_GO(mien_crop_face(image, box, rule, cut.height, cut.width, cut.channels, cut.pixels));
    MIEN_GO(mien_image_encode_png(&cut, &crop->png));
    crop->box = mien_rect_scale(box, image->width, image->height, photo->width, photo->height);
    photo->count++;
out:
    if (status != MIEN_OK) mien_text_release(&crop->png);
    mien_image_release(&cut);
    return status;
}

static mien_status add_faces(const mien_prepare *o, const mien_image *image,
                             const mien_faces *faces, double time, prepare_photo *photo) {
    for (int i = 0; i < faces->count; i++) {
        const mien_face *face = &faces->items[i];
        MIEN_TRY(add_crop(o, image, face->box, o->crop, face, time, photo));
    }
    if (!faces->count || photo->count) return MIEN_OK;
    const mien_rect part = mien_crop_rect(faces->items[0].box, o->crop);
    return reject(photo, MIEN_REJECT_SMALL, "the crop has %dx%d pixels (at least %dx%d)",
                  part.width, part.height, PICTURE_SIDE_MIN, PICTURE_SIDE_MIN);
}

static mien_status add_whole(const mien_prepare *o, const mien_image *image, double time,
                             prepare_photo *photo) {
    const mien_rect all = {0, 0, image->width, image->height};
    MIEN_TRY(add_crop(o, image, all, (mien_crop){0}, NULL, time, photo));
    if (photo->count) return MIEN_OK;
    return reject(photo, MIEN_REJECT_SMALL, "the photo has %dx%d pixels (at least %dx%d)",
                  image->width, image->height, PICTURE_SIDE_MIN, PICTURE_SIDE_MIN);
}

/* The faces of a photo or of a frame. */
static mien_status add_picture(const mien_prepare *o, mien_detector *detector,
                               const mien_image *image, double time, prepare_photo *photo) {
    mien_faces faces = {0};
    if (!detector) return add_whole(o, image, time, photo);
    mien_status status = find_faces(o, detector, image, photo, &faces);
    if (status == MIEN_OK)
        status = add_faces(o, image, &faces, time, photo);
    else if (status != MIEN_NO_MEMORY)
        status = reject(photo, MIEN_REJECT_UNREADABLE, "%s", mien_error_message());
    mien_faces_release(&faces);
    return status;
}

mien_status prepare_photo_make(const mien_prepare *o, mien_detector *detector, const char *path,
                               prepare_photo *photo, char *warning) {
    mien_image image = {0};
    mien_photo_facts facts = {0};
    *warning = 0;
    mien_status status = prepare_photo_identify(path, true, photo);
    if (status == MIEN_OK) status = mien_image_read_photo(path, o->channels, &image, &facts);
    if (status == MIEN_NO_MEMORY) return status; /* not the photo's fault */
    if (status != MIEN_OK) return reject(photo, MIEN_REJECT_UNREADABLE, "%s", mien_error_message());
    snprintf(warning, PREPARE_WARNING, "%s", facts.warning);
    photo->width = facts.width;
    photo->height = facts.height;
    status = add_picture(o, detector, &image, 0, photo);
    mien_image_release(&image);
    return status;
}

/* ---- videos ---- */

/* Searches a frame. One that gives no crop is no fault of the video: only if none gives any, the
 * reason of the last is the video's. */
static mien_status add_frame(const mien_prepare *o, mien_detector *detector,
                             const mien_frame *frame, prepare_photo *video) {
    const mien_image *image = o->channels == 3 ? &frame->colour : &frame->gray;
    if (!video->width) {
        video->width = image->width;
        video->height = image->height;
    }
    mien_free(video->message);
    video->message = NULL;
    video->reject = MIEN_REJECT_NONE;
    return add_picture(o, detector, image, frame->time, video);
}

static mien_status add_frames(const mien_prepare *o, mien_detector *detector, mien_frames *source,
                              prepare_photo *video) {
    mien_frame frame = {0};
    double due = 0;
    bool more = true;
    mien_status status = MIEN_OK;
    while (status == MIEN_OK) {
        status = mien_frames_next(source, &frame, &more);
        if (status != MIEN_OK || !more) break;
        if (frame.time + 1e-6 < due) continue;
        due = (floor((frame.time + 1e-6) / o->every) + 1) * o->every;
        status = add_frame(o, detector, &frame, video);
    }
    mien_frame_release(&frame);
    return status;
}

mien_status prepare_video_make(const mien_prepare *o, mien_detector *detector, const char *path,
                               prepare_photo *video) {
    const mien_video_options options = {.colour = o->channels == 3, .threads = 1, .stop = o->stop};
    mien_frames source = {0};
    mien_status status = prepare_photo_identify(path, true, video);
    if (status == MIEN_OK) status = mien_video_open(path, &options, &source);
    if (status == MIEN_OK) {
        status = add_frames(o, detector, &source, video);
        mien_frames_close(&source);
    }
    if (status == MIEN_NO_MEMORY || status == MIEN_INTERRUPTED) return status;
    if (status != MIEN_OK) { /* what was read before the damage is kept */
        mien_free(video->message);
        video->message = NULL;
        return reject(video, MIEN_REJECT_UNREADABLE, "%s", mien_error_message());
    }
    if (!video->count) return MIEN_OK;
    video->reject = MIEN_REJECT_NONE;
    mien_free(video->message);
    video->message = NULL;
    return MIEN_OK;
}
