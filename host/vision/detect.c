#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/vision/haar.h"

enum { MIN_SIDE = 24 };
static const double MIN_SHARE = 0.035;

const mien_detector_kind mien_detector_kinds[] = {
    {"haar", "haar, haar:FILE.xml", false, haar_open, haar_run, haar_close, 3.5},
    {0},
};

struct mien_detector {
    const mien_detector_kind *kind;
    void *state;
};

int mien_face_least(int width, int height) {
    const int share = (int)(MIN_SHARE * (width < height ? width : height) + 0.5);
    return share > MIN_SIDE ? share : MIN_SIDE;
}

static mien_status unknown(const char *text) {
    char known[256] = "";
    size_t used = 0;
    for (const mien_detector_kind *kind = mien_detector_kinds; kind->name; kind++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "",
                                 kind->forms);
    return MIEN_FAIL(INVALID, "there is no detector '%.100s'; there are: %s", text, known);
}

mien_status mien_detector_choose(const char *text, mien_detector_choice *out) {
    const size_t length = strcspn(text, ":");
    const mien_detector_kind *kind = mien_detector_kinds;
    while (kind->name && (strlen(kind->name) != length || strncmp(kind->name, text, length) != 0))
        kind++;
    const char *file = text[length] ? text + length + 1 : NULL;
    if (!kind->name || (file && !*file)) return unknown(text);
    if (!file && kind->needs_file)
        return MIEN_FAIL(INVALID, "the detector '%s' needs a file: %s", text, kind->forms);
    *out = (mien_detector_choice){.kind = kind, .file = file};
    return MIEN_OK;
}

mien_status mien_detector_open(const mien_detector_choice *choice, mien_detector **out) {
    MIEN_TRY(mien_new(out, 1, sizeof **out));
    (*out)->kind = choice->kind;
    const mien_status status = choice->kind->open(choice->file, choice->threads, &(*out)->state);
    if (status == MIEN_OK) return MIEN_OK;
    mien_free(*out);
    *out = NULL;
    return status;
}

void mien_detector_close(mien_detector *detector) {
    if (!detector) return;
    detector->kind->close(detector->state);
    mien_free(detector);
}

/* OpenCV's threads find faces in any order: faces with the same left edge are ordered by the next
 * field. */
int mien_face_order(const void *a, const void *b) {
    const mien_face *f = a, *g = b;
    const mien_rect *p = &f->box, *q = &g->box;
    if (p->x != q->x) return p->x < q->x ? -1 : 1;
    if (p->y != q->y) return p->y < q->y ? -1 : 1;
    if (p->width != q->width) return p->width < q->width ? -1 : 1;
    if (p->height != q->height) return p->height < q->height ? -1 : 1;
    return (f->score > g->score) - (f->score < g->score);
}

mien_status mien_detector_run(mien_detector *detector, const mien_image *photo,
                              const mien_detect *rule, mien_faces *out) {
    const mien_detector_kind *kind = detector->kind;
    const int width = photo->width, height = photo->height;
    const int least = rule && rule->min_face > 0 ? rule->min_face : mien_face_least(width, height);
    const double sure = rule && rule->min_score ? *rule->min_score : kind->min_score;
    *out = (mien_faces){0};
    if (width < least || height < least) return MIEN_OK;
    const mien_status status = kind->run(detector->state, photo, least, sure, out);
    if (out->count) qsort(out->items, (size_t)out->count, sizeof *out->items, mien_face_order);
    return status;
}

void mien_faces_release(mien_faces *faces) {
    mien_free(faces->items);
    *faces = (mien_faces){0};
}
