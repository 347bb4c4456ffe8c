#include "host/train/schedule.h"

#include <math.h>

double mien_schedule_rate(const mien_config *config, const mien_plateau *plateau, long long step,
                          long long total, long long per_epoch) {
    const double base = config->optimizer.learning_rate, low = config->schedule.min_lr;
    const double warmup = config->schedule.warmup_epochs * (double)per_epoch;
    if ((double)step < warmup) return base * ((double)step + 1) / warmup;
    double rate = base;
    switch (config->schedule.name) {
    case MIEN_SCHEDULE_COSINE: {
        const double span = (double)total - warmup;
        const double done = span > 0 ? ((double)step - warmup) / span : 1;
        rate = low + (base - low) * 0.5 * (1 + cos(3.14159265358979323846 * done));
        break;
    }
    case MIEN_SCHEDULE_STEP:
        for (size_t i = 0; i < config->schedule.steps.count; i++)
            if ((double)step >= config->schedule.steps.items[i] * (double)per_epoch)
                rate *= config->schedule.factor;
        break;
    case MIEN_SCHEDULE_PLATEAU:
        rate *= plateau->factor;
        break;
    }
    return rate > low ? rate : low;
}

static bool falls(int what, int mode) {
    if (mode != MIEN_MODE_AUTO) return mode == MIEN_MODE_MIN;
    return what == MIEN_MONITOR_VAL_LOSS || what == MIEN_MONITOR_LOSS;
}

static bool improves(double value, double best, bool falling, double min_delta) {
    return falling ? value + min_delta < best : value - min_delta > best;
}

void mien_plateau_start(mien_plateau *plateau, const mien_config *config) {
    const bool falling = falls(config->schedule.monitor, config->schedule.mode);
    *plateau = (mien_plateau){.best = falling ? INFINITY : -INFINITY, .factor = 1};
}

bool mien_plateau_update(mien_plateau *plateau, const mien_config *config,
                         const mien_results *results) {
    const int what = config->schedule.monitor;
    if (config->schedule.name != MIEN_SCHEDULE_PLATEAU) return false;
    if (plateau->cooldown > 0) {
        plateau->cooldown--;
        plateau->waited = 0;
    }
    if (improves(results->of[what], plateau->best, falls(what, config->schedule.mode),
                 config->schedule.min_delta)) {
        plateau->best = results->of[what];
        plateau->waited = 0;
        return false;
    }
    if (plateau->cooldown > 0 || ++plateau->waited < config->schedule.patience) return false;
    if (config->optimizer.learning_rate * plateau->factor <= config->schedule.min_lr) return false;
    plateau->waited = 0;
    plateau->cooldown = config->schedule.cooldown;
    plateau->factor *= config->schedule.factor;
    return true;
}

void mien_monitor_start(mien_monitor *monitor, int what, int mode, double min_delta) {
    *monitor = (mien_monitor){.what = what, .falls = falls(what, mode), .min_delta = min_delta};
    monitor->best = monitor->falls ? INFINITY : -INFINITY;
}

bool mien_monitor_update(mien_monitor *monitor, int epoch, const mien_results *results) {
    const double v = results->of[monitor->what], val_loss = results->of[MIEN_MONITOR_VAL_LOSS];
    const bool better = improves(v, monitor->best, monitor->falls, monitor->min_delta);
    const bool tie = v == monitor->best && val_loss < monitor->best_loss;
    if (better || tie) {
        monitor->best = v;
        monitor->best_loss = val_loss;
        monitor->epoch = epoch;
    }
    monitor->waited = better ? 0 : monitor->waited + 1;
    return better || tie;
}

bool mien_early_stop(mien_monitor *monitor, const mien_config *config, int epoch,
                     const mien_results *results) {
    const mien_number_or *baseline = &config->early_stopping.baseline;
    const int waited = monitor->waited + 1;
    if (epoch <= config->early_stopping.start_from_epoch) return false;
    mien_monitor_update(monitor, epoch, results);
    if (monitor->waited > 0) return waited >= config->early_stopping.patience && epoch > 1;
    if (baseline->word != 0 &&
        !improves(results->of[monitor->what], baseline->number, monitor->falls, monitor->min_delta))
        monitor->waited = waited;
    return false;
}

void mien_monitor_take(mien_monitor *monitor, const mien_monitor *from) {
    monitor->best = from->best;
    monitor->best_loss = from->best_loss;
    monitor->waited = from->waited;
    monitor->epoch = from->epoch;
}
