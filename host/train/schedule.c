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

void mien_plateau_start(mien_plateau *plateau) {
    *plateau = (mien_plateau){INFINITY, 1, 0};
}

bool mien_plateau_update(mien_plateau *plateau, const mien_config *config, double val_loss) {
    if (config->schedule.name != MIEN_SCHEDULE_PLATEAU) return false;
    if (val_loss < plateau->best) {
        plateau->best = val_loss;
        plateau->waited = 0;
        return false;
    }
    if (++plateau->waited < config->schedule.patience) return false;
    plateau->waited = 0;
    plateau->factor *= config->schedule.factor;
    return true;
}

void mien_monitor_start(mien_monitor *monitor, int what, double min_delta) {
    *monitor = (mien_monitor){.what = what, .min_delta = min_delta};
    monitor->best = what == MIEN_MONITOR_VAL_LOSS ? INFINITY : -INFINITY;
}

bool mien_monitor_update(mien_monitor *monitor, int epoch, double val_loss, double val_accuracy,
                         double val_macro_f1) {
    const double values[] = {val_loss, val_accuracy, val_macro_f1};
    const double v = values[monitor->what];
    const bool better = monitor->what == MIEN_MONITOR_VAL_LOSS
                            ? v < monitor->best - monitor->min_delta
                            : v > monitor->best + monitor->min_delta;
    const bool tie = v == monitor->best && val_loss < monitor->best_loss;
    if (better || tie) {
        monitor->best = v;
        monitor->best_loss = val_loss;
        monitor->epoch = epoch;
    }
    monitor->waited = better ? 0 : monitor->waited + 1;
    return better || tie;
}
