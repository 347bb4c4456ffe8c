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
    size_t span_capacity, face_capacity, pixel_capacity, probability_capacity;
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
    mien_free(photos);
}

static mien_status more_faces(mien_photos *p, int count) {
    const mien_meta *meta = meta_of(p);
    const size_t need = (size_t)p->face_count + (size_t)count;
    MIEN_TRY(mien_grow(&p->faces, &p->face_capacity, need, sizeof *p->faces));
    MIEN_TRY(mien_grow(&p->pixels, &p->pixel_capacity, need, mien_image_bytes(meta->input)));
    return mien_grow(&p->probabilities, &p->probability_capacity, need,
                     (size_t)meta->classes * sizeof *p->probabilities);
}

/* Crops one face; without a detector the whole photo is resized, as in training. */
static mien_status add_face(mien_photos *p, const mien_image *photo, const mien_face *found) {
    const mien_meta *meta = meta_of(p);
    const mien_image_spec input = meta->input;
    const mien_rect all = {0, 0, photo->width, photo->height};
    const mien_crop no_crop = {0};
    mien_photo_face *face = &p->faces[p->face_count];
    uint8_t *pixels = p->pixels + (size_t)p->face_count * mien_image_bytes(input);
    *face = found ? (mien_photo_face){found->box, true, found->score}
                  : (mien_photo_face){all, false, 0};
    MIEN_TRY(mien_crop_face(photo, face->box, found ? meta->crop : no_crop, input.height,
                            input.width, input.channels, pixels));
    p->face_count++;
    return MIEN_OK;
}

static mien_status find_faces(mien_photos *p, const mien_image *photo) {
    mien_faces found = {0};
    mien_status status;
    if (!p->detector) {
        MIEN_TRY(more_faces(p, 1));
        return add_face(p, photo, NULL);
    }
    MIEN_GO(mien_detector_run(p->detector, photo, p->options.min_face, &found));
    MIEN_GO(more_faces(p, found.count));
    for (int i = 0; i < found.count; i++)
        MIEN_GO(add_face(p, photo, &found.items[i]));
out:
    mien_faces_release(&found);
    return status;
}

/* Without a detector the photo is the face, so it must have a training image's minimum size. */
static mien_status check_photo(const mien_photos *p, const mien_image *photo, const char *name) {
    const int channels = meta_of(p)->input.channels;
    if (photo->channels < channels)
        return MIEN_FAIL(INVALID, "'%s' has %d channels, but the model reads pictures of %d", name,
                         photo->channels, channels);
    if (p->detector || (photo->width >= PICTURE_SIDE_MIN && photo->height >= PICTURE_SIDE_MIN))
        return MIEN_OK;
    return MIEN_FAIL(FORMAT, "'%s' has %dx%d pixels: too small for a face (at least %dx%d)", name,
                     photo->width, photo->height, PICTURE_SIDE_MIN, PICTURE_SIDE_MIN);
}

mien_status mien_photos_add(mien_photos *p, const mien_image *photo, const char *name, int *index) {
    const int first = p->face_count;
    MIEN_TRY(check_photo(p, photo, name));
    MIEN_TRY(mien_grow(&p->spans, &p->span_capacity, (size_t)p->photo_count + 1, sizeof *p->spans));
    const mien_status status = find_faces(p, photo);
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
    MIEN_TRY(mien_ensemble_run(p->ensemble, p->pixels + first * mien_image_bytes(meta_of(p)->input),
                               p->face_count - p->scored,
                               p->probabilities + first * (size_t)meta_of(p)->classes));
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
        .count = s.count};
}

int mien_photos_face_count(const mien_photos *p) {
    return p->face_count;
}

void mien_photos_clear(mien_photos *p) {
    p->photo_count = p->face_count = p->scored = 0;
}
