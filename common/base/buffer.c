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

/* Whether each of eight bytes stands for itself in a JSON string: ASCII, no control character, no
 * quote, no backslash. A byte is zero after the xor where it is the one that is looked for. */
static bool is_plain(const unsigned char *at)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t bytes, quotes, slashes;

    memcpy(&bytes, at, sizeof(bytes));
    quotes = bytes ^ ones * '"';
    slashes = bytes ^ ones * '\\';
    return !((bytes | (bytes - ones * 0x20) | (quotes - ones) | (slashes - ones)) & tops);
}

static void add_escape(struct buffer *buffer, unsigned char c)
{
    static const char names[] = "btn.fr"; /* from 0x08 on */

    if (c >= 0x20) {
        buffer_add_char(buffer, '\\');
        buffer_add_char(buffer, (char)c);
    } else if (c >= 0x08 && c <= 0x0d && c != 0x0b) {
        buffer_add_char(buffer, '\\');
        buffer_add_char(buffer, names[c - 0x08]);
    } else {
        buffer_printf(buffer, "\\u%04x", (unsigned)c);
    }
}

/* How many of the bytes from `i` on are known to be plain: eight, or all that are left, for which
 * the text's last eight are looked at; 0 where one of them may not be. */
static size_t plain_from(struct text text, size_t i)
{
    const unsigned char *at = (const unsigned char *)text.at;
    size_t left = text.length - i;

    if (left >= 8)
        return is_plain(at + i) ? 8 : 0;
    return text.length >= 8 && is_plain(at + text.length - 8) ? left : 0;
}

void buffer_add_json_string(struct buffer *buffer, struct text text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    size_t i = 0, plain = 0; /* [plain, i) stands for itself and isn't written yet */

    if (text_is_absent(text)) {
        buffer_add_string(buffer, "null");
        return;
    }
    buffer_add_char(buffer, '"');
    while (i < text.length) {
        size_t length = plain_from(text, i);

        if (length) {
            i += length;
            continue;
        }
        length = at[i] < 0x80 ? 1 : utf8_length(at + i, text.length - i);
        if (length && at[i] >= 0x20 && at[i] != '"' && at[i] != '\\') {
            i += length;
            continue;
        }
        buffer_add(buffer, at + plain, i - plain);
        if (length)
            add_escape(buffer, at[i]);
        else
            buffer_add_string(buffer, "\xef\xbf\xbd"); /* U+FFFD: JSON has no foreign bytes */
        plain = ++i;
    }
    buffer_add(buffer, at + plain, i - plain);
    buffer_add_char(buffer, '"');
}

struct text buffer_text(const struct buffer *buffer)
{
    return (struct text){buffer->at ? buffer->at : "", buffer->length};
}
