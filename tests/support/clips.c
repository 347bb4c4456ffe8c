#include "tests/support/clips.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/data/sample_face.h"

enum { VARIANTS = 3, SCENE_FRAMES = CLIP_FRAMES / CLIP_SCENES + 1, PIXELS = SAMPLE_PIXELS };

/* What a person wears: stripes, checks or nothing but a tone. */
typedef struct clothes {
    float base, contrast;
    float wave[2][2]; /* per unit of the face's side */
    bool checked;
} clothes;

/* A person in a scene. */
typedef struct actor {
    bool here;
    clothes wears;
    int hidden_from, hidden_to; /* frames of the clip */
    float tone[VARIANTS][PIXELS], cover[VARIANTS][PIXELS];
    float turn, x, y, scale; /* of the face in these tiles */
    float middle_x, swing_x, pace_x, phase_x;
    float middle_y, swing_y, pace_y, phase_y;
    float side, breath, phase_side;
    float nod, phase_nod;
    float slope_x, slope_y; /* light from one side */
} actor;

struct clip {
    uint32_t seed;
    int attempt; /* at directing people so that enough of them meet */
    clip_options options;
    actor people[CLIP_SCENES][CLIP_PEOPLE];
    uint8_t background[CLIP_SCENES][CLIP_WIDTH * CLIP_HEIGHT];
    float gain[CLIP_SCENES], lift[CLIP_SCENES], pulse[CLIP_SCENES];
    int8_t noise[1 << 16];
};

enum step {
    STEP_SCENE = 1 << 20,
    STEP_ACTOR = 2 << 20,
    STEP_SHOT = 3 << 20,
    STEP_DETECT = 4 << 20,
    STEP_DRESS = 5 << 20,
    STEP_AGAIN = 6 << 20 /* and following: another try at the paths */
};

/* The face over black and over white gives its tones and how far it covers what is behind. */
static void draw_tile(uint32_t seed, uint64_t subject, sample_dice shot, int label, float *tone,
                      float *cover) {
    float white[PIXELS];
    for (int k = 0; k < PIXELS; k++) {
        tone[k] = 0;
        white[k] = 1;
    }
    sample_dice first = {seed, subject, 0}, second = {seed, subject, 0};
    sample_dice shot_again = shot;
    sample_face(tone, label, &first, &shot);
    sample_face(white, label, &second, &shot_again);
    for (int k = 0; k < PIXELS; k++)
        cover[k] = 1 - (white[k] - tone[k]);
}

static void draw_person(clip *made, int scene, int who) {
    actor *const a = &made->people[scene][who];
    const sample_dice shot = {made->seed, (uint64_t)(STEP_SHOT + scene * CLIP_PEOPLE + who), 0};
    const float difference = (float)made->options.difference;
    for (int v = 0; v < VARIANTS; v++) {
        /* calm, happy, and one that differs from person to person and from scene to scene */
        const int labels[VARIANTS] = {6, 3, (who + scene) % SAMPLE_CLASSES};
        const int label = labels[v];
        draw_tile(made->seed, (uint64_t)who + 1, shot, label, a->tone[v], a->cover[v]);
        if (difference >= 1) continue;
        float tone[PIXELS], cover[PIXELS];
        draw_tile(made->seed, 0, shot, label, tone, cover);
        for (int k = 0; k < PIXELS; k++) {
            a->tone[v][k] = tone[k] + difference * (a->tone[v][k] - tone[k]);
            a->cover[v][k] = cover[k] + difference * (a->cover[v][k] - cover[k]);
        }
    }
    /* sample_face draws 21 numbers for the expression, then the pose */
    sample_dice pose = shot;
    pose.next = 21;
    a->turn = sample_roll(&pose, -0.35f, 0.35f);
    a->x = sample_roll(&pose, 19.5f, 27.5f);
    a->y = sample_roll(&pose, 20.0f, 27.0f);
    a->scale = sample_roll(&pose, 15.0f, 19.0f);
}

static void dress(clip *made, int scene, int who) {
    clothes *const c = &made->people[scene][who].wears;
    sample_dice dice = {made->seed, (uint64_t)(STEP_DRESS + who), 0};
    const float difference = (float)made->options.difference;
    /* in a clip no two wear the same tone, or stripes of the same direction */
    const int tone = (3 * who + (int)made->seed) % CLIP_PEOPLE;
    const int cut = (5 * who + 2 * (int)made->seed) % CLIP_PEOPLE;
    const float spread = (float)tone / (CLIP_PEOPLE - 1) + sample_roll(&dice, -0.05f, 0.05f);
    c->base = 0.4f + difference * (0.75f * spread - 0.28f);
    c->contrast = 0.08f + difference * sample_roll(&dice, 0.25f, 0.4f) * c->base;
    float turn = 0.3927f * (float)cut + sample_roll(&dice, -0.1f, 0.1f);
    float period = sample_roll(&dice, 12, 20);
    if (made->options.alike) {
        const float kind = sample_roll(&dice, 0, 1);
        c->base = 0.4f + difference * sample_roll(&dice, -0.35f, 0.45f);
        c->contrast = kind < 0.3f ? 0 : difference * sample_roll(&dice, 0.1f, 0.35f);
        c->checked = kind > 0.7f;
        turn = sample_roll(&dice, 0, 3.1416f);
        period = sample_roll(&dice, 8, 25);
    }
    c->wave[0][0] = period * cosf(turn);
    c->wave[0][1] = period * sinf(turn);
    c->wave[1][0] = -c->wave[0][1];
    c->wave[1][1] = c->wave[0][0];
}

static void direct(clip *made, int scene, int who) {
    actor *const a = &made->people[scene][who];
    const int step = made->attempt == 0 ? STEP_ACTOR : STEP_AGAIN + (made->attempt << 20);
    sample_dice dice = {made->seed, (uint64_t)(step + scene * CLIP_PEOPLE + who), 0};
    /* 6 is away in the second scene and returns; 7, a stranger, comes with the second one */
    a->here = (who != 6 || scene != 1) && (who != 7 || scene > 0);
    const int seat = (who * 5 + scene * 3) % CLIP_PEOPLE;
    a->middle_x = 110 + 60 * (float)seat + sample_roll(&dice, -25, 25);
    a->swing_x = sample_roll(&dice, 90, 150);
    a->pace_x = sample_roll(&dice, 0.6f, 1.1f);
    a->phase_x = sample_roll(&dice, 0, 6.283f);
    a->middle_y = sample_roll(&dice, 95, 225);
    a->swing_y = sample_roll(&dice, 5, 25);
    a->pace_y = sample_roll(&dice, 0.6f, 1.8f);
    a->phase_y = sample_roll(&dice, 0, 6.283f);
    a->side = sample_roll(&dice, 30, 46);
    a->breath = sample_roll(&dice, 0.05f, 0.2f);
    a->phase_side = sample_roll(&dice, 0, 6.283f);
    a->nod = sample_roll(&dice, 0.02f, 0.15f);
    a->phase_nod = sample_roll(&dice, 0, 6.283f);
    a->slope_x = sample_roll(&dice, -0.15f, 0.15f);
    a->slope_y = sample_roll(&dice, -0.1f, 0.1f);
    a->hidden_from = a->hidden_to = 0;
    /* every second person is hidden for two seconds in each scene */
    if ((who + scene) % 2 == 0) return;
    a->hidden_from = scene * SCENE_FRAMES + (int)sample_roll(&dice, 20, SCENE_FRAMES - 70);
    a->hidden_to = a->hidden_from + 2 * CLIP_RATE;
}

static void set_scene(clip *made, int scene) {
    sample_dice dice = {made->seed, (uint64_t)(STEP_SCENE + scene), 0};
    float wave[4][4];
    for (int k = 0; k < 4; k++) {
        wave[k][0] = sample_roll(&dice, -0.06f, 0.06f);
        wave[k][1] = sample_roll(&dice, -0.06f, 0.06f);
        wave[k][2] = sample_roll(&dice, 0, 6.283f);
        wave[k][3] = sample_roll(&dice, 5, 30);
    }
    const float base = sample_roll(&dice, 60, 190);
    for (int i = 0; i < CLIP_HEIGHT; i++)
        for (int j = 0; j < CLIP_WIDTH; j++) {
            float tone = base;
            for (int k = 0; k < 4; k++)
                tone +=
                    wave[k][3] *
                    (sinf(wave[k][0] * (float)j + wave[k][1] * (float)i + wave[k][2]) > 0 ? 1.0f
                                                                                          : -1.0f);
            tone = tone < 5 ? 5 : tone > 250 ? 250 : tone;
            made->background[scene][i * CLIP_WIDTH + j] = (uint8_t)tone;
        }
    made->gain[scene] = sample_roll(&dice, 0.65f, 1.05f);
    made->lift[scene] = sample_roll(&dice, -0.02f, 0.05f);
    made->pulse[scene] = sample_roll(&dice, 0.05f, 0.2f);
}

clip *clip_new(uint32_t seed, const clip_options *options) {
    clip *const made = calloc(1, sizeof *made);
    if (made == NULL) abort();
    made->seed = seed;
    made->options = *options;
    for (int s = 0; s < CLIP_SCENES; s++) {
        set_scene(made, s);
        for (int p = 0; p < CLIP_PEOPLE; p++) {
            draw_person(made, s, p);
            direct(made, s, p);
            dress(made, s, p);
        }
    }
    while (clip_crossings(made) < CLIP_CROSSINGS) {
        made->attempt++;
        for (int k = 0; k < CLIP_SCENES * CLIP_PEOPLE; k++)
            direct(made, k / CLIP_PEOPLE, k % CLIP_PEOPLE);
    }
    sample_dice dice = {seed, 0x7FFFFFFF, 0};
    for (size_t k = 0; k < sizeof made->noise; k++) {
        const float grain = 2.5f * (sample_roll(&dice, -1, 1) + sample_roll(&dice, -1, 1) +
                                    sample_roll(&dice, -1, 1));
        made->noise[k] = (int8_t)lrintf(grain);
    }
    return made;
}

void clip_free(clip *made) {
    free(made);
}

bool clip_cut(int frame) {
    return frame > 0 && frame % SCENE_FRAMES == 0;
}

static mien_rect box_at(const actor *a, int frame) {
    const float t = (float)frame / CLIP_RATE;
    const float side = a->side * (1 + a->breath * sinf(0.9f * t + a->phase_side));
    const float x = a->middle_x + a->swing_x * sinf(a->pace_x * t + a->phase_x);
    const float y = a->middle_y + a->swing_y * sinf(a->pace_y * t + a->phase_y);
    return (mien_rect){(int)lrintf(x - side / 2), (int)lrintf(y - side / 2), (int)lrintf(side),
                       (int)lrintf(side)};
}

static bool hidden(const actor *a, int frame) {
    return frame >= a->hidden_from && frame < a->hidden_to;
}

/* The expression now: each is kept for 1.2 s and fades into the next for 0.3 s. */
static void tile_at(const actor *a, int frame, float *tone, float *cover) {
    const float phase = (float)frame / CLIP_RATE / 1.5f + a->phase_nod;
    const int v = (int)phase % VARIANTS;
    const int next = (v + 1) % VARIANTS;
    float mix = (phase - floorf(phase) - 0.8f) / 0.2f;
    if (mix < 0) mix = 0;
    for (int k = 0; k < PIXELS; k++) {
        tone[k] = a->tone[v][k] + mix * (a->tone[next][k] - a->tone[v][k]);
        cover[k] = a->cover[v][k] + mix * (a->cover[next][k] - a->cover[v][k]);
    }
}

static float between(const float *tile, float x, float y) {
    const int j = (int)x, i = (int)y;
    const float *const at = tile + i * SAMPLE_SIDE + j;
    const float above = at[0] + (x - (float)j) * (at[1] - at[0]);
    const float below = at[SAMPLE_SIDE] + (x - (float)j) * (at[SAMPLE_SIDE + 1] - at[SAMPLE_SIDE]);
    return above + (y - (float)i) * (below - above);
}

/* The part of a person under the chin; its shoulders are round. */
static mien_rect body_of(mien_rect face) {
    return (mien_rect){face.x - face.width / 5, face.y + face.height, 7 * face.width / 5,
                       face.height};
}

static void draw_body(const actor *a, mien_rect face, float gain, float lift, mien_image *gray) {
    const mien_rect body = body_of(face);
    const float middle = (float)face.x + 0.5f * (float)face.width;
    for (int i = body.y < 0 ? 0 : body.y; i < body.y + body.height && i < gray->height; i++) {
        const float v = (float)(i - body.y) / (float)face.height;
        const float half = 0.7f * (v < 0.4f ? sqrtf(1 - (1 - v / 0.4f) * (1 - v / 0.4f)) : 1);
        for (int j = body.x < 0 ? 0 : body.x; j < body.x + body.width && j < gray->width; j++) {
            const float u = ((float)j - middle) / (float)face.width;
            if (fabsf(u) > half) continue;
            const float first = sinf(a->wears.wave[0][0] * u + a->wears.wave[0][1] * v);
            const float second = sinf(a->wears.wave[1][0] * u + a->wears.wave[1][1] * v);
            const float wave = a->wears.checked ? 0.7f * (first + second) : first;
            const float tone = a->wears.base + a->wears.contrast * wave;
            const float fall = 1 + a->slope_x * u + a->slope_y * v;
            const float value = 255 * ((tone < 0.03f ? 0.03f : tone) * gain * fall + lift);
            gray->pixels[(size_t)i * (size_t)gray->width + j] = (uint8_t)(value < 0     ? 0
                                                                          : value > 255 ? 255
                                                                                        : value);
        }
    }
}

/* The box has twice the side of the face's unit, as Haar cascades give it. */
static void draw_actor(const actor *a, int frame, mien_rect box, float gain, float lift,
                       mien_image *gray) {
    float tone[PIXELS], cover[PIXELS];
    tile_at(a, frame, tone, cover);
    const float t = (float)frame / CLIP_RATE;
    /* upright but for a small tilt: the tile's own turn is undone */
    const float turn = a->turn + a->nod * sinf(1.3f * t + a->phase_nod);
    const float zoom = 1.9f * a->scale / (float)box.width;
    const float along = zoom * cosf(turn), across = zoom * sinf(turn);
    const float x0 = (float)box.x + 0.5f * (float)box.width;
    const float y0 = (float)box.y + 0.45f * (float)box.height;
    const int reach = box.width;
    for (int i = (int)y0 - reach; i <= (int)y0 + reach; i++) {
        if (i < 0 || i >= gray->height) continue;
        for (int j = (int)x0 - reach; j <= (int)x0 + reach; j++) {
            if (j < 0 || j >= gray->width) continue;
            const float dx = (float)j - x0, dy = (float)i - y0;
            const float x = a->x + along * dx - across * dy;
            const float y = a->y + across * dx + along * dy;
            if (x < 0 || y < 0 || x >= SAMPLE_SIDE - 1 || y >= SAMPLE_SIDE - 1) continue;
            const float covers = between(cover, x, y);
            if (covers < 0.01f) continue;
            const float fall = 1 + (a->slope_x * dx + a->slope_y * dy) / (float)box.width;
            const float value = 255 * (between(tone, x, y) * gain * fall + covers * lift);
            uint8_t *const at = gray->pixels + (size_t)i * (size_t)gray->width + j;
            const float mixed = value + (1 - covers) * (float)*at;
            *at = (uint8_t)(mixed < 0 ? 0 : mixed > 255 ? 255 : mixed);
        }
    }
}

static int overlap(mien_rect a, mien_rect b) {
    const int right = a.x + a.width < b.x + b.width ? a.x + a.width : b.x + b.width;
    const int low = a.y + a.height < b.y + b.height ? a.y + a.height : b.y + b.height;
    const int width = right - (a.x > b.x ? a.x : b.x);
    const int height = low - (a.y > b.y ? a.y : b.y);
    return width > 0 && height > 0 ? width * height : 0;
}

static int stage(const clip *made, int frame, clip_face faces[CLIP_PEOPLE]) {
    const int scene = frame / SCENE_FRAMES;
    const mien_rect whole = {0, 0, CLIP_WIDTH, CLIP_HEIGHT};
    int count = 0;
    for (int who = 0; who < CLIP_PEOPLE; who++) {
        const actor *const a = &made->people[scene][who];
        if (!a->here) continue;
        const mien_rect box = box_at(a, frame);
        const bool inside = 10 * overlap(box, whole) >= 8 * box.width * box.height;
        /* who is larger is nearer */
        int at = count++;
        for (; at > 0 && made->people[scene][faces[at - 1].who].side > a->side; at--)
            faces[at] = faces[at - 1];
        faces[at] = (clip_face){who, box, inside && !hidden(a, frame)};
    }
    for (int i = 0; i < count; i++) {
        const mien_rect box = faces[i].box;
        for (int j = i + 1; j < count; j++) {
            if (hidden(&made->people[scene][faces[j].who], frame)) continue;
            const int covered = overlap(box, faces[j].box) + overlap(box, body_of(faces[j].box));
            if (100 * covered > 15 * box.width * box.height) faces[i].seen = false;
        }
    }
    return count;
}

int clip_frame(clip *made, int frame, mien_image *gray, clip_face faces[CLIP_PEOPLE]) {
    const int scene = frame / SCENE_FRAMES;
    const int count = stage(made, frame, faces);
    const float t = (float)frame / CLIP_RATE;
    const float gain = made->gain[scene] * (1 + made->pulse[scene] * sinf(2.1f * t));
    memcpy(gray->pixels, made->background[scene], sizeof made->background[scene]);
    for (int k = 0; k < count; k++) {
        const actor *const a = &made->people[scene][faces[k].who];
        if (hidden(a, frame)) continue;
        draw_body(a, faces[k].box, gain, made->lift[scene], gray);
        draw_actor(a, frame, faces[k].box, gain, made->lift[scene], gray);
    }
    const size_t pixels = (size_t)CLIP_WIDTH * CLIP_HEIGHT;
    size_t from = rng_word(made->seed, RNG_SAMPLE, STEP_DETECT, (uint64_t)frame) >> 17;
    for (size_t k = 0; k < pixels;) {
        size_t run = sizeof made->noise - from;
        if (run > pixels - k) run = pixels - k;
        for (size_t i = 0; i < run; i++) {
            const int value = gray->pixels[k + i] + made->noise[from + i];
            gray->pixels[k + i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        }
        k += run;
        from = 0;
    }
    return count;
}

int clip_detect(const clip *made, int frame, const clip_face *faces, int count, mien_rect *boxes,
                int *who) {
    int found = 0;
    for (int k = 0; k < count; k++) {
        sample_dice dice = {made->seed,
                            (uint64_t)(STEP_DETECT + 1 + frame * CLIP_PEOPLE + faces[k].who), 0};
        const float miss = sample_roll(&dice, 0, 1);
        if (!faces[k].seen || miss < (float)made->options.missed) continue;
        const mien_rect box = faces[k].box;
        const float unit = (float)box.width * (float)made->options.jitter;
        const float x = (float)box.x + 0.5f * (float)box.width + unit * sample_roll(&dice, -1, 1);
        const float y = (float)box.y + 0.5f * (float)box.height + unit * sample_roll(&dice, -1, 1);
        const float side = (float)box.width + unit * sample_roll(&dice, -1, 1);
        int left = (int)lrintf(x - side / 2), top = (int)lrintf(y - side / 2);
        int right = left + (int)lrintf(side), low = top + (int)lrintf(side);
        if (left < 0) left = 0;
        if (top < 0) top = 0;
        if (right > CLIP_WIDTH) right = CLIP_WIDTH;
        if (low > CLIP_HEIGHT) low = CLIP_HEIGHT;
        boxes[found] = (mien_rect){left, top, right - left, low - top};
        who[found++] = faces[k].who;
    }
    return found;
}

int clip_crossings(const clip *made) {
    int crossings = 0, before[CLIP_PEOPLE][CLIP_PEOPLE] = {{0}};
    for (int frame = 0; frame < CLIP_FRAMES; frame++) {
        clip_face faces[CLIP_PEOPLE];
        const int count = stage(made, frame, faces);
        const actor *const people = made->people[frame / SCENE_FRAMES];
        if (clip_cut(frame)) memset(before, 0, sizeof before);
        for (int i = 0; i < count; i++)
            for (int j = 0; j < count; j++) {
                const clip_face *const a = &faces[i], *const b = &faces[j];
                if (a->who >= b->who) continue;
                const bool near = abs(a->box.y - b->box.y) < a->box.height &&
                                  !hidden(&people[a->who], frame) &&
                                  !hidden(&people[b->who], frame);
                const int side = a->box.x < b->box.x ? -1 : 1;
                crossings += near && before[a->who][b->who] == -side;
                before[a->who][b->who] = side;
            }
    }
    return crossings;
}
