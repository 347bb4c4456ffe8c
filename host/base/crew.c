#include "host/base/crew.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <xmmintrin.h>

#include "host/base/memory.h"
#include "host/base/threads.h"

/* A ticket is the round, the number of its slices and the next one. Adding 1 takes a slice; it is
 * one of that round if it is below the number. The ticket of a round that is over has none left, so
 * a thread that comes late takes nothing and reads nothing else. */
enum { FIELD = 21 }; /* bits of the last two */
static const uint64_t mask = ((uint64_t)1 << FIELD) - 1;

/* Looks at the clock this often before a thread sleeps: a few times 10 us, about what waking takes.
 */
enum { SPINS = 400 };

typedef struct helper {
    struct mien_crew *crew;
    pthread_t thread;
    int number;
} helper;

struct mien_crew {
    int threads; /* the caller included */
    mien_crew_work work;
    void *context;
    _Atomic uint64_t ticket;
    atomic_int unfinished; /* slices of this round */
    atomic_bool failed;
    /* guards the rest, and sleeping */
    pthread_mutex_t mutex;
    pthread_cond_t begun, ended;
    bool quits;
    mien_status status;
    char message[MIEN_MESSAGE];
    helper helpers[];
};

static uint64_t round_of(uint64_t ticket) {
    return ticket >> (2 * FIELD);
}

static void fail(mien_crew *crew, mien_status status) {
    pthread_mutex_lock(&crew->mutex);
    if (crew->status == MIEN_OK) {
        crew->status = status;
        snprintf(crew->message, sizeof crew->message, "%s", mien_error_message());
    }
    pthread_mutex_unlock(&crew->mutex);
    atomic_store(&crew->failed, true);
}

/* Takes slices until none is left. */
static void take_slices(mien_crew *crew, int thread) {
    for (;;) {
        const uint64_t ticket = atomic_fetch_add(&crew->ticket, 1);
        const uint64_t slice = ticket & mask;
        if (slice >= (ticket >> FIELD & mask)) return;
        if (!atomic_load(&crew->failed)) {
            const mien_status status = crew->work(crew->context, (int)slice, thread);
            if (status != MIEN_OK) fail(crew, status);
        }
        if (atomic_fetch_sub(&crew->unfinished, 1) > 1) continue;
        pthread_mutex_lock(&crew->mutex);
        pthread_cond_signal(&crew->ended);
        pthread_mutex_unlock(&crew->mutex);
    }
}

/* Waits until a round after `last` begins; false when the crew ends. */
static bool await_round(mien_crew *crew, uint64_t last) {
    for (int i = 0; i < SPINS; i++) {
        if (round_of(atomic_load(&crew->ticket)) != last) return true;
        _mm_pause();
    }
    pthread_mutex_lock(&crew->mutex);
    while (round_of(atomic_load(&crew->ticket)) == last && !crew->quits)
        pthread_cond_wait(&crew->begun, &crew->mutex);
    const bool goes_on = !crew->quits;
    pthread_mutex_unlock(&crew->mutex);
    return goes_on;
}

static void *help(void *argument) {
    const helper *self = argument;
    mien_crew *crew = self->crew;
    uint64_t last = 0;
    mien_threads_leave_team();
    mien_threads_limit(1);
    mien_float_enter();
    while (await_round(crew, last)) {
        last = round_of(atomic_load(&crew->ticket));
        take_slices(crew, self->number);
    }
    return NULL;
}

mien_status mien_crew_create(int threads, mien_crew **out) {
    mien_crew *crew;
    *out = NULL;
    if (threads < 1) threads = 1;
    MIEN_TRY(mien_new(&crew, 1, sizeof *crew + (size_t)(threads - 1) * sizeof(helper)));
    crew->threads = 1;
    pthread_mutex_init(&crew->mutex, NULL);
    pthread_cond_init(&crew->begun, NULL);
    pthread_cond_init(&crew->ended, NULL);
    for (int i = 0; i < threads - 1; i++) { /* fewer than asked for do the same work */
        helper *h = &crew->helpers[i];
        *h = (helper){.crew = crew, .number = i + 1};
        if (pthread_create(&h->thread, NULL, help, h) != 0) break;
        crew->threads++;
    }
    *out = crew;
    return MIEN_OK;
}

void mien_crew_free(mien_crew *crew) {
    if (!crew) return;
    pthread_mutex_lock(&crew->mutex);
    crew->quits = true;
    pthread_cond_broadcast(&crew->begun);
    pthread_mutex_unlock(&crew->mutex);
    for (int i = 0; i < crew->threads - 1; i++)
        pthread_join(crew->helpers[i].thread, NULL);
    pthread_cond_destroy(&crew->begun);
    pthread_cond_destroy(&crew->ended);
    pthread_mutex_destroy(&crew->mutex);
    mien_free(crew);
}

/* By the calling thread, see mien_crew_lead. */
static _Thread_local mien_crew *led;

static void await_end(mien_crew *crew) {
    for (int i = 0; i < SPINS && atomic_load(&crew->unfinished) > 0; i++)
        _mm_pause();
    pthread_mutex_lock(&crew->mutex);
    while (atomic_load(&crew->unfinished) > 0)
        pthread_cond_wait(&crew->ended, &crew->mutex);
    pthread_mutex_unlock(&crew->mutex);
}

mien_status mien_crew_run(mien_crew *crew, int slices, mien_crew_work work, void *context) {
    if (slices < 1) return MIEN_OK;
    if (slices > MIEN_CREW_SLICES)
        return MIEN_FAIL(INVALID, "%d slices: at most %d", slices, MIEN_CREW_SLICES);
    crew->work = work;
    crew->context = context;
    crew->status = MIEN_OK;
    atomic_store(&crew->failed, false);
    atomic_store(&crew->unfinished, slices);
    const uint64_t next = round_of(atomic_load(&crew->ticket)) + 1;
    const int team = mien_threads_limit(1);
    mien_crew *const outer = led;
    led = NULL; /* a loop inside a slice is the thread's own */
    pthread_mutex_lock(&crew->mutex);
    atomic_store(&crew->ticket, next << (2 * FIELD) | (uint64_t)slices << FIELD);
    if (slices > 1) pthread_cond_broadcast(&crew->begun);
    pthread_mutex_unlock(&crew->mutex);
    take_slices(crew, 0);
    await_end(crew);
    led = outer;
    mien_threads_limit(team);
    if (crew->status == MIEN_OK) return MIEN_OK;
    return mien_fail(crew->status, __FILE__, __LINE__, "%s", crew->message);
}

mien_crew_post mien_crew_lead(mien_crew *crew) {
    const mien_crew_post saved = {led, crew ? mien_threads_limit(1) : 0};
    if (crew) led = crew;
    return saved;
}

void mien_crew_leave(mien_crew_post saved) {
    led = saved.crew;
    if (saved.team) mien_threads_limit(saved.team);
}

typedef struct each {
    void (*work)(void *context, int index);
    void *context;
} each;

static mien_status do_one(void *context, int index, int thread) {
    const each *e = context;
    (void)thread;
    e->work(e->context, index);
    return MIEN_OK;
}

void mien_each(int count, void (*work)(void *context, int index), void *context) {
    each e = {work, context};
    if (led && count > 1) {
        mien_crew_run(led, count, do_one, &e);
        return;
    }
    const int team = count > 1 ? 0 : mien_threads_limit(1);
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < count; i++)
        work(context, i);
    if (team) mien_threads_limit(team);
}
