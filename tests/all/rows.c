/* Writes a csv of faces for tests of size: rows ROWS SIDE. Every row differs; a bright stripe tells
 * the class. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t noise = 88172645463325252u;

/* xorshift64 */
static int draw(int below) {
    noise ^= noise << 13;
    noise ^= noise >> 7;
    noise ^= noise << 17;
    return (int)((noise >> 20) % (uint64_t)below);
}

static void write_row(long row, int side) {
    const int label = (int)(row % 7), part = (int)(row / 7 % 10);
    printf("%d,", label);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            printf("%d ", draw(60) + (x * 7 / side == label ? 150 : 20));
    printf(",%s\n", part < 8 ? "Training" : part == 8 ? "PublicTest" : "PrivateTest");
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    puts("emotion,pixels,Usage");
    for (long row = 0; row < atol(argv[1]); row++)
        write_row(row, atoi(argv[2]));
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
