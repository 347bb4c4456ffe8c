/* Augmentation: each output pixel is mapped by a 2x3 matrix into the source image (bilinear,
 * borders replicated), then brightness, contrast, erasing and the input's normalisation follow. All
 * parameters of sample n at a step are a function of (seed, step, n), where n is the index in the
 * global batch. */
#ifndef KERNELS_BODY_AUGMENT_H
#define KERNELS_BODY_AUGMENT_H

#include "kernels/body/elementary.h"
#include "kernels/body/rng.h"

/* The ranges that a run is configured with. Angles in degrees; shift, zoom, crop, brightness,
 * contrast and erase (a probability) as fractions. */
typedef struct body_augment {
    int flip;
    float rotate, shift, zoom, crop, brightness, contrast, erase, mixup, mixup_p;
} body_augment;

/* The random parameters of one sample. */
typedef struct body_warp {
    float m[6];         /* source x = m0 x + m1 y + m2, y = m3 x + m4 y + m5 */
    float gain, offset; /* pixel value v -> v * gain + offset */
    int erase_x0, erase_x1, erase_y0, erase_y1;
    float erase_value;
} body_warp;

enum { AUGMENT_WORDS = 16 };

/* Draws the rectangle of random erasing (Zhong et al. 2020): 2-25 % of the area, aspect 0.4-2.5. */
MIEN_BODY void body_draw_erase(body_warp *warp, const uint32_t *word, int h, int w) {
    const float area = rng_range(word[10], 0.02f, 0.25f) * (float)(h * w);
    const float aspect = m_exp(rng_range(word[11], -0.9163f, 0.9163f));
    const int eh = body_clamp_int((int)floorf(sqrtf(area * aspect)), 1, h);
    const int ew = body_clamp_int((int)floorf(sqrtf(area / aspect)), 1, w);
    warp->erase_y0 = (int)floorf(rng_unit(word[12]) * (float)(h - eh + 1));
    warp->erase_x0 = (int)floorf(rng_unit(word[13]) * (float)(w - ew + 1));
    warp->erase_y1 = warp->erase_y0 + eh;
    warp->erase_x1 = warp->erase_x0 + ew;
    warp->erase_value = rng_unit(word[14]) * 255.0f;
}

MIEN_BODY body_warp body_draw_warp(const body_augment *a, uint32_t seed, uint64_t step, uint64_t n,
                                   int h, int w) {
    uint32_t word[AUGMENT_WORDS];
    for (int b = 0; b < AUGMENT_WORDS / 4; b++) {
        const rng_block block =
            rng_at(seed, RNG_AUGMENT, step, n * (AUGMENT_WORDS / 4) + (uint64_t)b);
        for (int i = 0; i < 4; i++)
            word[4 * b + i] = block.word[i];
    }
    const float angle = rng_range(word[1], -a->rotate, a->rotate) * 0.0174532925f;
    const float zoom = rng_range(word[2], 1.0f - a->zoom, 1.0f + a->zoom) * (1.0f - a->crop);
    const float mirror = a->flip && (word[0] & 1) ? -1.0f : 1.0f;
    const float dx = (rng_range(word[3], -a->shift, a->shift) +
                      rng_range(word[7], -0.5f * a->crop, 0.5f * a->crop)) *
                     (float)w;
    const float dy = (rng_range(word[4], -a->shift, a->shift) +
                      rng_range(word[8], -0.5f * a->crop, 0.5f * a->crop)) *
                     (float)h;
    const float cx = 0.5f * (float)(w - 1), cy = 0.5f * (float)(h - 1);
    const float s = m_sin(angle) * zoom, c = m_cos(angle) * zoom;
    body_warp warp;
    warp.m[0] = c * mirror;
    warp.m[1] = -s;
    warp.m[2] = cx + dx - (c * mirror * cx - s * cy);
    warp.m[3] = s * mirror;
    warp.m[4] = c;
    warp.m[5] = cy + dy - (s * mirror * cx + c * cy);
    const float contrast = rng_range(word[6], 1.0f - a->contrast, 1.0f + a->contrast);
    const float brightness = rng_range(word[5], -a->brightness, a->brightness) * 255.0f;
    warp.gain = contrast;
    warp.offset = 127.5f - 127.5f * contrast + brightness;
    warp.erase_x0 = warp.erase_x1 = warp.erase_y0 = warp.erase_y1 = 0;
    warp.erase_value = 0;
    if (rng_unit(word[9]) < a->erase) body_draw_erase(&warp, word, h, w);
    return warp;
}

/* A fixed view of an image: mirrored or not, zoomed (below 1: a smaller window), moved by dx, dy
 * pixels. */
MIEN_BODY body_warp body_view_warp(int mirrored, float zoom, float dx, float dy, int h, int w) {
    const float cx = 0.5f * (float)(w - 1), cy = 0.5f * (float)(h - 1);
    const float across = mirrored ? -zoom : zoom;
    const body_warp warp = {
        {across, 0, cx + dx - across * cx, 0, zoom, cy + dy - zoom * cy}, 1, 0, 0, 0, 0, 0, 0};
    return warp;
}

/* The value 0..255 of output pixel (x, y), channel c, of an image [h][w][channels]. */
MIEN_BODY float body_warp_pixel(const uint8_t *image, const body_warp *warp, int x, int y, int c,
                                int h, int w, int channels) {
    if (x >= warp->erase_x0 && x < warp->erase_x1 && y >= warp->erase_y0 && y < warp->erase_y1)
        return warp->erase_value;
    const float fx = fmaf(warp->m[0], (float)x, fmaf(warp->m[1], (float)y, warp->m[2]));
    const float fy = fmaf(warp->m[3], (float)x, fmaf(warp->m[4], (float)y, warp->m[5]));
    const float sx = body_min(body_max(fx, 0.0f), (float)(w - 1));
    const float sy = body_min(body_max(fy, 0.0f), (float)(h - 1));
    const int x0 = (int)sx, y0 = (int)sy; /* not negative: truncation is floor */
    const int x1 = x0 + 1 < w ? x0 + 1 : x0, y1 = y0 + 1 < h ? y0 + 1 : y0;
    const float ax = sx - (float)x0, ay = sy - (float)y0;
    const float p00 = image[(y0 * w + x0) * channels + c],
                p01 = image[(y0 * w + x1) * channels + c];
    const float p10 = image[(y1 * w + x0) * channels + c],
                p11 = image[(y1 * w + x1) * channels + c];
    const float top = fmaf(p01 - p00, ax, p00), bottom = fmaf(p11 - p10, ax, p10);
    const float v = fmaf(fmaf(bottom - top, ay, top), warp->gain, warp->offset);
    return body_min(body_max(v, 0.0f), 255.0f);
}

/* Mixup (Zhang et al. 2018): the weight of sample n itself, from Beta(alpha, alpha) by Johnk's
 * method; 1 if the sample is not mixed. */
MIEN_BODY float body_mixup_weight(const body_augment *a, uint32_t seed, uint64_t step, uint64_t n) {
    enum { TRIES = 15, WORDS = 2 * TRIES + 2 };
    if (a->mixup <= 0) return 1;
    if (rng_unit(rng_word(seed, RNG_MIXUP, step, n * WORDS)) >= a->mixup_p) return 1;
    for (int i = 1; i <= TRIES; i++) {
        const uint64_t at = n * WORDS + 2 * (uint64_t)i;
        /* the half step keeps the logarithm finite */
        const float u = rng_unit(rng_word(seed, RNG_MIXUP, step, at)) + 2.98023224e-8f;
        const float v = rng_unit(rng_word(seed, RNG_MIXUP, step, at + 1)) + 2.98023224e-8f;
        const float x = m_exp(m_log(u) / a->mixup), y = m_exp(m_log(v) / a->mixup);
        if (x + y <= 1.0f && x + y > 0.0f) return x / (x + y);
    }
    return 0.5f;
}

/* The distance in the batch from every sample to its mixup partner at this step: 1 .. batch-1; 0 in
 * a batch of one. */
MIEN_BODY int body_mixup_distance(uint32_t seed, uint64_t step, int batch) {
    const uint32_t word = rng_word(seed, RNG_MIXUP, step, UINT64_MAX);
    return batch < 2 ? 0 : 1 + (int)(((uint64_t)word * (uint64_t)(batch - 1)) >> 32);
}

#endif
