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
/* The strongest evidence of a look, for and against. */
static const double most_alike = 7, least_alike = -12;
/* People who were not found for so long may still stand in front of others, seconds. */
static const double stand_in_front = 1;
/* Who is nearer is larger; boxes are not exact. */
static const double nearer = 0.9;

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

/* The similarities that were seen, and those of each part of looks. */
typedef struct similarity {
    double var, mean, count;
    double parts[MIEN_LOOK_PARTS]; /* means */
} similarity;

struct mien_tracker {
    double memory, now;
    bool started;
    long long scene, next;
    person *people;
    size_t people_capacity;
    int people_count;
    similarity same, other; /* of one person at two times, and of two people */
    /* for one step */
    mien_look *looks, *bare; /* bare: without what may be somebody else, of crowded faces */
    bool *crowded;
    mien_rect *near, *fronts;
    float *score;
    int *match;
    char *workspace;
    size_t looks_capacity, bare_capacity, crowded_capacity, near_capacity, fronts_capacity;
    size_t score_capacity, match_capacity, workspace_capacity;
};

mien_status mien_tracker_create(const mien_tracker_options *options, mien_tracker **out) {
    MIEN_TRY(mien_new(out, 1, sizeof **out));
    mien_tracker *const t = *out;
    t->memory = options != NULL && options->memory > 0 ? options->memory : default_memory;
    t->next = 1;
    /* what to expect before anything was seen, worth `count` observations */
    t->same = (similarity){0.07 * 0.07, 0.88, 50, {0.77, 0.94, 0.94}};
    t->other = (similarity){0.11 * 0.11, 0.62, 50, {0.53, 0.02, 0.8}};
    return MIEN_OK;
}

void mien_tracker_free(mien_tracker *tracker) {
    if (tracker == NULL) return;
    mien_free(tracker->people);
    mien_free(tracker->looks);
    mien_free(tracker->bare);
    mien_free(tracker->near);
    mien_free(tracker->fronts);
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
    MIEN_TRY(mien_grow(&t->bare, &t->bare_capacity, faces, sizeof *t->bare));
    MIEN_TRY(mien_grow(&t->near, &t->near_capacity, need, sizeof *t->near));
    MIEN_TRY(mien_grow(&t->fronts, &t->fronts_capacity, need, sizeof *t->fronts));
    MIEN_TRY(mien_grow(&t->crowded, &t->crowded_capacity, faces, sizeof *t->crowded));
    MIEN_TRY(mien_grow(&t->score, &t->score_capacity, faces * people, sizeof *t->score));
    MIEN_TRY(mien_grow(&t->match, &t->match_capacity, faces, sizeof *t->match));
    return mien_grow(&t->workspace, &t->workspace_capacity,
                     mien_assign_workspace(count, t->people_count), 1);
}

/* The look of this person, taken until `time`, that is most like this one; NULL: there is none. */
static const mien_look *most_like(const person *p, const mien_look *look, double time) {
    double best = -2;
    const mien_look *found = NULL;
    for (int k = 0; k < p->looks; k++) {
        if (p->taken[k] > time) continue;
        const double s = mien_look_similarity(&p->gallery[k], look);
        if (s > best) {
            best = s;
            found = &p->gallery[k];
        }
    }
    return found;
}

/* A running mean and variance that forgets slowly, of looks that show everything. */
static void learn(similarity *seen, const mien_look *a, const mien_look *b) {
    enum { MOST = 500 };
    float alike[MIEN_LOOK_PARTS], share[MIEN_LOOK_PARTS];
    mien_look_compare(a, b, alike, share);
    for (int k = 0; k < MIEN_LOOK_PARTS; k++)
        if (share[k] < 1) return;
    if (seen->count < MOST) seen->count++;
    const double rate = 1 / seen->count, change = mien_look_similarity(a, b) - seen->mean;
    seen->mean += rate * change;
    seen->var += rate * (change * change - seen->var);
    for (int k = 0; k < MIEN_LOOK_PARTS; k++)
        seen->parts[k] += rate * (alike[k] - seen->parts[k]);
}

/* For the same person against a stranger, if both kinds of similarity are normal and spread alike.
 * The less there is to compare, the less it says. After a cut people look less like themselves
 * than within a scene. */
static double appearance_ratio(const mien_tracker *t, const person *p, const mien_look *look,
                               bool same_scene) {
    float alike[MIEN_LOOK_PARTS], share[MIEN_LOOK_PARTS];
    mien_look_compare(most_like(p, look, t->now), look, alike, share);
    double value = 0, same = 0, other = 0, seen = 0;
    for (int k = 0; k < MIEN_LOOK_PARTS; k++) {
        const double weight = mien_look_shares[k] * share[k];
        seen += weight;
        value += weight * alike[k];
        same += weight * t->same.parts[k];
        other += weight * t->other.parts[k];
    }
    if (seen < 0.05) return 0;
    same = same / seen - (same_scene ? 0 : drift_at_cut);
    other /= seen;
    const double var = 0.5 * (t->same.var + t->other.var) + 0.04 * 0.04;
    const double apart = same - other > 0.05 ? same - other : 0.05;
    const double ratio = seen * apart / var * (value / seen - 0.5 * (same + other));
    return ratio > most_alike ? most_alike : ratio < least_alike ? least_alike : ratio;
}

/* After a cut a stranger must not pass for someone who is not to be seen just now: where nothing
 * covers a look, one that is less like the person than usual counts less, for each standard
 * deviation after the first. */
static double doubt(const mien_tracker *t, const person *p, const mien_look *look) {
    const double alike = mien_look_similarity(most_like(p, look, t->now), look);
    const double std = sqrt(t->same.var) > 0.05 ? sqrt(t->same.var) : 0.05;
    const double off = (t->same.mean - drift_at_cut - alike) / std - 1;
    return off > 0 ? 3 * off : 0;
}

/* Of a crowded face, parts may be somebody else's: the better one of its two looks counts. */
static double face_ratio(const mien_tracker *t, const person *p, int face, bool same_scene) {
    const double whole = appearance_ratio(t, p, &t->looks[face], same_scene);
    if (!t->crowded[face]) return same_scene ? whole : whole - doubt(t, p, &t->looks[face]);
    const double bare = appearance_ratio(t, p, &t->bare[face], same_scene);
    return bare > whole ? bare : whole;
}

/* How well motion explains the face, against a stranger who may be anywhere. The longer a person
 * was not seen, the more likely it is that the model does not hold. */
static double motion_ratio(const mien_motion *expected, mien_rect box, double area, double gap) {
    const double anywhere = -log(area) - log(1.5);
    const double known = mien_motion_density(expected, box) - anywhere;
    const double lost = 0.1 * (1 - exp(-gap * gap / 4)) + 1e-5;
    return log((1 - lost) * exp(known < 50 ? known : 50) + lost);
}

/* Known people come before strangers, the more surely the more recently they were seen. */
static double prior_ratio(const mien_tracker *t, double gap, bool same_scene) {
    if (!same_scene) return 1 - 0.3 * log((double)t->people_count);
    return 1.5 + 3 * exp(-gap);
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
            if (moved < -most_alike * trust_looks) continue;
            const double sum = moved + trust_looks * face_ratio(t, p, i, same_scene);
            *score = sum > 0 ? (float)sum : 0;
        }
    }
}

/* Writes the boxes of people who were seen a moment ago where now no face is. */
static int add_missed(const mien_tracker *t, const mien_rect *faces, int count, mien_rect *out) {
    int missed = 0;
    for (int j = 0; j < t->people_count; j++) {
        const person *const p = &t->people[j];
        const double gap = t->now - p->seen;
        if (p->scene != t->scene || gap > stand_in_front) continue;
        mien_motion expected = p->motion;
        mien_motion_predict(&expected, gap);
        const mien_rect box = mien_motion_box(&expected);
        bool found = false;
        for (int i = 0; i < count && !found; i++)
            found = 3 * mien_rect_common(box, faces[i]) > (double)box.width * box.height;
        if (!found) out[missed++] = box;
    }
    return missed;
}

/* Takes the looks of the faces. A face is crowded if someone else may be seen in its look: then
 * there is a second look, without the heads and bodies of people nearer to the camera. */
static void look_at(mien_tracker *t, const mien_image *gray, const mien_rect *faces, int count) {
    for (int i = 0; i < count; i++)
        t->near[i] = faces[i];
    const int people = count + add_missed(t, faces, count, t->near + count);
    for (int i = 0; i < count; i++) {
        const mien_rect box = faces[i];
        mien_look_of(gray, box, NULL, 0, &t->looks[i]);
        const mien_rect whole = {box.x, box.y, box.width, 2 * box.height};
        int fronts = 0;
        t->crowded[i] = false;
        for (int k = 0; k < people; k++) {
            const mien_rect b = t->near[k];
            if (k == i || b.width < nearer * box.width) continue;
            const mien_rect body = {b.x - b.width / 3, b.y, 5 * b.width / 3, 2 * b.height};
            t->crowded[i] |= mien_rect_common(whole, body) > 0.05 * whole.width * whole.height;
            /* with hair, which reaches above the box */
            t->fronts[fronts++] = (mien_rect){b.x - 3 * b.width / 10, b.y - b.height / 5,
                                              8 * b.width / 5, 11 * b.height / 5};
        }
        if (t->crowded[i]) mien_look_of(gray, box, t->fronts, fronts, &t->bare[i]);
    }
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
        const mien_look *const look = &t->looks[i];
        const mien_look *const same = most_like(&t->people[j], look, t->now - look_again);
        if (same == NULL) continue;
        learn(&t->same, same, look);
        if (next >= 0 && next != j)
            learn(&t->other, most_like(&t->people[next], look, t->now), look);
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
    look_at(t, gray, faces, count);
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
