#include "common/base/ulid.h"

static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* Writes `count` letters for the lowest bits of `bits`, the last letter first. */
static void write(char *text, size_t count, uint128 bits)
{
    for (size_t i = count; i > 0; i--) {
        text[i - 1] = letters[(unsigned)bits & 31];
        bits >>= 5;
    }
}

void ulid_format(struct instant made, const uint8_t random[ULID_RANDOM_BYTES],
                 char text[ULID_TEXT_MAX])
{
    uint128 bits = 0;

    for (size_t i = 0; i < ULID_RANDOM_BYTES; i++)
        bits = bits << 8 | random[i];
    write(text, 10, (uint128)(uint64_t)instant_ms(made) & (((uint128)1 << 48) - 1));
    write(text + 10, 16, bits);
    text[ULID_TEXT_MAX - 1] = '\0';
}
