/* Faces in photos: a model with a face detector.
 *
 *     mien_photo_reader *reader;
 *     mien_photo_open("best.h5", backend, NULL, &reader);
 *     mien_photo_file(reader, "a.jpg", &faces, &count);
 *     mien_photo_close(reader);
 *
 * A reader belongs to one thread at a time. */
#ifndef MIEN_PHOTO_H
#define MIEN_PHOTO_H

#include <stdbool.h>
#include <stdint.h>

#include "backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One face of a photo or of a video's frame. */
typedef struct mien_face_result {
    long long id;               /* photos: from 1, from left to right; videos: of the person */
    int x, y, width, height;    /* the box, in the picture's pixels */
    bool detected;              /* photos: there is a score; videos: not merely followed */
    double score;               /* the detector's, in its own scale; 0 without a detector */
    int label;                  /* the class of the greatest probability; videos: the steady one */
    const float *probabilities; /* [classes] */
} mien_face_result;

typedef struct mien_photo_settings {
    const char *detector;    /* as --detector: "haar", "yunet:FILE.onnx", "none"; NULL: "haar" */
    int min_face;            /* side of the smallest face in pixels; 0: depends on the picture */
    const double *min_score; /* NULL: the detector's own threshold */
    int threads;             /* of the detector; 0: all */
} mien_photo_settings;

typedef struct mien_photo_reader mien_photo_reader;

/* `model`: a path as for mien_model_load. `backend` must outlive the reader. `settings` may be
 * NULL. Free with mien_photo_close. */
mien_status mien_photo_open(const char *model, mien_backend *backend,
                            const mien_photo_settings *settings, mien_photo_reader **out);
/* NULL is allowed. */
void mien_photo_close(mien_photo_reader *reader);
/* The faces of a picture file, from left to right; count 0: none was found. They belong to the
 * reader and are valid until its next call. */
mien_status mien_photo_file(mien_photo_reader *reader, const char *path,
                            const mien_face_result **faces, int *count);
/* The same for pixels [height][width][channels] of uint8: 1 gray, or 3 red, green, blue. */
mien_status mien_photo_pixels(mien_photo_reader *reader, const uint8_t *pixels, int width,
                              int height, int channels, const mien_face_result **faces, int *count);

#ifdef __cplusplus
}
#endif
#endif
