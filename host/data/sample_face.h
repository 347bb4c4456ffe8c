/* The interface between the two halves of the generator: sample_draw.c draws what surrounds a face
 * (background, light, lens, sensor), sample_face.c the face itself. */
#ifndef HOST_DATA_SAMPLE_FACE_H
#define HOST_DATA_SAMPLE_FACE_H

#include "host/data/sample_draw.h"
#include "kernels/body/rng.h"

/* A run of random draws: the words of RNG_SAMPLE at one step, in order. */
typedef struct sample_dice {
    uint32_t seed;
    uint64_t step;
    uint64_t next;
} sample_dice;

/* The next draw, uniform in [low, high). */
static inline float sample_roll(sample_dice *dice, float low, float high) {
    const uint32_t word = rng_word(dice->seed, RNG_SAMPLE, dice->step, dice->next++);
    return rng_range(word, low, high);
}

/* Draws the face of `subject` over the background in tones (0 black .. 1 white). `subject` holds
 * the draws of the identity, `shot` those of this image. */
void sample_face(float tones[SAMPLE_PIXELS], int label, sample_dice *subject, sample_dice *shot);

#endif
