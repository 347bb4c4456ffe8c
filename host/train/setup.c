#include "host/train/setup.h"

#include <stdio.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/classes.h"
#include "host/data/merge.h"
#include "host/formats/format.h"
#include "host/train/file_template.h"
#include "host/train/shipped.h"
#include "include/mien/mien.h"

mien_status mien_network_find(const char *name, char *out) {
    if (strchr(name, '/') || mien_path_ends(name, ".yaml") || mien_model_format_of(name))
        return mien_path_join(out, "", name);
    return mien_shipped_find("network", "models", name, out);
}

/* Replaces the labels by votes: those of data.soft_labels, or those that the data themselves hold.
 */
static mien_status apply_votes(const mien_config *c, mien_setup *s) {
    const mien_soft_mode mode = (mien_soft_mode)c->data.soft_mode;
    const char *file = c->data.soft_labels;
    mien_meta *meta = &s->model.meta;
    meta->soft_labels[0] = 0; /* of an earlier training of a loaded model */
    const bool given = strcmp(file, "none") != 0;
    meta->soft_mode = s->data.targets ? mode : MIEN_SOFT_MAJORITY; /* of one of several sources */
    if (!given && !s->data.votes) return MIEN_OK;
    if (given)
        MIEN_TRY(mien_votes_apply(&s->data, file, mode, &meta->choice));
    else
        MIEN_TRY(mien_votes_apply_own(&s->data, mode, &meta->choice));
    meta->soft_mode = mode;
    const char *slash = strrchr(file, '/');
    snprintf(meta->soft_labels, sizeof meta->soft_labels, "%.255s",
             !given  ? "label.csv"
             : slash ? slash + 1
                     : file);
    return MIEN_OK;
}

/* A loaded model keeps its choice of classes unless the config makes one. */
static mien_status choose_classes(const mien_config *c, mien_class_choice *choice, bool *own) {
    mien_class_choice given;
    mien_status status =
        mien_choice_create(&c->data.classes, &c->data.merge, &c->data.drop_classes, &given);
    *own = !mien_choice_is_empty(&given);
    if (status != MIEN_OK || !*own) {
        mien_choice_release(&given);
        return status;
    }
    mien_choice_release(choice);
    *choice = given;
    return MIEN_OK;
}

/* A model's name or choice that needs validation results. */
static mien_status check_file(const mien_config *c) {
    static const char *const names[] = {"val_loss", "val_accuracy", "val_macro_f1"};
    const char *file = c->checkpoint.file;
    if (strcmp(file, "none") == 0) return MIEN_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (mien_template_has(file, names[i]))
            return MIEN_FAIL(INVALID,
                             "checkpoint.file names {%s}, but data.split.val is 0: give validation "
                             "a share, or take the field out",
                             names[i]);
    if (c->checkpoint.save_best_only && mien_monitor_validates(c->checkpoint.monitor))
        return MIEN_FAIL(INVALID,
                         "checkpoint.save_best_only needs validation results, but data.split.val "
                         "is 0: give validation a share, or set checkpoint.monitor=loss");
    return MIEN_OK;
}

/* Without validation the last epoch's weights are kept, and nothing can depend on its results. */
static mien_status check_validation(const mien_config *c, const mien_dataset *set) {
    size_t counts[MIEN_CLASSES_MAX];
    if (mien_dataset_counts(set, MIEN_VAL, counts)) return MIEN_OK;
    const bool plateau =
        c->schedule.name == MIEN_SCHEDULE_PLATEAU && mien_monitor_validates(c->schedule.monitor);
    const bool stops =
        c->early_stopping.enabled && mien_monitor_validates(c->early_stopping.monitor);
    const bool groups = strcmp(c->data.groups, "none") != 0;
    MIEN_TRY(check_file(c));
    if (stops || plateau || groups)
        return MIEN_FAIL(INVALID,
                         "%s needs validation results, but data.split.val is 0: give validation a "
                         "share, or set %s",
                         stops     ? "early_stopping"
                         : plateau ? "the schedule plateau"
                                   : "data.groups",
                         stops     ? "early_stopping.enabled=false"
                         : plateau ? "schedule.name to another one"
                                   : "data.groups=none");
    MIEN_INFO("%s: no validation part (data.split.val is 0): the last epoch's weights are kept",
              set->source);
    return MIEN_OK;
}

static mien_status load_data(const mien_config *c, mien_image_spec spec, mien_setup *s) {
    mien_on_bad on_bad;
    mien_split split = c->data.split;
    bool own_choice;
    MIEN_TRY(mien_on_bad_parse(c->data.on_bad, &on_bad));
    s->model.meta.on_bad = on_bad;
    MIEN_TRY(choose_classes(c, &s->model.meta.choice, &own_choice));
    const mien_label_rules rules = {.choice = &s->model.meta.choice,
                                    .soft_mode = c->data.soft_mode};
    MIEN_TRY(mien_dataset_merge((const char *const *)c->data.sources.items, c->data.sources.count,
                                spec, on_bad, (mien_memory)c->data.memory, &rules, &s->data));
    MIEN_TRY(apply_votes(c, s));
    if (!s->data.labelled)
        return MIEN_FAIL(
            INVALID,
            "'%s' has no labels (in a csv: no column 'emotion'): it can be used for prediction, "
            "but not for training",
            s->data.source);
    MIEN_TRY(mien_choice_apply(&s->model.meta.choice, own_choice, &s->data));
    if (s->model.meta.classes) /* a loaded model keeps its classes */
        MIEN_TRY(mien_dataset_map(&s->data,
                                  (const char(*)[MIEN_CLASS_NAME])s->model.meta.class_names,
                                  s->model.meta.classes, "the model"));
    MIEN_TRY(mien_split_apply(&s->data, &split));
    MIEN_TRY(mien_split_check(&s->data, &split));
    MIEN_TRY(check_validation(c, &s->data));
    s->data.balanced = c->data.sampling != 0;
    if (strcmp(c->data.groups, "none") != 0)
        MIEN_TRY(mien_groups_read(&s->data, c->data.groups, &s->groups));
    mien_meta *meta = &s->model.meta;
    meta->split = split;
    snprintf(meta->data, sizeof meta->data, "%s", s->data.source);
    size_t counts[MIEN_CLASSES_MAX];
    for (mien_part part = MIEN_TRAIN; part < MIEN_PARTS; part++)
        meta->part_count[part] = mien_dataset_counts(&s->data, part, counts);
    mien_survey val;
    MIEN_TRY(mien_dataset_survey(&s->data, MIEN_TRAIN, &s->train));
    MIEN_TRY(mien_dataset_survey(&s->data, MIEN_VAL, &val));
    strcpy(meta->train_sha256, s->train.sha256);
    strcpy(s->val_sha256, val.sha256);
    MIEN_INFO("%s: %zu training, %zu validation, %zu test images", s->data.source,
              meta->part_count[MIEN_TRAIN], meta->part_count[MIEN_VAL],
              meta->part_count[MIEN_TEST]);
    mien_dataset_describe(&s->data);
    return MIEN_OK;
}

static void measure_input(const mien_config *c, mien_setup *s) {
    mien_normalise *n = &s->model.meta.normalise;
    n->scale = c->input.scale;
    mien_survey_statistics(&s->train, c->input.channels, n->scale, n->mean, n->std);
    for (int k = 0; k < c->input.channels; k++) {
        if (c->input.mean.word != 0) n->mean[k] = c->input.mean.number;
        if (c->input.std.word != 0) n->std[k] = c->input.std.number;
        if (n->std[k] <= 0) n->std[k] = 1; /* constant images */
    }
}

static mien_status copy_classes(const mien_dataset *set, mien_meta *meta) {
    MIEN_TRY(mien_new(&meta->class_names, (size_t)set->classes, MIEN_CLASS_NAME));
    meta->classes = set->classes;
    memcpy(meta->class_names, set->class_names, (size_t)set->classes * MIEN_CLASS_NAME);
    return MIEN_OK;
}

/* A new network with the classes of the data. */
static mien_status build_network(const mien_config *c, const char *path, mien_setup *s) {
    mien_model *model = &s->model;
    const mien_image_spec spec = {c->input.height, c->input.width, c->input.channels};
    mien_meta_start(&model->meta);
    MIEN_TRY(load_data(c, spec, s));
    model->meta.input = spec;
    measure_input(c, s);
    MIEN_TRY(copy_classes(&s->data, &model->meta));
    const mien_graph_io io = {spec.height, spec.width, spec.channels, s->data.classes};
    MIEN_TRY(mien_graph_read(path, io, &model->graph));
    if (model->graph.classes != s->data.classes)
        return MIEN_FAIL(INVALID,
                         "the network '%s' has %d classes, but the data '%s' have %d: "
                         "write `units: classes` in its last layer",
                         path, model->graph.classes, s->data.source, s->data.classes);
    s->from_scratch = true;
    return mien_weights_create(&model->graph, (uint32_t)c->train.seed, &model->weights);
}

/* A loaded model keeps its input size; a config that sets a different one is rejected. */
static mien_status check_input(const mien_config *c, const char *path, const mien_meta *meta) {
    mien_config defaults;
    mien_status status = mien_config_start(&defaults);
    const int wanted[] = {c->input.height, c->input.width, c->input.channels};
    const int unset[] = {defaults.input.height, defaults.input.width, defaults.input.channels};
    const int own[] = {meta->input.height, meta->input.width, meta->input.channels};
    for (int i = 0; i < 3 && status == MIEN_OK; i++)
        if (wanted[i] != unset[i] && wanted[i] != own[i])
            status = MIEN_FAIL(INVALID,
                               "the model '%s' reads %dx%dx%d images, but the config's input is "
                               "%dx%dx%d: remove the section `input`",
                               path, own[0], own[1], own[2], wanted[0], wanted[1], wanted[2]);
    mien_config_release(&defaults);
    return status;
}

/* Continues from a trained model, with its input size and classes. */
static mien_status continue_network(const mien_config *c, const char *path, mien_setup *s) {
    mien_model *model = &s->model;
    MIEN_TRY(mien_model_open(path, model));
    if (model->graph.raw)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' does not end in classes (its head is %s) and cannot be trained",
                         path, mien_head_name(model->meta.head));
    MIEN_TRY(mien_model_complete(model, path));
    MIEN_TRY(check_input(c, path, &model->meta));
    return load_data(c, model->meta.input, s);
}

/* A layer can have several nodes: the parts of a separable convolution, its activation. */
static mien_status freeze(const mien_config *c, mien_graph *graph) {
    for (size_t i = 0; i < c->model.freeze.count; i++) {
        const int at = mien_graph_find(graph, c->model.freeze.items[i]);
        if (at < 0)
            return MIEN_FAIL(NOT_FOUND, "model.freeze: there is no layer '%s' in the network '%s'",
                             c->model.freeze.items[i], graph->name);
        for (int k = at; k < mien_layer_end(graph, at); k++)
            ((mien_layer_common *)graph->nodes[k].attrs)->trainable = false;
    }
    return MIEN_OK;
}

/* The file that `model.file` names: also one of any other name, and the best model of a run. */
static mien_status find_model(const char *name, char *out) {
    char path[MIEN_PATH];
    const mien_status status = mien_network_find(name, path);
    if (status == MIEN_NOT_FOUND && mien_file_exists(name))
        MIEN_TRY(mien_path_join(path, "", name));
    else
        MIEN_TRY(status);
    return mien_model_file(path, out);
}

static mien_status refuse_format(const char *path, const mien_model_format *format) {
    char known[128];
    mien_model_suffixes(MIEN_FORMAT_TRAINABLE, known, sizeof known);
    return MIEN_FAIL(
        INVALID, "'%s' is %s and cannot be trained: train the %s model that it was made from", path,
        format->flags & MIEN_FORMAT_INT8 ? "an int8 model" : format->content, known);
}

mien_status mien_setup_create(const mien_config *config, const char *commit, mien_setup *setup) {
    char path[MIEN_PATH];
    *setup = (mien_setup){0};
    MIEN_TRY(find_model(config->model.file, path));
    const mien_model_format *format = mien_model_format_in(path); /* NULL: a network's layers */
    if (format && !(format->flags & MIEN_FORMAT_TRAINABLE)) return refuse_format(path, format);
    MIEN_TRY(format ? continue_network(config, path, setup) : build_network(config, path, setup));
    mien_meta *meta = &setup->model.meta;
    snprintf(meta->producer, sizeof meta->producer, "mien %s", MIEN_VERSION);
    snprintf(meta->commit, sizeof meta->commit, "%s", commit);
    if (config->path[0])
        mien_path_stem(meta->recipe, sizeof meta->recipe, config->path);
    else
        strcpy(meta->recipe, "default");
    return freeze(config, &setup->model.graph);
}

void mien_setup_release(mien_setup *setup) {
    mien_dataset_release(&setup->data);
    mien_groups_release(&setup->groups);
    mien_model_release(&setup->model);
}

void mien_balanced_weights(const mien_dataset *set, float *weights) {
    size_t counts[MIEN_CLASSES_MAX];
    const size_t n = mien_dataset_counts(set, MIEN_TRAIN, counts);
    for (int k = 0; k < set->classes; k++)
        weights[k] =
            counts[k] ? (float)((double)n / ((double)set->classes * (double)counts[k])) : 0;
}
