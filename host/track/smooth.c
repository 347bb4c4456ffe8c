#include "host/track/track.h"

#include <math.h>
#include <string.h>

#include "host/base/memory.h"

enum { PEOPLE_MIN = 64, PEOPLE_MAX = 1024 };
static const double default_seconds = 0.5, default_lead = 0.1;
/* How long the first scores of a person count, as if they came from a video of usual rate. */
static const double first_step = 0.04;

typedef struct person {
    long long id;
    double time;
    int label;
} person;

struct mien_smoother {
    int classes;
    double seconds, lead, now;
    bool started;
    person *people;
    float *sums; /* [people][classes], weighted */
    size_t people_capacity, sums_capacity;
    int count;
};

mien_status mien_smoother_create(int classes, const mien_smoother_options *options,
                                 mien_smoother **out) {
    *out = NULL;
    if (classes < 1) return MIEN_FAIL(INVALID, "smoothing needs at least one class");
    MIEN_TRY(mien_new(out, 1, sizeof **out));
    mien_smoother *const s = *out;
    s->classes = classes;
    s->seconds = options != NULL && options->seconds > 0 ? options->seconds : default_seconds;
    s->lead = options != NULL && options->lead > 0 ? options->lead : default_lead;
    return MIEN_OK;
}

void mien_smoother_free(mien_smoother *smoother) {
    if (smoother == NULL) return;
    mien_free(smoother->people);
    mien_free(smoother->sums);
    mien_free(smoother);
}

/* A new person takes the record of one who was forgotten, if there is one; of the one who is gone
 * for longest if there are too many. */
static mien_status take_record(mien_smoother *s, int *out) {
    int oldest = 0;
    for (int k = 1; k < s->count; k++)
        if (s->people[k].time < s->people[oldest].time) oldest = k;
    *out = oldest;
    if (s->count > 0 && s->now - s->people[oldest].time > 20 * s->seconds) return MIEN_OK;
    if (s->count == PEOPLE_MAX) return MIEN_OK;
    const size_t need = s->count < PEOPLE_MIN ? PEOPLE_MIN : (size_t)s->count + 1;
    MIEN_TRY(mien_grow(&s->people, &s->people_capacity, need, sizeof *s->people));
    MIEN_TRY(mien_grow(&s->sums, &s->sums_capacity, need * (size_t)s->classes, sizeof *s->sums));
    *out = s->count++;
    return MIEN_OK;
}

static int greatest(const float *v, int count) {
    int best = 0;
    for (int k = 1; k < count; k++)
        if (v[k] > v[best]) best = k;
    return best;
}

static mien_status check_scores(const float *scores, int classes) {
    double sum = 0;
    for (int k = 0; k < classes; k++) {
        if (!(scores[k] >= 0)) return MIEN_FAIL(INVALID, "a score is negative or not a number");
        sum += scores[k];
    }
    if (!(sum > 0) || !isfinite(sum)) return MIEN_FAIL(INVALID, "the scores do not sum to 1");
    return MIEN_OK;
}

mien_status mien_smoother_add(mien_smoother *s, long long id, double time, const float *scores,
                              float *smoothed, int *label) {
    if (!isfinite(time)) return MIEN_FAIL(INVALID, "a frame's time is not a number");
    MIEN_TRY(check_scores(scores, s->classes));
    if (!s->started || time > s->now) s->now = time; /* time that goes back stands still */
    s->started = true;
    int index = 0;
    while (index < s->count && s->people[index].id != id)
        index++;
    bool fresh = index < s->count && s->now - s->people[index].time > 20 * s->seconds;
    if (index == s->count) {
        MIEN_TRY(take_record(s, &index));
        fresh = true;
    }
    person *const p = &s->people[index];
    float *const sums = s->sums + (size_t)index * (size_t)s->classes;
    if (fresh) {
        memset(sums, 0, (size_t)s->classes * sizeof *sums);
        p->id = id;
    }
    /* the exponential mean of a signal that is constant between two frames */
    const double step = fresh ? first_step : s->now - p->time;
    const double kept = exp(-step / s->seconds);
    p->time = s->now;
    float total = 0;
    for (int k = 0; k < s->classes; k++) {
        sums[k] = (float)(kept * sums[k] + (1 - kept) * scores[k]);
        total += sums[k];
    }
    for (int k = 0; k < s->classes; k++)
        smoothed[k] = sums[k] / total;
    const int top = greatest(smoothed, s->classes);
    if (fresh || smoothed[top] - smoothed[p->label] >= (float)s->lead) p->label = top;
    *label = p->label;
    return MIEN_OK;
}
