#include "host/infer/score.h"

#include "host/base/memory.h"
#include "host/data/choose.h"
#include "host/data/classes.h"
#include "host/base/threads.h"
#include "kernels/body/softmax_xent.h"

enum { VIEWS_MAX = 10 };
static const float crop_window =
    44.0f / 48.0f; /* ten-crop: 44 of 48 pixels, as is usual for FER2013 */

const char *mien_tta_name(mien_tta tta) {
    static const char *const names[] = {MIEN_TTA_NONE, MIEN_TTA_FLIP, MIEN_TTA_TENCROP};
    return names[tta];
}

/* Fills in the views of a TTA mode and returns how many. ONE needs none: the image itself. */
static int make_views(mien_tta tta, mien_image_spec s, body_warp *views) {
    int n = 0;
    if (tta == MIEN_VIEW_ONE) return 1;
    for (int mirrored = 0; mirrored < 2; mirrored++) {
        if (tta == MIEN_VIEW_FLIP) {
            views[n++] = body_view_warp(mirrored, 1, 0, 0, s.height, s.width);
            continue;
        }
        const float dx = 0.5f * (1 - crop_window) * (float)s.width;
        const float dy = 0.5f * (1 - crop_window) * (float)s.height;
        static const int corners[5][2] = {{0, 0}, {-1, -1}, {1, -1}, {-1, 1}, {1, 1}};
        for (int i = 0; i < 5; i++)
            views[n++] = body_view_warp(mirrored, crop_window, (float)corners[i][0] * dx,
                                        (float)corners[i][1] * dy, s.height, s.width);
    }
    return n;
}

mien_status mien_score_prepare(mien_plan *plan, size_t count) {
    const size_t most = (size_t)plan->most;
    if (count >= most && !mien_plan_cuts(plan, plan->most))
        MIEN_TRY(mien_plan_prepare(plan, plan->most));
    const int rest = (int)(count % most);
    if (!rest || mien_plan_cuts(plan, rest)) return MIEN_OK;
    return mien_plan_prepare(plan, mien_plan_rows(plan, rest));
}

void mien_score_softmax(float *logits, int rows, int classes, double temperature) {
    for (int r = 0; r < rows; r++) {
        float *row = logits + (size_t)r * (size_t)classes;
        for (int k = 0; k < classes; k++)
            row[k] = (float)(row[k] / temperature);
        body_softmax(row, row, classes);
    }
}

typedef struct images {
    mien_loader *loader;
    mien_batch batch;
} images;

static mien_status fill(void *context, int first, const mien_tensor *x) {
    const images *from = context;
    return mien_loader_slice(from->loader, &from->batch, first, x);
}

/* Logits of one batch, averaged over the views, then softmax at the temperature. */
static mien_status score_batch(mien_plan *plan, mien_loader *loader, mien_batch batch,
                               const body_warp *views, int count, double temperature, float *out,
                               float *buffer) {
    const int rows = batch.rows;
    const size_t numbers = (size_t)rows * (size_t)plan->graph->classes;
    images from = {loader, batch};
    MIEN_TRY(mien_loader_fetch(loader, &batch));
    for (size_t i = 0; i < numbers; i++)
        out[i] = 0;
    for (int v = 0; v < count; v++) {
        from.batch.view = count > 1 ? &views[v] : NULL;
        MIEN_TRY(mien_plan_run(plan, rows, fill, &from, buffer));
        for (size_t i = 0; i < numbers; i++)
            out[i] += buffer[i] / (float)count;
    }
    if (!plan->graph->raw) mien_score_softmax(out, rows, plan->graph->classes, temperature);
    return MIEN_OK;
}

mien_status mien_score_part(mien_plan *plan, mien_loader *loader, mien_part part, mien_tta tta,
                            double temperature, const volatile int *stop, float *out) {
    body_warp views[VIEWS_MAX];
    const int count = make_views(tta, loader->feed.spec, views);
    const size_t n = loader->count[part];
    float *buffer = NULL;
    MIEN_TRY(mien_new(&buffer, (size_t)plan->most * (size_t)plan->graph->classes, sizeof *buffer));
    const unsigned mode = mien_float_enter();
    mien_status status = mien_loader_order(loader, part, false, 0, 0);
    for (size_t start = 0; start < n && status == MIEN_OK; start += (size_t)plan->most) {
        const size_t rest = n - start;
        const mien_batch batch = {.start = start,
                                  .rows = rest < (size_t)plan->most ? (int)rest : plan->most};
        status = score_batch(plan, loader, batch, views, count, temperature,
                             out + start * (size_t)plan->graph->classes, buffer);
        if (status == MIEN_OK && stop && *stop)
            status = MIEN_FAIL(INTERRUPTED, "interrupted while scoring");
    }
    mien_plan_settle(plan); /* a training changes its weights next */
    mien_float_leave(mode);
    mien_free(buffer);
    return status;
}

mien_status mien_score_choose_dropped(const char *names, const char (*classes)[MIEN_CLASS_NAME],
                                      int count, bool strict, bool *dropped) {
    mien_class_choice choice;
    char known[MIEN_CLASS_LIST];
    int left = count;
    mien_status status = mien_choice_drops(names, &choice);
    mien_class_list(classes, count, known);
    for (int i = 0; i < choice.rule_count && status == MIEN_OK; i++) {
        const int at = mien_class_find(classes, count, choice.rules[i].from);
        if (at >= 0)
            left -= !dropped[at], dropped[at] = true;
        else if (strict)
            status = MIEN_FAIL(INVALID, "--drop-classes names '%s', but the model's classes are %s",
                               choice.rules[i].from, known);
    }
    mien_choice_release(&choice);
    if (status == MIEN_OK && left < 2)
        return MIEN_FAIL(INVALID,
                         "--drop-classes leaves %d of the model's classes (%s): leave two or more",
                         left, known);
    return status;
}

void mien_score_drop(const bool *dropped, int classes, size_t n, float *probabilities) {
    for (size_t i = 0; i < n; i++) {
        float *p = probabilities + i * (size_t)classes, sum = 0;
        int left = 0;
        for (int k = 0; k < classes; k++)
            if (!dropped[k]) sum += p[k], left++;
        for (int k = 0; k < classes; k++)
            p[k] = dropped[k] ? 0 : sum > 0 ? p[k] / sum : 1 / (float)left;
    }
}
