/* One batch shared by two processes: each computes a part, and together they give what one process
 * gives for the whole. Also single images through a feed. */
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/data/loader.h"
#include "host/train/step.h"
#include "tests/support/net.h"
#include "tests/support/reference.h"
#include "tests/support/test.h"

enum { SIDE = 12, CLASSES = 3, ALL = 20, BATCH = 8, CUT = 3, NUMBERS = SIDE * SIDE };

static mien_backend *cpu;
static const mien_normalise normalise = {
    .scale = 1 / 255.0, .mean = {0.4, 0.4, 0.4, 0.4}, .std = {0.3, 0.3, 0.3, 0.3}};
static const body_augment ranges = {.flip = 1,
                                    .rotate = 15,
                                    .shift = 0.1f,
                                    .zoom = 0.1f,
                                    .brightness = 0.2f,
                                    .contrast = 0.2f,
                                    .erase = 0.5f,
                                    .mixup = 0.4f,
                                    .mixup_p = 0.8f};
static const body_rule adam = {.kind = BODY_ADAM, .beta_1 = 0.9, .beta_2 = 0.999, .epsilon = 1e-7};
static const char model[] = "layers:\n"
                            "  - conv2d: {filters: 16, kernel_size: 3, activation: relu}\n"
                            "  - max_pooling2d: {pool_size: 2}\n"
                            "  - dropout: {rate: 0.3}\n"
                            "  - flatten\n"
                            "  - dense: {units: 16, activation: relu}\n"
                            "  - dropout: {rate: 0.5}\n"
                            "  - dense: {units: classes, activation: softmax}\n";

/* A set of ALL noise images, all in the training part. */
static void make_set(mien_dataset *set) {
    static uint8_t pixels[ALL * NUMBERS], part[ALL];
    static uint16_t labels[ALL];
    for (int i = 0; i < ALL * NUMBERS; i++)
        pixels[i] = (uint8_t)(128 + 100 * noise(7, (size_t)i));
    for (int i = 0; i < ALL; i++)
        labels[i] = (uint16_t)(i % CLASSES);
    *set = (mien_dataset){.spec = {SIDE, SIDE, 1},
                          .count = ALL,
                          .pixels = pixels,
                          .labels = labels,
                          .part = part,
                          .classes = CLASSES};
}

/* One of the processes. */
typedef struct process {
    test_net net;
    mien_loader loader;
    mien_batch batch;
    float x[BATCH * NUMBERS], targets[BATCH * CLASSES];
} process;

static void start(process *p, const mien_dataset *set, int first, int rows) {
    const mien_graph_io io = {SIDE, SIDE, 1, CLASSES};
    net_open(&p->net, cpu, model, io,
             (net_options){.batch = BATCH, .micro = BATCH, .seed = 5, .rule = &adam});
    assert_int_equal(mien_loader_create(set, &normalise, cpu, BATCH, 0, &p->loader), MIEN_OK);
    expect_ok(mien_loader_order(&p->loader, MIEN_TRAIN, true, 3, 1));
    p->batch = (mien_batch){.start = 4,
                            .first = first,
                            .rows = rows,
                            .global_rows = BATCH,
                            .augment = true,
                            .ranges = ranges,
                            .label_smoothing = 0.1f,
                            .state = p->net.plan->step};
}

/* Gather, forward, loss, backward; copies input and targets to the host. */
static void compute(process *p) {
    mien_plan *plan = p->net.plan;
    const mien_batch *b = &p->batch;
    const mien_tensor x = mien_plan_input(plan, b->rows), t = mien_plan_targets(plan, b->rows);
    expect_ok(mien_plan_prepare(plan, b->rows));
    expect_ok(mien_loader_batch(&p->loader, b, &x, &t));
    expect_ok(cpu->ops->download(cpu, p->x, &x));
    expect_ok(cpu->ops->download(cpu, p->targets, &t));
    expect_ok(mien_plan_forward(plan, b->rows, true, (uint64_t)b->first));
    expect_ok(mien_plan_loss(plan, b->rows, b->global_rows, NULL, true));
    expect_ok(mien_plan_backward(plan, b->rows, (uint64_t)b->first));
}

static void stop(process *p) {
    mien_loader_release(&p->loader);
    net_close(&p->net);
}

static void two_processes_share_a_batch(void **state) {
    (void)state;
    static process whole, part[2];
    mien_dataset set;
    body_step one, other;
    make_set(&set);
    start(&whole, &set, 0, BATCH);
    start(&part[0], &set, 0, CUT);
    start(&part[1], &set, CUT, BATCH - CUT);
    compute(&whole);
    compute(&part[0]);
    compute(&part[1]);
    /* exactly the same images, mixup partners and targets */
    assert_memory_equal(whole.x, part[0].x, sizeof(float) * CUT * NUMBERS);
    assert_memory_equal(whole.x + CUT * NUMBERS, part[1].x,
                        sizeof(float) * (BATCH - CUT) * NUMBERS);
    assert_memory_equal(whole.targets, part[0].targets, sizeof(float) * CUT * CLASSES);
    assert_memory_equal(whole.targets + CUT * CLASSES, part[1].targets,
                        sizeof(float) * (BATCH - CUT) * CLASSES);
    /* the gradients of the parts add up, even with dropout */
    const size_t count = whole.net.plan->trained;
    const float *want = (const float *)whole.net.plan->grad;
    double *a = numbers(count), *b = numbers(count);
    for (size_t i = 0; i < count; i++) {
        a[i] = want[i];
        b[i] = (double)((const float *)part[0].net.plan->grad)[i] +
               (double)((const float *)part[1].net.plan->grad)[i];
    }
    assert_true(relative_distance(b, a, count) < 1e-6);
    free(a);
    free(b);
    /* and the start of the next batch agrees */
    expect_ok(mien_plan_read(whole.net.plan, &one));
    expect_ok(mien_plan_read(part[0].net.plan, &other));
    assert_int_equal(one.rows, BATCH);
    assert_int_equal(other.rows, CUT);
    for (int i = 0; i < 2; i++)
        stop(&part[i]);
    stop(&whole);
}

/* mien_step_run in two processes: both advance the step state by the whole batch, even one that has
 * no row of it. */
static void a_step_of_parts(void **state) {
    (void)state;
    static const int sizes[] = {BATCH, 5, 1};
    mien_dataset set;
    make_set(&set);
    for (int part = 0; part < 2; part++) {
        static process p;
        const double rates[] = {1e-3, 1e-3, 1e-3};
        body_step end;
        start(&p, &set, 0, BATCH);
        expect_ok(mien_plan_epoch(p.net.plan, rates, 3));
        mien_step step = {
            .plan = p.net.plan, .loader = &p.loader, .ranges = ranges, .part = part, .parts = 2};
        size_t at = 0;
        for (int i = 0; i < 3; i++) {
            const int own = sizes[i] * (part + 1) / 2 - sizes[i] * part / 2;
            if (own) expect_ok(mien_plan_prepare(p.net.plan, own));
            expect_ok(mien_step_run(&step, at, sizes[i]));
            at += (size_t)sizes[i];
        }
        expect_ok(mien_plan_read(p.net.plan, &end));
        assert_int_equal(end.cursor, at);
        assert_int_equal(end.step, 3);
        assert_int_equal(end.bad, 0);
        assert_int_equal(end.rows, part ? 4 + 3 + 1 : 4 + 2 + 0);
        mien_step_release(&step);
        stop(&p);
    }
}

static void a_feed_of_images(void **state) {
    (void)state;
    mien_feed feed;
    uint8_t pixels[5 * NUMBERS];
    float x[5 * NUMBERS];
    void *memory;
    for (int i = 0; i < 5 * NUMBERS; i++)
        pixels[i] = (uint8_t)(i % 251);
    expect_ok(mien_feed_create(cpu, (mien_image_spec){SIDE, SIDE, 1}, &normalise, 5, &feed));
    expect_ok(mien_feed_make_order(&feed));
    expect_ok(mien_feed_upload(&feed, pixels, 5));
    expect_ok(cpu->ops->alloc(cpu, sizeof x, &memory));
    const mien_tensor t = {{5, SIDE, SIDE, 1}, MIEN_F32, 1, memory};
    expect_ok(mien_feed_images(&feed, &t));
    expect_ok(cpu->ops->download(cpu, x, &t));
    for (int i = 0; i < 5 * NUMBERS; i++) {
        const double want = (pixels[i] / 255.0 - 0.4) / 0.3;
        assert_true(x[i] - want < 1e-5 && want - x[i] < 1e-5);
    }
    cpu->ops->free(cpu, memory);
    mien_feed_release(&feed);
}

static int open_backend(void **state) {
    (void)state;
    return mien_backend_open("cpu", NULL, &cpu) != MIEN_OK;
}

static int close_backend(void **state) {
    (void)state;
    mien_backend_close(cpu);
    return 0;
}

int main(int argc, char **argv) {
    (void)argc;
    reference_wait_passively(argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(two_processes_share_a_batch),
                                       cmocka_unit_test(a_step_of_parts),
                                       cmocka_unit_test(a_feed_of_images)};
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
