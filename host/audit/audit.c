#include "host/audit/audit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/merge.h"
#include "host/data/split.h"
#include "host/data/source.h"
#include "host/data/votes.h"

enum { PIXELS = MIEN_AUDIT_SIDE * MIEN_AUDIT_SIDE };
static const float flat_most = 8; /* std of an image with hardly anything in it */

typedef struct picked {
    uint32_t sample;
    float value;
} picked;

static int by_value(const void *a, const void *b) {
    const picked *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? 1 : -1;
    return (x->sample > y->sample) - (x->sample < y->sample);
}

/* Lists the samples whose sign * values[i] is above `limit`, the largest first. */
static mien_status pick(const float *values, size_t count, float sign, float limit,
                        mien_audit_list *out) {
    picked *list;
    size_t n = 0;
    MIEN_TRY(mien_new(&list, count + 1, sizeof *list));
    for (size_t i = 0; i < count; i++)
        if (sign * values[i] > limit) list[n++] = (picked){(uint32_t)i, sign * values[i]};
    qsort(list, n, sizeof *list, by_value);
    mien_status status = mien_new(&out->samples, n + 1, sizeof *out->samples);
    if (status == MIEN_OK) status = mien_new(&out->values, n + 1, sizeof *out->values);
    for (size_t i = 0; status == MIEN_OK && i < n; i++) {
        out->samples[i] = list[i].sample;
        out->values[i] = sign * list[i].value;
        out->count = n;
    }
    mien_free(list);
    return status;
}

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Tukey's fences: one and a half times the width of the middle half beyond it. */
static mien_status fences(const float *values, size_t count, float *low, float *high) {
    float *ordered;
    MIEN_TRY(mien_new(&ordered, count, sizeof *ordered));
    memcpy(ordered, values, count * sizeof *ordered);
    qsort(ordered, count, sizeof *ordered, ascending);
    const float q1 = ordered[count / 4], q3 = ordered[count - 1 - count / 4];
    *low = q1 - 1.5F * (q3 - q1);
    *high = q3 + 1.5F * (q3 - q1);
    mien_free(ordered);
    return MIEN_OK;
}

static mien_status find_unusual(const uint8_t *pixels, mien_audit *a) {
    const size_t count = a->data.count;
    float *mean = NULL, *std = NULL, low, high;
    mien_status status;
    MIEN_GO(mien_new(&mean, count, sizeof *mean));
    MIEN_GO(mien_new(&std, count, sizeof *std));
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i++) {
        uint32_t sum = 0, squares = 0;
        for (size_t k = 0; k < PIXELS; k++) {
            const uint32_t v = pixels[i * PIXELS + k];
            sum += v;
            squares += v * v;
        }
        const double m = (double)sum / PIXELS;
        mean[i] = (float)m;
        std[i] = (float)sqrt(fmax((double)squares / PIXELS - m * m, 0));
    }
    MIEN_GO(fences(mean, count, &low, &high));
    MIEN_GO(pick(mean, count, -1, -low, &a->dark));
    MIEN_GO(pick(mean, count, 1, high, &a->bright));
    status = pick(std, count, -1, -flat_most, &a->flat);
out:
    mien_free(mean);
    mien_free(std);
    return status;
}

static mien_status find_no_face(const uint8_t *pixels, mien_audit *a) {
    float *unlike;
    MIEN_TRY(mien_new(&unlike, a->data.count, sizeof *unlike));
    mien_faceness(pixels, a->data.count, unlike);
    const mien_status status = pick(unlike, a->data.count, 1, 0, &a->no_face);
    mien_free(unlike);
    return status;
}

/* Labels that the model gives less than a fair share of probability, by their loss. */
static mien_status find_suspects(const mien_audit_request *request, mien_backend *backend,
                                 mien_audit *a) {
    const mien_part all = MIEN_NO_PART;
    const char *const models[] = {request->model};
    const mien_evaluate_request evaluate = {.models = models,
                                            .model_count = 1,
                                            .data = request->data,
                                            .part = &all,
                                            .on_bad = &request->on_bad,
                                            .soft_labels = "none",
                                            .options = request->options,
                                            .stop = request->stop};
    mien_evaluation e = {0};
    float *loss = NULL;
    mien_status status = mien_evaluate(&evaluate, backend, &e);
    if (status == MIEN_OK && e.n != a->data.count)
        status = MIEN_FAIL(INVALID,
                           "the model leaves out %zu of the %zu images: its classes are not "
                           "those of the data",
                           a->data.count - e.n, a->data.count);
    if (status == MIEN_OK) status = mien_new(&loss, e.n, sizeof *loss);
    if (status == MIEN_OK) status = mien_new(&a->predicted, e.n, sizeof *a->predicted);
    if (status == MIEN_OK) {
        const size_t classes = (size_t)e.data.classes;
        for (size_t i = 0; i < e.n; i++) {
            const float *p = e.probabilities + i * classes;
            const int best = mien_evaluation_answer(&e, i).class;
            a->predicted[e.samples[i]] = (uint16_t)best;
            loss[e.samples[i]] = best == e.labels[i] ? 0 : -logf(fmaxf(p[e.labels[i]], 1e-12F));
        }
        a->names = e.data.class_names;
        e.data.class_names = NULL;
        status = pick(loss, e.n, 1, logf(10), &a->suspects); /* below 10 % */
    }
    mien_free(loss);
    mien_evaluation_release(&e);
    return status;
}

static mien_status read_votes(const char *path, mien_audit *a) {
    enum { NO_FACE = MIEN_VOTE_COLUMNS - 1 };
    int(*votes)[MIEN_VOTE_COLUMNS] = NULL;
    MIEN_TRY(mien_votes_read(&a->data, path, &votes));
    mien_status status = mien_new(&a->vote_entropy, (size_t)a->data.classes, sizeof(double));
    if (status == MIEN_OK) status = mien_new(&a->voted, (size_t)a->data.classes, sizeof *a->voted);
    for (size_t i = 0; status == MIEN_OK && i < a->data.count; i++) {
        const int *v = votes[a->data.row[i]];
        int sum = 0;
        double entropy = 0;
        for (int c = 0; c < MIEN_VOTE_COLUMNS; c++)
            sum += v[c];
        for (int c = 0; c < MIEN_VOTE_COLUMNS; c++)
            if (v[c]) entropy -= (double)v[c] / sum * log2((double)v[c] / sum);
        if (!sum) continue;
        a->vote_entropy[a->data.labels[i]] += entropy;
        a->voted[a->data.labels[i]]++;
        a->voted_no_face += 2 * v[NO_FACE] > sum;
    }
    for (int c = 0; status == MIEN_OK && c < a->data.classes; c++)
        if (a->voted[c]) a->vote_entropy[c] /= (double)a->voted[c];
    mien_free(votes);
    return status;
}

int mien_audit_size(int i) {
    static const int least[MIEN_AUDIT_SIZES] = {0, 24, 48, 64, 96, 128, 224, 512, 1024};
    return least[i];
}

static void count_sizes(mien_audit *a) {
    const mien_dataset *set = &a->data;
    a->sized = set->def && set->def->size && set->reader;
    for (size_t i = 0; i < set->count && a->sized; i++) {
        int width, height, size = MIEN_AUDIT_SIZES - 1;
        set->def->size(set, set->origin ? set->origin[i] : i, &width, &height);
        while (mien_audit_size(size) > (width < height ? width : height))
            size--;
        a->sizes[size]++;
    }
}

static mien_status load(const mien_audit_request *request, mien_audit *a) {
    const mien_image_spec spec = {MIEN_AUDIT_SIDE, MIEN_AUDIT_SIDE, 1};
    MIEN_TRY(mien_dataset_load_all(request->data, spec, request->on_bad, MIEN_MEMORY_RESIDENT, NULL,
                                   &a->data));
    if (!a->data.count) return MIEN_FAIL(INVALID, "'%s' has no images", request->data);
    if (!a->data.labelled)
        return MIEN_FAIL(INVALID, "'%s' has no labels: an audit needs labelled images",
                         request->data);
    if (!a->data.part) MIEN_TRY(mien_new(&a->data.part, a->data.count, 1));
    a->parts = mien_split_named(&a->data);
    mien_split split = {.by = MIEN_BY_USAGE};
    if (a->parts) return mien_split_apply(&a->data, &split);
    memset(a->data.part, MIEN_TRAIN, a->data.count);
    return MIEN_OK;
}

mien_status mien_audit_run(const mien_audit_request *request, mien_backend *backend,
                           mien_audit *out) {
    const double begin = mien_seconds();
    *out = (mien_audit){0};
    MIEN_TRY(load(request, out));
    const uint8_t *pixels = out->data.pixels;
    count_sizes(out);
    MIEN_TRY(mien_alike_find(&out->data, pixels, &out->exact, &out->near));
    MIEN_TRY(find_unusual(pixels, out));
    MIEN_TRY(find_no_face(pixels, out));
    if (request->votes) MIEN_TRY(read_votes(request->votes, out));
    if (request->model) MIEN_TRY(find_suspects(request, backend, out));
    out->seconds = mien_seconds() - begin;
    return MIEN_OK;
}

bool mien_audit_leaks(const mien_audit *audit) {
    for (int a = 0; a < MIEN_PARTS; a++)
        for (int b = 0; b < MIEN_PARTS; b++)
            if (audit->near.leaks[a][b]) return true;
    return false;
}

static void release_list(mien_audit_list *list) {
    mien_free(list->samples);
    mien_free(list->values);
}

void mien_audit_release(mien_audit *audit) {
    mien_dataset_release(&audit->data);
    mien_free(audit->exact.first);
    mien_free(audit->near.first);
    release_list(&audit->dark);
    release_list(&audit->bright);
    release_list(&audit->flat);
    release_list(&audit->no_face);
    release_list(&audit->suspects);
    mien_free(audit->predicted);
    mien_free(audit->names);
    mien_free(audit->vote_entropy);
    mien_free(audit->voted);
    *audit = (mien_audit){0};
}
