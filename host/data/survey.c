/* Surveys the pixels of a part: their fingerprint, and the sums for mean and std. */
#include <math.h>
#include <string.h>

#include "host/base/interrupt.h"
#include "host/base/memory.h"
#include "host/base/sha256.h"
#include "host/data/dataset.h"

/* Images processed at a time: all threads read streamed ones, then one hashes them. */
enum { CHUNK = 2048, CHUNK_BYTES = 1 << 26 };

static void hash_image(mien_sha256 *hash, const mien_dataset *set, size_t i, const uint8_t *pixels,
                       size_t bytes) {
    const uint16_t label = set->labels[i];
    const unsigned char both[2] = {(unsigned char)(label & 255), (unsigned char)(label >> 8)};
    const size_t classes = (size_t)set->classes;
    mien_sha256_add(hash, both, sizeof both);
    if (set->targets)
        mien_sha256_add(hash, set->targets + i * classes, classes * sizeof *set->targets);
    mien_sha256_add(hash, pixels, bytes);
}

static void sum_image(mien_survey *s, const uint8_t *pixels, size_t bytes, size_t channels) {
    for (size_t c = 0; c < channels; c++)
        for (size_t p = c; p < bytes;) {
            uint32_t sum = 0, squares = 0; /* 4096 pixels fit in 32 bits; vectorised */
            const size_t rest = (bytes - p + channels - 1) / channels;
            const size_t n = rest < 4096 ? rest : 4096;
            for (size_t k = 0; k < n; k++) {
                const uint32_t v = pixels[p + k * channels];
                sum += v;
                squares += v * v;
            }
            s->sum[c] += sum;
            s->squares[c] += squares;
            p += n * channels;
        }
    s->numbers += bytes / channels;
}

/* One thread hashes while the others sum: a hash cannot be computed in parallel. */
static void survey_chunk(const mien_dataset *set, const uint32_t *samples, size_t count,
                         const uint8_t *streamed, mien_sha256 *hash, mien_survey *out) {
    const size_t image = mien_image_bytes(set->spec), channels = (size_t)set->spec.channels;
#pragma omp parallel
    {
        mien_survey own = {0};
#pragma omp single nowait
        for (size_t k = 0; k < count; k++)
            hash_image(hash, set, samples[k],
                       streamed ? streamed + k * image : mien_dataset_image(set, samples[k]),
                       image);
#pragma omp for schedule(dynamic, 64)
        for (size_t k = 0; k < count; k++)
            sum_image(&own, streamed ? streamed + k * image : mien_dataset_image(set, samples[k]),
                      image, channels);
#pragma omp critical(mien_survey)
        {
            out->numbers += own.numbers;
            for (size_t c = 0; c < channels; c++) {
                out->sum[c] += own.sum[c];
                out->squares[c] += own.squares[c];
            }
        }
    }
}

mien_status mien_dataset_survey(const mien_dataset *set, mien_part part, mien_survey *out) {
    const size_t image = mien_image_bytes(set->spec);
    const size_t fit = CHUNK_BYTES / image, most = fit < 1 ? 1 : (fit < CHUNK ? fit : CHUNK);
    uint8_t *pixels = NULL;
    uint32_t samples[CHUNK];
    mien_sha256 hash;
    mien_status status = MIEN_OK;
    *out = (mien_survey){0};
    mien_sha256_start(&hash);
    if (set->streamed) MIEN_GO(mien_new(&pixels, most, image));
    for (size_t i = 0; i < set->count;) {
        size_t n = 0;
        MIEN_GO(mien_interrupt_check(set->source));
        for (; i < set->count && n < most; i++)
            if (mien_dataset_belongs(set, i, part)) samples[n++] = (uint32_t)i;
        if (pixels) MIEN_GO(mien_dataset_read(set, samples, n, pixels));
        survey_chunk(set, samples, n, pixels, &hash, out);
    }
    mien_sha256_hex(&hash, out->sha256);
out:
    mien_free(pixels);
    return status;
}

void mien_survey_statistics(const mien_survey *s, int channels, double scale, double *mean,
                            double *std) {
    for (int c = 0; c < channels; c++) {
        const double n = (double)s->numbers;
        const double m = s->numbers ? (double)s->sum[c] / n : 0;
        const double variance = s->numbers ? (double)s->squares[c] / n - m * m : 0;
        mean[c] = m * scale;
        std[c] = sqrt(variance > 0 ? variance : 0) * scale;
    }
}
