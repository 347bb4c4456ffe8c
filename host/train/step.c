#include "host/train/step.h"

#include <math.h>
#include <string.h>

body_rule mien_step_rule(const mien_config *c) {
    return (body_rule){.kind = c->optimizer.name,
                       .beta_1 = c->optimizer.beta_1,
                       .beta_2 = c->optimizer.beta_2,
                       .epsilon = c->optimizer.epsilon,
                       .weight_decay = c->optimizer.weight_decay,
                       .momentum = c->optimizer.momentum,
                       .clip_norm = c->optimizer.clip_norm,
                       .ema = c->optimizer.ema,
                       .nesterov = c->optimizer.nesterov};
}

body_augment mien_step_ranges(const mien_config *c, int epoch) {
    body_augment a = {.flip = c->augment.flip,
                      .rotate = (float)c->augment.rotate,
                      .shift = (float)c->augment.shift,
                      .zoom = (float)c->augment.zoom,
                      .crop = (float)c->augment.crop,
                      .brightness = (float)c->augment.brightness,
                      .contrast = (float)c->augment.contrast,
                      .erase = (float)c->augment.erase,
                      .mixup = (float)c->augment.mixup,
                      .mixup_p = (float)c->augment.mixup_p};
    const int off = (int)floor(c->augment.off_last * c->train.epochs + 0.5);
    if (epoch > c->train.epochs - off) a.mixup = a.erase = 0;
    return a;
}

mien_plan_options mien_step_options(const mien_config *c, const body_rule *rule, int batch) {
    return (mien_plan_options){
        .training = true,
        .max_batch = batch,
        .micro_batch = c->train.micro_batch.word == 0 ? 0 : (int)c->train.micro_batch.number,
        .rule = rule,
        .seed = (uint32_t)c->train.seed};
}

typedef struct batch_work {
    const mien_step *step;
    mien_batch batch;
} batch_work;

static mien_status gather(const batch_work *work) {
    mien_plan *plan = work->step->plan;
    const int n = work->batch.rows;
    const mien_tensor x = mien_plan_input(plan, n), targets = mien_plan_targets(plan, n);
    MIEN_TRY(mien_plan_stamp(plan, NULL));
    plan->ops->range_push(plan->backend, "augment", NULL);
    const mien_status status = mien_loader_batch(work->step->loader, &work->batch, &x, &targets);
    plan->ops->range_pop(plan->backend);
    MIEN_TRY(status);
    return plan->profile ? mien_plan_stamp(plan, &plan->profile->gather) : MIEN_OK;
}

static mien_status compute(void *context) {
    const batch_work *work = context;
    mien_plan *plan = work->step->plan;
    const int n = work->batch.rows;
    MIEN_TRY(gather(work));
    MIEN_TRY(mien_plan_forward(plan, n, true, 0));
    MIEN_TRY(mien_plan_loss(plan, n, n, work->step->class_weight, true));
    MIEN_TRY(mien_plan_backward(plan, n, 0));
    return mien_plan_update(plan, n);
}

/* A recording holds the augmentation's ranges: others need a new one. */
static void check_replays(mien_step *step) {
    if (memcmp(&step->ranges, &step->replay_ranges, sizeof step->ranges) == 0) return;
    mien_step_release(step);
    step->replay_ranges = step->ranges;
}

static mien_replay *replay_of(mien_step *step, int rows) {
    mien_replay *r = &step->replay[rows == step->plan->max_batch ? 0 : 1];
    if (r->rows != rows) mien_replay_release(r, step->plan->backend);
    r->rows = rows;
    return r;
}

mien_status mien_step_run(mien_step *step, size_t start, int rows) {
    mien_plan *plan = step->plan;
    batch_work work = {step,
                       {.start = start,
                        .rows = rows,
                        .follows = true,
                        .augment = true,
                        .ranges = step->ranges,
                        .label_smoothing = step->label_smoothing,
                        .state = plan->step}};
    plan->ops->range_push(plan->backend, "step", NULL);
    plan->ops->range_push(plan->backend, "load", NULL);
    mien_status status = mien_loader_fetch(step->loader, &work.batch);
    plan->ops->range_pop(plan->backend);
    check_replays(step);
    if (status == MIEN_OK)
        status = plan->profile ? compute(&work)
                               : mien_replay_run(replay_of(step, rows), plan->backend,
                                                 plan->version, compute, &work);
    plan->ops->range_pop(plan->backend);
    return status;
}

void mien_step_release(mien_step *step) {
    for (int i = 0; i < 2 && step->plan; i++)
        mien_replay_release(&step->replay[i], step->plan->backend);
}
