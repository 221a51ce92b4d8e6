/*
 * The scan runs over plain bytes at once (plain.h) and looks at each special one: the closing
 * quote, an escape, a control character, a UTF-8 sequence. Decoding is apart, since few strings
 * need it.
 */
#include "ingest/rules/json_string.h"

#include "ingest/rules/plain.h"

#include <assert.h>
#include <string.h>

static const char not_utf8[] = "it isn't valid UTF-8";
static const char holds_nul[] = "it holds a NUL character";
static const char lone_surrogate[] = "it holds a surrogate without its pair";

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* The least second byte of a three- or four-byte sequence bars overlong forms; the greatest one
 * bars surrogates and what lies above U+10FFFF. */
static bool second_byte_fits(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xE0:
        return second >= 0xA0 && second <= 0xBF;
    case 0xED:
        return second >= 0x80 && second <= 0x9F;
    case 0xF0:
        return second >= 0x90 && second <= 0xBF;
    case 0xF4:
        return second >= 0x80 && second <= 0x8F;
    default:
        return second >= 0x80 && second <= 0xBF;
    }
}

size_t utf8_sequence(const char *at, const char *end)
{
    unsigned char first = (unsigned char)*at;
    size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;

    if (length == 1)
        return 1;
    if (first < 0xC2 || first > 0xF4 || (size_t)(end - at) < length)
        return 0;
    if (!second_byte_fits(first, (unsigned char)at[1]))
        return 0;
    for (size_t i = 2; i < length; i++)
        if (!is_continuation(at[i]))
            return 0;
    return length;
}

bool utf8_is_valid(struct text text)
{
    const char *at = text.at, *end = text.at + text.length;

    while (at < end) {
        size_t length = utf8_sequence(at, end);
        if (length == 0 || *at == '\0')
            return false;
        at += length;
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The code unit of the four hex digits at `at`; -1 when they aren't there. */
static int32_t code_unit(const char *at, const char *end)
{
    int32_t unit = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high(int32_t unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low(int32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* The code unit of the \uXXXX at `at`; -1 when there is none. */
static int32_t escaped_unit(const char *at, const char *end)
{
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    return code_unit(at + 2, end);
}

/* Passes a \uXXXX, with its second half where it has one. NULL when the grammar breaks. */
static const char *pass_unicode(const char *at, const char *end, struct json_string *string)
{
    int32_t unit = escaped_unit(at, end);

    if (unit < 0)
        return NULL;
    at += 6;
    if (unit == 0 && !string->refused)
        string->refused = holds_nul;
    if (is_high(unit) && is_low(escaped_unit(at, end)))
        return at + 6;
    if ((is_high(unit) || is_low(unit)) && !string->refused)
        string->refused = lone_surrogate;
    return at;
}

/* Passes the escape whose backslash is at `at`. NULL when the grammar breaks. */
static const char *pass_escape(const char *at, const char *end, struct json_string *string)
{
    string->escaped = true;
    if (end - at < 2)
        return NULL;
    if (at[1] == 'u')
        return pass_unicode(at, end, string);
    return at[1] != '\0' && strchr("\"\\/bfnrt", at[1]) ? at + 2 : NULL;
}

static const char *pass_sequence(const char *at, const char *end, struct json_string *string)
{
    size_t length = utf8_sequence(at, end);

    if (length == 0 && !string->refused)
        string->refused = not_utf8;
    return at + (length == 0 ? 1 : length);
}

static int broken(const char **at, const char *where, const char *what, const char **why)
{
    *at = where;
    *why = what;
    return JSON_STRING_BROKEN;
}

int json_string_scan(const char **at, const char *end, struct json_string *string, const char **why)
{
    const char *start = *at, *here = *at, *next;
    struct json_string found = {.escaped = false};

    for (;;) {
        here = plain_end(here, end);
        if (here == end)
            return broken(at, here, "a string doesn't end", why);
        if (*here == '"')
            break;
        if ((unsigned char)*here < 0x20)
            return broken(at, here, "a control character in a string isn't escaped", why);
        if (*here != '\\') {
            here = pass_sequence(here, end, &found);
            continue;
        }
        next = pass_escape(here, end, &found);
        if (!next)
            return broken(at, here, "an escape in a string isn't one of JSON's", why);
        here = next;
    }
    found.raw = text_from(start, (size_t)(here - start));
    *at = here + 1;
    *string = found;
    return 0;
}

static size_t encode(uint32_t point, char *into)
{
    if (point < 0x80) {
        into[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        into[0] = (char)(0xC0 | point >> 6);
        into[1] = (char)(0x80 | (point & 0x3F));
        return 2;
    }
    if (point < 0x10000) {
        into[0] = (char)(0xE0 | point >> 12);
        into[1] = (char)(0x80 | (point >> 6 & 0x3F));
        into[2] = (char)(0x80 | (point & 0x3F));
        return 3;
    }
    into[0] = (char)(0xF0 | point >> 18);
    into[1] = (char)(0x80 | (point >> 12 & 0x3F));
    into[2] = (char)(0x80 | (point >> 6 & 0x3F));
    into[3] = (char)(0x80 | (point & 0x3F));
    return 4;
}

/* Decodes the \uXXXX (and its second half) at *at. */
static size_t decode_unicode(const char **at, const char *end, char *into)
{
    int32_t unit = escaped_unit(*at, end), low;

    assert(unit > 0);
    *at += 6;
    if (!is_high(unit))
        return encode((uint32_t)unit, into);
    low = escaped_unit(*at, end);
    assert(is_low(low));
    *at += 6;
    return encode(0x10000 + ((uint32_t)(unit - 0xD800) << 10) + (uint32_t)(low - 0xDC00), into);
}

static char decode_letter(char letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter;
    }
}

size_t json_string_decode(struct text raw, char *into)
{
    const char *at = raw.at, *end = raw.at + raw.length;
    char *to = into;

    while (at < end) {
        if (*at != '\\') {
            *to++ = *at++;
        } else if (at[1] == 'u') {
            to += decode_unicode(&at, end, to);
        } else {
            *to++ = decode_letter(at[1]);
            at += 2;
        }
    }
    return (size_t)(to - into);
}

struct text json_string_spelled(struct text raw, struct arena *arena)
{
    char *copy = arena_take(arena, raw.length);

    return copy ? text_from(copy, json_string_decode(raw, copy)) : text_of(NULL);
}
