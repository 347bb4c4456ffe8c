#include "host/eval/evaluate.h"

#include <stdio.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/classes.h"
#include "host/data/merge.h"
#include "host/data/source.h"

#define CLASSES(owner) (const char(*)[MIEN_CLASS_NAME])(owner)->class_names

/* ---- data ---- */

static void warn(mien_evaluation *e, const char *text) {
    MIEN_WARN("%s", text);
    if (e->warning_count < MIEN_EVALUATION_WARNINGS) e->warnings[e->warning_count++] = text;
}

/* The requested part, or the first of test, val and all that has samples. */
static mien_status choose_part(mien_evaluation *e) {
    size_t counts[MIEN_CLASSES_MAX];
    static const mien_part preferred[] = {MIEN_TEST, MIEN_VAL, MIEN_NO_PART};
    if (e->request.part) e->part = *e->request.part;
    for (int i = 0; !e->request.part && i < 3; i++) {
        e->part = preferred[i];
        if (mien_dataset_counts(&e->data, e->part, counts)) break;
    }
    if (!mien_dataset_counts(&e->data, e->part, counts))
        return MIEN_FAIL(INVALID, "'%s' has no %s part", e->data.source, mien_part_name(e->part));
    return MIEN_OK;
}

/* Labels the data from votes: the requested file, or the one that the model was trained with, next
 * to the data. Data without an order of rows keep their own labels. */
static mien_status apply_votes(mien_evaluation *e) {
    char folder[MIEN_PATH];
    const mien_meta *meta = &e->model.meta;
    const char *given = e->request.soft_labels;
    if (e->data.votes && (!given || strcmp(given, "none") == 0)) {
        snprintf(e->labels_from, sizeof e->labels_from, "votes in %s, %s", e->data.source,
                 mien_soft_mode_name(meta->soft_mode));
        return mien_votes_apply_own(&e->data, meta->soft_mode, &meta->choice);
    }
    if (given && strcmp(given, "none") == 0) return MIEN_OK;
    if (given) {
        MIEN_TRY(mien_path_join(e->votes, "", given));
    } else {
        if (!meta->soft_labels[0] || !e->data.source_rows) return MIEN_OK;
        mien_path_folder(folder, e->data.source);
        MIEN_TRY(mien_path_join(e->votes, folder, meta->soft_labels));
        const char *was = e->request.votes_of_run;
        if (was && !mien_file_exists(e->votes) && mien_path_ends(was, meta->soft_labels) &&
            mien_file_exists(was))
            MIEN_TRY(mien_path_join(e->votes, "", was));
        if (!mien_file_exists(e->votes))
            return MIEN_FAIL(
                NOT_FOUND,
                "the model was trained on the votes in '%s', which is not next to '%s': "
                "give it with --soft-labels FILE, or use the data's own labels with "
                "--soft-labels none",
                meta->soft_labels, e->data.source);
    }
    snprintf(e->labels_from, sizeof e->labels_from, "votes in %s, %s", e->votes,
             mien_soft_mode_name(meta->soft_mode));
    return mien_votes_apply(&e->data, e->votes, meta->soft_mode, &meta->choice);
}

/* Leaves out what the model's training left out, then what the request does. */
static mien_status choose_classes(mien_evaluation *e, const mien_class_choice *drops) {
    const mien_meta *meta = &e->model.meta;
    const char *names = e->request.drop_classes;
    const size_t before = e->data.count;
    MIEN_TRY(mien_choice_apply(&meta->choice, false, &e->data));
    if (names) {
        for (int i = 0; i < drops->rule_count; i++) {
            char known[MIEN_CLASS_LIST];
            const char *name = drops->rules[i].from;
            if (mien_class_find(CLASSES(meta), meta->classes, name) >= 0 ||
                mien_class_find(CLASSES(&e->data), e->data.classes, name) >= 0)
                continue;
            mien_class_list(CLASSES(meta), meta->classes, known);
            return MIEN_FAIL(INVALID,
                             "--drop-classes names '%s', which is no class of the data; the "
                             "model's classes are %s",
                             name, known);
        }
        MIEN_TRY(mien_choice_apply(drops, false, &e->data));
        MIEN_TRY(mien_new(&e->dropped, (size_t)meta->classes, sizeof *e->dropped));
        MIEN_TRY(mien_score_choose_dropped(names, CLASSES(meta), meta->classes, false, e->dropped));
    }
    if (e->data.count == before) return MIEN_OK;
    snprintf(e->left_out, sizeof e->left_out,
             "%zu images of classes that are left out do not count", before - e->data.count);
    warn(e, e->left_out);
    return MIEN_OK;
}

/* Loads the data with the model's classes and the split that it was trained with, without the
 * classes of `drops`. */
static mien_status load_data(mien_evaluation *e, const mien_class_choice *drops) {
    const mien_evaluate_request *r = &e->request;
    const mien_meta *meta = &e->model.meta;
    mien_split split = meta->split;
    const char *source = r->data ? r->data : meta->data;
    const mien_on_bad on_bad = r->on_bad ? *r->on_bad : mien_meta_on_bad(meta, source);
    const mien_label_rules rules = {&meta->choice, drops, (int)meta->soft_mode};
    const mien_status status =
        mien_dataset_load_all(source, meta->input, on_bad, r->memory, &rules, &e->data);
    if (status == MIEN_NOT_FOUND && !r->data)
        return mien_fail_context(
            status,
            "the data that the model was trained on are missing (give data with --data SRC)");
    MIEN_TRY(status);
    MIEN_TRY(apply_votes(e));
    if (!e->data.labelled)
        return MIEN_FAIL(INVALID,
                         "'%s' has no labels to evaluate against (in a csv: no column 'emotion')",
                         source);
    MIEN_TRY(choose_classes(e, drops));
    MIEN_TRY(mien_dataset_map(&e->data, (const char(*)[MIEN_CLASS_NAME])meta->class_names,
                              meta->classes, "the model"));
    if (split.by == MIEN_BY_USAGE && !mien_split_named(&e->data)) {
        memset(e->data.part, MIEN_NO_PART, e->data.count); /* other data without a split: no part */
    } else {
        MIEN_TRY(mien_split_apply(&e->data, &split));
    }
    return choose_part(e);
}

/* The part that the loader reads: for "all", every sample is put into the test part. */
static mien_part scored_part(const mien_evaluation *e) {
    return e->part == MIEN_NO_PART ? MIEN_TEST : e->part;
}

static mien_status survey_part(mien_evaluation *e) {
    size_t counts[MIEN_CLASSES_MAX];
    mien_survey survey;
    if (e->part == MIEN_NO_PART) memset(e->data.part, MIEN_TEST, e->data.count);
    e->n = mien_dataset_counts(&e->data, scored_part(e), counts);
    MIEN_TRY(mien_dataset_survey(&e->data, scored_part(e), &survey));
    strcpy(e->sha256, survey.sha256);
    if (strcmp(e->sha256, e->model.meta.train_sha256) == 0)
        warn(e, "these are the data that the model was trained on");
    else if (e->part == MIEN_NO_PART)
        warn(e, "'all' may include data that the model was trained on");
    return MIEN_OK;
}

static mien_status list_samples(mien_evaluation *e) {
    size_t at = 0;
    MIEN_TRY(mien_new(&e->index, (size_t)e->data.classes, sizeof *e->index));
    MIEN_TRY(mien_new(&e->labels, e->n, sizeof *e->labels));
    MIEN_TRY(mien_new(&e->samples, e->n, sizeof *e->samples));
    MIEN_TRY(mien_new(&e->probabilities, e->n * (size_t)e->data.classes, sizeof(float)));
    for (size_t i = 0; i < e->data.count; i++) {
        if (e->data.part[i] != scored_part(e)) continue;
        e->labels[at] = e->data.labels[i];
        e->samples[at++] = (uint32_t)i;
    }
    return MIEN_OK;
}

static mien_status open_model(mien_evaluation *e, int i) {
    const char *path = e->request.models[i];
    MIEN_TRY(mien_model_open_with(path, &e->request.options, &e->model));
    if (e->model.meta.head == MIEN_HEAD_VALUES || e->model.meta.classes < 2)
        return MIEN_FAIL(INVALID, "'%s' does not answer in classes: it cannot be evaluated", path);
    return mien_model_complete(&e->model, path);
}

mien_status mien_evaluation_open(const mien_evaluate_request *request, mien_evaluation *out) {
    *out = (mien_evaluation){.request = *request};
    if (request->model_count < 1) return MIEN_FAIL(INVALID, "an evaluation needs a model");
    if (out->request.batch == 0) out->request.batch = MIEN_EVALUATE_BATCH;
    for (int i = 0; i < request->model_count; i++)
        mien_text_printf(&out->models, "%s%s", i ? " + " : "", request->models[i]);
    MIEN_TRY(out->models.status);
    MIEN_TRY(open_model(out, 0));
    mien_class_choice drops = {0};
    mien_status status = MIEN_OK;
    if (request->drop_classes) status = mien_choice_drops(request->drop_classes, &drops);
    if (status == MIEN_OK) status = load_data(out, &drops);
    mien_choice_release(&drops);
    MIEN_TRY(status);
    MIEN_TRY(survey_part(out));
    if (request->groups) MIEN_TRY(mien_groups_read(&out->data, request->groups, &out->groups));
    return list_samples(out);
}

/* ---- scores ---- */

/* Every model needs the classes and the input size of the first, for which the data were loaded. */
static mien_status check_model(const mien_evaluation *e, const char *path) {
    const mien_meta *meta = &e->model.meta;
    const mien_dataset *set = &e->data;
    const mien_class_owner first = {e->request.models[0], CLASSES(set), set->classes};
    const mien_class_owner own = {path, CLASSES(meta), meta->classes};
    MIEN_TRY(mien_class_average(own, first, e->index));
    if (meta->input.height != set->spec.height || meta->input.width != set->spec.width ||
        meta->input.channels != set->spec.channels)
        return MIEN_FAIL(INVALID,
                         "'%s' and '%s' have different input sizes: they cannot be averaged", path,
                         e->request.models[0]);
    return MIEN_OK;
}

/* Adds the model's probabilities, divided by the number of models. */
static mien_status add_model(mien_evaluation *e, mien_backend *backend) {
    const mien_evaluate_request *r = &e->request;
    const mien_model *model = &e->model;
    const size_t numbers = e->n * (size_t)e->data.classes;
    mien_loader loader = {0};
    mien_plan *plan = NULL;
    float *own = NULL;
    mien_status status;
    const mien_plan_options options = {.max_batch = e->n < (size_t)r->batch ? (int)e->n : r->batch,
                                       .quant = &model->quant,
                                       .sliced = true};
    MIEN_GO(mien_new(&own, numbers, sizeof *own));
    MIEN_GO(mien_loader_create(&e->data, &model->meta.normalise, backend, options.max_batch, 0,
                               &loader));
    MIEN_GO(mien_plan_create(&model->graph, backend, &options, &plan));
    MIEN_GO(mien_plan_load(plan, &model->weights));
    MIEN_GO(mien_score_prepare(plan, e->n));
    const double begin = mien_seconds();
    MIEN_GO(mien_score_part(plan, &loader, scored_part(e), r->tta, model->meta.temperature, r->stop,
                            own));
    e->seconds += mien_seconds() - begin;
    const size_t classes = (size_t)e->data.classes;
    for (size_t i = 0; i < numbers; i++)
        e->probabilities[i - i % classes + (size_t)e->index[i % classes]] +=
            own[i] / (float)r->model_count;
out:
    mien_plan_free(plan);
    mien_loader_release(&loader);
    mien_free(own);
    return status;
}

static void warn_of_collapse(mien_evaluation *e) {
    const int k = mien_metrics_collapsed(&e->metrics);
    if (k < 0) return;
    snprintf(e->collapsed, sizeof e->collapsed,
             "nearly all answers are '%s', but the images are not: the model has collapsed; train "
             "it again: " MIEN_COLLAPSED_CURE,
             e->data.class_names[k]);
    warn(e, e->collapsed);
}

mien_status mien_evaluation_run(mien_evaluation *e, mien_backend *backend) {
    const mien_evaluate_request *r = &e->request;
    for (int i = 0; i < r->model_count; i++) {
        if (i > 0) MIEN_TRY(open_model(e, i));
        MIEN_TRY(check_model(e, r->models[i]));
        MIEN_TRY(add_model(e, backend));
        mien_model_release(&e->model);
    }
    mien_dataset_describe_part(&e->data, scored_part(e), mien_part_name(e->part));
    if (e->dropped) mien_score_drop(e->dropped, e->data.classes, e->n, e->probabilities);
    MIEN_TRY(mien_metrics_compute(e->probabilities, e->labels, e->n, e->data.classes, &e->metrics));
    warn_of_collapse(e);
    return mien_subgroups_compute(&e->groups, e->samples, e->probabilities, e->labels, e->n,
                                  e->data.classes, &e->subgroups);
}

mien_status mien_evaluate(const mien_evaluate_request *request, mien_backend *backend,
                          mien_evaluation *out) {
    MIEN_TRY(mien_evaluation_open(request, out));
    return mien_evaluation_run(out, backend);
}

void mien_evaluation_release(mien_evaluation *e) {
    mien_model_release(&e->model);
    mien_dataset_release(&e->data);
    mien_free(e->labels);
    mien_free(e->dropped);
    mien_free(e->index);
    mien_free(e->samples);
    mien_free(e->probabilities);
    mien_groups_release(&e->groups);
    mien_metrics_release(&e->metrics);
    mien_subgroups_release(&e->subgroups);
    mien_text_release(&e->models);
    *e = (mien_evaluation){0};
}

/* ---- output ---- */

mien_report_head mien_evaluation_head(const mien_evaluation *e) {
    return (mien_report_head){.model = e->models.data,
                              .models = e->request.model_count,
                              .data = e->data.source,
                              .split = mien_part_name(e->part),
                              .views = mien_tta_name(e->request.tta),
                              .labels = e->labels_from[0] ? e->labels_from : NULL,
                              .sha256 = e->sha256,
                              .warnings = e->warnings,
                              .warning_count = e->warning_count,
                              .seconds = e->seconds,
                              .groups = e->request.groups ? &e->subgroups : NULL};
}

void mien_evaluation_document(const mien_evaluation *e, bool pretty, mien_text *out) {
    const mien_report_head head = mien_evaluation_head(e);
    mien_metrics_document(&e->metrics, (const char(*)[64])e->data.class_names, &head, pretty, out);
}

void mien_evaluation_table(const mien_evaluation *e, mien_text *out) {
    const mien_report_head head = mien_evaluation_head(e);
    mien_text_printf(out, "%s on %s, split %s", head.model, head.data, head.split);
    if (e->request.tta) mien_text_printf(out, ", --tta %s", head.views);
    mien_text_printf(out, "%s%s\n", head.labels ? ", labels: " : "",
                     head.labels ? head.labels : "");
    mien_metrics_table(&e->metrics, (const char(*)[64])e->data.class_names, out);
    mien_subgroups_table(&e->subgroups, out);
    mien_text_printf(out, "\n%zu images in %.2f s (%.0f images/s)\n", e->n, e->seconds,
                     e->seconds > 0 ? (double)e->n / e->seconds : 0);
}

mien_answer mien_evaluation_answer(const mien_evaluation *e, size_t at) {
    const float *p = e->probabilities + at * (size_t)e->data.classes;
    const int best = mien_best_class(p, e->data.classes);
    return (mien_answer){best, p[best]};
}

static void prediction_row(const mien_evaluation *e, size_t at, bool files, mien_text *out) {
    const mien_dataset *set = &e->data;
    const float *p = e->probabilities + at * (size_t)set->classes;
    mien_text_printf(out, "%u,", set->row[e->samples[at]]);
    if (files) {
        mien_text_cell(out, mien_source_file(set, e->samples[at]));
        mien_text_puts(out, ",");
    }
    mien_text_cell(out, set->class_names[e->labels[at]]);
    mien_text_puts(out, ",");
    mien_text_cell(out, set->class_names[mien_evaluation_answer(e, at).class]);
    for (int k = 0; k < set->classes; k++)
        mien_text_printf(out, ",%.9g", p[k]);
    mien_text_puts(out, "\n");
}

void mien_evaluation_predictions(const mien_evaluation *e, mien_text *out) {
    const bool files = e->data.def->file != NULL;
    mien_text_printf(out, "row,%slabel,prediction", files ? "file," : "");
    for (int k = 0; k < e->data.classes; k++) {
        mien_text_puts(out, ",");
        mien_text_cell(out, e->data.class_names[k]);
    }
    mien_text_puts(out, "\n");
    for (size_t at = 0; at < e->n; at++)
        prediction_row(e, at, files, out);
}
