/* The JSON of a photo and its faces: a line of mien predict --json, the answer of mien serve. */
#ifndef HOST_CLI_PHOTO_JSON_H
#define HOST_CLI_PHOTO_JSON_H

#include "host/base/text.h"
#include "host/infer/photo.h"

typedef struct photo_result {
    const char *file, *error; /* error: why it could not be read, or NULL */
    int width, height;
    const mien_photo_face *faces;
    const float *scores; /* [count][classes] */
    const float *values; /* [count][classes] the network's own outputs; NULL: the scores */
    int count;
} photo_result;

/* Appends one line. */
void photo_json(const mien_meta *meta, const photo_result *photo, mien_text *text);

#endif
