/*
 * gateway_texts.h - a batch's texts: whether they are sound, and the text of a UUID.
 *
 * Inline, as each event has some. Threads: any.
 */
#pragma once

#include "proto/gateway_parts.h"

#include <string.h>

typedef uint8_t sixteen __attribute__((vector_size(16)));

/* Some top bit is set unless each of the bytes is ASCII and none of them NUL. */
static inline sixteen oddity(const char *at)
{
    sixteen bytes;

    memcpy(&bytes, at, sizeof(bytes));
    return bytes | (bytes - 1);
}

/* Of at least sixteen bytes; the last sixteen may overlap those before. */
static inline bool gateway_is_long_ascii(struct text text)
{
    sixteen odd = oddity(text.at + text.length - sizeof(sixteen));
    uint64_t halves[2];

    for (size_t i = 0; i + sizeof(sixteen) < text.length; i += sizeof(sixteen))
        odd |= oddity(text.at + i);
    memcpy(halves, &odd, sizeof(halves));
    return !((halves[0] | halves[1]) & 0x8080808080808080u);
}

/* Of 8 to 16 bytes. */
static inline bool gateway_is_short_ascii(struct text text)
{
    const uint64_t each = 0x0101010101010101u;
    uint64_t front, back;

    memcpy(&front, text.at, sizeof(front));
    memcpy(&back, text.at + text.length - sizeof(back), sizeof(back));
    return !((front | (front - each) | back | (back - each)) & 0x80 * each);
}

/* UTF-8 without NUL: nearly all are ASCII. */
static inline bool gateway_is_sound(struct text text)
{
    bool is_ascii = text.length >= 16 ? gateway_is_long_ascii(text)
                                      : text.length >= 8 && gateway_is_short_ascii(text);

    return is_ascii || (text_is_utf8(text) && !(text.length && memchr(text.at, '\0', text.length)));
}

static inline sixteen to_digits(sixteen halves)
{
    typedef int8_t small __attribute__((vector_size(16))); /* compared by fewer instructions */

    return halves + '0' + ((sixteen)((small)halves > 9) & ('a' - '0' - 10));
}

/* All digits at once. */
static inline void gateway_write_uuid(char at[UUID_TEXT_BYTES], const uint8_t bytes[UUID_BYTES])
{
    sixteen all, high, low, front, back;

    memcpy(&all, bytes, sizeof(all));
    high = to_digits(all >> 4);
    low = to_digits(all & 15);
    front =
        __builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    back = __builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30,
                                   15, 31);
    memcpy(at, &front, 8);
    memcpy(at + 9, (const char *)&front + 8, 4);
    memcpy(at + 14, (const char *)&front + 12, 4);
    memcpy(at + 19, &back, 4);
    memcpy(at + 24, (const char *)&back + 4, 4);
    memcpy(at + 28, (const char *)&back + 8, 8);
    at[8] = at[13] = at[18] = at[23] = '-';
}
