#include "host/base/crew.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
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

/* What a thread does in a round of parts: nothing; it takes, gives, or does the slice of another;
 * it works on a slice, alone, in a race with one who does it as well, or after that one has won. */
enum { IDLE, KEPT, WORKS, RACED, LOST };

/* A thread that waits looks after the others this often, in seconds, at first and later. One that
 * ran for less than `progress` of that is not let run. */
static const double look = 100e-6, look_most = 400e-6, progress = 0.2;

typedef struct helper {
    struct mien_crew *crew;
    pthread_t thread;
    int number;              /* 0: the caller of mien_crew_run */
    _Atomic uint64_t holds;  /* see holding */
    _Atomic clockid_t clock; /* its CPU time */
} helper;

struct mien_crew {
    int threads;         /* the caller included */
    mien_crew_work work; /* NULL: parts */
    mien_crew_parts parts;
    atomic_bool in_parts; /* and there is more than one thread */
    void *context;
    _Atomic uint64_t ticket;
    atomic_int unfinished; /* slices of this round, and calls of join_round */
    atomic_bool failed;
    /* guards the rest, and sleeping */
    pthread_mutex_t mutex;
    pthread_cond_t begun, ended;
    bool quits;
    mien_status status;
    char message[MIEN_MESSAGE];
    helper helpers[]; /* the first is the caller */
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

static void say_ended(mien_crew *crew) {
    pthread_mutex_lock(&crew->mutex);
    pthread_cond_signal(&crew->ended);
    pthread_mutex_unlock(&crew->mutex);
}

static void leave_round(mien_crew *crew) {
    if (atomic_fetch_sub(&crew->unfinished, 1) == 1) say_ended(crew);
}

/* Keeps the round from ending before leave_round; false if it is over. */
static bool join_round(mien_crew *crew, uint64_t round) {
    int left = atomic_load(&crew->unfinished);
    do
        if (left == 0) return false;
    while (!atomic_compare_exchange_weak(&crew->unfinished, &left, left + 1));
    if (round_of(atomic_load(&crew->ticket)) == round) return true;
    leave_round(crew);
    return false;
}

static uint64_t holding(uint64_t round, int slice, int what) {
    return round << (FIELD + 3) | (uint64_t)slice << 3 | (uint64_t)what;
}

static bool becomes(_Atomic uint64_t *holds, uint64_t from, uint64_t to) {
    return atomic_compare_exchange_strong(holds, &from, to);
}

/* The slice that the calling thread works on: it is of use while `holds` is one of these two. */
static _Thread_local struct {
    const _Atomic uint64_t *holds;
    uint64_t alone, raced;
} own;

bool mien_crew_overtaken(void) {
    if (!own.holds) return false;
    const uint64_t holds = atomic_load_explicit(own.holds, memory_order_relaxed);
    return holds != own.alone && holds != own.raced;
}

static mien_status work_on(const mien_crew_parts *parts, int thread, const _Atomic uint64_t *holds,
                           uint64_t alone, uint64_t raced) {
    own.holds = holds;
    own.alone = alone;
    own.raced = raced;
    const mien_status status = parts->work(parts->lanes, thread);
    own.holds = NULL;
    return status;
}

/* Does a slice; *first: no other thread did it in the meantime. Only if it was the first, the round
 * and all that belongs to the caller still exist after the work. */
static mien_status do_parts(mien_crew *crew, int slice, int thread, bool *first) {
    const mien_crew_parts parts = crew->parts;
    _Atomic uint64_t *holds = &crew->helpers[thread].holds;
    const uint64_t round = round_of(atomic_load(&crew->ticket));
    const uint64_t alone = holding(round, slice, WORKS), raced = holding(round, slice, RACED);
    atomic_store(holds, KEPT);
    mien_status status = parts.take(crew->context, slice, thread);
    if (status == MIEN_OK) {
        atomic_store(holds, alone);
        status = work_on(&parts, thread, holds, alone, raced);
        *first = becomes(holds, alone, KEPT) || becomes(holds, raced, KEPT);
        if (*first && status == MIEN_OK) status = parts.give(crew->context, slice, thread);
    }
    atomic_store(holds, IDLE);
    return status;
}

/* Does the slice that h, who is not let run, works on, unless that one ends first after all. A
 * failure is left to it. */
static void overtake(mien_crew *crew, int thread, helper *h, uint64_t round, int slice) {
    const uint64_t alone = holding(round, slice, WORKS), raced = holding(round, slice, RACED);
    if (!join_round(crew, round)) return;
    const mien_crew_parts parts = crew->parts;
    void *const context = crew->context;
    _Atomic uint64_t *holds = &crew->helpers[thread].holds;
    atomic_store(holds, KEPT);
    const bool races = becomes(&h->holds, alone, raced);
    mien_status status = races ? parts.take(context, slice, thread) : MIEN_INVALID;
    leave_round(crew);
    if (status == MIEN_OK) status = work_on(&parts, thread, &h->holds, raced, raced);
    if (status == MIEN_OK && becomes(&h->holds, raced, holding(round, slice, LOST))) {
        status = parts.give(context, slice, thread);
        if (status != MIEN_OK) fail(crew, status);
        leave_round(crew);
    }
    atomic_store(holds, IDLE);
    say_ended(crew); /* mien_crew_settle may wait for this */
}

static void do_slice(mien_crew *crew, int slice, int thread) {
    bool first = true;
    if (!atomic_load(&crew->failed)) {
        const mien_status status = crew->work ? crew->work(crew->context, slice, thread)
                                              : do_parts(crew, slice, thread, &first);
        if (first && status != MIEN_OK) fail(crew, status);
    }
    if (first)
        leave_round(crew);
    else
        say_ended(crew); /* mien_crew_settle may wait for this */
}

/* Takes slices until none is left. */
static void take_slices(mien_crew *crew, int thread) {
    for (;;) {
        const uint64_t ticket = atomic_fetch_add(&crew->ticket, 1);
        const uint64_t slice = ticket & mask;
        if (slice >= (ticket >> FIELD & mask)) return;
        do_slice(crew, (int)slice, thread);
    }
}

/* Is there still a slice of the round to wait for? */
static bool lasts(mien_crew *crew, uint64_t round) {
    return round_of(atomic_load(&crew->ticket)) == round && atomic_load(&crew->unfinished) > 0;
}

static void sleep_for(mien_crew *crew, int thread, uint64_t round, double seconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(1e9 * seconds);
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&crew->mutex);
    if (lasts(crew, round))
        pthread_cond_timedwait(thread ? &crew->begun : &crew->ended, &crew->mutex, &until);
    pthread_mutex_unlock(&crew->mutex);
}

static double cpu_seconds(const helper *h) {
    struct timespec time;
    if (clock_gettime(atomic_load(&h->clock), &time) != 0) return NAN;
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* The next thread after `from` that works on a slice alone; `from` where there is none. */
static int next_at_work(const mien_crew *crew, int from) {
    for (int i = 1; i < crew->threads; i++) {
        const int other = (from + i) % crew->threads;
        if ((atomic_load(&crew->helpers[other].holds) & 7) == WORKS) return other;
    }
    return from;
}

/* While others work on the round's last slices: overtakes those that are not let run. */
static void look_after(mien_crew *crew, int thread, uint64_t round) {
    double pause = look;
    int other = thread;
    while (atomic_load(&crew->in_parts) && lasts(crew, round)) {
        other = next_at_work(crew, other);
        helper *h = &crew->helpers[other];
        const uint64_t holds = atomic_load(&h->holds);
        const int slice = (int)(holds >> 3 & mask);
        const double before = cpu_seconds(h);
        sleep_for(crew, thread, round, pause);
        if (holds == holding(round, slice, WORKS) && atomic_load(&h->holds) == holds &&
            cpu_seconds(h) - before < progress * pause)
            overtake(crew, thread, h, round, slice);
        else if (pause < look_most)
            pause *= 2;
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
        look_after(crew, self->number, last);
    }
    return NULL;
}

static void find_clock(helper *h, pthread_t thread) {
    clockid_t clock;
    if (pthread_getcpuclockid(thread, &clock) == 0) atomic_store(&h->clock, clock);
}

mien_status mien_crew_create(int threads, mien_crew **out) {
    mien_crew *crew;
    *out = NULL;
    if (threads < 1) threads = 1;
    MIEN_TRY(mien_new(&crew, 1, sizeof *crew + (size_t)threads * sizeof(helper)));
    crew->threads = 1;
    pthread_mutex_init(&crew->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&crew->begun, &monotonic);
    pthread_cond_init(&crew->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    for (int i = 1; i < threads; i++) { /* fewer than asked for do the same work */
        helper *h = &crew->helpers[i];
        h->crew = crew;
        h->number = i;
        if (pthread_create(&h->thread, NULL, help, h) != 0) break;
        find_clock(h, h->thread);
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
    for (int i = 1; i < crew->threads; i++)
        pthread_join(crew->helpers[i].thread, NULL);
    pthread_cond_destroy(&crew->begun);
    pthread_cond_destroy(&crew->ended);
    pthread_mutex_destroy(&crew->mutex);
    mien_free(crew);
}

/* By the calling thread, see mien_crew_lead. */
static _Thread_local mien_crew *led;

static void await_end(mien_crew *crew, uint64_t round) {
    for (int i = 0; i < SPINS && atomic_load(&crew->unfinished) > 0; i++)
        _mm_pause();
    look_after(crew, 0, round);
    pthread_mutex_lock(&crew->mutex);
    while (atomic_load(&crew->unfinished) > 0)
        pthread_cond_wait(&crew->ended, &crew->mutex);
    pthread_mutex_unlock(&crew->mutex);
}

/* A round of slices by crew->work or, with `parts`, by crew->parts. */
static mien_status run_round(mien_crew *crew, int slices, bool parts, void *context) {
    if (slices < 1) return MIEN_OK;
    if (slices > MIEN_CREW_SLICES)
        return MIEN_FAIL(INVALID, "%d slices: at most %d", slices, MIEN_CREW_SLICES);
    crew->context = context;
    atomic_store(&crew->in_parts, parts && crew->threads > 1);
    crew->status = MIEN_OK;
    atomic_store(&crew->failed, false);
    atomic_store(&crew->unfinished, slices);
    const uint64_t next = round_of(atomic_load(&crew->ticket)) + 1;
    const int team = mien_threads_limit(1);
    mien_crew *const outer = led;
    led = NULL; /* a loop inside a slice is the thread's own */
    pthread_mutex_lock(&crew->mutex);
    atomic_store(&crew->ticket, next << (2 * FIELD) | (uint64_t)slices << FIELD);
    if (slices > 1 || parts) pthread_cond_broadcast(&crew->begun);
    pthread_mutex_unlock(&crew->mutex);
    take_slices(crew, 0);
    await_end(crew, next);
    led = outer;
    mien_threads_limit(team);
    if (crew->status == MIEN_OK) return MIEN_OK;
    return mien_fail(crew->status, __FILE__, __LINE__, "%s", crew->message);
}

mien_status mien_crew_run(mien_crew *crew, int slices, mien_crew_work work, void *context) {
    crew->work = work;
    return run_round(crew, slices, false, context);
}

mien_status mien_crew_run_parts(mien_crew *crew, int slices, const mien_crew_parts *parts,
                                void *context) {
    crew->work = NULL;
    crew->parts = *parts;
    find_clock(&crew->helpers[0], pthread_self());
    return run_round(crew, slices, true, context);
}

void mien_crew_settle(mien_crew *crew) {
    if (!crew) return;
    pthread_mutex_lock(&crew->mutex);
    for (int i = 1; i < crew->threads; i++)
        while (atomic_load(&crew->helpers[i].holds) != IDLE)
            pthread_cond_wait(&crew->ended, &crew->mutex);
    pthread_mutex_unlock(&crew->mutex);
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
