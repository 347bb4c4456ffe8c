#include "host/data/sample_face.h"

#include <math.h>
#include <stddef.h>

/* Lengths are in face units: the head extends about 1 to each side of its centre and 1.25 up and
 * down; y grows downwards. Shapes are signed distances, drawn with an edge one pixel wide. */

/* The parameters of an expression, in hundredths of a face unit (from BLUNT on, in percent of full
 * strength). SLOPE lifts the inner ends of the brows, CURVE the corners of the mouth, LIP its
 * middle; SKEW lowers one corner. */
enum channel {
    RAISE,
    SLOPE,
    ARCH,
    LID,
    LOW,
    GAZE,
    CURVE,
    OPEN,
    WIDE,
    LIP,
    SKEW,
    BLUNT,
    TEETH,
    NOSE,
    LINES,
    FROWN,
    FOLD,
    CHANNELS,
};

/* Two variants of each class; an image interpolates between them. */
static const int8_t expressions[SAMPLE_CLASSES][2][CHANNELS] = {
    /* RAISE SLOPE ARCH LID LOW GAZE CURVE OPEN WIDE LIP SKEW BLUNT TEETH NOSE LINES FROWN FOLD */
    {{-14, -18, 0, 10, 5, 0, -7, 0, 26, 0, 0, 0, 0, 0, 0, 100, 20},
     {-16, -21, 2, 12, 6, 0, -5, 19, 33, 0, 0, 100, 100, 0, 0, 100, 40}},
    {{-6, -4, 0, 7, 3, 0, -12, 6, 28, 7, 7, 0, 0, 100, 0, 0, 90},
     {-8, -7, 3, 5, 2, 0, -8, 12, 30, 10, 11, 40, 50, 100, 0, 20, 100}},
    {{13, 15, 2, 24, 12, 0, -9, 9, 36, 0, 0, 70, 40, 0, 100, 20, 0},
     {15, 17, 0, 27, 13, 0, -6, 19, 40, 0, 0, 100, 60, 0, 100, 0, 0}},
    {{2, 0, 7, 12, 2, 0, 17, 0, 40, 0, 0, 0, 0, 0, 0, 0, 100},
     {3, 0, 9, 9, 0, 0, 16, 24, 42, 0, 0, 0, 100, 0, 0, 0, 100}},
    {{3, 17, -2, 9, 8, 4, -14, 0, 27, 0, 0, 0, 0, 0, 0, 0, 0},
     {5, 20, -2, 6, 8, 4, -17, 5, 29, 0, 0, 0, 0, 0, 30, 0, 20}},
    {{18, 0, 9, 25, 13, 0, 0, 28, 16, 0, 0, 0, 0, 0, 60, 0, 0},
     {22, 0, 12, 28, 14, 0, 0, 42, 21, 0, 0, 0, 0, 0, 100, 0, 0}},
    {{0, 0, 5, 14, 7, 0, 0, 0, 27, 0, 0, 0, 0, 0, 0, 0, 0},
     {0, 0, 3, 16, 8, 0, 2, 0, 31, 0, 0, 0, 0, 0, 0, 0, 0}},
};

/* The pose of the face in the image: pixel = centre + scale * rotate(face point). */
typedef struct view {
    float *tones;
    float x, y, scale, sine, cosine;
    float yaw, pitch;     /* shift of the features against the head, in face units */
    float glance, uneven; /* shift of both irises; one brow up and the other down */
    float lean;           /* turn of a skewed mouth */
} view;

/* An ellipse with half axes (wide, up), which `bend` narrows towards v > 0; with down > 0, a ring
 * of that half width. Or a lens: its centre line is v = bend (1/2 - t^2) for t = u / wide, its
 * edges are `up` above and `down` below it and taper to the ends (less so for larger `blunt`). u
 * and v are rotated by `tilt`. */
typedef struct shape {
    enum { ELLIPSE, LENS } kind;
    float x, y, tilt, wide, up, down, bend, blunt;
} shape;

/* A shape with the map from pixels to (u, v). */
typedef struct mapped {
    const shape *form;
    float x, y, along, across;
    float per_wide, per_up;
} mapped;

/* The features of a person, the same in every image. */
typedef struct person {
    float skin, hair, iris, lips;
    float wide, high, jaw;
    float eye_x, eye_y, eye, brow_y, brow_thick, brow_long;
    float nose_long, nose_wide, mouth_y, mouth, lip_thick;
    float fringe, locks, glasses, beard, moustache, part;
} person;

/* Sine for |x| <= pi / 2, from basic operations only so that every machine gets the same bits. */
static float sine(float x) {
    const float s = x * x;
    return x * (1.0f - s * (1.0f / 6.0f - s * (1.0f / 120.0f - s * (1.0f / 5040.0f))));
}

static float limit(float x, float low, float high) {
    return x < low ? low : (x > high ? high : x);
}

static mapped map_shape(const view *eye, const shape *form) {
    const float s = sine(form->tilt);
    const float c = sqrtf(1.0f - s * s);
    return (mapped){
        .form = form,
        .x = eye->x + eye->scale * (eye->cosine * form->x - eye->sine * form->y),
        .y = eye->y + eye->scale * (eye->sine * form->x + eye->cosine * form->y),
        .along = (eye->cosine * c - eye->sine * s) / eye->scale,
        .across = (eye->sine * c + eye->cosine * s) / eye->scale,
        .per_wide = 1.0f / form->wide,
        .per_up = 1.0f / form->up,
    };
}

/* Signed distance in face units, negative inside; a first-order approximation for ellipses. */
static float distance(const mapped *at, float col, float row) {
    const shape *const form = at->form;
    const float dx = col - at->x;
    const float dy = row - at->y;
    const float u = at->along * dx + at->across * dy;
    const float v = at->along * dy - at->across * dx;
    if (form->kind == LENS) {
        const float t = u * at->per_wide;
        const float s = t * t;
        const float rest = v - form->bend * (0.5f - s);
        const float profile = 1.0f - s * (1.0f + form->blunt * (s - 1.0f));
        const float slope = 2.0f * form->bend * t * at->per_wide;
        const float above = -rest - form->up * profile;
        const float below = rest - form->down * profile;
        const float off = (above > below ? above : below) / sqrtf(1.0f + slope * slope);
        const float end = fabsf(u) - form->wide;
        return off > end ? off : end;
    }
    const float b = v * at->per_up;
    const float a = u * (1.0f + form->bend * b) * at->per_wide;
    const float ga = a * at->per_wide;
    const float gb = b * at->per_up;
    const float off = (a * a + b * b - 1.0f) / (2.0f * sqrtf(ga * ga + gb * gb) + 1e-6f);
    return form->down > 0.0f ? fabsf(off) - form->down : off;
}

/* The share of a pixel that the shape covers, 0 .. 1, where its edge falls by `steep` per face
 * unit. */
static float cover(const mapped *at, float col, float row, float steep) {
    const float x = limit(0.5f - distance(at, col, row) * steep, 0.0f, 1.0f);
    return x * x * (3.0f - 2.0f * x);
}

/* Paints a shape with an edge `soft` pixels wide, only inside `within` unless that is NULL. */
static void paint_soft(const view *eye, const shape *form, const shape *within, float tone,
                       float alpha, float soft) {
    if (alpha <= 0.0f) return;
    const mapped at = map_shape(eye, form);
    const mapped clip = map_shape(eye, within ? within : form);
    const float tall = form->kind == LENS ? fabsf(form->bend) + fabsf(form->up) + fabsf(form->down)
                                          : form->up + form->down;
    const float wide = form->kind == LENS ? form->wide : (form->wide + form->down) * 1.25f;
    const float steep = eye->scale / soft;
    const float size = eye->scale * eye->scale;
    const float reach_x = size * (fabsf(at.along) * wide + fabsf(at.across) * tall) + soft;
    const float reach_y = size * (fabsf(at.across) * wide + fabsf(at.along) * tall) + soft;
    const int left = (int)limit(at.x - reach_x, 0.0f, SAMPLE_SIDE);
    const int right = (int)limit(at.x + reach_x + 1.0f, 0.0f, SAMPLE_SIDE);
    const int top = (int)limit(at.y - reach_y, 0.0f, SAMPLE_SIDE);
    const int bottom = (int)limit(at.y + reach_y + 1.0f, 0.0f, SAMPLE_SIDE);
    for (int row = top; row < bottom; row++) {
        for (int col = left; col < right; col++) {
            float a = alpha * cover(&at, (float)col, (float)row, steep);
            if (a <= 0.0f) continue;
            if (within) a *= cover(&clip, (float)col, (float)row, eye->scale);
            float *const under = &eye->tones[row * SAMPLE_SIDE + col];
            *under += a * (tone - *under);
        }
    }
}

static void paint(const view *eye, const shape *form, float tone, float alpha) {
    paint_soft(eye, form, NULL, tone, alpha, 1.0f);
}

/* One statement per draw: C does not specify the order of evaluation inside an initialiser. */
static person random_person(sample_dice *subject) {
    const float skin = sample_roll(subject, 0.45f, 0.92f);
    const float hair = sample_roll(subject, 0.03f, 1.1f);
    person p;
    p.skin = skin;
    p.hair = hair > 0.8f ? hair - 0.1f : hair * skin;
    p.iris = sample_roll(subject, 0.05f, 0.3f);
    p.lips = sample_roll(subject, 0.55f, 0.9f) * skin;
    p.wide = sample_roll(subject, 0.86f, 1.06f);
    p.high = sample_roll(subject, 1.16f, 1.32f);
    p.jaw = sample_roll(subject, 0.0f, 0.2f);
    p.eye_x = sample_roll(subject, 0.37f, 0.47f);
    p.eye_y = sample_roll(subject, -0.2f, -0.08f);
    p.eye = sample_roll(subject, 0.9f, 1.15f);
    p.brow_y = sample_roll(subject, 0.31f, 0.37f);
    p.brow_thick = sample_roll(subject, 0.03f, 0.07f);
    p.brow_long = sample_roll(subject, 0.22f, 0.29f);
    p.nose_long = sample_roll(subject, 0.34f, 0.46f);
    p.nose_wide = sample_roll(subject, 0.11f, 0.19f);
    p.mouth_y = sample_roll(subject, 0.6f, 0.7f);
    p.mouth = sample_roll(subject, 0.88f, 1.12f);
    p.lip_thick = sample_roll(subject, 0.03f, 0.08f);
    p.fringe = sample_roll(subject, -0.25f, 0.35f);
    p.locks = sample_roll(subject, -1.0f, 1.0f);
    p.glasses = sample_roll(subject, -1.0f, 0.35f);
    p.beard = sample_roll(subject, -1.0f, 0.5f);
    p.moustache = sample_roll(subject, -1.0f, 0.3f);
    p.part = sample_roll(subject, -0.4f, 0.4f);
    return p;
}

/* The expression of this image: between its two variants, stronger or weaker, with jitter. */
static void express(int label, sample_dice *shot, float face[CHANNELS]) {
    const float mix = sample_roll(shot, 0.0f, 1.0f);
    const float strength = sample_roll(shot, 0.85f, 1.15f);
    for (int k = 0; k < CHANNELS; k++) {
        const float calm = (float)expressions[SAMPLE_CLASSES - 1][0][k];
        const float first = (float)expressions[label][0][k];
        const float full = first + mix * ((float)expressions[label][1][k] - first);
        const float jitter = sample_roll(shot, 0.85f, 1.15f);
        face[k] = 0.01f * (calm + strength * jitter * (full - calm));
    }
    for (int k = RAISE; k <= SLOPE; k++)
        face[k] += sample_roll(shot, -0.02f, 0.02f);
    face[OPEN] = limit(face[OPEN], 0.0f, 0.5f);
    face[LID] = limit(face[LID], 0.03f, 0.3f);
    face[LOW] = limit(face[LOW], 0.0f, 0.15f);
}

static view random_pose(float tones[SAMPLE_PIXELS], sample_dice *shot) {
    const float turn = sine(sample_roll(shot, -0.35f, 0.35f));
    view eye;
    eye.tones = tones;
    eye.x = sample_roll(shot, 19.5f, 27.5f);
    eye.y = sample_roll(shot, 20.0f, 27.0f);
    eye.scale = sample_roll(shot, 15.0f, 19.0f);
    eye.sine = turn;
    eye.cosine = sqrtf(1.0f - turn * turn);
    eye.yaw = sample_roll(shot, -0.14f, 0.14f);
    eye.pitch = sample_roll(shot, -0.08f, 0.08f);
    eye.glance = sample_roll(shot, -0.06f, 0.06f);
    eye.uneven = sample_roll(shot, -0.03f, 0.03f);
    eye.lean = sample_roll(shot, -1.0f, 1.0f) < 0.0f ? -2.0f : 2.0f;
    return eye;
}

/* Shoulders, neck, hair behind, ears, head, hair in front, beard. */
static void draw_head(const view *eye, const person *p, float shirt) {
    const shape head = {ELLIPSE, 0, 0, 0, p->wide, p->high, 0, p->jaw, 0};
    const float fall = p->locks > 0.3f ? 0.35f : -0.12f;
    const shape mane = {
        .kind = ELLIPSE, .y = fall - 0.1f, .wide = p->wide + 0.14f, .up = p->high + fall + 0.2f};
    const int bald = p->fringe < -0.18f;
    paint(eye, &(shape){ELLIPSE, 0, p->high + 1.0f, 0, 1.6f, 0.7f, 0, 0, 0}, shirt, 1.0f);
    if (!bald) paint(eye, &mane, p->hair * 0.85f, 1.0f);
    paint(eye, &(shape){LENS, 0, p->high, 0, 0.45f, 0.5f, 0.5f, 0, 1.0f}, p->skin * 0.75f, 1.0f);
    for (int side = -1; side <= 1; side += 2) {
        const float x = (float)side * p->wide - 0.3f * eye->yaw;
        paint(eye, &(shape){ELLIPSE, x, 0, 0, 0.13f, 0.24f, 0, 0, 0}, p->skin * 0.82f, 1.0f);
    }
    paint(eye, &head, p->skin, 1.0f);
    paint_soft(eye, &(shape){ELLIPSE, 0, 0, 0, p->wide, p->high, 0.06f, p->jaw, 0}, &head,
               p->skin * 0.7f, 0.6f, 4.0f);
    if (p->beard > 0.0f) {
        const shape beard = {ELLIPSE, eye->yaw, 1.0f, 0, 0.75f, 0.55f, 0, 0, 0};
        paint_soft(eye, &beard, &head, p->hair, 0.35f + p->beard, 4.0f);
    }
    if (bald) return;
    const shape crown = {.kind = LENS,
                         .x = 0.5f * p->part,
                         .y = -p->high,
                         .tilt = 0.3f * p->part,
                         .wide = 1.5f,
                         .up = 0.6f,
                         .down = 0.45f + 0.3f * p->fringe,
                         .bend = -0.6f};
    paint_soft(eye, &crown, &mane, p->hair, 1.0f, 1.0f);
}

/* Forehead lines, the frown between the brows, nose wrinkles and the folds beside the mouth. */
static void draw_wrinkles(const view *eye, const person *p, const float face[CHANNELS]) {
    const float tone = p->skin * 0.45f;
    const float x = eye->yaw;
    const float y = p->eye_y + eye->pitch;
    for (int k = 0; k < 2; k++) {
        const float up = y - p->brow_y - face[RAISE] - 0.16f - 0.13f * (float)k;
        paint(eye, &(shape){LENS, x, up, 0, 0.42f, 0.025f, 0.025f, -0.05f, 1.0f}, tone,
              0.6f * face[LINES]);
    }
    for (int side = -1; side <= 1; side += 2) {
        const float s = (float)side;
        const shape frown = {LENS, x + 0.07f * s, y - 0.2f, 1.5f * s, 0.14f, 0.03f, 0.03f, 0, 1.0f};
        paint(eye, &frown, tone, 0.8f * face[FROWN]);
        for (int k = 0; k < 2; k++) {
            const float down = y + 0.06f + 0.13f * (float)k;
            const shape crease = {LENS, x + 0.13f * s, down, 0.6f * s, 0.12f, 0.03f, 0.03f, 0, 1};
            paint(eye, &crease, tone, 0.85f * face[NOSE]);
        }
        const shape fold = {.kind = LENS,
                            .x = x + 0.42f * s,
                            .y = p->mouth_y + eye->pitch - 0.12f,
                            .tilt = 1.05f * s,
                            .wide = 0.24f,
                            .up = 0.03f,
                            .down = 0.03f,
                            .bend = 0.06f * s,
                            .blunt = 1.0f};
        paint(eye, &fold, tone, 0.6f * face[FOLD]);
    }
}

static void draw_eye(const view *eye, const person *p, const float face[CHANNELS], float side) {
    const float x = side * p->eye_x + eye->yaw;
    const float y = p->eye_y + eye->pitch;
    const float tilt = side * 0.3f * (face[SLOPE] > 0.0f ? face[SLOPE] : 0.0f);
    const shape socket = {ELLIPSE, x, y - 0.05f, 0, 0.3f, 0.26f, 0, 0, 0};
    const shape white = {.kind = LENS,
                         .x = x,
                         .y = y,
                         .tilt = tilt,
                         .wide = 0.24f * p->eye,
                         .up = face[LID] * p->eye,
                         .down = face[LOW] * p->eye,
                         .blunt = 0.3f};
    const shape iris = {ELLIPSE, x + eye->glance, y - 0.03f + face[GAZE], 0, 0.1f, 0.115f, 0, 0, 0};
    const shape lid = {.kind = LENS,
                       .x = x,
                       .y = y - 0.5f * face[LID] * p->eye,
                       .tilt = tilt,
                       .wide = 0.26f * p->eye,
                       .up = 0.035f,
                       .down = 0.035f,
                       .bend = -face[LID] * p->eye,
                       .blunt = 0.8f};
    paint_soft(eye, &socket, NULL, p->skin * 0.7f, 0.35f, 5.0f);
    paint(eye, &white, 0.4f + 0.55f * p->skin, 1.0f);
    paint_soft(eye, &iris, &white, p->iris, 1.0f, 1.0f);
    paint(eye, &lid, 0.1f, 0.85f);
    const float brow = y - p->brow_y - face[RAISE] - side * eye->uneven;
    const shape hair = {.kind = LENS,
                        .x = x * 0.98f,
                        .y = brow,
                        .tilt = side * 1.6f * face[SLOPE],
                        .wide = p->brow_long,
                        .up = p->brow_thick,
                        .down = p->brow_thick,
                        .bend = -face[ARCH],
                        .blunt = 0.9f};
    paint(eye, &hair, limit(p->hair * 0.6f, 0.0f, 0.5f * p->skin), 1.0f);
    if (p->glasses > 0.0f) {
        const shape rim = {ELLIPSE, x, y + 0.02f, 0, 0.34f, 0.3f, 0.025f, 0, 0};
        const shape arm = {LENS, x + 0.45f * side, y - 0.05f, 0, 0.14f, 0.03f, 0.03f, 0, 1.0f};
        paint(eye, &rim, 0.4f - p->glasses, 0.8f);
        paint(eye, &arm, 0.4f - p->glasses, 0.8f);
    }
}

static void draw_nose(const view *eye, const person *p, const float face[CHANNELS]) {
    const float x = 1.25f * eye->yaw;
    const float lift = 0.05f * face[NOSE];
    const float tip = p->eye_y + p->nose_long + 1.2f * eye->pitch - lift;
    const float tone = p->skin * 0.55f;
    const shape ridge = {.kind = LENS,
                         .x = x + 0.4f * p->nose_wide,
                         .y = tip - 0.17f,
                         .tilt = 1.35f,
                         .wide = 0.22f,
                         .up = 0.03f,
                         .down = 0.03f,
                         .blunt = 1};
    paint(eye, &ridge, tone, 0.35f);
    paint(eye, &(shape){LENS, x, tip, 0, p->nose_wide, 0.03f, 0.04f, 0.05f, 0.5f}, tone, 0.8f);
    for (int side = -1; side <= 1; side += 2) {
        const float s = (float)side;
        paint(eye, &(shape){ELLIPSE, x + s * p->nose_wide, tip - 0.03f, 0, 0.05f, 0.05f, 0, 0, 0},
              tone, 0.6f + 0.4f * face[NOSE]);
    }
}

static void draw_mouth(const view *eye, const person *p, const float face[CHANNELS]) {
    const float skew = eye->lean * face[SKEW];
    const float x = 1.1f * eye->yaw;
    const float y = p->mouth_y + eye->pitch;
    const float wide = limit(face[WIDE], 0.12f, 0.5f) * p->mouth;
    const float up = 0.4f * face[OPEN];
    const float down = 0.6f * face[OPEN];
    const float bend = 2.0f * face[CURVE];
    const float lift = y - face[LIP];
    if (p->moustache > 0.0f) {
        const shape hair = {LENS, x, y - up - 0.13f, 0, 0.3f, 0.05f, 0.05f, -0.06f, 0.5f};
        paint(eye, &hair, p->hair, 0.4f + p->moustache);
    }
    const float lip = p->lip_thick + 0.02f;
    const shape lips = {.kind = LENS,
                        .x = x,
                        .y = lift,
                        .tilt = skew,
                        .wide = wide + 0.04f,
                        .up = up + lip + 0.3f * face[LIP],
                        .down = down + lip,
                        .bend = bend,
                        .blunt = face[BLUNT] + 0.4f};
    const shape hole = {LENS, x, lift, skew, wide, up + 0.028f, down + 0.028f, bend, face[BLUNT]};
    paint(eye, &lips, p->lips, 1.0f);
    paint(eye, &hole, 0.06f, 0.95f);
    if (face[OPEN] > 0.08f) {
        shape teeth = hole;
        teeth.down = 0.3f * face[OPEN] - up * 0.5f;
        paint_soft(eye, &teeth, &hole, 0.5f + 0.45f * p->skin, face[TEETH], 1.0f);
    }
    paint_soft(eye, &(shape){ELLIPSE, x, y + down + lip + 0.14f, 0, 0.2f, 0.06f, 0, 0, 0}, NULL,
               p->skin * 0.7f, 0.4f, 3.0f);
}

void sample_face(float tones[SAMPLE_PIXELS], int label, sample_dice *subject, sample_dice *shot) {
    const person p = random_person(subject);
    float face[CHANNELS];
    express(label, shot, face);
    const view eye = random_pose(tones, shot);
    draw_head(&eye, &p, sample_roll(shot, 0.1f, 0.9f));
    draw_nose(&eye, &p, face);
    draw_wrinkles(&eye, &p, face);
    for (int side = -1; side <= 1; side += 2)
        draw_eye(&eye, &p, face, (float)side);
    draw_mouth(&eye, &p, face);
}
