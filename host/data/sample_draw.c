#include "host/data/sample_face.h"

const char *const sample_class_names[SAMPLE_CLASSES] = {
    "angry", "disgust", "fear", "happy", "sad", "surprise", "neutral",
};

/* Steps of the random stream: identities count from 0; images and their sensor noise use bits above
 * any identity. */
static const uint64_t step_image = (uint64_t)1 << 32;
static const uint64_t step_noise = (uint64_t)2 << 32;

/* Triangle wave of period 1 between 0 and 1. */
static float triangle(float x) {
    return fabsf(2.0f * (x - floorf(x)) - 1.0f);
}

/* A gradient plus up to two sets of stripes, of any tone: the head may be brighter or darker. */
static void draw_background(float tones[SAMPLE_PIXELS], sample_dice *shot) {
    const float base = sample_roll(shot, 0.05f, 0.95f);
    const float slope_x = sample_roll(shot, -0.4f, 0.4f) / SAMPLE_SIDE;
    const float slope_y = sample_roll(shot, -0.4f, 0.4f) / SAMPLE_SIDE;
    float wave_x[2];
    float wave_y[2];
    float phase[2];
    float depth[2];
    for (int k = 0; k < 2; k++) {
        wave_x[k] = sample_roll(shot, -0.12f, 0.12f);
        wave_y[k] = sample_roll(shot, -0.12f, 0.12f);
        phase[k] = sample_roll(shot, 0.0f, 1.0f);
        depth[k] = sample_roll(shot, -0.1f, 0.35f);
        if (depth[k] < 0.0f) depth[k] = 0.0f;
    }
    for (int row = 0; row < SAMPLE_SIDE; row++) {
        for (int col = 0; col < SAMPLE_SIDE; col++) {
            const float x = (float)col;
            const float y = (float)row;
            float tone = base + slope_x * (x - 24.0f) + slope_y * (y - 24.0f);
            for (int k = 0; k < 2; k++)
                tone += depth[k] * (triangle(wave_x[k] * x + wave_y[k] * y + phase[k]) - 0.5f);
            tones[row * SAMPLE_SIDE + col] = tone;
        }
    }
}

/* Patches of one tone, too small to hide brows, eyes and mouth at once. */
static void draw_patches(float tones[SAMPLE_PIXELS], sample_dice *shot) {
    const int count = (int)sample_roll(shot, 0.0f, 2.5f);
    for (int k = 0; k < count; k++) {
        const int width = (int)sample_roll(shot, 3.0f, 8.0f);
        const int height = (int)sample_roll(shot, 3.0f, 8.0f);
        const int left = (int)sample_roll(shot, 0.0f, (float)(SAMPLE_SIDE - width));
        const int top = (int)sample_roll(shot, 0.0f, (float)(SAMPLE_SIDE - height));
        const float tone = sample_roll(shot, 0.0f, 1.0f);
        for (int row = top; row < top + height; row++)
            for (int col = left; col < left + width; col++)
                tones[row * SAMPLE_SIDE + col] = tone;
    }
}

/* Light from one side, then the exposure. */
static void light(float tones[SAMPLE_PIXELS], sample_dice *shot) {
    const float slope_x = sample_roll(shot, -0.4f, 0.4f) / 24.0f;
    const float slope_y = sample_roll(shot, -0.4f, 0.4f) / 24.0f;
    const float gain = sample_roll(shot, 0.65f, 1.05f);
    const float lift = sample_roll(shot, -0.08f, 0.12f);
    for (int row = 0; row < SAMPLE_SIDE; row++) {
        const float down = 1.0f + slope_y * ((float)row - 23.5f);
        for (int col = 0; col < SAMPLE_SIDE; col++) {
            const float fall = down + slope_x * ((float)col - 23.5f);
            float *const tone = &tones[row * SAMPLE_SIDE + col];
            *tone = *tone * gain * (fall > 0.15f ? fall : 0.15f) + lift;
        }
    }
}

/* One pass of the kernel (side, 1 - 2 side, side) along lines `step` apart in memory. */
static void blur_lines(float tones[SAMPLE_PIXELS], int line, int step, float side) {
    for (int k = 0; k < SAMPLE_SIDE; k++) {
        float *const at = tones + k * line;
        float before = at[0];
        for (int i = 0; i < SAMPLE_SIDE; i++) {
            const float here = at[i * step];
            const float after = i + 1 < SAMPLE_SIDE ? at[(i + 1) * step] : here;
            at[i * step] = here + side * (before + after - 2.0f * here);
            before = here;
        }
    }
}

/* Sensor noise, then eight bits. One random word serves two pixels: the sum of two bytes has a
 * triangular distribution, close enough to a sensor's. */
static void expose(const float tones[SAMPLE_PIXELS], float noise, sample_dice grain,
                   uint8_t pixels[SAMPLE_PIXELS]) {
    for (int i = 0; i < SAMPLE_PIXELS; i += 8) {
        const rng_block block = rng_at(grain.seed, RNG_SAMPLE, grain.step, (uint64_t)i / 8);
        for (int k = 0; k < 8; k++) {
            const uint32_t half = block.word[k >> 1] >> (16 * (k & 1));
            const int sum = (int)(half & 0xFFu) + (int)(half >> 8 & 0xFFu) - 255;
            const float level = 255.0f * tones[i + k] + noise * (float)sum + 0.5f;
            pixels[i + k] = (uint8_t)(level < 0.0f ? 0.0f : (level > 255.0f ? 255.0f : level));
        }
    }
}

void sample_subject(uint32_t index, int *label, uint32_t *identity) {
    *label = (int)(index % SAMPLE_CLASSES);
    *identity = index / SAMPLE_CLASSES;
}

void sample_draw(uint32_t seed, uint32_t index, uint8_t pixels[SAMPLE_PIXELS], int *label,
                 uint32_t *identity) {
    sample_subject(index, label, identity);
    sample_dice subject = {seed, *identity, 0};
    sample_dice shot = {seed, step_image | index, 0};
    const sample_dice grain = {seed, step_noise | index, 0};
    float tones[SAMPLE_PIXELS];
    draw_background(tones, &shot);
    sample_face(tones, *label, &subject, &shot);
    draw_patches(tones, &shot);
    light(tones, &shot);
    const float side = sample_roll(&shot, 0.0f, 0.18f);
    blur_lines(tones, SAMPLE_SIDE, 1, side);
    blur_lines(tones, 1, SAMPLE_SIDE, side);
    expose(tones, sample_roll(&shot, 0.0f, 0.06f), grain, pixels);
}

int sample_split(uint32_t identity) {
    const uint32_t eighth = identity % 8;
    return eighth < 6 ? SAMPLE_TRAIN : (eighth == 6 ? SAMPLE_VAL : SAMPLE_TEST);
}
