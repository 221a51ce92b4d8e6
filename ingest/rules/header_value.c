/*
 * The value of a `ce-` header by the HTTP binding 1.0.2, 3.1.3.2: double-quoted parts are unescaped
 * first (older senders quote), then each %XX is decoded once, needless ones too, and what comes out
 * has to be UTF-8. A % that begins no %XX stands for itself: the official SDKs don't encode it. The
 * decoded value is never longer than the header's.
 */
#include "ingest/rules/event.h"
#include "ingest/rules/json_string.h"

#include <stdio.h>

/* Unescapes the quoted parts; false when a quote isn't closed. */
static bool unquote(struct text value, char *into, size_t *length)
{
    bool quoted = false;
    size_t written = 0;

    for (size_t i = 0; i < value.length; i++) {
        char c = value.at[i];
        if (c == '"') {
            quoted = !quoted;
            continue;
        }
        if (c == '\\' && quoted && ++i < value.length)
            c = value.at[i];
        into[written++] = c;
    }
    *length = written;
    return !quoted;
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

/* The byte of the %XX at `at`; -1 when there is none. */
static int encoded_byte(const char *at, const char *end)
{
    int high, low;

    if (end - at < 3 || *at != '%')
        return -1;
    high = hex_digit(at[1]);
    low = hex_digit(at[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Decodes in place; returns the new length. */
static size_t decode_percent(char *bytes, size_t length)
{
    const char *at = bytes, *end = bytes + length;
    char *to = bytes;

    while (at < end) {
        int byte = encoded_byte(at, end);
        *to++ = byte < 0 ? *at : (char)byte;
        at += byte < 0 ? 1 : 3;
    }
    return (size_t)(to - bytes);
}

static struct text pointer_of(struct text name, struct arena *arena)
{
    char pointer[80];
    int shown = name.length < 64 ? (int)name.length : 64;
    int length = snprintf(pointer, sizeof(pointer), "/%.*s", shown, name.at);

    return arena_copy(arena, text_from(pointer, (size_t)length));
}

int event_decode_header(struct text name, struct text value, struct arena *arena,
                        struct text *decoded, struct refusal *refusal)
{
    size_t length = 0;
    char *bytes = arena_take(arena, value.length + 1);

    if (!bytes) {
        refuse(refusal, arena, REFUSAL_TOO_LONG, pointer_of(name, arena), "shorten the attribute");
        return EVENT_REFUSED;
    }
    if (!unquote(value, bytes, &length)) {
        refuse(refusal, arena, REFUSAL_INVALID_ATTRIBUTE, pointer_of(name, arena),
               "a quote isn't closed: percent-encode the value");
        return EVENT_REFUSED;
    }
    length = decode_percent(bytes, length);
    if (!utf8_is_valid(text_from(bytes, length))) {
        refuse(refusal, arena, REFUSAL_INVALID_STRING, pointer_of(name, arena),
               "the decoded value isn't UTF-8 without NUL: percent-encode its UTF-8 bytes");
        return EVENT_REFUSED;
    }
    *decoded = text_from(bytes, length);
    return 0;
}
