/*
 * api_key.h - the keys that clients send as `Authorization: Bearer`: made, read, compared.
 *
 *   mk_test_4fGh7Kq2_0123456789ABCDEFGHIJKLMNOPQ_1x3Yz9
 *   mk_, the bucket's mode, _, 8 letters of id, _, 27 of secret (160 bits), _, 6 of CRC-32
 *
 * Letters are base 62 (0-9A-Za-z). The checksum is that of all before its underscore, most
 * significant digit first: a typing mistake is known without a look-up. What is kept of a key is
 * its id and its SHA-256 alone: the secret is random, so that nothing is won by a slower digest.
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"

enum {
    API_KEY_ID_LENGTH = 8,
    API_KEY_LENGTH = 3 + 4 + 1 + API_KEY_ID_LENGTH + 1 + 27 + 1 + 6,
    API_KEY_DIGEST_BYTES = 32,
};

enum api_key_mode { API_KEY_TEST, API_KEY_LIVE };

/* Makes a new random key, NUL-terminated. FAULT_RETRY when the system has no random bytes. */
MUST_USE int api_key_new(enum api_key_mode mode, char key[API_KEY_LENGTH + 1]);
/* Whether it is written as a key is; its mode and, borrowed from the key, its id. */
MUST_USE bool api_key_parse(struct text key, enum api_key_mode *mode, struct text *id);
/* The same of anything that is laid out like a key, whatever its letters and its checksum are: for
 * whoever asks for its digest next, which says more. */
MUST_USE bool api_key_split(struct text key, enum api_key_mode *mode, struct text *id);
void api_key_digest(struct text key, uint8_t digest[API_KEY_DIGEST_BYTES]);
/* Both take the same time whether they differ early or late; keys have API_KEY_LENGTH letters. */
bool api_key_equal(const char *a, const char *b);
bool api_key_digest_equal(const uint8_t a[API_KEY_DIGEST_BYTES],
                          const uint8_t b[API_KEY_DIGEST_BYTES]);
