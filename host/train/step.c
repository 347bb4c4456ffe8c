#include "host/train/step.h"

#include <math.h>

#include "host/base/clock.h"

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

/* Fills the plan's input and targets; counted as the profile's gather when there is one. */
static mien_status gather(const mien_step *step, const mien_batch *batch) {
    mien_plan *plan = step->plan;
    const mien_tensor x = mien_plan_input(plan, batch->rows);
    const mien_tensor targets = mien_plan_targets(plan, batch->rows);
    const double begin = plan->profile ? mien_seconds() : 0;
    MIEN_TRY(mien_loader_batch(step->loader, batch, &x, &targets));
    if (plan->profile) plan->profile->gather += mien_seconds() - begin;
    return MIEN_OK;
}

mien_status mien_step_run(const mien_step *step, const mien_batch *batch, double rate) {
    mien_plan *plan = step->plan;
    const int n = batch->rows;
    MIEN_TRY(plan->ops->copy_in(plan->backend, &plan->step->learning_rate, &rate, sizeof rate));
    MIEN_TRY(gather(step, batch));
    MIEN_TRY(mien_plan_forward(plan, n, true, 0));
    MIEN_TRY(mien_plan_loss(plan, n, n, step->class_weight, true));
    MIEN_TRY(mien_plan_backward(plan, n, 0));
    return mien_plan_update(plan);
}
