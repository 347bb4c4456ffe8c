#include "host/train/step.h"

#include <math.h>
#include <string.h>

body_rule mien_step_rule(const mien_config *c, bool drawn) {
    return (body_rule){.kind = c->optimizer.name,
                       .beta_1 = c->optimizer.beta_1,
                       .beta_2 = c->optimizer.beta_2,
                       .epsilon = c->optimizer.epsilon,
                       .weight_decay = c->optimizer.weight_decay,
                       .momentum = c->optimizer.momentum,
                       .clip_norm = c->optimizer.clip_norm,
                       .ema = c->optimizer.ema,
                       .nesterov = c->optimizer.nesterov,
                       .warm_averages = drawn && c->train.warm_averages};
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

static mien_status run_passes(const batch_work *work) {
    const mien_batch *b = &work->batch;
    const uint64_t first = (uint64_t)b->first;
    mien_plan *plan = work->step->plan;
    if (b->rows == 0) { /* the batch has fewer rows than there are parts */
        const size_t element = mien_dtype_bytes(plan->backend->param_dtype);
        MIEN_TRY(plan->ops->zero(plan->backend, plan->grad, plan->trained * element));
        return mien_plan_update(plan, b->global_rows);
    }
    MIEN_TRY(gather(work));
    MIEN_TRY(mien_plan_forward(plan, b->rows, true, first));
    MIEN_TRY(mien_plan_loss(plan, b->rows, b->global_rows, work->step->class_weight, true));
    MIEN_TRY(mien_plan_backward(plan, b->rows, first));
    return mien_plan_update(plan, b->global_rows);
}

static mien_status compute(void *context) {
    const batch_work *work = context;
    const mien_crew_post post = mien_plan_begin_step(work->step->plan);
    const mien_status status = run_passes(work);
    mien_plan_end_step(post);
    return status;
}

/* The augmentation ranges are constants of a recording, so new ranges need a new recording. */
static void check_recorded(mien_step *step) {
    if (memcmp(&step->ranges, &step->recorded_ranges, sizeof step->ranges) == 0) return;
    mien_step_release(step);
    step->recorded_ranges = step->ranges;
}

static mien_replay *replay_of(mien_step *step, const mien_batch *b) {
    mien_recorded_step *r = &step->recorded[b->rows == step->plan->max_batch ? 0 : 1];
    if (r->replay.rows != b->rows || r->first != b->first || r->global_rows != b->global_rows)
        mien_replay_release(&r->replay, step->plan->backend);
    r->replay.rows = b->rows;
    r->first = b->first;
    r->global_rows = b->global_rows;
    return &r->replay;
}

/* Sets the rows of the batch that this process computes. */
static void take_part(const mien_step *step, mien_batch *b) {
    const long long n = b->global_rows, parts = step->parts ? step->parts : 1;
    b->first = (int)(n * step->part / parts);
    b->rows = (int)(n * (step->part + 1) / parts) - b->first;
}

mien_status mien_step_run(mien_step *step, size_t start, int rows) {
    mien_plan *plan = step->plan;
    batch_work work = {step,
                       {.start = start,
                        .global_rows = rows,
                        .follows = true,
                        .augment = true,
                        .ranges = step->ranges,
                        .label_smoothing = step->label_smoothing,
                        .state = plan->step}};
    take_part(step, &work.batch);
    plan->ops->range_push(plan->backend, "step", NULL);
    plan->ops->range_push(plan->backend, "load", NULL);
    mien_status status = work.batch.rows ? mien_loader_fetch(step->loader, &work.batch) : MIEN_OK;
    plan->ops->range_pop(plan->backend);
    check_recorded(step);
    if (status == MIEN_OK)
        status = plan->profile ? compute(&work)
                               : mien_replay_run(replay_of(step, &work.batch), plan->backend,
                                                 plan->version, compute, &work);
    plan->ops->range_pop(plan->backend);
    return status;
}

void mien_step_release(mien_step *step) {
    for (int i = 0; i < 2 && step->plan; i++)
        mien_replay_release(&step->recorded[i].replay, step->plan->backend);
}
