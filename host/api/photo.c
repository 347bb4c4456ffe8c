/* include/mien/photo.h over host/infer/photo.h. */
#include "host/infer/photo.h"

#include "host/api/common.h"
#include "host/base/log.h"
#include "host/base/memory.h"

enum { BATCH = 32 };

struct mien_photo_reader {
    mien_ensemble models;
    mien_detector *detector;
    mien_photos *photos;
    mien_face_result *faces;
    size_t capacity;
};

mien_status mien_photo_open(const char *model, mien_backend *backend,
                            const mien_photo_settings *settings, mien_photo_reader **out) {
    const mien_photo_settings want = settings ? *settings : (mien_photo_settings){0};
    const mien_photo_options options = {.min_face = want.min_face, .min_score = want.min_score};
    mien_detector_choice choice = {0};
    mien_photo_reader *r;
    mien_status status;
    bool none;
    *out = NULL;
    MIEN_TRY(api_choose_detector(want.detector, &choice, &none));
    choice.threads = want.threads;
    MIEN_TRY(mien_new(&r, 1, sizeof *r));
    MIEN_GO(api_open_model(model, backend, BATCH, &r->models));
    MIEN_GO(mien_photos_supported(&r->models));
    if (!none) MIEN_GO(mien_detector_open(&choice, &r->detector));
    MIEN_GO(mien_photos_create(&r->models, r->detector, &options, &r->photos));
    *out = r;
    return MIEN_OK;
out:
    mien_photo_close(r);
    return status;
}

void mien_photo_close(mien_photo_reader *r) {
    if (!r) return;
    mien_photos_free(r->photos);
    if (r->detector) mien_detector_close(r->detector);
    mien_ensemble_release(&r->models);
    mien_free(r->faces);
    mien_free(r);
}

static mien_status read_faces(mien_photo_reader *r, const mien_photo *photo,
                              const mien_face_result **faces, int *count) {
    const int classes = r->models.models[0].meta.classes;
    int index;
    mien_photos_clear(r->photos);
    MIEN_TRY(mien_photos_add(r->photos, photo, &index));
    MIEN_TRY(mien_photos_run(r->photos));
    const mien_photo_view view = mien_photos_faces(r->photos, index);
    MIEN_TRY(mien_grow(&r->faces, &r->capacity, (size_t)view.count, sizeof *r->faces));
    for (int i = 0; i < view.count; i++) {
        const mien_photo_face *f = &view.faces[i];
        const float *p = view.probabilities + (size_t)i * (size_t)classes;
        r->faces[i] = (mien_face_result){i + 1,
                                         f->box.x,
                                         f->box.y,
                                         f->box.width,
                                         f->box.height,
                                         f->detected,
                                         f->score,
                                         mien_best_class(p, classes),
                                         p};
    }
    *faces = r->faces;
    *count = view.count;
    return MIEN_OK;
}

mien_status mien_photo_file(mien_photo_reader *r, const char *path, const mien_face_result **faces,
                            int *count) {
    mien_photo_facts facts;
    mien_image image;
    *count = 0;
    const int channels = r->models.models[0].meta.input.channels;
    MIEN_TRY(mien_image_read_photo(path, channels, &image, &facts));
    if (facts.warning[0]) MIEN_WARN("'%s' has %s", path, facts.warning);
    mien_photo photo = {.image = &image, .name = path};
    if (facts.width != image.width || facts.height != image.height) {
        photo.width = facts.width;
        photo.height = facts.height;
    }
    const mien_status status = read_faces(r, &photo, faces, count);
    mien_image_release(&image);
    return status;
}

mien_status mien_photo_pixels(mien_photo_reader *r, const uint8_t *pixels, int width, int height,
                              int channels, const mien_face_result **faces, int *count) {
    *count = 0;
    if (width < 1 || height < 1 || (channels != 1 && channels != 3))
        return MIEN_FAIL(INVALID,
                         "a picture of %dx%d pixels and %d channels cannot be read: give "
                         "1 or 3 channels of uint8",
                         width, height, channels);
    mien_image image = {width, height, channels, (uint8_t *)pixels}; /* only read */
    uint8_t *gray = NULL;
    if (channels == 3 && r->models.models[0].meta.input.channels == 1) { /* as from a file */
        const size_t n = (size_t)width * (size_t)height;
        MIEN_TRY(mien_new(&gray, n, 1));
        mien_image_to_gray(pixels, n, gray);
        image.channels = 1;
        image.pixels = gray;
    }
    const mien_photo photo = {.image = &image, .name = "the picture"};
    const mien_status status = read_faces(r, &photo, faces, count);
    mien_free(gray);
    return status;
}
