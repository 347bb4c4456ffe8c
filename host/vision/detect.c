#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/module.h"
#include "host/vision/haar.h"

enum { MIN_SIDE = 24, XML_MAX = 16 << 20 };
static const double MIN_SHARE = 0.035;

static const char FRONTAL[] = "haarcascade_frontalface_default.xml";

struct mien_detector {
    void *haar;
};

int mien_face_least(int width, int height) {
    const int share = (int)(MIN_SHARE * (width < height ? width : height) + 0.5);
    return share > MIN_SIDE ? share : MIN_SIDE;
}

static mien_status find_frontal(char *out) {
    if (mien_shared_file("haarcascades", FRONTAL, out) == MIEN_OK) return MIEN_OK;
    MIEN_TRY(mien_path_join(out, "/usr/share/opencv4/haarcascades", FRONTAL));
    if (mien_file_exists(out)) return MIEN_OK;
    return MIEN_FAIL(NOT_FOUND,
                     "no '%s' next to the program or in /usr/share/opencv4/haarcascades: install "
                     "Debian's opencv-data, or give one with --detector haar:FILE.xml",
                     FRONTAL);
}

mien_status mien_detector_open(const char *file, int threads, mien_detector **out) {
    char found[MIEN_PATH];
    char *xml = NULL;
    size_t size;
    mien_status status;
    *out = NULL;
    MIEN_TRY(haar_available());
    if (!file) {
        MIEN_TRY(find_frontal(found));
        file = found;
    }
    mien_detector *detector = NULL;
    MIEN_GO(mien_new(&detector, 1, sizeof *detector));
    MIEN_GO(mien_file_read(file, XML_MAX, &xml, &size));
    MIEN_GO(haar_open(xml, size, file, threads, &detector->haar));
    *out = detector;
    detector = NULL;
out:
    mien_free(xml);
    mien_detector_close(detector);
    return status;
}

void mien_detector_close(mien_detector *detector) {
    if (!detector) return;
    haar_close(detector->haar);
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
    const int width = photo->width, height = photo->height;
    const int least = rule && rule->min_face > 0 ? rule->min_face : mien_face_least(width, height);
    const double sure = rule && rule->min_score ? *rule->min_score : MIEN_FACE_SCORE;
    uint8_t *gray = photo->pixels;
    *out = (mien_faces){0};
    if (width < least || height < least) return MIEN_OK;
    if (photo->channels != 1) {
        const size_t pixels = (size_t)width * (size_t)height;
        MIEN_TRY(mien_new(&gray, pixels, 1));
        mien_image_to_gray(photo->pixels, pixels, gray);
    }
    const mien_status status =
        haar_run(detector->haar, gray, width, height, least, sure, &out->items, &out->count);
    if (gray != photo->pixels) mien_free(gray);
    if (out->count) qsort(out->items, (size_t)out->count, sizeof *out->items, mien_face_order);
    return status;
}

void mien_faces_release(mien_faces *faces) {
    mien_free(faces->items);
    *faces = (mien_faces){0};
}
