#include "host/eval/identify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/base/memory.h"
#include "host/data/classes.h"
#include "host/data/merge.h"
#include "host/eval/identify_norm.h"
#include "host/infer/score.h"

#define CLASSES(owner) (const char(*)[MIEN_CLASS_NAME])(owner)->class_names

enum { BATCH = 128, DRAWS = 1000, DRAWS_MANY = 20, MANY_CLASSES = 64 };
/* Share of the best accuracy that a scaling must reach for the batch normalisation to choose it. */
#define WELL       0.7
#define NEARLY_ALL 0.97
/* Scaling each image by itself is rare. */
#define RARE        0.2
#define NORM_WEIGHT 20
const double mien_crop_margins[MIEN_CROPS] = {-0.1, 0, 0.1};

static int draws_for(int classes) {
    return classes > MANY_CLASSES ? DRAWS_MANY : DRAWS;
}

/* ---- data ---- */

static mien_status choose_part(mien_identity *o) {
    static const mien_part preferred[] = {MIEN_VAL, MIEN_TEST, MIEN_NO_PART};
    size_t counts[MIEN_CLASSES_MAX];
    if (o->request.part) o->part = *o->request.part;
    for (int i = 0; !o->request.part && i < 3; i++) {
        o->part = preferred[i];
        if (mien_dataset_counts(&o->data, o->part, counts)) break;
    }
    if (!mien_dataset_counts(&o->data, o->part, counts))
        return MIEN_FAIL(INVALID, "'%s' has no %s part", o->data.source, mien_part_name(o->part));
    return MIEN_OK;
}

/* How many images of each class stay: a third of `limit` is shared equally, so that rare classes
 * are told apart, the rest in proportion, so that accuracy is near that on all images. */
static void share_limit(const size_t *counts, int classes, size_t limit, size_t *want) {
    const size_t least = limit / (3 * (size_t)classes);
    size_t rest = 0, taken = 0;
    for (int k = 0; k < classes; k++) {
        want[k] = counts[k] < least ? counts[k] : least;
        taken += want[k];
        rest += counts[k] - want[k];
    }
    if (rest + taken <= limit) {
        memcpy(want, counts, (size_t)classes * sizeof *want);
        return;
    }
    for (int k = 0; k < classes; k++)
        want[k] += (counts[k] - want[k]) * (limit - taken) / rest;
}

/* Keeps at most `limit` images of the part, those of a class evenly spaced because data sets are
 * often sorted. */
static mien_status thin(mien_identity *o) {
    size_t counts[MIEN_CLASSES_MAX], want[MIEN_CLASSES_MAX], seen[MIEN_CLASSES_MAX] = {0};
    bool *keep = NULL;
    mien_dataset_counts(&o->data, o->part, counts);
    share_limit(counts, o->data.classes, o->request.limit, want);
    MIEN_TRY(mien_new(&keep, o->data.count, sizeof *keep));
    for (size_t i = 0; i < o->data.count; i++) {
        const uint16_t k = o->data.labels[i];
        if (!mien_dataset_belongs(&o->data, i, o->part)) continue;
        keep[i] = (seen[k] + 1) * want[k] / counts[k] != seen[k] * want[k] / counts[k];
        seen[k]++;
    }
    const mien_status status = mien_dataset_keep(&o->data, keep);
    mien_free(keep);
    MIEN_TRY(status);
    memset(o->data.part, MIEN_VAL, o->data.count);
    return o->data.count ? MIEN_OK : MIEN_FAIL(INVALID, "'%s' has no images", o->data.source);
}

static bool all_gray(const mien_dataset *set) {
    const size_t pixels = set->count * (size_t)set->spec.height * (size_t)set->spec.width;
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t *p = set->pixels + 3 * i;
        if (p[0] != p[1] || p[1] != p[2]) return false;
    }
    return true;
}

static mien_status load_data(mien_identity *o) {
    const mien_identify_request *r = &o->request;
    const mien_meta *meta = &o->model.meta;
    const mien_on_bad on_bad = r->on_bad ? *r->on_bad : (mien_on_bad){.max = -1};
    MIEN_TRY(
        mien_dataset_load_all(r->data, meta->input, on_bad, MIEN_MEMORY_RESIDENT, NULL, &o->data));
    if (!o->data.labelled)
        return MIEN_FAIL(INVALID, "'%s' has no labels: identify needs images whose class is known",
                         r->data);
    if (o->data.classes != meta->classes)
        return MIEN_FAIL(INVALID,
                         "'%s' has %d outputs, but '%s' has %d classes: give data with the classes "
                         "that the model was trained on",
                         r->model, meta->classes, r->data, o->data.classes);
    if (!o->finds_order)
        MIEN_TRY(mien_dataset_map(&o->data, CLASSES(meta), meta->classes, "the model"));
    mien_split split = meta->split;
    if (split.by == MIEN_BY_USAGE && !mien_split_named(&o->data))
        memset(o->data.part, MIEN_NO_PART, o->data.count);
    else
        MIEN_TRY(mien_split_apply(&o->data, &split));
    MIEN_TRY(choose_part(o));
    MIEN_TRY(thin(o));
    o->gray = meta->input.channels == 3 && all_gray(&o->data);
    return MIEN_OK;
}

/* ---- candidates ---- */

static mien_candidate *add(mien_identity *o, const char *name, bool bgr,
                           const mien_normalise *rule) {
    mien_candidate *c = &o->list[o->count++];
    *c = (mien_candidate){.name = name, .bgr = bgr, .normalise = *rule, .misfit = NAN};
    return c;
}

/* x / 255 less the mean of these images, divided by their std, per channel. */
static mien_status statistics(const mien_identity *o, mien_normalise *rule) {
    mien_survey survey;
    *rule = (mien_normalise){.scale = 1 / 255.0, .std = {1, 1, 1, 1}};
    MIEN_TRY(mien_dataset_survey(&o->data, MIEN_VAL, &survey));
    mien_survey_statistics(&survey, o->data.spec.channels, rule->scale, rule->mean, rule->std);
    for (int c = 0; c < 4; c++)
        if (!(rule->std[c] > 1e-3)) rule->std[c] = 1;
    return MIEN_OK;
}

/* The pixels of an image standardised by itself are kept in steps of 1/40 from -3.2 to 3.2. */
static const mien_normalise own_steps = {
    .scale = 1 / 40.0, .mean = {3.2, 3.2, 3.2, 3.2}, .std = {1, 1, 1, 1}};

static mien_status list_candidates(mien_identity *o) {
    static const char *const names[] = {"unit", "x/127.5-1", "none", "torch", "caffe"};
    const int channels = o->model.meta.input.channels;
    const bool orders = channels == 3 && !o->gray;
    mien_normalise rule;
    bool bgr;
    if (!(o->model.meta.unknown & (MIEN_UNKNOWN_PREPROCESSING | MIEN_OWN_SCALE))) {
        add(o, "as stored", false, &o->model.meta.normalise);
        return MIEN_OK;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        MIEN_TRY(mien_preprocess_find(names[i], &rule, &bgr));
        if (strcmp(names[i], "torch") == 0 || strcmp(names[i], "caffe") == 0) {
            if (channels == 3) add(o, names[i], bgr, &rule);
            if (orders) add(o, names[i], !bgr, &rule);
            continue;
        }
        add(o, names[i], false, &rule);
        if (orders) add(o, names[i], true, &rule);
    }
    MIEN_TRY(statistics(o, &rule));
    for (int k = 0; k <= orders; k++) {
        add(o, "standardised", k, &rule);
        add(o, "per-image", k, &own_steps)->per_image = true;
    }
    return MIEN_OK;
}

/* ---- answers ---- */

static void swap_colours(mien_dataset *set) {
    const size_t pixels = set->count * (size_t)set->spec.height * (size_t)set->spec.width;
    for (size_t i = 0; i < pixels; i++) {
        uint8_t *p = set->pixels + 3 * i;
        const uint8_t red = p[0];
        p[0] = p[2];
        p[2] = red;
    }
}

static void standardise_images(mien_dataset *set) {
    const size_t bytes = mien_image_bytes(set->spec);
    for (size_t i = 0; i < set->count; i++) {
        uint8_t *p = mien_dataset_image(set, i);
        double sum = 0, squares = 0;
        for (size_t k = 0; k < bytes; k++) {
            sum += p[k];
            squares += (double)p[k] * p[k];
        }
        const double mean = sum / (double)bytes, variance = squares / (double)bytes - mean * mean,
                     std = variance > 1e-6 ? sqrt(variance) : 1;
        for (size_t k = 0; k < bytes; k++)
            p[k] = (uint8_t)lround(fmin(255, fmax(0, 128 + 40 * (p[k] - mean) / std)));
    }
}

static mien_status crop_images(mien_dataset *set, double margin) {
    const mien_image_spec s = set->spec;
    const mien_rect all = {0, 0, s.width, s.height};
    for (size_t i = 0; i < set->count; i++) {
        uint8_t *p = mien_dataset_image(set, i);
        const mien_image image = {s.width, s.height, s.channels, p};
        uint8_t *out = NULL;
        MIEN_TRY(mien_new(&out, mien_image_bytes(s), 1));
        const mien_status status = mien_crop_face(&image, all, (mien_crop){.margin = margin},
                                                  s.height, s.width, s.channels, out);
        if (status == MIEN_OK) memcpy(p, out, mien_image_bytes(s));
        mien_free(out);
        MIEN_TRY(status);
    }
    return MIEN_OK;
}

/* Outputs as probabilities of classes that exclude each other. */
static mien_status make_probabilities(const mien_identity *o, float *p) {
    const size_t classes = (size_t)o->model.meta.classes;
    for (size_t i = 0; i < o->data.count; i++, p += classes) {
        double sum = 0;
        for (size_t k = 0; k < classes; k++) {
            if (!isfinite(p[k]))
                return MIEN_FAIL(DIVERGED, "'%s' gives numbers that are not finite",
                                 o->request.model);
            p[k] = fmaxf(p[k], 1e-12f);
            sum += p[k];
        }
        for (size_t k = 0; k < classes; k++)
            p[k] = (float)(p[k] / sum);
    }
    return MIEN_OK;
}

/* Runs the model on all images with a candidate's scaling: p [count][classes]. The pixels are
 * changed for that and restored from `pixels`. */
static mien_status answer(mien_identity *o, mien_plan *plan, const mien_candidate *c, double margin,
                          const uint8_t *pixels, float *p) {
    mien_normalise rule = c->normalise;
    mien_loader loader = {0};
    mien_status status = MIEN_OK;
    if (margin != 0) MIEN_GO(crop_images(&o->data, margin));
    if (c->per_image) standardise_images(&o->data);
    if (c->bgr) {
        swap_colours(&o->data);
        rule.mean[0] = c->normalise.mean[2], rule.mean[2] = c->normalise.mean[0];
        rule.std[0] = c->normalise.std[2], rule.std[2] = c->normalise.std[0];
    }
    MIEN_GO(mien_loader_create(&o->data, &rule, plan->backend, plan->most, 0, &loader));
    MIEN_GO(mien_score_part(plan, &loader, MIEN_VAL, MIEN_VIEW_ONE, o->model.meta.temperature,
                            o->request.stop, p));
    MIEN_GO(make_probabilities(o, p));
out:
    mien_loader_release(&loader);
    memcpy(o->data.pixels, pixels, o->data.count * mien_image_bytes(o->data.spec));
    return status;
}

static mien_status try_candidate(mien_identity *o, mien_plan *plan, mien_candidate *c,
                                 const uint8_t *pixels, float *p) {
    const mien_answers answers = {p, o->data.labels, o->data.count, o->data.classes};
    MIEN_TRY(mien_new(&c->order, (size_t)o->data.classes, sizeof *c->order));
    MIEN_TRY(mien_new(&c->loss, o->data.count, sizeof *c->loss));
    MIEN_TRY(mien_new(&c->calibrated, o->data.count, sizeof *c->calibrated));
    MIEN_TRY(answer(o, plan, c, 0, pixels, p));
    for (int k = 0; k < o->data.classes; k++)
        c->order[k] = k;
    if (o->finds_order) MIEN_TRY(mien_order_find(&answers, c->order));
    return mien_fit_measure(&answers, c->order, &c->fit, c->loss, c->calibrated);
}

/* ---- the ranking ---- */

static int by_loss(const void *a, const void *b) {
    const mien_candidate *x = a, *y = b;
    return (x->fit.calibrated > y->fit.calibrated) - (x->fit.calibrated < y->fit.calibrated);
}

/* The share of resamplings in which `a` has the lower calibrated loss. */
static double better(const mien_identity *o, const double *a, const double *b) {
    const double *const both[] = {b, a}; /* equal losses count for the first */
    double shares[2];
    mien_fit_shares(both, 2, o->data.count, DRAWS, shares);
    return shares[1];
}

static void move_to_front(mien_identity *o, int i) {
    const mien_candidate chosen = o->list[i];
    memmove(o->list + 1, o->list, (size_t)i * sizeof *o->list);
    o->list[0] = chosen;
}

/* A batch normalisation near the input tells scalings apart that labels hardly do. It only counts
 * if it clearly fits one of them, with which the model also answers well. */
static void decide_by_norm(mien_identity *o) {
    int best = 0, next = -1;
    if (o->count < 2 || !isfinite(o->list[0].misfit)) return;
    for (int i = 1; i < o->count; i++)
        if (o->list[i].misfit < o->list[best].misfit) best = i;
    for (int i = 0; i < o->count; i++)
        if (i != best && (next < 0 || o->list[i].misfit < o->list[next].misfit)) next = i;
    if (o->list[best].misfit > MIEN_NORM_FITS ||
        o->list[best].misfit > MIEN_NORM_CLEAR * o->list[next].misfit ||
        o->list[best].fit.accuracy < WELL * o->list[0].fit.accuracy)
        return;
    move_to_front(o, best);
    o->decided = MIEN_BY_NORM;
    o->sure = 1;
}

/* How plausible it is that the temperature that suits a network's answers on its right scaling is
 * this: most are trained with care (near 1), some overfit (1 to 4). ReLUs pass on larger inputs as
 * larger outputs, so that labels hardly tell wrong scalings with too much contrast, but these make
 * answers overconfident. */
static double plausible(double temperature) {
    const double x = log(temperature), calm = (x - 0.05) / 0.12, overfit = (x - 0.5) / 0.4;
    return 0.6 / 0.12 * exp(-0.5 * calm * calm) + 0.4 / 0.4 * exp(-0.5 * overfit * overfit);
}

/* The chance of each scaling: how often it fits the labels best, times how plausible its confidence
 * is, less for what a batch normalisation does not expect. */
static void decide_by_labels(mien_identity *o) {
    const double *losses[MIEN_CANDIDATES_MAX];
    double shares[MIEN_CANDIDATES_MAX], sum = 0;
    int best = 0;
    for (int i = 0; i < o->count; i++)
        losses[i] = o->list[i].calibrated;
    mien_fit_shares(losses, o->count, o->data.count, DRAWS, shares);
    for (int i = 0; i < o->count; i++) {
        mien_candidate *c = &o->list[i];
        c->share = (shares[i] + 0.5 / DRAWS) * plausible(c->fit.temperature);
        if (isfinite(c->misfit)) c->share *= exp(-NORM_WEIGHT * fmin(c->misfit, MIEN_NORM_FITS));
        if (c->per_image) {
            o->or_own = shares[i] > 1 - MIEN_IDENTIFY_SURE;
            c->share *= RARE;
        }
        sum += c->share;
        if (c->share > o->list[best].share) best = i;
    }
    for (int i = 0; i < o->count; i++)
        o->list[i].share /= sum;
    move_to_front(o, best);
    o->sure = o->list[0].share;
}

static mien_status rank(mien_identity *o) {
    qsort(o->list, (size_t)o->count, sizeof *o->list, by_loss);
    MIEN_TRY(mien_norm_misfits(&o->model, &o->data, o->list, o->count));
    decide_by_labels(o);
    decide_by_norm(o);
    o->or_own &= !o->list[0].per_image && o->decided != MIEN_BY_NORM;
    return MIEN_OK;
}

/* How sure is the order of the classes, and would another crop be better? */
static mien_status check_best(mien_identity *o, mien_plan *plan, const uint8_t *pixels, float *p) {
    mien_candidate *best = &o->list[0];
    const mien_answers answers = {p, o->data.labels, o->data.count, o->data.classes};
    double *loss = NULL, *calibrated = NULL;
    mien_fit fit;
    mien_status status;
    MIEN_GO(mien_new(&loss, o->data.count, sizeof *loss));
    MIEN_GO(mien_new(&calibrated, o->data.count, sizeof *calibrated));
    for (int m = 0; m < MIEN_CROPS; m++) {
        MIEN_GO(answer(o, plan, best, mien_crop_margins[m], pixels, p));
        MIEN_GO(mien_fit_measure(&answers, best->order, &fit, loss, calibrated));
        o->crop_accuracy[m] = fit.accuracy;
        o->crop_better[m] = better(o, calibrated, best->calibrated);
    }
    MIEN_GO(answer(o, plan, best, 0, pixels, p));
    o->order_share = 1;
    if (o->finds_order)
        MIEN_GO(
            mien_order_share(&answers, best->order, draws_for(o->data.classes), &o->order_share));
    MIEN_GO(mien_order_chance(&answers, draws_for(o->data.classes), &o->order_chance));
out:
    mien_free(loss);
    mien_free(calibrated);
    return status;
}

/* ---- doubt ---- */

/* Another scaling with which nearly all answers are right as well; NULL: none. Then losses only
 * tell how sharp the answers are. */
static const mien_candidate *also_right(const mien_identity *o) {
    for (int i = 1; i < o->count && o->decided != MIEN_BY_NORM; i++)
        if (!o->list[i].per_image && o->list[i].fit.accuracy >= NEARLY_ALL) return &o->list[i];
    return NULL;
}

/* The most likely one after the best. */
static const mien_candidate *rival(const mien_identity *o) {
    int next = 1;
    for (int i = 2; i < o->count; i++)
        if (o->list[i].share > o->list[next].share) next = i;
    return &o->list[next];
}

static void judge(mien_identity *o) {
    size_t counts[MIEN_CLASSES_MAX];
    const mien_candidate *best = &o->list[0], *next = rival(o);
    mien_dataset_counts(&o->data, MIEN_NO_PART, counts);
    const mien_candidate *also = also_right(o);
    int rarest = 0;
    for (int k = 1; k < o->data.classes; k++)
        if (counts[k] < counts[rarest]) rarest = k;
    if (counts[rarest] < MIEN_IDENTIFY_LEAST)
        snprintf(o->doubt, sizeof o->doubt,
                 "%zu image%s of '%s' are too few: give at least %d of each class", counts[rarest],
                 counts[rarest] == 1 ? "" : "s", o->data.class_names[rarest], MIEN_IDENTIFY_LEAST);
    else if (o->order_chance > 1.5 / draws_for(o->data.classes) && o->order_chance > 0.01)
        snprintf(
            o->doubt, sizeof o->doubt,
            "with no scaling do the answers have anything to do with the labels: is it a model "
            "for these classes and pictures?");
    else if (o->count > 1 && o->sure < MIEN_SCALING_SURE)
        snprintf(
            o->doubt, sizeof o->doubt,
            "%s%s and %s%s are within noise on %zu images: give more labelled images (--limit)",
            best->name, best->bgr ? " BGR" : "", next->name, next->bgr ? " BGR" : "",
            o->data.count);
    else if (also)
        snprintf(o->doubt, sizeof o->doubt,
                 "%s%s and %s%s both answer nearly all images right, so these do not tell them "
                 "apart: give images that the model was not trained on",
                 best->name, best->bgr ? " BGR" : "", also->name, also->bgr ? " BGR" : "");
    else if (o->order_share < MIEN_IDENTIFY_SURE)
        snprintf(o->doubt, sizeof o->doubt,
                 "the order of the classes is not sure on %zu images (%.0f %% of resamplings give "
                 "it): give more labelled images (--limit)",
                 o->data.count, 100 * o->order_share);
}

/* ---- all of it ---- */

static mien_status open_model(mien_identity *o) {
    const char *path = o->request.model;
    const mien_meta *meta = &o->model.meta;
    MIEN_TRY(mien_model_open_with(path, &o->request.options, &o->model));
    if (meta->head == MIEN_HEAD_VALUES || meta->classes < 2)
        return MIEN_FAIL(INVALID, "'%s' does not answer in classes, so labels do not help", path);
    o->finds_order = meta->unknown & MIEN_UNKNOWN_CLASSES;
    if (!meta->unknown)
        return MIEN_FAIL(INVALID,
                         "'%s' says itself how it scales pixels and which classes it has: mien "
                         "evaluate tells how good it is",
                         path);
    return MIEN_OK;
}

mien_status mien_identify(const mien_identify_request *request, mien_backend *backend,
                          mien_identity *out) {
    mien_plan *plan = NULL;
    uint8_t *pixels = NULL;
    float *p = NULL;
    mien_status status;
    *out = (mien_identity){.request = *request};
    MIEN_GO(open_model(out));
    MIEN_GO(load_data(out));
    MIEN_GO(list_candidates(out));
    const size_t n = out->data.count, bytes = n * mien_image_bytes(out->data.spec);
    const mien_plan_options options = {
        .max_batch = n < BATCH ? (int)n : BATCH, .quant = &out->model.quant, .sliced = true};
    MIEN_GO(mien_new(&pixels, bytes, 1));
    MIEN_GO(mien_new(&p, n * (size_t)out->data.classes, sizeof *p));
    memcpy(pixels, out->data.pixels, bytes);
    MIEN_GO(mien_plan_create(&out->model.graph, backend, &options, &plan));
    MIEN_GO(mien_plan_load(plan, &out->model.weights));
    MIEN_GO(mien_score_prepare(plan, n));
    for (int i = 0; i < out->count; i++)
        MIEN_GO(try_candidate(out, plan, &out->list[i], pixels, p));
    MIEN_GO(rank(out));
    MIEN_GO(check_best(out, plan, pixels, p));
    judge(out);
out:
    mien_plan_free(plan);
    mien_free(pixels);
    mien_free(p);
    return status;
}

mien_status mien_identify_apply(mien_identity *o) {
    const mien_candidate *best = &o->list[0];
    mien_meta *meta = &o->model.meta;
    if (o->doubt[0]) return MIEN_FAIL(INVALID, "%s", o->doubt);
    if (best->per_image)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' wants every image scaled by its own mean and std, which a model "
                         "file cannot hold",
                         o->request.model);
    if (best->bgr) MIEN_TRY(mien_model_swap_channels(&o->model, o->request.model));
    meta->normalise = best->normalise;
    for (int i = 0; i < meta->classes; i++)
        memcpy(meta->class_names[i], mien_identity_class(o, i), MIEN_CLASS_NAME);
    meta->unknown = 0;
    return MIEN_OK;
}

void mien_identity_release(mien_identity *o) {
    for (int i = 0; i < o->count; i++) {
        mien_free(o->list[i].order);
        mien_free(o->list[i].loss);
        mien_free(o->list[i].calibrated);
    }
    mien_dataset_release(&o->data);
    mien_model_release(&o->model);
    *o = (mien_identity){0};
}

const char *mien_identity_class(const mien_identity *o, int i) {
    return o->data.class_names[o->list[0].order[i]];
}

const char *mien_identity_order(const mien_identity *o) {
    static const char *const fer2013[] = {"angry", "disgust",  "fear",   "happy",
                                          "sad",   "surprise", "neutral"};
    const int n = o->data.classes;
    bool sorted = true, fer = n == 7;
    for (int i = 0; i < n; i++) {
        const char *name = mien_identity_class(o, i);
        if (i > 0) sorted &= strcasecmp(mien_identity_class(o, i - 1), name) < 0;
        fer = fer && mien_class_same(name, fer2013[i]);
    }
    return fer ? "FER2013" : sorted ? "alphabetical" : "other";
}
