/* The basics: value trees from YAML and JSON, key tables, text, SHA-256. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/keys.h"
#include "host/base/memory.h"
#include "host/base/search.h"
#include "host/base/sha256.h"
#include "host/base/text.h"
#include "host/base/yaml.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

typedef mien_status (*parse_fn)(const char *, size_t, const char *, mien_tree *);

static void refuse(parse_fn parse, const char *text, size_t size, const char *part) {
    mien_tree tree;
    if (parse(text, size, "file", &tree) == MIEN_OK) fail_msg("'%s' was taken", text);
    mien_tree_release(&tree);
    expect_in_message("file");
    expect_in_message(part);
}

static void refuse_yaml(const char *text, const char *part) {
    refuse(mien_yaml_parse, text, strlen(text), part);
}

static void refuse_json(const char *text, const char *part) {
    refuse(mien_json_parse, text, strlen(text), part);
}

static mien_tree take(parse_fn parse, const char *text) {
    mien_tree tree;
    if (parse(text, strlen(text), "file", &tree) != MIEN_OK) fail_msg("%s", mien_error_message());
    return tree;
}

/* `depth` times `open`, then `close`. The caller frees it. */
static char *nest(int depth, const char *open, const char *close) {
    mien_text text = {0};
    for (int i = 0; i < depth; i++)
        mien_text_puts(&text, open);
    for (int i = 0; i < depth; i++)
        mien_text_puts(&text, close);
    return text.data;
}

static void yaml_values(void **state) {
    (void)state;
    mien_tree tree =
        take(mien_yaml_parse, "a: 12\nb: [1.5, \"12\", true, ~, word]\nc: {d: -1.0e-3}\n"
                              "e: .nan\ng:\n  - 1\nf: 1e999\n");
    const mien_value *b = mien_value_get(tree.root, "b");
    assert_int_equal(tree.root->count, 6);
    assert_true(mien_value_number(tree.root, "a", 0) == 12);
    assert_int_equal(b->count, 5);
    assert_int_equal(b->line, 2); /* a map entry has the line of its key */
    assert_int_equal(b->column, 1);
    assert_int_equal(b->first->column, 5);
    assert_int_equal(mien_value_get(tree.root, "g")->line, 5);
    assert_true(b->first->number == 1.5);
    assert_int_equal(b->first->next->kind, MIEN_VALUE_STRING); /* quoted, so not a number */
    assert_int_equal(b->first->next->next->kind, MIEN_VALUE_BOOL);
    assert_int_equal(b->last->kind, MIEN_VALUE_STRING);
    assert_true(mien_value_number(mien_value_get(tree.root, "c"), "d", 0) == -1.0e-3);
    assert_string_equal(mien_value_string(tree.root, "e"), ".nan"); /* not a number in a config */
    assert_string_equal(mien_value_string(tree.root, "f"), "1e999");
    assert_null(mien_value_get(tree.root, "z"));
    assert_null(mien_value_get(b, "z"));
    assert_null(mien_value_get(NULL, "z"));
    mien_tree_release(&tree);
}

static void yaml_refusals(void **state) {
    (void)state;
    refuse_yaml("a: 1\nb:\n\t- 2\n", ":3: not YAML");
    refuse_yaml("a: 1\nb: 2\na: 3\n", ":3: duplicate key 'a'");
    refuse_yaml("a: &x 1\nb: *x\n", ":1: anchors");
    refuse_yaml("a: 1\nb: *x\n", ":2: aliases");
    refuse_yaml("a: !!int 1\n", ":1: anchors and tags");
    refuse_yaml("a: 1\n---\nb: 2\n", ":2: only one document");
    refuse_yaml("a: [1, 2\n", "not YAML");
    refuse_yaml("? [a]\n: 1\n", "a key must be plain text");
    refuse_yaml("", "empty");
    refuse_yaml("# nothing\n", "empty");
    refuse_yaml("a: \"x\\0y\"\n", ":1: a string contains a NUL byte");
    refuse(mien_yaml_parse, "a: x\0y\n", 7, "not YAML");
    char *deep = nest(64, "[", "]"), *deeper = nest(65, "[", "]");
    mien_tree tree = take(mien_yaml_parse, deep);
    mien_tree_release(&tree);
    refuse_yaml(deeper, "nested too deeply");
    mien_free(deep);
    mien_free(deeper);
}

static void json_values(void **state) {
    (void)state;
    mien_tree tree =
        take(mien_json_parse, "{\"a\": [1, 2.5e3, NaN, Infinity, -Infinity, null, false, "
                              "\"q\\\"\\u00e9:\"], \"b\": 9007199254740993}\n");
    const mien_value *v = mien_value_get(tree.root, "a")->first;
    assert_true(v->number == 1);
    assert_true((v = v->next)->number == 2500);
    v = v->next;
    assert_true(v->number != v->number);
    assert_true((v = v->next)->number > 1e308);
    assert_true((v = v->next)->number < -1e308);
    assert_int_equal((v = v->next)->kind, MIEN_VALUE_NULL);
    assert_int_equal((v = v->next)->kind, MIEN_VALUE_BOOL);
    assert_string_equal((v = v->next)->text, "q\"\xc3\xa9:");
    mien_tree_release(&tree);
    tree = take(mien_json_parse, "7"); /* a scalar document */
    assert_true(tree.root->number == 7);
    mien_tree_release(&tree);
}

static void json_refusals(void **state) {
    (void)state;
    refuse_json("{\"a\": 1, \"a\": 2}", "an object has a duplicate key");
    refuse_json("[9223372036854775808]", "does not fit in 64 bits");
    refuse_json("[-99999999999999999999]", "does not fit in 64 bits");
    refuse_json("[1, 2", "not JSON");
    refuse_json("{\"a\" 1}", "not JSON");
    refuse_json("{} {}", "text follows");
    refuse_json("", "not JSON");
    refuse_json("[\"\xff\"]", "not JSON");
    refuse_json("[\"a\\u0000b\"]", "a string contains a NUL byte");
    refuse(mien_json_parse, "[1,\0 2]", 7, "not JSON");
    char *deep = nest(60, "[", "]"), *deeper = nest(100, "[", "]");
    mien_tree tree = take(mien_json_parse, deep);
    mien_tree_release(&tree);
    refuse_json(deeper, "not JSON");
    mien_free(deep);
    mien_free(deeper);
}

static void json_writer(void **state) {
    (void)state;
    mien_text text = {0};
    mien_json json = {.text = &text};
    const double zero = 0;
    mien_json_open(&json, NULL, '{');
    mien_json_number(&json, "nan", zero / zero);
    mien_json_number(&json, "inf", 1 / zero);
    mien_json_number(&json, "x", 0.25);
    mien_json_string(&json, "s", "a\"\\\n\x01");
    mien_json_string(&json, "none", NULL);
    mien_json_open(&json, "list", '[');
    mien_json_bool(&json, NULL, true);
    mien_json_integer(&json, NULL, -9223372036854775807LL);
    mien_json_close(&json, ']');
    mien_json_close(&json, '}');
    assert_string_equal(text.data, "{\"nan\": null, \"inf\": null, \"x\": 0.25, \"s\": "
                                   "\"a\\\"\\\\\\u000a\\u0001\", \"none\": null, \"list\": [true, "
                                   "-9223372036854775807]}");
    mien_tree tree = take(mien_json_parse, text.data); /* the output parses */
    assert_string_equal(mien_value_string(tree.root, "s"), "a\"\\\n\x01");
    mien_tree_release(&tree);
    mien_text_release(&text);
}

/* Invalid UTF-8, which file names may contain: each byte becomes U+FFFD. */
static void json_writer_utf8(void **state) {
    (void)state;
    static const struct {
        const char *given, *written;
    } cases[] = {
        {"J\xc3\xb6rg \xe2\x82\xac \xf0\x9f\x98\x80", NULL},
        {"\xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbf",
         NULL}, /* next to the surrogates, and the last code point */
        {"J\xf6rg", "J\\ufffdrg"},
        {"\xc0\xaf", "\\ufffd\\ufffd"},            /* overlong */
        {"\xe0\x9f\xbf", "\\ufffd\\ufffd\\ufffd"}, /* overlong */
        {"\xf0\x8f\xbf\xbf!", "\\ufffd\\ufffd\\ufffd\\ufffd!"},
        {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},            /* a surrogate */
        {"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"}, /* beyond the last code point */
        {"\xe2\x82", "\\ufffd\\ufffd"},                       /* truncated */
        {"\xe2\"", "\\ufffd\\\""},
        {"\x80\xff", "\\ufffd\\ufffd"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char want[64];
        mien_text text = {0};
        mien_json json = {.text = &text};
        mien_json_string(&json, NULL, cases[i].given);
        snprintf(want, sizeof want, "\"%s\"", cases[i].written ? cases[i].written : cases[i].given);
        assert_string_equal(text.data, want);
        mien_tree tree = take(mien_json_parse, text.data);
        mien_tree_release(&tree);
        mien_text_release(&text);
    }
}

typedef struct thing {
    bool flag;
    int count, kind, pair[2];
    double rate;
    char name[16];
    mien_reals reals;
    mien_texts texts;
    mien_number_or either;
} thing;

#define F(field) MIEN_FIELD(thing, field)
static const mien_key rows[] = {
    {"flag", MIEN_KEY_BOOL, F(flag), "true", 0, 0, NULL, ""},
    {"train.count", MIEN_KEY_INT, F(count), "3", 1, 10, NULL, ""},
    {"train.learning_rate", MIEN_KEY_REAL, F(rate), "1.0e-7", 0, 1, NULL, ""},
    {"train.deep.kind", MIEN_KEY_CHOICE, F(kind), "round", 0, 0, "flat|round", ""},
    {"train.deep.pair", MIEN_KEY_PAIR, F(pair), "2", 0, 9, NULL, ""},
    {"name", MIEN_KEY_TEXT, F(name), "\"\"", 0, 0, NULL, ""},
    {"reals", MIEN_KEY_REALS, F(reals), "[]", 0, 100, NULL, ""},
    {"texts", MIEN_KEY_TEXTS, F(texts), "[]", 0, 0, NULL, ""},
    {"either", MIEN_KEY_NUMBER_OR, F(either), "auto", 1, 5, "auto", ""},
};
static const mien_keys table = {rows, sizeof rows / sizeof rows[0]};

static mien_status read_thing(thing *t, const char *yaml) {
    mien_tree tree = take(mien_yaml_parse, yaml);
    const mien_status status = mien_keys_read(table, t, tree.root, "file", NULL);
    mien_tree_release(&tree);
    return status;
}

static void key_defaults(void **state) {
    (void)state;
    thing t = {0};
    assert_int_equal(mien_keys_defaults(table, &t), MIEN_OK);
    assert_true(t.flag && t.count == 3 && t.rate == 1.0e-7 && t.kind == 1);
    assert_true(t.pair[0] == 2 && t.pair[1] == 2 && t.name[0] == 0 && t.either.word == 0);
    assert_int_equal(read_thing(&t, "flag: false\ntrain: {deep: {pair: [4, 5]}, count: 10}\n"
                                    "either: 2.5\ntexts: one\nreals: [1, 2.5]\nname: a b\n"),
                     MIEN_OK);
    assert_true(!t.flag && t.count == 10 && t.pair[0] == 4 && t.pair[1] == 5);
    assert_true(t.either.word < 0 && t.either.number == 2.5 && t.texts.count == 1);
    assert_true(t.reals.count == 2 && t.reals.items[1] == 2.5);
    assert_string_equal(t.name, "a b");
    mien_keys_release(table, &t);
}

static void key_refusals(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"\nflag: 1\n", "file:2: 'flag' must be true or false, not '1'"},
        {"train: {count: 11}\n", "'train.count' must be a whole number from 1 to 10, not '11'"},
        {"train: {count: 2.5}\n", "'train.count' must be a whole number"},
        {"train: {count: \"3\"}\n", "'train.count' must be a whole number"},
        {"train: {learning_rate: -1}\n", "from 0 to 1, not '-1'"},
        {"train: {learning_rate: .nan}\n", "from 0 to 1, not '.nan'"},
        {"train: {deep: {kind: square}}\n", "one of flat|round, not 'square'"},
        {"train: {deep: {pair: [1, 2, 3]}}\n", "a number or a list of two"},
        {"train: 3\n", "'train' is a section"},
        {"name: this text is too long\n", "'name' must be a shorter text"},
        {"name: [a]\n", "'name' must be text, not a list"},
        {"reals: x\n", "a number or a list of numbers"},
        {"reals: [1, x]\n", "not 'x'"},
        {"texts: [[a]]\n", "text or a list of texts"},
        {"either: 6\n", "from 1 to 5 or one of auto"},
        {"either: none\n", "not 'none'"},
        {"- a\n", "expected keys with values here, not a list"},
        {"train:\n  cuont: 3\n", "file:2: unknown key 'train.cuont'; did you mean 'train.count'?"},
        {"train: {lr: 3}\n", "did you mean 'train.learning_rate'?"},
        {"trian: {count: 3}\n", "unknown key 'trian'; did you mean 'train'?"},
        {"count: 3\n", "did you mean 'train.count'?"},
        {"train: {dep: {kind: flat}}\n", "did you mean 'train.deep'?"},
        {"zebra: 3\n", "unknown key 'zebra'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        thing t = {0};
        assert_int_equal(mien_keys_defaults(table, &t), MIEN_OK);
        if (read_thing(&t, bad[i][0]) != MIEN_INVALID) fail_msg("%s was taken", bad[i][0]);
        expect_in_message(bad[i][1]);
        mien_keys_release(table, &t);
    }
    thing t = {0};
    assert_int_equal(read_thing(&t, "zebra: 3\n"), MIEN_INVALID);
    assert_null(strstr(mien_error_message(), "did you mean"));
}

typedef struct lists {
    int sides[4];
    mien_ints ints;
    mien_number_or limit;
} lists;

static const mien_key list_rows[] = {
    {"sides", MIEN_KEY_SIDES, MIEN_FIELD(lists, sides), "1", 0, 9, NULL, ""},
    {"ints", MIEN_KEY_INTS, MIEN_FIELD(lists, ints), "[]", -1, 9, NULL, ""},
    {"limit", MIEN_KEY_NUMBER_OR, MIEN_FIELD(lists, limit), "none", 1, 5, "none", ""},
};
static const mien_keys list_table = {list_rows, sizeof list_rows / sizeof list_rows[0]};

/* Reads lists, then prints them to `out`. */
static mien_status read_lists(lists *t, const char *yaml, char *out, size_t size) {
    mien_tree tree = take(mien_yaml_parse, yaml);
    mien_text text = {0};
    assert_int_equal(mien_keys_defaults(list_table, t), MIEN_OK);
    const mien_status status = mien_keys_read(list_table, t, tree.root, "file", NULL);
    mien_keys_print(list_table, t, &text);
    snprintf(out, size, "%s", text.data);
    mien_text_release(&text);
    mien_tree_release(&tree);
    return status;
}

static void key_lists(void **state) {
    (void)state;
    static const char *const good[][2] = {
        {"limit: 2\n", "sides: [[1, 1], [1, 1]]\nints: []\nlimit: 2\n"},
        {"sides: [2, 3]\nlimit: null\n", "sides: [[2, 2], [3, 3]]\nints: []\nlimit: none\n"},
        {"sides: [[1, 2], [3, 4]]\nints: [3, -1]\n",
         "sides: [[1, 2], [3, 4]]\nints: [3, -1]\nlimit: none\n"},
        {"sides: [[1, 2], 3]\nints: 7\n", "sides: [[1, 2], [3, 3]]\nints: [7]\nlimit: none\n"},
        {"ints: null\n", "sides: [[1, 1], [1, 1]]\nints: []\nlimit: none\n"},
    };
    static const char *const bad[][2] = {
        {"sides: [1, 2, 3]\n", "'sides' must be a number or a list of two"},
        {"sides: [[1, 2, 3], 4]\n", "'sides' must be a number or a list of two"},
        {"sides: [[[1, 2], 3], 4]\n", "'sides' must be a whole number from 0 to 9"},
        {"sides: 10\n", "from 0 to 9, not '10'"},
        {"ints: [1, 2, 3, 4, 5]\n", "'ints' must be a shorter list"},
        {"ints: [1.5]\n", "whole number"},
        {"limit: 9\n", "from 1 to 5 or one of none"},
    };
    lists t;
    char text[256];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(read_lists(&t, good[i][0], text, sizeof text), MIEN_OK);
        assert_string_equal(text, good[i][1]);
        assert_int_equal(read_lists(&t, text, text, sizeof text), MIEN_OK); /* round trip */
        assert_string_equal(text, good[i][1]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (read_lists(&t, bad[i][0], text, sizeof text) != MIEN_INVALID)
            fail_msg("%s was taken", bad[i][0]);
        expect_in_message(bad[i][1]);
    }
}

static void key_set(void **state) {
    (void)state;
    thing t = {0};
    assert_int_equal(mien_keys_set(table, &t, "train.count=4"), MIEN_OK);
    assert_int_equal(t.count, 4);
    assert_int_equal(mien_keys_set(table, &t, "texts=[a, b]"), MIEN_OK);
    assert_int_equal(t.texts.count, 2);
    static const char *const bad[][2] = {{"train.count", "key=value"},
                                         {"=4", "key=value"},
                                         {"train.count=", "train.count"},
                                         {"train.count=[", "train.count"},
                                         {"train.cont=4", "did you mean 'train.count'?"},
                                         {"train.count=1.5", "whole number"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (mien_keys_set(table, &t, bad[i][0]) != MIEN_INVALID)
            fail_msg("%s was taken", bad[i][0]);
        expect_in_message(bad[i][1]);
    }
    assert_int_equal(t.count, 4);
    mien_keys_release(table, &t);
}

static void key_round_trip(void **state) {
    (void)state;
    thing t = {0}, back = {0};
    mien_text first = {0}, second = {0};
    assert_int_equal(mien_keys_defaults(table, &t), MIEN_OK);
    assert_int_equal(read_thing(&t, "train: {learning_rate: 0.1234567890123, deep: {kind: flat}}\n"
                                    "name: \"12\"\ntexts: [\"a: b\", \"#\", \"true\", \"\", none, "
                                    "\"q\\\"\"]\nreals: [0.1, 30]\neither: 3\n"),
                     MIEN_OK);
    mien_keys_print(table, &t, &first);
    assert_int_equal(mien_keys_defaults(table, &back), MIEN_OK);
    assert_int_equal(read_thing(&back, first.data), MIEN_OK);
    mien_keys_print(table, &back, &second);
    assert_string_equal(first.data, second.data);
    assert_true(back.rate == 0.1234567890123 && back.kind == 0 && back.either.number == 3);
    assert_int_equal(back.texts.count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(t.texts.items[i], back.texts.items[i]);
    mien_text_release(&first);
    mien_text_release(&second);
    mien_keys_release(table, &t);
    mien_keys_release(table, &back);
}

static void words(void **state) {
    (void)state;
    static const char *const known[] = {"train", "evaluate", "inspect", "devices"};
    assert_string_equal(mien_nearest("trian", known, 4), "train");
    assert_string_equal(mien_nearest("EVALUATE", known, 4), "evaluate");
    assert_string_equal(mien_nearest("inspct", known, 4), "inspect");
    assert_null(mien_nearest("banana", known, 4));
    assert_null(mien_nearest("", known, 0));
    assert_int_equal(mien_word_distance("abc", "abc"), 0);
    assert_int_equal(mien_word_distance("abc", "acb"), 1);
    assert_int_equal(mien_word_distance("abc", "ABCD"), 1);
    assert_int_equal(mien_word_distance("", "abc"), 3);
    char longest[201];
    memset(longest, 'x', 200);
    longest[200] = 0;
    assert_null(mien_nearest(longest, known, 4));
}

static void parts(void **state) {
    (void)state;
    const char *list = "a||bc", *part;
    size_t length;
    assert_true(mien_next_part(&list, '|', &part, &length));
    assert_int_equal(length, 1);
    assert_true(mien_next_part(&list, '|', &part, &length));
    assert_int_equal(length, 0);
    assert_true(mien_next_part(&list, '|', &part, &length));
    assert_int_equal(length, 2);
    assert_memory_equal(part, "bc", 2);
    assert_false(mien_next_part(&list, '|', &part, &length));
    list = NULL;
    assert_false(mien_next_part(&list, '|', &part, &length));
}

static int compare_ints(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

/* The first that is not before the key, also of several equal ones. */
static void search(void **state) {
    (void)state;
    static const int items[] = {2, 4, 4, 4, 7};
    static const size_t wanted[] = {0, 0, 0, 1, 1, 4, 4, 4, 5}; /* of the keys 0 to 8 */
    for (int key = 0; key < 9; key++)
        assert_int_equal(mien_search(&key, items, 5, sizeof *items, compare_ints), wanted[key]);
    assert_int_equal(mien_search(&items[1], items, 0, sizeof *items, compare_ints), 0);
}

/* The examples of FIPS 180-4; the million bytes are fed in pieces that straddle the blocks. */
static void sha256(void **state) {
    (void)state;
    static const char *const known[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    mien_sha256 hash;
    char hex[65];
    for (size_t i = 0; i < 6; i++) {
        mien_sha256_start(&hash);
        if (i >= 3) hash.instructions = false; /* and without SHA instructions */
        mien_sha256_add(&hash, known[i % 3][0], strlen(known[i % 3][0]));
        mien_sha256_hex(&hash, hex);
        assert_string_equal(hex, known[i % 3][1]);
    }
    char some[997];
    memset(some, 'a', sizeof some);
    mien_sha256_start(&hash);
    for (size_t left = 1000000; left;) {
        const size_t piece = left < sizeof some ? left : sizeof some;
        mien_sha256_add(&hash, some, piece);
        left -= piece;
    }
    mien_sha256_hex(&hash, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Appending after a failure changes nothing and stays safe. */
static void text_buffer(void **state) {
    (void)state;
    mien_text text = {0};
    for (int i = 0; i < 1000; i++)
        mien_text_printf(&text, "%d,", i % 10);
    assert_int_equal(text.size, 2000);
    assert_int_equal(strlen(text.data), 2000);
    text.status = MIEN_NO_MEMORY;
    mien_text_puts(&text, "more");
    mien_text_printf(&text, "%s", "more");
    assert_int_equal(text.size, 2000);
    mien_text_release(&text);
    char *block = NULL;
    size_t capacity = 0; /* overflowing sizes are caught before allocation */
    assert_int_equal(mien_grow_to(&block, &capacity, SIZE_MAX / 8, 16), MIEN_NO_MEMORY);
    assert_int_equal(mien_grow(&block, &capacity, SIZE_MAX, 1), MIEN_NO_MEMORY);
    assert_true(block == NULL && capacity == 0);
}

/* Only csv cells that need it are quoted. */
static void text_cells(void **state) {
    (void)state;
    mien_text text = {0};
    const char *const cells[] = {"plain", "", "a, b", "say \"x\"", "two\nlines"};
    for (int i = 0; i < 5; i++) {
        mien_text_cell(&text, cells[i]);
        mien_text_puts(&text, ";");
    }
    assert_string_equal(text.data, "plain;;\"a, b\";\"say \"\"x\"\"\";\"two\nlines\";");
    mien_text_release(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_values),    cmocka_unit_test(yaml_refusals),
        cmocka_unit_test(json_values),    cmocka_unit_test(json_refusals),
        cmocka_unit_test(json_writer),    cmocka_unit_test(json_writer_utf8),
        cmocka_unit_test(key_defaults),   cmocka_unit_test(key_refusals),
        cmocka_unit_test(key_lists),      cmocka_unit_test(key_set),
        cmocka_unit_test(key_round_trip), cmocka_unit_test(words),
        cmocka_unit_test(parts),          cmocka_unit_test(sha256),
        cmocka_unit_test(search),         cmocka_unit_test(text_buffer),
        cmocka_unit_test(text_cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
