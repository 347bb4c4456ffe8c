#include "host/track/track.h"

#include <math.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/track/assign.h"
#include "host/track/motion.h"

/* A face and a person are compared by how much better "the face is that person" explains it than
 * "a stranger came": the logarithm of that ratio, for motion, for appearance, and for how likely
 * each is beforehand. The assignment with the greatest sum wins. */

enum {
    GALLERY = 8,     /* looks kept of a person */
    PEOPLE_MIN = 64, /* people remembered; twice the faces of a frame if that is more */
    PEOPLE_MAX = 1024,
};
static const double default_memory = 10;
/* Looks of a person that are closer in time tell nothing new, seconds. */
static const double look_every = 0.25;
/* A look says how much a person changes if it is compared with one that is so old. */
static const double look_again = 1;
static const double drift_at_cut = 0.04;
/* Appearance against motion. */
static const double trust_looks = 1.3;

typedef struct person {
    long long id;
    double seen; /* when, last */
    long long scene;
    mien_motion motion; /* at that time */
    int looks;
    double looked; /* when the gallery got its latest look */
    mien_look gallery[GALLERY];
    double taken[GALLERY]; /* when */
} person;

/* The similarities that were seen: of one person at two times, and of two people. */
typedef struct similarity {
    double mean, var, count;
} similarity;

struct mien_tracker {
    double memory, now;
    bool started;
    long long scene, next;
    person *people;
    size_t people_capacity;
    int people_count;
    similarity same, other;
    /* for one step */
    mien_look *looks;
    bool *crowded;
    float *score;
    int *match;
    char *workspace;
    size_t looks_capacity, crowded_capacity, score_capacity, match_capacity, workspace_capacity;
};

mien_status mien_tracker_create(const mien_tracker_options *options, mien_tracker **out) {
    MIEN_TRY(mien_new(out, 1, sizeof **out));
    mien_tracker *const t = *out;
    t->memory = options != NULL && options->memory > 0 ? options->memory : default_memory;
    t->next = 1;
    /* what to expect before anything was seen, worth `count` observations */
    t->same = (similarity){.mean = 0.88, .var = 0.07 * 0.07, .count = 50};
    t->other = (similarity){.mean = 0.62, .var = 0.11 * 0.11, .count = 50};
    return MIEN_OK;
}

void mien_tracker_free(mien_tracker *tracker) {
    if (tracker == NULL) return;
    mien_free(tracker->people);
    mien_free(tracker->looks);
    mien_free(tracker->crowded);
    mien_free(tracker->score);
    mien_free(tracker->match);
    mien_free(tracker->workspace);
    mien_free(tracker);
}

static void forget(mien_tracker *t, int index) {
    t->people_count--;
    if (index < t->people_count) t->people[index] = t->people[t->people_count];
}

/* Prepares a step with `count` faces: forgets people who are gone for long, and if there are
 * still too many, those who are gone for longest. */
static mien_status prepare(mien_tracker *t, int count) {
    for (int k = t->people_count - 1; k >= 0; k--)
        if (t->now - t->people[k].seen > t->memory) forget(t, k);
    const int most = 2 * count > PEOPLE_MAX ? 2 * count : PEOPLE_MAX;
    while (t->people_count > most - count) {
        int oldest = 0;
        for (int k = 1; k < t->people_count; k++)
            if (t->people[k].seen < t->people[oldest].seen) oldest = k;
        forget(t, oldest);
    }
    const size_t faces = (size_t)count, people = (size_t)t->people_count;
    const size_t need = people + faces < PEOPLE_MIN ? PEOPLE_MIN : people + faces;
    MIEN_TRY(mien_grow(&t->people, &t->people_capacity, need, sizeof *t->people));
    MIEN_TRY(mien_grow(&t->looks, &t->looks_capacity, faces, sizeof *t->looks));
    MIEN_TRY(mien_grow(&t->crowded, &t->crowded_capacity, faces, sizeof *t->crowded));
    MIEN_TRY(mien_grow(&t->score, &t->score_capacity, faces * people, sizeof *t->score));
    MIEN_TRY(mien_grow(&t->match, &t->match_capacity, faces, sizeof *t->match));
    return mien_grow(&t->workspace, &t->workspace_capacity,
                     mien_assign_workspace(count, t->people_count), 1);
}

/* The greatest similarity to a look of this person that was taken until `time`; -1: there is none.
 */
static double similarity_to(const person *p, const mien_look *look, double time) {
    double best = -1;
    for (int k = 0; k < p->looks; k++) {
        if (p->taken[k] > time) continue;
        const double s = mien_look_similarity(&p->gallery[k], look);
        if (s > best) best = s;
    }
    return best;
}

/* A running mean and variance that forgets slowly. */
static void learn(similarity *seen, double value) {
    enum { MOST = 500 };
    if (seen->count < MOST) seen->count++;
    const double rate = 1 / seen->count, change = value - seen->mean;
    seen->mean += rate * change;
    seen->var += rate * (change * change - seen->var);
}

/* For the same person against a stranger, if both kinds of similarity are normal and spread alike.
 * After a cut people look less like themselves than within a scene. */
static double appearance_ratio(const mien_tracker *t, double value, bool same_scene) {
    const double same = t->same.mean - (same_scene ? 0 : drift_at_cut);
    const double var = 0.5 * (t->same.var + t->other.var) + 0.04 * 0.04;
    const double apart = same - t->other.mean > 0.05 ? same - t->other.mean : 0.05;
    const double ratio = apart / var * (value - 0.5 * (same + t->other.mean));
    return ratio > 9 ? 9 : ratio < -12 ? -12 : ratio;
}

/* How well motion explains the face, against a stranger who may be anywhere. The longer a person
 * was not seen, the more likely it is that the model does not hold. */
static double motion_ratio(const mien_motion *expected, mien_rect box, double area, double gap) {
    const double anywhere = -log(area) - log(1.5);
    const double known = mien_motion_density(expected, box) - anywhere;
    const double lost = 0.3 * (1 - exp(-gap * gap / 4)) + 1e-5;
    return log((1 - lost) * exp(known < 50 ? known : 50) + lost);
}

/* Known people come before strangers, the more surely the more recently they were seen. */
static double prior_ratio(const mien_tracker *t, double gap, bool same_scene) {
    if (!same_scene) return 1 - 0.3 * log((double)t->people_count);
    return 0.5 + 4 * exp(-gap);
}

static void compare(mien_tracker *t, const mien_image *gray, const mien_rect *faces, int count) {
    const double area = (double)gray->width * gray->height;
    for (int j = 0; j < t->people_count; j++) {
        const person *const p = &t->people[j];
        const double gap = t->now - p->seen;
        const bool same_scene = p->scene == t->scene;
        mien_motion expected = p->motion;
        mien_motion_predict(&expected, gap);
        const double prior = prior_ratio(t, gap, same_scene);
        for (int i = 0; i < count; i++) {
            float *const score = &t->score[(size_t)i * (size_t)t->people_count + (size_t)j];
            const double moved =
                prior + (same_scene ? motion_ratio(&expected, faces[i], area, gap) : 0);
            *score = 0;
            if (moved < -9 * trust_looks) continue; /* no look is worth more */
            const double looks =
                appearance_ratio(t, similarity_to(p, &t->looks[i], t->now), same_scene);
            const double sum = moved + (t->crowded[i] ? 0.8 : 1) * trust_looks * looks;
            *score = sum > 0 ? (float)sum : 0;
        }
    }
}

static double overlap(mien_rect a, mien_rect b) {
    const int right = a.x + a.width < b.x + b.width ? a.x + a.width : b.x + b.width;
    const int low = a.y + a.height < b.y + b.height ? a.y + a.height : b.y + b.height;
    const int width = right - (a.x > b.x ? a.x : b.x), height = low - (a.y > b.y ? a.y : b.y);
    return width > 0 && height > 0 ? (double)width * height : 0;
}

/* Whether someone else may be seen in what the look of a face is taken from. */
static bool is_crowded(const mien_rect *faces, int count, int face) {
    const mien_rect box = faces[face];
    const mien_rect whole = {box.x, box.y, box.width, 2 * box.height};
    for (int k = 0; k < count; k++) {
        /* who is larger is nearer */
        if (k == face || faces[k].width < 0.9 * box.width) continue;
        const mien_rect body = {faces[k].x - faces[k].width / 3, faces[k].y, 5 * faces[k].width / 3,
                                2 * faces[k].height};
        if (overlap(whole, body) > 0.05 * whole.width * whole.height) return true;
    }
    return false;
}

static void add_look(person *p, const mien_look *look, double now) {
    if (p->looks > 0 && now - p->looked < look_every) return;
    p->looked = now;
    if (p->looks < GALLERY) {
        p->taken[p->looks] = now;
        p->gallery[p->looks++] = *look;
        return;
    }
    /* replaces the look that is most like another one: the gallery stays as varied as it can */
    int replaced = 0;
    double most = -2;
    for (int i = 0; i < GALLERY; i++)
        for (int j = 0; j < i; j++) {
            const double s = mien_look_similarity(&p->gallery[i], &p->gallery[j]);
            if (s > most) {
                most = s;
                replaced = j;
            }
        }
    p->gallery[replaced] = *look;
    p->taken[replaced] = now;
}

/* Faces of one frame are different people, and one that moved as expected is the same. */
static void calibrate(mien_tracker *t, int count) {
    if (t->people_count == 0) return;
    for (int i = 0; i < count; i++) {
        const int j = t->match[i];
        if (j < 0 || t->crowded[i]) continue;
        const int next = t->match[(i + 1) % count];
        const double same = similarity_to(&t->people[j], &t->looks[i], t->now - look_again);
        if (same < 0) continue;
        learn(&t->same, same);
        if (next >= 0 && next != j)
            learn(&t->other, similarity_to(&t->people[next], &t->looks[i], t->now));
    }
}

static void update(mien_tracker *t, person *p, mien_rect box, int face) {
    const double gap = t->now - p->seen;
    if (p->scene == t->scene) {
        mien_motion_predict(&p->motion, gap);
        mien_motion_correct(&p->motion, box);
    } else {
        mien_motion_start(&p->motion, box);
    }
    p->seen = t->now;
    p->scene = t->scene;
    if (p->looks == 0 || !t->crowded[face]) add_look(p, &t->looks[face], t->now);
}

static person *arrive(mien_tracker *t, mien_rect box) {
    person *const p = &t->people[t->people_count++];
    p->id = t->next++;
    p->seen = t->now;
    p->scene = t->scene;
    p->looks = 0;
    mien_motion_start(&p->motion, box);
    return p;
}

mien_status mien_tracker_step(mien_tracker *t, const mien_image *gray, double time, bool cut,
                              const mien_rect *faces, const double *scores, int count,
                              mien_track *out) {
    if (!isfinite(time)) return MIEN_FAIL(INVALID, "a frame's time is not a number");
    if (!t->started || time > t->now) t->now = time; /* time that goes back stands still */
    t->started = true;
    t->scene += cut;
    MIEN_TRY(prepare(t, count));
    for (int i = 0; i < count; i++) {
        mien_look_of(gray, faces[i], &t->looks[i]);
        t->crowded[i] = is_crowded(faces, count, i);
    }
    compare(t, gray, faces, count);
    mien_assign(t->score, count, t->people_count, t->workspace, t->match);
    calibrate(t, count);
    for (int i = 0; i < count; i++) {
        const bool first = t->match[i] < 0;
        person *const p = first ? arrive(t, faces[i]) : &t->people[t->match[i]];
        if (first)
            add_look(p, &t->looks[i], t->now);
        else
            update(t, p, faces[i], i);
        out[i] = (mien_track){p->id, faces[i], scores != NULL ? scores[i] : 0, i, first};
    }
    return MIEN_OK;
}
