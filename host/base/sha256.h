/* SHA-256 (FIPS 180-4), for fingerprints and checksums. */
#ifndef HOST_BASE_SHA256_H
#define HOST_BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mien_sha256 {
    uint32_t state[8];
    uint64_t length;
    unsigned char block[64];
    size_t used;
    bool instructions; /* use the CPU's SHA instructions; a test switches them off */
} mien_sha256;

void mien_sha256_start(mien_sha256 *s);
void mien_sha256_add(mien_sha256 *s, const void *data, size_t size);
/* Finishes the hash and writes it as 64 hexadecimal digits. */
void mien_sha256_hex(mien_sha256 *s, char out[65]);

#endif
