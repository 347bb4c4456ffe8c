#include "host/data/balance.h"

#include "host/base/memory.h"

mien_status mien_balance_create(const mien_dataset *set, mien_balance *b) {
    size_t counts[MIEN_CLASSES_MAX], at = 0;
    *b = (mien_balance){.count = mien_dataset_counts(set, MIEN_TRAIN, counts)};
    MIEN_TRY(mien_new(&b->samples, b->count, sizeof *b->samples));
    MIEN_TRY(mien_new(&b->epoch, b->count, sizeof *b->epoch));
    MIEN_TRY(mien_new(&b->starts, (size_t)set->classes + 1, sizeof *b->starts));
    for (int k = 0; k < set->classes; k++) {
        if (!counts[k]) continue;
        for (size_t i = 0; i < set->count; i++)
            if (set->part[i] == MIEN_TRAIN && set->labels[i] == k) b->samples[at++] = (uint32_t)i;
        b->starts[++b->classes] = at;
    }
    return MIEN_OK;
}

void mien_balance_release(mien_balance *b) {
    mien_free(b->samples);
    mien_free(b->epoch);
    mien_free(b->starts);
    *b = (mien_balance){0};
}

void mien_balance_draw(mien_balance *b, uint64_t epoch) {
    if (!b->classes) return;
    const size_t classes = (size_t)b->classes, share = b->count / classes;
    const size_t rest = b->count % classes;
    size_t at = 0;
    for (size_t k = 0; k < classes; k++) {
        const uint32_t *own = b->samples + b->starts[k];
        const size_t size = b->starts[k + 1] - b->starts[k];
        /* the classes that get one more sample rotate from epoch to epoch */
        const size_t n = share + ((k + epoch) % classes < rest);
        const size_t from = (size_t)(epoch % size) * (share % size) % size;
        for (size_t j = 0; j < n; j++)
            b->epoch[at++] = own[(from + j) % size];
    }
}
