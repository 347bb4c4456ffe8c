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
#include "host/train/freeze.h"
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

static mien_status read_data(const mien_config *c, mien_image_spec spec, mien_setup *s) {
    mien_on_bad on_bad;
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
    return mien_choice_apply(&s->model.meta.choice, own_choice, &s->data);
}

/* Splits and surveys the data, whose classes are now those of the model. */
static mien_status divide_data(const mien_config *c, mien_setup *s) {
    mien_split split = c->data.split;
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
    if (!s->data.count) { /* not yet read */
        mien_meta_start(&model->meta);
        MIEN_TRY(read_data(c, spec, s));
    }
    MIEN_TRY(divide_data(c, s));
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

/* Opens a trained model, with what the config says about it. */
static mien_status open_model(const mien_config *c, const char *path, mien_model *model) {
    mien_text classes = {0};
    char preprocess[16];
    const bool by_name = strcmp(c->model.architecture, "auto") != 0;
    for (size_t i = 0; i < c->model.classes.count; i++)
        mien_text_printf(&classes, "%s%s", i ? "," : "", c->model.classes.items[i]);
    mien_key_choice(mien_keys_find(mien_config_keys(), "model.preprocess"), c->model.preprocess,
                    preprocess, sizeof preprocess);
    const mien_model_options options = {
        .output = strcmp(c->model.output, "auto") == 0 ? NULL : c->model.output,
        .classes = classes.data,
        .preprocess = c->model.preprocess ? preprocess : NULL,
        .architecture = by_name ? c->model.architecture : NULL,
        .height = c->input.height,
        .width = c->input.width};
    const mien_status status =
        classes.status == MIEN_OK ? mien_model_open_with(path, &options, model) : classes.status;
    mien_text_release(&classes);
    return status;
}

/* Are all classes of the data among the model's? */
static bool knows_classes(const mien_model *model, const mien_dataset *set) {
    const mien_meta *meta = &model->meta;
    if (model->graph.raw || (meta->unknown & MIEN_UNKNOWN_CLASSES)) return false;
    for (int k = 0; k < set->classes; k++)
        if (mien_class_find((const char(*)[MIEN_CLASS_NAME])meta->class_names, meta->classes,
                            set->class_names[k]) < 0)
            return false;
    return true;
}

/* Keeps the model's head, to whose classes those of the data are mapped, or makes a new one for
 * them. `all`: only a head that has no other classes is kept. */
static mien_status choose_head(const mien_config *c, const char *path, mien_setup *s, bool all,
                               int *first) {
    mien_model *model = &s->model;
    const mien_number_or head = c->model.head;
    const char(*names)[MIEN_CLASS_NAME] = (const char(*)[MIEN_CLASS_NAME])s->data.class_names;
    const bool unnamed = (model->meta.unknown & MIEN_UNKNOWN_CLASSES) &&
                         model->meta.classes == s->data.classes && head.word == MIEN_HEAD_AUTO;
    char list[MIEN_CLASS_LIST];
    int kept;
    mien_class_list(names, s->data.classes, list);
    if (head.word < 0 && (int)head.number != s->data.classes)
        return MIEN_FAIL(INVALID,
                         "model.head is %d, but the data '%s' have %d classes: %s; write "
                         "model.head: auto",
                         (int)head.number, s->data.source, s->data.classes, list);
    if (head.word == MIEN_HEAD_AUTO && knows_classes(model, &s->data) &&
        !(all && model->meta.classes != s->data.classes)) {
        MIEN_INFO("starting from '%s', with its %d classes", path, model->meta.classes);
        return mien_dataset_map(&s->data, (const char(*)[MIEN_CLASS_NAME])model->meta.class_names,
                                model->meta.classes, "the model");
    }
    MIEN_TRY(mien_model_replace_head(model, path, names, s->data.classes, (uint32_t)c->train.seed,
                                     head.word != MIEN_HEAD_FRESH, first, &kept));
    s->new_head = true;
    if (kept)
        MIEN_INFO(
            "starting from '%s', with a new head of %d classes, %d of which keep its weights: "
            "%s",
            path, s->data.classes, kept, list);
    else
        MIEN_INFO("starting from '%s', with a new head of %d classes: %s%s", path, s->data.classes,
                  list, unnamed ? "; its own is kept if --classes names its outputs" : "");
    return MIEN_OK;
}

/* Starts from a trained model, with its input size and scaling. */
static mien_status continue_network(const mien_config *c, const char *path, mien_setup *s,
                                    int *head) {
    mien_model *model = &s->model;
    MIEN_TRY(open_model(c, path, model));
    MIEN_TRY(check_input(c, path, &model->meta));
    if (model->meta.unknown & MIEN_UNKNOWN_PREPROCESSING)
        return MIEN_FAIL(INVALID,
                         "'%s' does not say how pixels are scaled: give --preprocess "
                         "(" MIEN_PREPROCESS_CHOICES "), or set model.preprocess",
                         path);
    MIEN_TRY(read_data(c, model->meta.input, s));
    MIEN_TRY(choose_head(c, path, s, false, head));
    return divide_data(c, s);
}

/* Fewer images than this teach a small network less than it already knows of faces. */
enum { FEW_IMAGES = 5000 };

/* `auto`: the shipped model for few images, if it reads images as the config wants them. */
static mien_status choose_network(const mien_config *c, char *path, mien_setup *s, int *head) {
    mien_model base = {0};
    const mien_image_spec spec = {c->input.height, c->input.width, c->input.channels};
    mien_meta_start(&s->model.meta);
    mien_status status = read_data(c, spec, s);
    bool fits = status == MIEN_OK && s->data.count < FEW_IMAGES;
    if (fits && mien_model_default(path) != MIEN_OK) {
        MIEN_WARN("%zu images are few for a new network, but the shipped model, to start from, is "
                  "missing",
                  s->data.count);
        fits = false;
    }
    if (fits) status = mien_model_open(path, &base);
    if (status == MIEN_OK && fits)
        fits = memcmp(&base.meta.input, &spec, sizeof spec) == 0 && !base.meta.unknown;
    if (status == MIEN_OK && fits) {
        mien_meta *from = &s->model.meta;
        mien_choice_release(&base.meta.choice);
        base.meta.choice = from->choice;
        base.meta.on_bad = from->on_bad;
        base.meta.soft_mode = from->soft_mode;
        memcpy(base.meta.soft_labels, from->soft_labels, sizeof from->soft_labels);
        s->model = base;
        MIEN_TRY(choose_head(c, path, s, true, head));
        return divide_data(c, s);
    }
    mien_model_release(&base);
    if (status == MIEN_OK) status = mien_network_find("small", path);
    return status == MIEN_OK ? build_network(c, path, s) : status;
}

/* The file that `model.file` names: also one of any other name, and the best model of a run. */
static mien_status find_model(const char *name, char *out) {
    char path[MIEN_PATH];
    if (strcmp(name, MIEN_MODEL_DEFAULT) == 0) return mien_model_default(out);
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

/* What only a trained model has. */
static mien_status check_network(const mien_config *c, const char *path) {
    const mien_key *key = NULL;
    const mien_keys keys = mien_config_keys();
    if (c->model.head.word != MIEN_HEAD_AUTO) key = mien_keys_find(keys, "model.head");
    if (strcmp(c->model.architecture, "auto") != 0)
        key = mien_keys_find(keys, "model.architecture");
    if (c->model.preprocess) key = mien_keys_find(keys, "model.preprocess");
    if (c->model.classes.count) key = mien_keys_find(keys, "model.classes");
    if (strcmp(c->model.output, "auto") != 0) key = mien_keys_find(keys, "model.output");
    if (!key) return MIEN_OK;
    return MIEN_FAIL(INVALID,
                     "%s is for a trained model, but '%s' is a network without weights: name a "
                     "model with --from",
                     key->name, path);
}

/* Little data for weights that are drawn. */
static void suggest_model(const mien_setup *s) {
    enum { LITTLE = 1000 };
    const size_t count = s->model.meta.part_count[MIEN_TRAIN];
    if (s->from_scratch && count < LITTLE && strcmp(s->data.source, "sample") != 0)
        MIEN_INFO("%zu training images are few for a new network: --from default starts from the "
                  "shipped model, which needs fewer",
                  count);
}

static mien_status make_network(const mien_config *config, char *path, mien_setup *setup,
                                int *head) {
    if (strcmp(config->model.file, MIEN_MODEL_AUTO) == 0) {
        MIEN_TRY(check_network(config, MIEN_MODEL_AUTO));
        return choose_network(config, path, setup, head);
    }
    MIEN_TRY(find_model(config->model.file, path));
    const mien_model_format *format = mien_model_format_in(path); /* NULL: a network's layers */
    if (format && !mien_file_exists(path))
        return MIEN_FAIL(
            NOT_FOUND, "there is no model file '%s' to start from: name another with --from", path);
    if (format && !(format->flags & MIEN_FORMAT_TRAINABLE)) return refuse_format(path, format);
    if (format) return continue_network(config, path, setup, head);
    MIEN_TRY(check_network(config, path));
    return build_network(config, path, setup);
}

mien_status mien_setup_create(const mien_config *config, const char *commit, mien_setup *setup) {
    int head = 0;
    *setup = (mien_setup){0};
    MIEN_TRY(make_network(config, setup->start, setup, &head));
    mien_meta *meta = &setup->model.meta;
    snprintf(meta->producer, sizeof meta->producer, "mien %s", MIEN_VERSION);
    snprintf(meta->commit, sizeof meta->commit, "%s", commit);
    if (config->path[0])
        mien_path_stem(meta->recipe, sizeof meta->recipe, config->path);
    else
        strcpy(meta->recipe, "default");
    suggest_model(setup);
    return mien_freeze(&config->model.freeze, setup->start, head, &setup->model);
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
