#include "host/infer/photo.h"

#include "host/base/memory.h"
#include "host/data/pictures.h"

typedef struct span {
    int first, count; /* the faces of one photo */
} span;

struct mien_photos {
    mien_ensemble *ensemble;
    mien_detector *detector; /* NULL: the whole photo is one face */
    mien_photo_options options;
    span *spans; /* [photo_count] */
    mien_photo_face *faces;
    uint8_t *pixels;      /* [face_count] of the models' input */
    float *probabilities; /* [face_count][classes] */
    float *values;        /* the same of what the softmax was added to; else NULL */
    size_t span_capacity, face_capacity, pixel_capacity, probability_capacity, value_capacity;
    int photo_count, face_count;
    int scored; /* the first `scored` faces have probabilities */
};

static const mien_meta *meta_of(const mien_photos *p) {
    return &p->ensemble->models[0].meta;
}

mien_status mien_photos_supported(const mien_ensemble *ensemble) {
    const int channels = ensemble->models[0].meta.input.channels;
    if (channels == 1 || channels == 3) return MIEN_OK;
    return MIEN_FAIL(UNSUPPORTED, "the model reads pictures of %d channels, but photos have 1 or 3",
                     channels);
}

mien_status mien_photos_create(mien_ensemble *ensemble, mien_detector *detector,
                               const mien_photo_options *options, mien_photos **out) {
    *out = NULL;
    MIEN_TRY(mien_photos_supported(ensemble));
    MIEN_TRY(mien_new(out, 1, sizeof **out));
    (*out)->ensemble = ensemble;
    (*out)->detector = detector;
    if (options) (*out)->options = *options;
    return MIEN_OK;
}

void mien_photos_free(mien_photos *photos) {
    if (!photos) return;
    mien_free(photos->spans);
    mien_free(photos->faces);
    mien_free(photos->pixels);
    mien_free(photos->probabilities);
    mien_free(photos->values);
    mien_free(photos);
}

/* Of several models the outputs have no mean that means anything. */
static bool has_values(const mien_photos *p) {
    return meta_of(p)->head == MIEN_HEAD_LOGITS && p->ensemble->count == 1;
}

static mien_status more_faces(mien_photos *p, int count) {
    const mien_meta *meta = meta_of(p);
    const size_t need = (size_t)p->face_count + (size_t)count;
    MIEN_TRY(mien_grow(&p->faces, &p->face_capacity, need, sizeof *p->faces));
    MIEN_TRY(mien_grow(&p->pixels, &p->pixel_capacity, need, mien_image_bytes(meta->input)));
    const size_t row = (size_t)meta->classes * sizeof *p->probabilities;
    if (has_values(p)) MIEN_TRY(mien_grow(&p->values, &p->value_capacity, need, row));
    return mien_grow(&p->probabilities, &p->probability_capacity, need, row);
}

static mien_rect to_image(const mien_photo *photo, mien_rect box) {
    const mien_image *image = photo->image;
    if (!photo->width) return box;
    return mien_rect_scale(box, photo->width, photo->height, image->width, image->height);
}

static mien_rect to_file(const mien_photo *photo, mien_rect box) {
    const mien_image *image = photo->image;
    if (!photo->width) return box;
    return mien_rect_scale(box, image->width, image->height, photo->width, photo->height);
}

/* Crops one face; the whole photo is resized without a crop, as in training. `box`: in the image's
 * pixels. */
static mien_status add_face(mien_photos *p, const mien_image *image, mien_rect box, double turn,
                            mien_photo_face face) {
    const mien_meta *meta = meta_of(p);
    const mien_image_spec input = meta->input;
    const mien_crop no_crop = {0};
    uint8_t *pixels = p->pixels + (size_t)p->face_count * mien_image_bytes(input);
    MIEN_TRY(mien_crop_turned(image, box, face.whole ? no_crop : meta->crop, turn, input.height,
                              input.width, input.channels, pixels));
    p->faces[p->face_count++] = face;
    return MIEN_OK;
}

static mien_status add_whole(mien_photos *p, const mien_photo *photo) {
    const mien_rect all = {0, 0, photo->image->width, photo->image->height};
    MIEN_TRY(more_faces(p, 1));
    return add_face(p, photo->image, all, 0,
                    (mien_photo_face){.box = to_file(photo, all), .whole = true});
}

static mien_status add_given(mien_photos *p, const mien_photo *photo) {
    const int width = photo->width ? photo->width : photo->image->width;
    const int height = photo->height ? photo->height : photo->image->height;
    MIEN_TRY(more_faces(p, photo->box_count));
    for (int i = 0; i < photo->box_count; i++) {
        const mien_rect b = photo->boxes[i];
        if (b.x < 0 || b.y < 0 || b.width < 1 || b.height < 1 || b.x > width - b.width ||
            b.y > height - b.height)
            return MIEN_FAIL(INVALID,
                             "the box %dx%d at %d,%d is not inside '%s', which has %dx%d "
                             "pixels",
                             b.width, b.height, b.x, b.y, photo->name, width, height);
        MIEN_TRY(add_face(p, photo->image, to_image(photo, b), 0, (mien_photo_face){.box = b}));
    }
    return MIEN_OK;
}

static mien_status add_detected(mien_photos *p, const mien_photo *photo) {
    mien_faces found = {0};
    mien_status status;
    mien_detect rule = {p->options.min_face, p->options.min_score};
    if (photo->width && rule.min_face) {
        const int side = to_image(photo, (mien_rect){0, 0, rule.min_face, rule.min_face}).width;
        rule.min_face = side;
    }
    MIEN_GO(mien_detector_run(p->detector, photo->image, &rule, &found));
    MIEN_GO(more_faces(p, found.count));
    for (int i = 0; i < found.count; i++) {
        const mien_face *face = &found.items[i];
        MIEN_GO(add_face(p, photo->image, face->box, mien_face_turn(face),
                         (mien_photo_face){.box = to_file(photo, face->box),
                                           .detected = true,
                                           .score = face->score}));
    }
out:
    mien_faces_release(&found);
    return status;
}

/* Without a detector the photo is the face, so it must have a training image's minimum size. */
static mien_status check_photo(const mien_photos *p, const mien_photo *photo) {
    const int channels = meta_of(p)->input.channels;
    const mien_image *image = photo->image;
    if (image->channels < channels)
        return MIEN_FAIL(INVALID, "'%s' has %d channels, but the model reads pictures of %d",
                         photo->name, image->channels, channels);
    if (p->detector || p->options.given ||
        (image->width >= PICTURE_SIDE_MIN && image->height >= PICTURE_SIDE_MIN))
        return MIEN_OK;
    return MIEN_FAIL(FORMAT, "'%s' has %dx%d pixels: too small for a face (at least %dx%d)",
                     photo->name, image->width, image->height, PICTURE_SIDE_MIN, PICTURE_SIDE_MIN);
}

mien_status mien_photos_add(mien_photos *p, const mien_photo *photo, int *index) {
    const int first = p->face_count;
    MIEN_TRY(check_photo(p, photo));
    MIEN_TRY(mien_grow(&p->spans, &p->span_capacity, (size_t)p->photo_count + 1, sizeof *p->spans));
    const mien_status status = p->options.given ? add_given(p, photo)
                               : p->detector    ? add_detected(p, photo)
                                                : add_whole(p, photo);
    if (status != MIEN_OK) {
        p->face_count = first;
        return status;
    }
    p->spans[p->photo_count] = (span){first, p->face_count - first};
    *index = p->photo_count++;
    return MIEN_OK;
}

mien_status mien_photos_run(mien_photos *p) {
    const size_t first = (size_t)p->scored;
    if (p->face_count == p->scored) return MIEN_OK;
    const size_t at = first * (size_t)meta_of(p)->classes;
    MIEN_TRY(mien_ensemble_outputs(
        p->ensemble, p->pixels + first * mien_image_bytes(meta_of(p)->input),
        p->face_count - p->scored, p->probabilities + at, has_values(p) ? p->values + at : NULL));
    p->scored = p->face_count;
    return MIEN_OK;
}

mien_photo_view mien_photos_faces(const mien_photos *p, int index) {
    const span s = p->spans[index];
    const bool ready = s.first + s.count <= p->scored;
    return (mien_photo_view){
        .faces = p->faces + s.first,
        .probabilities =
            ready ? p->probabilities + (size_t)s.first * (size_t)meta_of(p)->classes : NULL,
        .values = ready && has_values(p) ? p->values + (size_t)s.first * (size_t)meta_of(p)->classes
                                         : NULL,
        .count = s.count};
}

const uint8_t *mien_photos_crops(const mien_photos *p, int index) {
    return p->pixels + (size_t)p->spans[index].first * mien_image_bytes(meta_of(p)->input);
}

int mien_photos_face_count(const mien_photos *p) {
    return p->face_count;
}

void mien_photos_clear(mien_photos *p) {
    p->photo_count = p->face_count = p->scored = 0;
}
