#include "host/cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/base/clock.h"

static void wipe(progress *p) {
    if (p->width) fprintf(stderr, "\r%*s\r", (int)p->width, "");
    p->width = 0;
}

static void on_step(void *context, int epoch, size_t done, size_t of, double loss) {
    progress *p = context;
    char bar[25], line[160];
    if (!p->terminal || p->quiet) return;
    const double now = mien_seconds();
    if (epoch != p->epoch) {
        p->epoch = epoch;
        p->epoch_start = now;
        return;
    }
    const double rate = now > p->epoch_start ? (double)done / (now - p->epoch_start) : 0;
    const size_t filled = of ? done * (sizeof bar - 1) / of : 0;
    memset(bar, '.', sizeof bar - 1);
    memset(bar, '=', filled);
    bar[sizeof bar - 1] = 0;
    const int length =
        snprintf(line, sizeof line, "epoch %d [%s] %zu/%zu  %.0f img/s  ETA %.0f s  loss %.4f",
                 epoch, bar, done, of, rate, rate > 0 ? (double)(of - done) / rate : 0, loss);
    wipe(p);
    fputs(line, stderr);
    p->width = length > 0 ? (size_t)length : 0;
}

static void on_epoch(void *context, const mien_epoch *e) {
    progress *p = context;
    wipe(p);
    if (p->quiet) return;
    fprintf(stderr, "Epoch %d/%d - %.1fs - %.0f img/s - loss: %.4f - accuracy: %.4f - ", e->number,
            e->of, e->seconds, e->images_per_second, e->loss, e->accuracy);
    if (e->validated)
        fprintf(stderr, "val_loss: %.4f - val_accuracy: %.4f - val_macro_f1: %.4f - ", e->val_loss,
                e->val_accuracy, e->val_macro_f1);
    fprintf(stderr, "learning_rate: %.3g%s\n", e->learning_rate,
            e->validated && e->best ? " *" : "");
}

mien_observer progress_observer(progress *p, bool quiet) {
    *p = (progress){.terminal = isatty(STDERR_FILENO), .quiet = quiet};
    return (mien_observer){p, on_step, on_epoch};
}
