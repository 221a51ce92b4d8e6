/*
 * buffer.c - a run of bytes that grows (text.h).
 */
#include "common/base/digits.h"
#include "common/base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_ROOM_LEAST = 64 };

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->at);
    *buffer = (struct buffer){0};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
}

void buffer_grow(struct buffer *buffer, size_t more)
{
    size_t room = buffer->room ? buffer->room : BUFFER_ROOM_LEAST;
    char *at;

    assert(more <= BUFFER_BYTES_MAX - buffer->length);

    while (room - buffer->length < more)
        room *= 2;
    at = realloc(buffer->at, room);
    if (!at)
        abort();
    buffer->at = at;
    buffer->room = room;
}

void buffer_add_int(struct buffer *buffer, int64_t number)
{
    char *at = buffer_open(buffer, DIGITS_MAX);

    buffer_close(buffer, digits_write_int(at, number));
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    size_t room;
    int length;

    buffer_reserve(buffer, BUFFER_ROOM_LEAST);
    room = buffer->room - buffer->length;
    va_start(arguments, format);
    length = vsnprintf(buffer->at + buffer->length, room, format, arguments);
    va_end(arguments);
    assert(length >= 0);

    if ((size_t)length >= room) {
        buffer_reserve(buffer, (size_t)length + 1);
        va_start(arguments, format);
        (void)vsnprintf(buffer->at + buffer->length, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    buffer->length += (size_t)length;
}

/* The bytes of the UTF-8 character that starts here; 0 when there is none (RFC 3629's table). */
static size_t utf8_length(const unsigned char *at, size_t left)
{
    unsigned char least = 0x80, most = 0xbf;
    size_t length;

    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    length = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (left < length)
        return 0;
    if (at[0] == 0xe0)
        least = 0xa0;
    if (at[0] == 0xed)
        most = 0x9f;
    if (at[0] == 0xf0)
        least = 0x90;
    if (at[0] == 0xf4)
        most = 0x8f;
    if (at[1] < least || at[1] > most)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    }
    return length;
}

/* Whether eight bytes are ASCII, as nearly all are. */
static bool are_ascii(const unsigned char *at)
{
    uint64_t bytes;

    memcpy(&bytes, at, sizeof(bytes));
    return (bytes & 0x8080808080808080) == 0;
}

bool text_is_utf8(struct text text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    size_t length, i;

    for (i = 0; i < text.length; i += length) {
        if (text.length - i >= 8 && are_ascii(at + i)) {
            length = 8;
            continue;
        }
        length = utf8_length(at + i, text.length - i);
        if (!length)
            return false;
    }
    return true;
}

/* Zero where each of eight bytes stands for itself in a JSON string: ASCII, no control character,
 * no quote, no backslash. A byte is zero after the xor where it is the one that is looked for. */
static uint64_t suspects_in(const unsigned char *at)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t bytes, quotes, slashes;

    memcpy(&bytes, at, sizeof(bytes));
    quotes = bytes ^ ones * '"';
    slashes = bytes ^ ones * '\\';
    return (bytes | (bytes - ones * 0x20) | (quotes - ones) | (slashes - ones)) & tops;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Whether the whole text stands for itself; its last eight bytes are looked at together, too. */
static bool are_plain(struct text text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    size_t i = 0;
    uint64_t suspects;

    if (text.length < 8) {
        while (i < text.length && is_plain(at[i]))
            i++;
        return i == text.length;
    }
    suspects = suspects_in(at + text.length - 8);
    for (; i + 8 <= text.length; i += 8)
        suspects |= suspects_in(at + i);
    return !suspects;
}

static char *write_escape(char *at, unsigned char c)
{
    static const char names[] = "btn.fr"; /* from 0x08 on */

    *at++ = '\\';
    if (c >= 0x20) {
        *at++ = (char)c;
    } else if (c >= 0x08 && c <= 0x0d && c != 0x0b) {
        *at++ = names[c - 0x08];
    } else {
        at = string_write(at, "u00");
        *at++ = (char)('0' + (c >> 4));
        *at++ = "0123456789abcdef"[c & 15];
    }
    return at;
}

static char *write_characters(char *at, struct text text)
{
    const unsigned char *bytes = (const unsigned char *)text.at;
    size_t length;

    for (size_t i = 0; i < text.length; i += length) {
        length = utf8_length(bytes + i, text.length - i);
        if (length == 0) {
            at = string_write(at, "\xef\xbf\xbd"); /* U+FFFD: JSON has no foreign bytes */
            length = 1;
        } else if (length == 1 && !is_plain(bytes[i])) {
            at = write_escape(at, bytes[i]);
        } else {
            at = text_write(at, text_from(bytes + i, length));
        }
    }
    return at;
}

char *json_string_write(char *at, struct text text)
{
    if (text_is_absent(text))
        return string_write(at, "null");
    *at++ = '"';
    at = are_plain(text) ? text_write(at, text) : write_characters(at, text);
    *at++ = '"';
    return at;
}

void buffer_add_json_string(struct buffer *buffer, struct text text)
{
    char *at = buffer_open(buffer, json_string_most(text));

    buffer_close(buffer, json_string_write(at, text));
}

struct text buffer_text(const struct buffer *buffer)
{
    return (struct text){buffer->at ? buffer->at : "", buffer->length};
}
