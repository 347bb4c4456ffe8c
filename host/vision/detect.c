#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/vision/vision_module.h"

enum { MIN_SIDE = 24 };
static const double MIN_SHARE = 0.035, EYES_LEAST = 0.2, TURN_LEAST = 0.035, TURN_MOST = 1.05;

const mien_detector_kind mien_detector_kinds[] = {
    {.name = "haar", .forms = "haar, haar:FILE.xml", .gray = true, .min_score = 3.5},
    {.name = "yunet", .forms = "yunet:FILE.onnx", .needs_file = true, .min_score = 0.7},
    {0},
};

struct mien_detector {
    mien_detector_kind kind; /* with functions */
    void *state;
};

static mien_status load_module(const mien_vision_module **out) {
    const mien_module *module;
    const mien_status status = mien_module_load("mien-vision", MIEN_VISION_MODULE_VERSION, &module);
    if (status == MIEN_NOT_FOUND)
        return MIEN_FAIL(UNSUPPORTED, "this build cannot detect faces (it has no mien-vision.so): "
                                      "build with OPENCV=1, or give pictures of faces with "
                                      "--detector none");
    if (status != MIEN_OK)
        return mien_fail_context(status, "no face detector (`make deps` installs OpenCV; "
                                         "--detector none needs none)");
    *out = (const mien_vision_module *)module;
    (*out)->use(&mien_program_services);
    return MIEN_OK;
}

/* Adds the functions of a kind that is in the module. */
static mien_status find_functions(mien_detector_kind *kind) {
    const mien_vision_module *module = NULL;
    if (kind->open) return MIEN_OK;
    MIEN_TRY(load_module(&module));
    for (const mien_vision_detector *has = module->detectors; has->name; has++)
        if (strcmp(has->name, kind->name) == 0) {
            kind->open = has->open;
            kind->run = has->run;
            kind->close = has->close;
            return MIEN_OK;
        }
    return MIEN_FAIL(UNSUPPORTED, "mien-vision.so has no detector '%s'", kind->name);
}

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
    mien_detector_kind kind = *choice->kind;
    *out = NULL;
    MIEN_TRY(find_functions(&kind));
    MIEN_TRY(mien_new(out, 1, sizeof **out));
    (*out)->kind = kind;
    /* threads that the detector starts inherit the CPUs of this one, which may be pinned to one */
    cpu_set_t own;
    const bool known = sched_getaffinity(0, sizeof own, &own) == 0;
    mien_threads_leave_team();
    const mien_status status = kind.open(choice->file, choice->threads, &(*out)->state);
    if (known) sched_setaffinity(0, sizeof own, &own);
    if (status == MIEN_OK) return MIEN_OK;
    mien_free(*out);
    *out = NULL;
    return status;
}

void mien_detector_close(mien_detector *detector) {
    if (!detector) return;
    detector->kind.close(detector->state);
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
    const mien_detector_kind *kind = &detector->kind;
    mien_image gray = *photo;
    const int width = photo->width, height = photo->height;
    const int least = rule && rule->min_face > 0 ? rule->min_face : mien_face_least(width, height);
    const double sure = rule && rule->min_score ? *rule->min_score : kind->min_score;
    *out = (mien_faces){0};
    if (width < least || height < least) return MIEN_OK;
    if (kind->gray && photo->channels != 1) {
        const size_t pixels = (size_t)width * (size_t)height;
        gray.channels = 1;
        MIEN_TRY(mien_new(&gray.pixels, pixels, 1));
        mien_image_to_gray(photo->pixels, pixels, gray.pixels);
    }
    const mien_status status = kind->run(detector->state, &gray, least, sure, out);
    if (gray.pixels != photo->pixels) mien_free(gray.pixels);
    if (out->count) qsort(out->items, (size_t)out->count, sizeof *out->items, mien_face_order);
    return status;
}

double mien_face_turn(const mien_face *face) {
    const mien_point *eyes = face->points;
    const double x = eyes[1].x - eyes[0].x, y = eyes[1].y - eyes[0].y;
    /* eyes that are close together, as in profile, do not tell */
    if (!face->has_points || !(hypot(x, y) >= EYES_LEAST * face->box.width)) return 0;
    const double turn = atan2(y, x);
    return fabs(turn) < TURN_LEAST || fabs(turn) > TURN_MOST ? 0 : turn;
}

void mien_faces_release(mien_faces *faces) {
    mien_free(faces->items);
    *faces = (mien_faces){0};
}
