#include "host/train/preview.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/data/loader.h"
#include "host/image/draw.h"
#include "host/train/step.h"

/* Epoch, position in the epoch's order, and rows of a step. */
static mien_status find_step(const mien_config *c, size_t train, long long step, mien_preview *out,
                             size_t *start) {
    const size_t batch = train < (size_t)c->train.batch_size ? train : (size_t)c->train.batch_size;
    const long long per_epoch = (long long)((train + batch - 1) / batch);
    out->steps = per_epoch * c->train.epochs;
    if (step < 1 || step > out->steps)
        return MIEN_FAIL(INVALID,
                         "there is no step %lld: this training has %lld steps (%lld per epoch)",
                         step, out->steps, per_epoch);
    out->step = step;
    out->epoch = (step - 1) / per_epoch + 1;
    *start = (size_t)((step - 1) % per_epoch) * batch;
    out->rows = (int)(train - *start < batch ? train - *start : batch);
    return MIEN_OK;
}

/* Memory of one batch on the backend. */
typedef struct batch_buffers {
    body_step *state;
    void *x, *targets;
} batch_buffers;

static mien_status gather(const mien_config *c, mien_backend *backend, mien_loader *loader,
                          size_t start, const batch_buffers *buffer, mien_preview *out) {
    const mien_image_spec s = out->spec;
    const mien_tensor x = {.shape = {out->rows, s.height, s.width, s.channels},
                           .dtype = backend->dtype,
                           .block = s.channels,
                           .data = buffer->x};
    const mien_tensor targets = {.shape = {out->rows, 1, 1, out->classes},
                                 .dtype = backend->param_dtype,
                                 .block = out->classes,
                                 .data = buffer->targets};
    body_step state;
    body_step_start(&state, (uint64_t)c->train.seed, c->optimizer.beta_1, c->optimizer.beta_2);
    state.step = (uint64_t)(out->step - 1);
    state.cursor = start;
    const mien_batch batch = {.start = start,
                              .rows = out->rows,
                              .follows = true,
                              .augment = true,
                              .ranges = mien_step_ranges(c, (int)out->epoch),
                              .label_smoothing = (float)c->loss.label_smoothing,
                              .state = buffer->state};
    MIEN_TRY(backend->ops->copy_in(backend, buffer->state, &state, sizeof state));
    MIEN_TRY(
        mien_loader_order(loader, MIEN_TRAIN, true, (uint32_t)c->train.seed, (uint64_t)out->epoch));
    MIEN_TRY(mien_loader_batch(loader, &batch, &x, &targets));
    MIEN_TRY(backend->ops->download(backend, out->x, &x));
    return backend->ops->download(backend, out->targets, &targets);
}

mien_status mien_preview_gather(const mien_config *c, const mien_setup *setup,
                                mien_backend *backend, long long step, mien_preview *out) {
    const size_t train = setup->model.meta.part_count[MIEN_TRAIN];
    const mien_ops *ops = backend->ops;
    mien_loader loader = {0};
    batch_buffers buffer = {0};
    size_t start = 0;
    mien_status status;
    *out = (mien_preview){.classes = setup->data.classes,
                          .label_smoothing = (float)c->loss.label_smoothing,
                          .spec = setup->data.spec};
    MIEN_TRY(find_step(c, train, step, out, &start));
    const int batch = train < (size_t)c->train.batch_size ? (int)train : c->train.batch_size;
    const size_t pixels = (size_t)out->rows * mien_image_bytes(out->spec);
    const size_t targets = (size_t)out->rows * (size_t)out->classes;
    MIEN_GO(mien_new(&out->x, pixels, sizeof(float)));
    MIEN_GO(mien_new(&out->targets, targets, sizeof(float)));
    MIEN_GO(
        mien_loader_create(&setup->data, &setup->model.meta.normalise, backend, batch, 0, &loader));
    MIEN_GO(ops->alloc(backend, sizeof *buffer.state, (void **)&buffer.state));
    MIEN_GO(ops->alloc(backend, pixels * sizeof(double), &buffer.x));
    MIEN_GO(ops->alloc(backend, targets * sizeof(double), &buffer.targets));
    status = gather(c, backend, &loader, start, &buffer, out);
out:
    if (buffer.state) ops->free(backend, buffer.state);
    if (buffer.x) ops->free(backend, buffer.x);
    if (buffer.targets) ops->free(backend, buffer.targets);
    mien_loader_release(&loader);
    return status;
}

void mien_preview_release(mien_preview *preview) {
    mien_free(preview->x);
    mien_free(preview->targets);
    *preview = (mien_preview){0};
}

mien_status mien_preview_image(const mien_preview *p, const mien_normalise *n, int row,
                               mien_image *out) {
    const size_t numbers = mien_image_bytes(p->spec);
    const float *x = p->x + (size_t)row * numbers;
    MIEN_TRY(mien_canvas_new(p->spec.width, p->spec.height, p->spec.channels, (mien_color){0, 0, 0},
                             out));
    for (size_t i = 0; i < numbers; i++) {
        const size_t c = i % (size_t)p->spec.channels;
        const double value = (x[i] * n->std[c] + n->mean[c]) / n->scale;
        out->pixels[i] = (uint8_t)lrint(fmin(255, fmax(0, value)));
    }
    return MIEN_OK;
}

/* The share of class `which` in a target, without what label smoothing adds to every class. */
static int percent(const mien_preview *p, const float *targets, int which) {
    const double floor = (double)p->label_smoothing / p->classes;
    double sum = 0;
    for (int k = 0; k < p->classes; k++)
        sum += fmax(0, targets[k] - floor);
    return sum > 0 ? (int)lrint(100 * fmax(0, targets[which] - floor) / sum) : 100;
}

void mien_preview_label(const mien_preview *p, const char (*names)[64], int row, char out[2][96]) {
    const float *t = p->targets + (size_t)row * (size_t)p->classes;
    int first = 0, second = -1;
    for (int k = 1; k < p->classes; k++)
        if (t[k] > t[first]) first = k;
    for (int k = 0; k < p->classes; k++)
        if (k != first && (second < 0 || t[k] > t[second])) second = k;
    snprintf(out[0], 96, "%s", names[first]);
    out[1][0] = 0;
    const int share = percent(p, t, first), other = second < 0 ? 0 : percent(p, t, second);
    if (share < 100) snprintf(out[0], 96, "%s %d", names[first], share);
    if (share < 100 && other > 0) snprintf(out[1], 96, "%s %d", names[second], other);
}

enum { TEXT = 16, GAP = 8, TITLE = 20, SIDE_MIN = 96, WIDTH_MAX = 1600 };

mien_status mien_preview_sheet(const mien_preview *p, const mien_meta *meta, const char *title,
                               mien_image *out) {
    static const mien_color paper = {255, 255, 255}, ink = {28, 28, 30};
    const char(*names)[64] = (const char(*)[64])meta->class_names;
    /* enlarge by a whole factor, so that pixels stay sharp */
    const int times =
        p->spec.width >= SIDE_MIN ? 1 : (SIDE_MIN + p->spec.width - 1) / p->spec.width;
    const int w = p->spec.width * times, h = p->spec.height * times, cell = w + GAP;
    const int fit = (WIDTH_MAX - GAP) / cell, near = (int)ceil(sqrt(1.6 * p->rows));
    const int most = fit < 1 ? 1 : fit, columns = near < most ? near : most;
    const int lines = (p->rows + columns - 1) / columns, line = h + 2 * TEXT + GAP;
    const int need = mien_text_width(title, TITLE) + 2 * GAP, grid = columns * cell + GAP;
    MIEN_TRY(
        mien_canvas_new(grid > need ? grid : need, lines * line + TITLE + 3 * GAP, 3, paper, out));
    mien_draw_text(out, GAP, GAP, TITLE, ink, title);
    for (int i = 0; i < p->rows; i++) {
        const int x = GAP + i % columns * cell, y = TITLE + 2 * GAP + i / columns * line;
        char label[2][96], part[96];
        mien_image image;
        MIEN_TRY(mien_preview_image(p, &meta->normalise, i, &image));
        mien_draw_image(out, (mien_rect){x, y, w, h}, &image);
        mien_image_release(&image);
        mien_preview_label(p, names, i, label);
        for (int k = 0; k < 2; k++) {
            mien_text_fit(label[k], TEXT - 2, cell, part, sizeof part);
            mien_draw_text(out, x, y + h + 2 + k * (TEXT - 2), TEXT - 2, ink, part);
        }
    }
    return MIEN_OK;
}
