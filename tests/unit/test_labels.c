/* Votes as labels, classes by name, merged sources, balanced epochs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/base/text.h"
#include "host/data/balance.h"
#include "host/data/classes.h"
#include "host/data/loader.h"
#include "host/data/merge.h"
#include "host/data/split.h"
#include "host/data/votes.h"
#include "host/formats/model.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

static char a_path[64], b_path[64], votes_path[64];
static const mien_on_bad strict = {false, -1};
static const mien_image_spec spec = {8, 8, 1};
static const char *const usages[] = {"Training", "PublicTest", "PrivateTest"};

static int start(void **state) {
    if (scratch_make(state)) return 1;
    snprintf(a_path, sizeof a_path, "%s/a.csv", scratch);
    snprintf(b_path, sizeof b_path, "%s/b.csv", scratch);
    snprintf(votes_path, sizeof votes_path, "%s/v.csv", scratch);
    return 0;
}

static void write_text(const char *path, mien_text *text) {
    assert_int_equal(text->status, MIEN_OK);
    assert_int_equal(mien_file_write(path, text->data, text->size), MIEN_OK);
    mien_text_release(text);
}

/* Row i: class i % 7, every pixel base + i, the usages by turns. */
static void write_faces(const char *path, int rows, int base) {
    mien_text text = {0};
    mien_text_puts(&text, "emotion,pixels,Usage\n");
    for (int i = 0; i < rows; i++) {
        mien_text_printf(&text, "%d,", i % 7);
        for (int p = 0; p < 64; p++)
            mien_text_printf(&text, "%d ", base + i);
        mien_text_printf(&text, ",%s\n", usages[i % 3]);
    }
    write_text(path, &text);
}

/* ---- votes on one image ---- */

typedef struct vote_case {
    /* neutral happiness surprise sadness anger disgust fear contempt unknown no-face */
    int votes[MIEN_VOTE_COLUMNS];
    int verdict[3]; /* mien_votes_outcome of majority, distribution, multi */
    float share[3][MIEN_VOTE_CLASSES];
} vote_case;

enum { K = MIEN_VOTES_KEPT, S = MIEN_VOTES_SPREAD, U = MIEN_VOTES_UNKNOWN, N = MIEN_VOTES_NO_FACE };

static const vote_case cases[] = {
    /* the first row of fer2013new.csv: no majority, three classes in the distribution */
    {{4, 0, 0, 1, 3, 2}, {S, K, K}, {{0}, {4.f / 7, 0, 0, 0, 3.f / 7}, {0.5f, 0, 0, 0, 0.5f}}},
    {{6, 0, 1, 1, 0, 0, 0, 0, 2}, {K, K, K}, {{1}, {1}, {1}}}, /* single votes are ignored */
    {{5, 0, 0, 3, 2}, {S, K, K}, {{0}, {0.625f, 0, 0, 0.375f}, {0.5f, 0, 0, 0.5f}}},
    {{0, 10}, {K, K, K}, {{0, 1}, {0, 1}, {0, 1}}},
    {{2, 0, 0, 0, 0, 0, 0, 0, 8}, {U, U, U}, {{0}}},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 10}, {N, N, N}, {{0}}},
    {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {S, S, S}, {{0}}},
    {{2, 2, 2, 2, 2}, {S, S, S}, {{0}}}, /* five equal shares are too many */
    {{5, 0, 0, 0, 0, 0, 0, 0, 5}, {S, S, K}, {{0}, {0}, {1}}},
    {{4, 0, 0, 3, 0, 0, 0, 0, 3}, {S, K, K}, {{0}, {4.f / 7, 0, 0, 3.f / 7}, {0.5f, 0, 0, 0.5f}}},
};

static void votes_follow_ferplus(void **state) {
    static const mien_soft_mode modes[] = {MIEN_SOFT_MAJORITY, MIEN_SOFT_DISTRIBUTION,
                                           MIEN_SOFT_MULTI};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int m = 0; m < 3; m++) {
            float target[MIEN_VOTE_CLASSES];
            const mien_votes_outcome v = mien_votes_target(cases[i].votes, modes[m], target);
            if ((int)v != cases[i].verdict[m])
                fail_msg("case %zu, mode %d: verdict %d, not %d", i, m, (int)v,
                         cases[i].verdict[m]);
            for (int k = 0; v == MIEN_VOTES_KEPT && k < MIEN_VOTE_CLASSES; k++)
                if (target[k] - cases[i].share[m][k] > 1e-6f ||
                    cases[i].share[m][k] - target[k] > 1e-6f)
                    fail_msg("case %zu, mode %d: share %d is %g", i, m, k, (double)target[k]);
        }
}

/* Votes are merged before the rule: 4 neutral, 3 angry, 3 disgust have no majority, but 6 negative
 * do. Contempt's votes are removed; an image with no others is left out. */
static void merged_votes_are_added(void **state) {
    static const char *const names[] = {"neutral", "happiness", "surprise", "sadness",
                                        "anger",   "disgust",   "fear",     "contempt"};
    int votes[MIEN_VOTE_COLUMNS] = {4, 0, 0, 0, 3, 3};
    int contempt[MIEN_VOTE_COLUMNS] = {0, 0, 0, 0, 0, 0, 0, 10};
    float target[MIEN_VOTE_CLASSES];
    mien_class_choice choice = {0};
    (void)state;
    assert_int_equal(mien_votes_target(votes, MIEN_SOFT_MAJORITY, target), S);
    assert_int_equal(mien_choice_add_rule(&choice, "angry", "negative"), MIEN_OK);
    assert_int_equal(mien_choice_add_rule(&choice, "disgust", "negative"), MIEN_OK);
    assert_int_equal(mien_choice_add_rule(&choice, "contempt", ""), MIEN_OK);
    assert_int_equal(mien_choice_add_rule(&choice, "anger", ""), MIEN_INVALID);
    mien_choice_votes(&choice, names, MIEN_VOTE_CLASSES, votes);
    mien_choice_votes(&choice, names, MIEN_VOTE_CLASSES, contempt);
    assert_int_equal(mien_votes_target(votes, MIEN_SOFT_MAJORITY, target), K);
    assert_true(target[4] == 1);
    assert_int_equal(mien_votes_target(contempt, MIEN_SOFT_MAJORITY, target), S);
    mien_choice_release(&choice);
}

/* ---- a file of votes ---- */

/* Row i: ten votes for class i % 8, every fourth for unknown; row `odd` has another usage. */
static void write_votes(int rows, int odd) {
    mien_text text = {0};
    mien_text_puts(&text, "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,"
                          "contempt,unknown,NF\r\n");
    for (int i = 0; i < rows; i++) {
        mien_text_printf(&text, i % 2 ? "%s,x.png" : "%s,\"x, y.png\"",
                         usages[(i + (i == odd)) % 3]);
        for (int c = 0; c < MIEN_VOTE_COLUMNS; c++)
            mien_text_printf(&text, ",%d", c == (i % 4 == 3 ? 8 : i % 8) ? 10 : 0);
        mien_text_puts(&text, "\r\n");
    }
    write_text(votes_path, &text);
}

static mien_status load(const char *path, mien_memory memory, mien_dataset *set) {
    return mien_dataset_load(path, spec, strict, memory, set);
}

/* Through the file: classes, labels and targets of the set. */
static void votes_of_chosen_classes(void **state) {
    mien_dataset set;
    mien_class_choice choice = {0};
    (void)state;
    write_faces(a_path, 16, 10);
    write_votes(16, -1);
    assert_int_equal(mien_choice_add_rule(&choice, "happy", "positive"), MIEN_OK);
    assert_int_equal(mien_choice_add_rule(&choice, "surprise", "positive"), MIEN_OK);
    assert_int_equal(mien_choice_add_rule(&choice, "neutral", ""), MIEN_OK);
    assert_int_equal(load(a_path, MIEN_MEMORY_RESIDENT, &set), MIEN_OK);
    assert_int_equal(mien_votes_apply(&set, votes_path, MIEN_SOFT_DISTRIBUTION, &choice), MIEN_OK);
    assert_int_equal(mien_choice_apply(&choice, true, &set), MIEN_OK);
    assert_int_equal(set.count, 10); /* rows 0 and 8 are neutral, every fourth unknown */
    assert_int_equal(set.classes, 6);
    assert_string_equal(set.class_names[0], "positive");
    assert_int_equal(set.row[0], 1);
    assert_int_equal(mien_dataset_image(&set, 0)[63], 11);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(set.labels[i], 0);
        assert_true(set.targets[i * 6] == 1);
    }
    mien_choice_release(&choice);
    mien_dataset_release(&set);
}

static void votes_replace_labels(void **state) {
    (void)state;
    mien_dataset set;
    write_faces(a_path, 16, 10);
    write_votes(16, -1);
    for (int memory = MIEN_MEMORY_RESIDENT; memory <= MIEN_MEMORY_STREAM; memory++) {
        uint8_t pixels[12 * 64];
        assert_int_equal(load(a_path, (mien_memory)memory, &set), MIEN_OK);
        assert_int_equal(mien_votes_apply(&set, votes_path, MIEN_SOFT_DISTRIBUTION, NULL), MIEN_OK);
        assert_int_equal(set.count, 12);
        assert_int_equal(set.classes, 8);
        assert_string_equal(set.class_names[7], "contempt");
        if (set.streamed) assert_int_equal(mien_dataset_read(&set, NULL, 12, pixels), MIEN_OK);
        for (size_t i = 0; i < 12; i++) {
            const size_t row = i / 3 * 4 + i % 3;
            const uint8_t *p = set.streamed ? pixels + i * 64 : mien_dataset_image(&set, i);
            assert_int_equal(set.row[i], row);
            assert_int_equal(set.labels[i], row % 8);
            assert_int_equal(set.usage[i], row % 3);
            assert_int_equal(p[63], 10 + row);
            assert_true(set.targets[i * 8 + row % 8] == 1);
        }
        mien_dataset_release(&set);
    }
}

static void refuse_votes(const char *part) {
    mien_dataset set;
    assert_int_equal(load(a_path, MIEN_MEMORY_RESIDENT, &set), MIEN_OK);
    assert_int_not_equal(mien_votes_apply(&set, votes_path, MIEN_SOFT_MAJORITY, NULL), MIEN_OK);
    expect_in_message(part);
    mien_dataset_release(&set);
}

static void votes_of_other_data(void **state) {
    (void)state;
    mien_text text = {0};
    write_faces(a_path, 16, 10);
    write_votes(15, -1);
    refuse_votes("votes for 15 images");
    refuse_votes("has 16");
    write_votes(16, 6);
    refuse_votes("image 7 is in Training");
    mien_text_puts(&text, "Usage,Image name,neutral\nTraining,x,3\n");
    write_text(votes_path, &text);
    refuse_votes("no column 'happiness'");
    mien_text_puts(&text,
                   "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
                   "1,2,3,4,5,6,7,many,0,0\n");
    write_text(votes_path, &text);
    refuse_votes("line 2: the votes for 'contempt'");
    mien_dataset set;
    assert_int_equal(mien_dataset_load("sample", spec, strict, MIEN_MEMORY_STREAM, &set), MIEN_OK);
    assert_int_not_equal(mien_votes_apply(&set, votes_path, MIEN_SOFT_MAJORITY, NULL), MIEN_OK);
    mien_dataset_release(&set);
}

/* ---- votes in a model's metadata ---- */

static mien_status read_meta(const char *votes, mien_meta *meta) {
    char text[600];
    mien_tree tree;
    snprintf(
        text, sizeof text,
        "{\"format\": 1, \"classes\": [\"a\", \"b\"], \"input\": {\"height\": 8, \"width\": 8, "
        "\"channels\": 1, \"scale\": [\"1\"], \"mean\": [\"0\"], \"std\": [\"1\"]}, \"data\": "
        "{\"soft_labels\": \"%s\", \"soft_mode\": 3, \"split\": {\"shares\": [\"0.1\", \"0.1\"], "
        "\"by\": 1, \"seed\": 1}}}",
        votes);
    assert_int_equal(mien_json_parse(text, strlen(text), "meta", &tree), MIEN_OK);
    const mien_status status = mien_meta_read(tree.root, "meta", meta);
    mien_tree_release(&tree);
    return status;
}

static void a_model_names_votes_but_no_path(void **state) {
    (void)state;
    mien_meta meta, again;
    mien_text text = {0};
    mien_tree tree;
    assert_int_equal(read_meta("v.csv", &meta), MIEN_OK);
    mien_meta_write(&meta, &text);
    assert_int_equal(mien_json_parse(text.data, text.size, "meta", &tree), MIEN_OK);
    assert_int_equal(mien_meta_read(tree.root, "meta", &again), MIEN_OK);
    assert_string_equal(again.soft_labels, "v.csv");
    assert_int_equal(again.soft_mode, MIEN_SOFT_MULTI);
    mien_tree_release(&tree);
    mien_text_release(&text);
    mien_free(meta.class_names);
    mien_free(again.class_names);
    assert_int_not_equal(read_meta("../v.csv", &meta), MIEN_OK);
    expect_in_message("must be a file name, not a path");
    mien_free(meta.class_names);
}

/* ---- drawn classes ---- */

/* The class drawn for the first sample; 99 if there are several. */
static int drawn_class(const mien_loader *loader) {
    const float *t = loader->targets;
    int found = -1;
    for (int k = 0; k < loader->classes; k++)
        if (t[k] > 0) found = found < 0 ? k : 99;
    return found;
}

static void classes_are_drawn_by_their_shares(void **state) {
    (void)state;
    mien_backend *backend;
    mien_dataset set;
    mien_loader loader;
    const mien_normalise normalise = {1, {0}, {1, 1, 1, 1}};
    int counts[2] = {0}, first[400];
    write_faces(a_path, 16, 10);
    write_votes(16, -1);
    assert_int_equal(load(a_path, MIEN_MEMORY_RESIDENT, &set), MIEN_OK);
    assert_int_equal(mien_votes_apply(&set, votes_path, MIEN_SOFT_PROBABILITY, NULL), MIEN_OK);
    assert_true(set.drawn);
    set.targets[0] = 0.25f;
    set.targets[1] = 0.75f;
    assert_int_equal(mien_backend_open("cpu", NULL, &backend), MIEN_OK);
    assert_int_equal(mien_loader_create(&set, &normalise, backend, 4, 0, &loader), MIEN_OK);
    for (int round = 0; round < 2; round++)
        for (int epoch = 0; epoch < 400; epoch++) {
            assert_int_equal(mien_loader_order(&loader, MIEN_TRAIN, true, 7, (uint64_t)epoch),
                             MIEN_OK);
            const int k = drawn_class(&loader);
            assert_in_range(k, 0, 1);
            if (round) assert_int_equal(k, first[epoch]); /* a function of seed and epoch */
            first[epoch] = k;
            counts[k]++;
        }
    assert_in_range(counts[0], 2 * 70, 2 * 130); /* 100 of 400; a standard deviation is 8.7 */
    mien_loader_release(&loader);
    mien_dataset_release(&set);
    mien_backend_close(backend);
}

/* ---- classes by name ---- */

static void names_match(void **state) {
    (void)state;
    const char names[3][MIEN_CLASS_NAME] = {"Anger", "joy", "odd"};
    assert_int_equal(mien_class_find(names, 3, "angry"), 0);
    assert_int_equal(mien_class_find(names, 3, "HAPPINESS"), 1);
    assert_int_equal(mien_class_find(names, 3, "ODD"), 2);
    assert_int_equal(mien_class_find(names, 3, "calm"), -1);
    assert_int_equal(mien_class_find(names, 3, "sad"), -1);
}

static void labels_move_to_other_classes(void **state) {
    (void)state;
    mien_dataset set;
    const char other[8][MIEN_CLASS_NAME] = {"neutral", "happiness", "surprise", "sadness",
                                            "anger",   "disgust",   "fear",     "contempt"};
    static const int index[7] = {4, 5, 6, 1, 3, 2, 0};
    write_faces(a_path, 7, 1);
    assert_int_equal(load(a_path, MIEN_MEMORY_RESIDENT, &set), MIEN_OK);
    assert_int_equal(mien_dataset_map(&set, other, 8, "the model"), MIEN_OK);
    assert_int_equal(set.classes, 8);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(set.labels[i], index[i]);
    assert_int_not_equal(mien_dataset_map(&set, other, 7, "the model"), MIEN_OK);
    expect_in_message("'contempt'");
    expect_in_message("a.csv");
    mien_dataset_release(&set);
}

/* ---- a csv without labels ---- */

static void unlabelled_rows_keep_their_numbers(void **state) {
    (void)state;
    mien_dataset set;
    mien_text text = {0};
    mien_text_puts(&text, "pixels\n");
    for (int i = 0; i < 5; i++)
        for (int p = 0; p < 64; p++)
            mien_text_printf(&text, "%d%s", i == 1 ? 256 : i, p < 63 ? " " : "\n");
    write_text(a_path, &text);
    assert_int_equal(
        mien_dataset_load(a_path, spec, (mien_on_bad){true, -1}, MIEN_MEMORY_AUTO, &set), MIEN_OK);
    assert_false(set.labelled);
    assert_int_equal(set.count, 4);
    assert_int_equal(set.source_rows, 5);
    assert_int_equal(set.row[0], 0);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(set.row[i], i + 1);
    mien_dataset_release(&set);
}

/* Among equal shares in `multi` the label is the class with the most votes, not the first. */
static void the_most_votes_decide(void **state) {
    (void)state;
    mien_dataset set;
    mien_text text = {0};
    write_faces(a_path, 1, 10);
    mien_text_puts(&text, "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,"
                          "contempt,unknown,NF\r\nTraining,x.png,4,5,1,0,0,0,0,0,0,0\r\n");
    write_text(votes_path, &text);
    assert_int_equal(load(a_path, MIEN_MEMORY_RESIDENT, &set), MIEN_OK);
    assert_int_equal(mien_votes_apply(&set, votes_path, MIEN_SOFT_MULTI, NULL), MIEN_OK);
    assert_int_equal(set.count, 1);
    assert_true(set.targets[0] == 0.5f && set.targets[1] == 0.5f);
    assert_int_equal(set.labels[0], 1);
    mien_dataset_release(&set);
}

/* ---- merged sources ---- */

static void sources_merge(void **state) {
    (void)state;
    mien_dataset set;
    char names[160];
    write_faces(a_path, 9, 10);
    write_faces(b_path, 5, 100);
    snprintf(names, sizeof names, "%s + %s", a_path, b_path);
    for (int memory = MIEN_MEMORY_RESIDENT; memory <= MIEN_MEMORY_STREAM; memory++) {
        uint8_t pixels[14 * 64];
        assert_int_equal(
            mien_dataset_load_all(names, spec, strict, (mien_memory)memory, NULL, &set), MIEN_OK);
        assert_int_equal(set.count, 14);
        assert_int_equal(set.classes, 7);
        assert_string_equal(set.source, names);
        assert_int_equal(set.streamed, memory == MIEN_MEMORY_STREAM);
        if (set.streamed) assert_int_equal(mien_dataset_read(&set, NULL, 14, pixels), MIEN_OK);
        for (size_t i = 0; i < 14; i++) {
            const uint8_t *p = set.streamed ? pixels + i * 64 : mien_dataset_image(&set, i);
            assert_int_equal(p[0], i < 9 ? 10 + i : 100 + i - 9);
            assert_int_equal(set.labels[i], (i < 9 ? i : i - 9) % 7);
            assert_int_equal(set.usage[i], (i < 9 ? i : i - 9) % 3);
        }
        assert_int_not_equal(mien_votes_apply(&set, a_path, MIEN_SOFT_MAJORITY, NULL), MIEN_OK);
        mien_dataset_release(&set);
    }
    snprintf(names, sizeof names, "%s + %s/none.csv", a_path, scratch);
    assert_int_not_equal(mien_dataset_load_all(names, spec, strict, MIEN_MEMORY_AUTO, NULL, &set),
                         MIEN_OK);
    expect_in_message("none.csv");
    mien_dataset_release(&set);
}

/* The limit of bad rows applies to all sources together. */
static void bad_rows_of_all_sources(void **state) {
    (void)state;
    mien_dataset set;
    char names[160];
    snprintf(names, sizeof names, "%s + %s", a_path, b_path);
    for (int i = 0; i < 2; i++) {
        const char *path = i ? b_path : a_path;
        write_faces(path, 5, 10);
        FILE *file = fopen(path, "a");
        fputs("0,1 2 3,Training\n0,oops,Training\n", file);
        fclose(file);
    }
    const mien_on_bad four = {true, 4}, three = {true, 3};
    assert_int_equal(mien_dataset_load_all(names, spec, four, MIEN_MEMORY_AUTO, NULL, &set),
                     MIEN_OK);
    assert_int_equal(set.skipped, 4);
    mien_dataset_release(&set);
    assert_int_not_equal(mien_dataset_load_all(names, spec, three, MIEN_MEMORY_AUTO, NULL, &set),
                         MIEN_OK);
    mien_dataset_release(&set);
}

/* More than 64 sources are refused, not cut off. */
static void too_many_sources(void **state) {
    (void)state;
    mien_dataset set;
    mien_text names = {0};
    for (int i = 0; i < 65; i++)
        mien_text_printf(&names, "%ss", i ? " + " : "");
    assert_int_equal(mien_dataset_load_all(names.data, spec, strict, MIEN_MEMORY_AUTO, NULL, &set),
                     MIEN_UNSUPPORTED);
    expect_in_message("more than 64 sources");
    mien_dataset_release(&set);
    mien_text_release(&names);
}

/* ---- balanced epochs ---- */

static void an_epoch_is_balanced(void **state) {
    (void)state;
    uint16_t labels[23];
    uint8_t part[23] = {0};
    int shown[23] = {0};
    /* 15 of class 0, none of 1, 6 of 2, 2 of 3 */
    for (int i = 0; i < 23; i++)
        labels[i] = (uint16_t)(i < 15 ? 0 : (i < 21 ? 2 : 3));
    const mien_dataset set = {.count = 23, .labels = labels, .part = part, .classes = 4};
    mien_balance b;
    assert_int_equal(mien_balance_create(&set, &b), MIEN_OK);
    assert_int_equal(b.classes, 3);
    for (uint64_t epoch = 1; epoch <= 60; epoch++) {
        int of[4] = {0};
        mien_balance_draw(&b, epoch);
        for (int i = 0; i < 23; i++) {
            of[labels[b.epoch[i]]]++;
            shown[b.epoch[i]]++;
        }
        assert_int_equal(of[1], 0);
        for (int k = 0; k < 4; k++)
            if (k != 1) assert_in_range(of[k], 7, 8);
    }
    for (int i = 0; i < 23; i++) { /* 60 epochs of 23 / 3 images of each class */
        const double expected = 60 * 23 / 3.0 / (i < 15 ? 15 : (i < 21 ? 6 : 2));
        assert_in_range(shown[i], (int)(expected * 0.8), (int)(expected * 1.2));
    }
    mien_balance_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(votes_follow_ferplus),
        cmocka_unit_test(merged_votes_are_added),
        cmocka_unit_test(votes_replace_labels),
        cmocka_unit_test(votes_of_chosen_classes),
        cmocka_unit_test(votes_of_other_data),
        cmocka_unit_test(a_model_names_votes_but_no_path),
        cmocka_unit_test(classes_are_drawn_by_their_shares),
        cmocka_unit_test(names_match),
        cmocka_unit_test(labels_move_to_other_classes),
        cmocka_unit_test(unlabelled_rows_keep_their_numbers),
        cmocka_unit_test(the_most_votes_decide),
        cmocka_unit_test(sources_merge),
        cmocka_unit_test(bad_rows_of_all_sources),
        cmocka_unit_test(too_many_sources),
        cmocka_unit_test(an_epoch_is_balanced),
    };
    return cmocka_run_group_tests(tests, start, scratch_drop);
}
