#include "tests/support/footage.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "host/base/memory.h"

int footage_detector_fails_at;

/* The first pixels: a mark, the frame's number, and 8 bytes for each box. */
enum { MARK = 0xA5, HEAD = 8, ENTRY = 8 };

static uint32_t mix(uint32_t x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

bool footage_box(const footage *made, int face, long long frame, mien_rect *box) {
    const footage_face *f = &made->faces[face];
    if (frame < f->from || (f->to && frame >= f->to)) return false;
    *box = (mien_rect){(int)lround(f->x + f->dx * (double)frame),
                       (int)lround(f->y + f->dy * (double)frame), (int)f->side, (int)f->side};
    return true;
}

/* Blocks of gray, five by five, with smooth steps between them. */
static void draw_face(mien_image *image, mien_rect box, int pattern) {
    for (int y = 0; y < box.height; y++)
        for (int x = 0; x < box.width; x++) {
            const int px = box.x + x, py = box.y + y;
            if (px < 0 || py < 0 || px >= image->width || py >= image->height) continue;
            const uint32_t block =
                (uint32_t)(pattern * 977 + (y * 5 / box.height) * 5 + x * 5 / box.width);
            image->pixels[(size_t)py * (size_t)image->width + (size_t)px] =
                (uint8_t)(30 + mix(block) % 200);
        }
}

static void put16(uint8_t *at, int value) {
    at[0] = (uint8_t)(value & 255);
    at[1] = (uint8_t)(value >> 8);
}

static int get16(const uint8_t *at) {
    return (int16_t)(at[0] | at[1] << 8);
}

static bool missed(const footage_face *f, long long frame) {
    return f->missed && frame && frame % f->missed == 0;
}

static mien_status next(void *state, mien_frame *frame, bool *more) {
    footage *made = state;
    *more = made->at < made->frames;
    if (!*more) return MIEN_OK;
    if (made->fails_at && made->at == made->fails_at)
        return MIEN_FAIL(FORMAT, "the tail is damaged");
    if (made->stop && made->at == made->stop_at) *made->stop = 1;
    if (made->pause && mix(made->pause + (uint32_t)made->at) % 5 == 0)
        nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
    const bool small = made->smaller && made->at >= made->smaller;
    MIEN_TRY(mien_frame_resize(frame, made->width / (small ? 2 : 1), made->height / (small ? 2 : 1),
                               false));
    uint8_t *pixels = frame->gray.pixels;
    const int width = frame->gray.width, height = frame->gray.height;
    const bool other = made->cut && made->at >= made->cut;
    for (int y = 0; y < height; y++)
        memset(pixels + (size_t)y * (size_t)width,
               other ? 200 - y * 150 / height : 40 + y * 60 / height, (size_t)width);
    int count = 0;
    for (int i = 0; i < made->face_count; i++) {
        mien_rect box;
        if (!footage_box(made, i, made->at, &box)) continue;
        draw_face(&frame->gray, box, made->faces[i].pattern);
        if (missed(&made->faces[i], made->at)) continue;
        uint8_t *entry = pixels + HEAD + ENTRY * count++;
        put16(entry, box.x);
        put16(entry + 2, box.y);
        put16(entry + 4, box.width);
    }
    pixels[0] = MARK;
    put16(pixels + 1, count);
    put16(pixels + 3, (int)(made->at & 0x7fff));
    frame->index = made->at;
    frame->time = (double)made->at / made->rate;
    frame->repaired = false;
    made->at++;
    return MIEN_OK;
}

static double progress(void *state) {
    const footage *made = state;
    return (double)made->at / made->frames;
}

static void end(void *state) {
    (void)state;
}

mien_frames footage_source(footage *made) {
    made->at = 0;
    return (mien_frames){.info = {.width = made->width, .height = made->height, .rate = made->rate},
                         .state = made,
                         .next = next,
                         .progress = progress,
                         .close = end};
}

/* ---- the detector ---- */

static mien_status open_detector(const char *file, int threads, void **state) {
    static int none;
    (void)file;
    (void)threads;
    *state = &none;
    return MIEN_OK;
}

static mien_status run(void *state, const mien_image *photo, int min_face, double min_score,
                       mien_faces *out) {
    (void)state;
    (void)min_face;
    (void)min_score;
    *out = (mien_faces){0};
    if (photo->pixels[0] != MARK) return MIEN_FAIL(INVALID, "this is not footage of a test");
    const int count = get16(photo->pixels + 1);
    if (footage_detector_fails_at && get16(photo->pixels + 3) >= footage_detector_fails_at)
        return MIEN_FAIL(INVALID, "the detector failed");
    if (!count) return MIEN_OK;
    MIEN_TRY(mien_new(&out->items, (size_t)count, sizeof *out->items));
    for (int i = 0; i < count; i++) {
        const uint8_t *entry = photo->pixels + HEAD + ENTRY * i;
        const int x = get16(entry), y = get16(entry + 2), side = get16(entry + 4);
        const int left = x < 0 ? 0 : x, top = y < 0 ? 0 : y;
        const int right = x + side < photo->width ? x + side : photo->width;
        const int bottom = y + side < photo->height ? y + side : photo->height;
        if (right - left < 2 || bottom - top < 2) continue;
        out->items[out->count++] =
            (mien_face){.box = {left, top, right - left, bottom - top}, .score = 9};
    }
    return MIEN_OK;
}

static void close_detector(void *state) {
    (void)state;
}

const mien_detector_kind footage_detector = {.name = "footage",
                                             .forms = "footage",
                                             .open = open_detector,
                                             .run = run,
                                             .close = close_detector};
