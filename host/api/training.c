/* include/mien/training.h over host/train/trainer.h. */
#include "include/mien/training.h"

#include <stdio.h>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/train/run_folder.h"
#include "host/train/trainer.h"
#include "include/mien/mien.h"

enum { METRICS_MAX = 64 << 20 };

typedef struct watch {
    const mien_training *training;
    int epochs;
    volatile int stop;
} watch;

static void tell(watch *w, const mien_training_progress *progress) {
    if (w->training->progress && !w->stop)
        w->stop = w->training->progress(w->training->context, progress) != 0;
}

static void on_step(void *context, int epoch, size_t done, size_t of, double loss) {
    watch *w = context;
    tell(w, &(mien_training_progress){
                .epoch = epoch, .epochs = w->epochs, .done = done, .total = of, .loss = loss});
}

static void on_epoch(void *context, const mien_epoch *e) {
    tell(context, &(mien_training_progress){.epoch = e->number,
                                            .epochs = e->of,
                                            .loss = e->loss,
                                            .ended = true,
                                            .accuracy = e->accuracy,
                                            .learning_rate = e->learning_rate,
                                            .seconds = e->seconds,
                                            .images_per_second = e->images_per_second,
                                            .validated = e->validated,
                                            .best = e->best,
                                            .val_loss = e->val_loss,
                                            .val_accuracy = e->val_accuracy,
                                            .val_macro_f1 = e->val_macro_f1});
}

static mien_status read_config(const mien_training *t, mien_config *config) {
    char text[MIEN_PATH];
    const mien_keys keys = mien_config_keys();
    MIEN_TRY(mien_config_start(config));
    if (t->config) {
        MIEN_TRY(mien_config_find(t->config, text));
        MIEN_TRY(mien_config_read(config, text));
    }
    if (t->config_text) MIEN_TRY(mien_config_read_text(config, t->config_text, "config"));
    if (t->data) MIEN_TRY(mien_config_data(config, t->data));
    for (int i = 0; i < t->set_count; i++)
        MIEN_TRY(mien_keys_set(keys, config, t->set[i]));
    MIEN_TRY(mien_config_check(config));
    return t->config && !t->data ? mien_config_data_exist(config, t->config) : MIEN_OK;
}

static mien_status results(const char *run, bool validated, char **folder, char **metrics) {
    char path[MIEN_PATH];
    size_t size;
    MIEN_TRY(mien_copy_text(folder, run));
    if (!validated) return MIEN_OK;
    MIEN_TRY(mien_path_join(path, run, "metrics.json"));
    return mien_file_read(path, METRICS_MAX, metrics, &size);
}

mien_status mien_training_run(const mien_training *t, char **folder, char **metrics) {
    watch w = {.training = t};
    mien_config config = {0};
    mien_run run = {.lock = -1};
    mien_backend *backend = NULL;
    mien_train_result result = {0};
    mien_status status;
    *folder = *metrics = NULL;
    MIEN_GO(read_config(t, &config));
    MIEN_GO(mien_run_new(t->out, t->force, &config, &run));
    const mien_backend_options options = {.threads = t->threads,
                                          .deterministic = config.train.deterministic,
                                          .compute = (mien_compute)config.train.dtype,
                                          .training = true};
    MIEN_GO(mien_backend_open(t->device ? t->device : "auto", &options, &backend));
    MIEN_INFO("training on %s", mien_backend_description(backend));
    w.epochs = config.train.epochs;
    const mien_train_request request = {.config = &config,
                                        .backend = backend,
                                        .folder = run.folder,
                                        .command = "libmien: mien_training_run",
                                        .commit = "libmien " MIEN_VERSION,
                                        .stop = &w.stop,
                                        .observer = {&w, on_step, on_epoch}};
    MIEN_GO(mien_train(&request, &result));
    status = results(run.folder, result.validated, folder, metrics);
out:
    mien_metrics_release(&result.metrics);
    mien_backend_close(backend);
    mien_run_release(&run, status != MIEN_OK);
    mien_config_release(&config);
    return status;
}
