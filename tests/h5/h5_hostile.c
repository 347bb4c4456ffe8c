/* Tests of mien-h5 with damaged and malformed input, and of its sandbox. */
#include "tests/h5/h5_hostile.h"
#include "tests/h5/h5_run.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/test.h"

void test_cut_files(void **state) {
    (void)state;
    struct blob c = model_container();
    struct blob h5 = convert("write", c, "write");
    for (size_t size = 0; size < h5.size; size += size < 128 ? 9 : h5.size / 60) {
        struct outcome o = run_program("read", (struct blob){h5.data, size});
        expect_outcome(&o, 1, "not an HDF5 file", "cut HDF5 file");
        free(o.out.data);
    }
    for (size_t size = 0; size < c.size; size += size < 24 ? 3 : c.size / 30) {
        struct outcome o = run_program("write", (struct blob){c.data, size});
        expect_outcome(&o, 1, "container", "cut container");
        free(o.out.data);
    }
    free(h5.data);
    free(c.data);
}

/* An own small random generator, for the same damage on every machine. */
static uint32_t next_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

static bool is_contained_death(int status) {
    static const int signals[] = {SIGSYS, SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGXCPU};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (status == -signals[i]) return true;
    }
    return false;
}

/* Runs the program on files with flipped bytes. The HDF5 library may crash on them, which is why it
 * runs in a separate process, so death by a signal is accepted here and only here. */
static void flip_bytes(const char *mode, struct blob good, int runs) {
    uint64_t seed = 20240607;
    int accepted = 0;
    int refused = 0;
    int died = 0;
    for (int i = 0; i < runs; i++) {
        struct blob bad = {malloc(good.size), good.size};
        assert_non_null(bad.data);
        memcpy(bad.data, good.data, good.size);
        for (uint32_t flips = 1 + next_random(&seed) % 4; flips > 0; flips--) {
            /* Half of them are in the first eighth, which has the headers and addresses. */
            const size_t span = next_random(&seed) % 2 ? good.size : good.size / 8;
            bad.data[next_random(&seed) % span] ^= (unsigned char)(1 + next_random(&seed) % 255);
        }
        struct outcome o = run_program(mode, bad);
        if (o.status == 0) {
            accepted++;
            assert_true(o.out.size >= 8);
        } else if (is_contained_death(o.status)) {
            died++;
            assert_int_equal(o.out.size, 0);
        } else {
            refused++;
            expect_outcome(&o, 1, "", "flipped bytes");
        }
        free(o.out.data);
        free(bad.data);
    }
    print_message("%s: %d accepted, %d refused, %d died\n", mode, accepted, refused, died);
    assert_true(accepted > 0 && refused > 0);
}

void test_flipped_bytes(void **state) {
    (void)state;
    struct blob c = model_container();
    struct blob h5 = convert("write", c, "write");
    flip_bytes("read", h5, 400);
    flip_bytes("write", c, 100);
    free(h5.data);
    free(c.data);
}

void test_garbage(void **state) {
    (void)state;
    uint64_t seed = 7;
    unsigned char garbage[5000];
    for (size_t i = 0; i < sizeof garbage; i++) {
        garbage[i] = (unsigned char)next_random(&seed);
    }
    const struct blob inputs[] = {{garbage, 0}, {garbage, 1}, {garbage, sizeof garbage}};
    for (size_t i = 0; i < 3; i++) {
        struct outcome o = run_program("read", inputs[i]);
        expect_outcome(&o, 1, "not an HDF5 file", "garbage to read");
        free(o.out.data);
        o = run_program("write", inputs[i]);
        expect_outcome(&o, 1, "not a safetensors container", "garbage to write");
        free(o.out.data);
    }
}

#define ENTRY(name, body) "{\"" name "\":{" body "}}"
#define FOUR              "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"

/* Headers that must be refused, each with four bytes of data. */
static const struct {
    const char *json;
    const char *fragment;
} bad_headers[] = {
    {"", "header is not a JSON object"},
    {"[]", "header is not a JSON object"},
    {"{} {}", "header is not a JSON object"},
    {"{", "header is not a JSON object"},
    {"{\"/a\":tru}", "header is not a JSON object"},
    {"{}", "longer than its tensors"},
    {ENTRY("a", FOUR), "not a valid path"},
    {ENTRY("/", FOUR), "not a valid path"},
    {ENTRY("/a/", FOUR), "not a valid path"},
    {ENTRY("/a//b", FOUR), "not a valid path"},
    {ENTRY("/../a", FOUR), "not a valid path"},
    {ENTRY("/a/.", FOUR), "not a valid path"},
    {ENTRY("/a\\u0000b", FOUR), "header is not a JSON object"},
    {ENTRY("/a\xFF", FOUR), "header is not a JSON object"},
    {ENTRY("/a", FOUR ",\"more\":1"), "malformed"},
    {ENTRY("/a", "\"dtype\":\"F32\",\"shape\":[1]"), "malformed"},
    {ENTRY("/a", "\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]"), "malformed"},
    {ENTRY("/a", "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]"), "malformed"},
    {ENTRY("/a", "\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]"), "malformed"},
    {ENTRY("/a", "\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]"), "malformed"},
    {ENTRY("/a", "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]"), "malformed"},
    {ENTRY("/a", "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]"), "malformed"},
    {ENTRY("/a", "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]"), "malformed"},
    {ENTRY("/a", "\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]"),
     "malformed"},
    {ENTRY("/a", "\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]"),
     "malformed"},
    {ENTRY("/a", "\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]"),
     "longer than its tensors"},
    {ENTRY("/a", "\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]"), "gap or overlaps"},
    {"{\"/a\":{" FOUR "},\"/b\":{" FOUR "}}", "gap or overlaps"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":[]}", "not a JSON object"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"x\":1}}", "'x' is not a string"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"format\":\"pt\"}}", "'format' is not a valid group"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"group:b\":\"\"}}", "not a valid group"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"group:/a\":\"\"}}", "cannot be written"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"group:/a/b\":\"\"}}", "cannot be written"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"attr:/a\":\"1\"}}", "malformed"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"attr:/a@\":\"1\"}}", "malformed"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"attr:/b@n\":\"1\"}}", "belongs to no group"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"attr:/a@n\":\"\"}}", "not valid JSON"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"attr:/a@n\":\"[1\"}}", "not valid JSON"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"attr:/a@n\":\"\\\"\\\\u0000\\\"\"}}",
     "not valid JSON"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"attr:/a@n\":\"{}\"}}", "something other than"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"attr:/a@n\":\"[true]\"}}", "something other than"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"attr:/a@n\":\"[[1]]\"}}", "something other than"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"attr:/a@n\":\"[\\\"x\\\",1]\"}}", "mixes kinds"},
    {"{\"/a\":{" FOUR "},\"__metadata__\":{\"attr:/a@n\":\"9223372036854775808\"}}",
     "above 63 bits"},
};

void test_bad_containers(void **state) {
    (void)state;
    struct blob good = make_container(ENTRY("/a", FOUR), "data", 4);
    struct blob h5 = convert("write", good, "the pattern of the bad headers");
    free(h5.data);
    free(good.data);
    for (size_t i = 0; i < sizeof bad_headers / sizeof bad_headers[0]; i++) {
        struct blob c = make_container(bad_headers[i].json, "data", 4);
        struct outcome o = run_program("write", c);
        expect_outcome(&o, 1, bad_headers[i].fragment, bad_headers[i].json);
        free(o.out.data);
        free(c.data);
    }
}

void test_usage(void **state) {
    (void)state;
    const int input = memory_file("x", 1);
    const int output = memory_file(NULL, 0);
    const int errors = memory_file(NULL, 0);
    assert_int_equal(wait_program(start_program(NULL, input, output, errors)), 2);
    assert_int_equal(wait_program(start_program("reed", input, output, errors)), 2);
    assert_int_equal(wait_program(start_program("read", -1, output, errors)), 2);
    assert_int_equal(wait_program(start_program("read", input, -1, errors)), 2);
    struct blob text = file_content(errors);
    assert_non_null(strstr((char *)text.data, "Usage: mien-h5 read|locate|write"));
    free(text.data);
    close(input);
    close(output);
    close(errors);
}

/* Reads one file of /proc about a running child. */
static void read_proc(pid_t pid, const char *name, char *text, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* Fails unless the child holds just the error and output descriptors. */
static void check_descriptors(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *const dir = opendir(path);
    assert_non_null(dir);
    int held = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.') continue;
        held++;
        if (strcmp(entry->d_name, "2") != 0 && strcmp(entry->d_name, "4") != 0)
            fail_msg("the program still holds descriptor %s", entry->d_name);
    }
    closedir(dir);
    assert_int_equal(held, 2);
}

/* Checks the program's limits in /proc while it is blocked on a full output pipe. */
static void check_sandbox(pid_t pid) {
    char text[8192];
    read_proc(pid, "status", text, sizeof text);
    assert_non_null(strstr(text, "\nSeccomp:\t2\n"));
    assert_non_null(strstr(text, "\nNoNewPrivs:\t1\n"));
    read_proc(pid, "limits", text, sizeof text);
    const struct {
        const char *name;
        unsigned long long most;
    } limits[] = {{"Max cpu time", 20},
                  {"Max core file size", 0},
                  {"Max open files", 8},
                  {"Max address space", 4ull << 30}};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const char *const line = strstr(text, limits[i].name);
        assert_non_null(line);
        unsigned long long soft = 0;
        unsigned long long hard = 0;
        if (sscanf(line + strlen(limits[i].name), "%llu %llu", &soft, &hard) != 2)
            fail_msg("%s is not limited", limits[i].name);
        assert_true(soft <= limits[i].most && hard <= limits[i].most);
    }
    check_descriptors(pid);
}

/* Also shows that both ends may be pipes. */
void test_sandbox(void **state) {
    (void)state;
    static const char header[] =
        "{\"/a\":{\"dtype\":\"F32\",\"shape\":[262144],\"data_offsets\":[0,1048576]}}";
    unsigned char *const data = calloc(1, 1 << 20);
    assert_non_null(data);
    struct blob c = make_container(header, data, 1 << 20);
    struct blob h5 = convert("write", c, "write");
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const int input = memory_file(h5.data, h5.size);
    const pid_t pid = start_program("read", input, ends[1], -1);
    close(ends[1]);
    int waiting = 0;
    for (int tries = 0; tries < 1000 && waiting < 65536; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        assert_int_equal(ioctl(ends[0], FIONREAD, &waiting), 0);
    }
    assert_true(waiting >= 65536);
    check_sandbox(pid);
    size_t total = 0;
    for (ssize_t got = 1; got > 0; total += (size_t)got) {
        got = read(ends[0], data, 1 << 20);
        assert_true(got >= 0);
    }
    assert_int_equal(wait_program(pid), 0);
    assert_true(total > 1 << 20);
    close(input);
    close(ends[0]);
    free(data);
    free(h5.data);
    free(c.data);
}

void test_pipe_input(void **state) {
    (void)state;
    struct blob c = model_container();
    struct blob want = convert("write", c, "write");
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], c.data, c.size), c.size);
    close(ends[1]);
    const int output = memory_file(NULL, 0);
    assert_int_equal(wait_program(start_program("write", ends[0], output, -1)), 0);
    struct blob got = file_content(output);
    expect_same(got, want, "from a pipe");
    close(ends[0]);
    close(output);
    free(got.data);
    free(want.data);
    free(c.data);
}
