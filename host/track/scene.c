#include "host/track/track.h"

#include <math.h>
#include <string.h>

#include "host/track/patch.h"

enum {
    WIDTH = 32,
    HEIGHT = 24,
    PIXELS = WIDTH * HEIGHT,
    BLOCK = 8,
    REACH = 5, /* how far a block is searched: a camera that pans, people who walk */
};
_Static_assert(sizeof((mien_scene *)0)->thumb == PIXELS, "a thumb has this size");
/* A frame with less contrast (deviation in levels) is black, white or covered. */
static const float least_contrast = 3;
/* Below this likeness of the blocks, or of the whole with the second, it is another scene. */
static const float least_blocks = 0.62f, least_whole = 0.6f;

/* How well two blocks match, from -1 to 1, whatever their brightness and contrast; `weight` is how
 * much contrast there was to compare. */
static float block_likeness(const uint8_t *a, const uint8_t *b, float *weight) {
    int sum_a = 0, sum_b = 0, square_a = 0, square_b = 0, both = 0;
    for (int i = 0; i < BLOCK; i++)
        for (int j = 0; j < BLOCK; j++) {
            const int x = a[i * WIDTH + j], y = b[i * WIDTH + j];
            sum_a += x;
            sum_b += y;
            square_a += x * x;
            square_b += y * y;
            both += x * y;
        }
    enum { COUNT = BLOCK * BLOCK };
    const float var_a = (float)(COUNT * square_a - sum_a * sum_a) / (COUNT * COUNT);
    const float var_b = (float)(COUNT * square_b - sum_b * sum_b) / (COUNT * COUNT);
    const float cov = (float)(COUNT * both - sum_a * sum_b) / (COUNT * COUNT);
    *weight = sqrtf(var_a);
    return cov / sqrtf((var_a + 1) * (var_b + 1));
}

/* The best likeness of a block of `now` to one of `before` nearby. */
static float best_likeness(const uint8_t *now, const uint8_t *before, int top, int left,
                           float *weight) {
    float best = -1;
    for (int i = top - REACH; i <= top + REACH; i++)
        for (int j = left - REACH; j <= left + REACH; j++) {
            if (i < 0 || j < 0 || i > HEIGHT - BLOCK || j > WIDTH - BLOCK) continue;
            const float likeness =
                block_likeness(now + top * WIDTH + left, before + i * WIDTH + j, weight);
            if (likeness > best) best = likeness;
        }
    return best;
}

static float mean_of(const uint8_t *thumb) {
    int sum = 0;
    for (int k = 0; k < PIXELS; k++)
        sum += thumb[k];
    return (float)sum / PIXELS;
}

/* The covariance of two thumbs, or of one with itself. */
static float covariance(const uint8_t *a, const uint8_t *b) {
    const float mean_a = mean_of(a), mean_b = mean_of(b);
    float sum = 0;
    for (int k = 0; k < PIXELS; k++)
        sum += ((float)a[k] - mean_a) * ((float)b[k] - mean_b);
    return sum / PIXELS;
}

bool mien_scene_cut(mien_scene *scene, const mien_image *gray) {
    float cells[PIXELS];
    uint8_t thumb[PIXELS];
    mien_patch(gray, 0, 0, gray->width, gray->height, HEIGHT, WIDTH, cells);
    for (int k = 0; k < PIXELS; k++)
        thumb[k] = (uint8_t)(cells[k] + 0.5f);
    const float contrast = covariance(thumb, thumb);
    /* nothing to compare; the last frame that showed something still counts */
    if (contrast < least_contrast * least_contrast) return false;
    bool cut = false;
    if (scene->set) {
        float sum = 0, weights = 0;
        for (int top = 0; top < HEIGHT; top += BLOCK)
            for (int left = 0; left < WIDTH; left += BLOCK) {
                float weight = 0;
                sum += best_likeness(thumb, scene->thumb, top, left, &weight) * weight;
                weights += weight;
            }
        const float whole = covariance(thumb, scene->thumb) /
                            sqrtf(contrast * covariance(scene->thumb, scene->thumb));
        cut = weights > 0 && sum / weights < least_blocks && whole < least_whole;
    }
    memcpy(scene->thumb, thumb, sizeof thumb);
    scene->set = true;
    return cut;
}
