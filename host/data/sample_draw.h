/* Drawn faces: a data set that needs no download. An image is a pure function of (seed, index), the
 * same bits on every machine, so that a training run on it can be repeated anywhere.
 *
 * Each identity (head, hair, skin, features, glasses, beard) is drawn once with each of the seven
 * expressions. Pose, light, background, noise and patches vary from image to image, which makes
 * pixel-wise classifiers much worse than a convolutional network. */
#ifndef HOST_DATA_SAMPLE_DRAW_H
#define HOST_DATA_SAMPLE_DRAW_H

#include <stdint.h>

enum {
    SAMPLE_SIDE = 48,
    SAMPLE_PIXELS = SAMPLE_SIDE * SAMPLE_SIDE,
    SAMPLE_CLASSES = 7,
    SAMPLE_IDENTITIES = 1280,
    SAMPLE_COUNT = SAMPLE_IDENTITIES * SAMPLE_CLASSES,
};

enum sample_part { SAMPLE_TRAIN = 0, SAMPLE_VAL = 1, SAMPLE_TEST = 2 };

/* angry, disgust, fear, happy, sad, surprise, neutral */
extern const char *const sample_class_names[SAMPLE_CLASSES];

/* Draws image `index` of the data set `seed`: row-major gray pixels, its class and identity. Any
 * index is valid; the default set is 0 .. SAMPLE_COUNT - 1. */
void sample_draw(uint32_t seed, uint32_t index, uint8_t pixels[SAMPLE_PIXELS], int *label,
                 uint32_t *identity);
/* Only the class and identity of image `index`. */
void sample_subject(uint32_t index, int *label, uint32_t *identity);

/* The part of the default split that an identity belongs to: 6/8 train, 1/8 val, 1/8 test. */
int sample_split(uint32_t identity);

#endif
