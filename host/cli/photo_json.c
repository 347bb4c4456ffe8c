#include "host/cli/photo_json.h"

#include "host/base/json.h"
#include "host/cli/verdict.h"

static void face_json(const mien_meta *meta, int id, const mien_photo_face *face,
                      const float *scores, const float *values, mien_json *json) {
    mien_json_open(json, NULL, '{');
    mien_json_integer(json, "id", id);
    verdict_box(face->box, json);
    if (face->detected)
        mien_json_number(json, "detection_score", face->score);
    else
        mien_json_null(json, "detection_score");
    verdict_values(meta, values, json);
    verdict_json(meta, scores, verdict_best(meta, scores), json);
    mien_json_close(json, '}');
}

void photo_json(const mien_meta *meta, const photo_result *photo, mien_text *text) {
    mien_json json = {.text = text};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "file", photo->file);
    if (photo->error) {
        mien_json_string(&json, "error", photo->error);
    } else {
        mien_json_integer(&json, "width", photo->width);
        mien_json_integer(&json, "height", photo->height);
        mien_json_open(&json, "faces", '[');
        const float *values = photo->values ? photo->values : photo->scores;
        for (int i = 0; i < photo->count; i++) {
            const size_t first = (size_t)i * (size_t)meta->classes;
            face_json(meta, i + 1, &photo->faces[i], photo->scores + first, values + first, &json);
        }
        mien_json_close(&json, ']');
    }
    mien_json_close(&json, '}');
    mien_text_puts(text, "\n");
}
