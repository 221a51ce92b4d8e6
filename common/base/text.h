/*
 * text.h - a borrowed run of bytes, and a growing one.
 *
 * A struct text owns nothing and isn't NUL-terminated; `at` may be NULL only when length is 0. A
 * text whose `at` is NULL is the *absent* text, which differs from the empty one where it matters
 * (text_is_absent). Bytes are compared as they are.
 *
 * Errors     buffer functions abort the process when memory is gone and assert the limit.
 * Ownership  struct buffer owns its bytes: buffer_deinit, which accepts a zeroed one.
 * Threads    Any, each object by one at a time.
 */
#pragma once

#include "common/base/attrs.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *at;
    size_t length;
};

/* These are inline, as each event goes through some dozens of them. */

/* Of a NUL-terminated string; NULL is absent. */
static inline struct text text_of(const char *string)
{
    return (struct text){string, string ? strlen(string) : 0};
}

static inline struct text text_from(const void *bytes, size_t length)
{
    assert(bytes || length == 0);
    return (struct text){bytes, length};
}

static inline bool text_is_absent(struct text text)
{
    return !text.at;
}

/* Absent equals absent alone. */
static inline bool text_equal(struct text a, struct text b)
{
    if (!a.at || !b.at)
        return !a.at && !b.at;
    return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

/* Whether they are one text, and not two alike: enough where each stands once. */
static inline bool text_is_same(struct text a, struct text b)
{
    return a.at == b.at && a.length == b.length;
}

static inline bool text_is(struct text text, const char *string)
{
    return text_equal(text, text_of(string));
}

int text_compare(struct text a, struct text b); /* bytewise; absent first */
bool text_starts(struct text text, const char *prefix);
bool text_is_utf8(struct text text);                   /* RFC 3629; NUL is a character */
bool text_letters_equal(struct text a, struct text b); /* of one length; of ASCII, in either case */
static inline bool text_equal_ignoring_case(struct text a, struct text b)
{
    if (!a.at || !b.at)
        return !a.at && !b.at;
    return a.length == b.length && text_letters_equal(a, b);
}
struct text text_trim(struct text text); /* without spaces and tabs at the ends */
/* Cuts the part before `separator` off *rest and returns it; the whole rest when there is none. */
struct text text_cut(struct text *rest, char separator);
char *text_copy(struct text text); /* new, NUL-terminated: free() it */

enum { BUFFER_BYTES_MAX = 1 << 30 }; /* asserted */

struct buffer {
    char *at;
    size_t length;
    size_t room;
};

void buffer_deinit(struct buffer *buffer);
void buffer_clear(struct buffer *buffer);             /* keeps the room */
void buffer_grow(struct buffer *buffer, size_t more); /* what buffer_reserve does beyond the room */
void buffer_add_int(struct buffer *buffer, int64_t number);
void buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);
void buffer_add_json_string(struct buffer *buffer, struct text text); /* json_string_write's */
struct text buffer_text(const struct buffer *buffer);                 /* until the next change */

/* Those below are defined here: they are most of what writing a long document is, and a constant
 * string's length is known to the compiler. */

static inline void buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->room - buffer->length < more || !buffer->at)
        buffer_grow(buffer, more);
}

static inline void buffer_add(struct buffer *buffer, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    buffer_reserve(buffer, length);
    memcpy(buffer->at + buffer->length, bytes, length);
    buffer->length += length;
}

static inline void buffer_add_text(struct buffer *buffer, struct text text)
{
    buffer_add(buffer, text.at, text.length);
}

static inline void buffer_add_string(struct buffer *buffer, const char *string)
{
    buffer_add(buffer, string, strlen(string));
}

static inline void buffer_add_char(struct buffer *buffer, char c)
{
    buffer_add(buffer, &c, 1);
}

/*
 * Room for `most` bytes that are written in place, small piece by small piece: the place stays in a
 * register, where each buffer_add reads and writes the buffer's length anew. Nothing else may be
 * added before buffer_close is told where they end.
 */
static inline char *buffer_open(struct buffer *buffer, size_t most)
{
    buffer_reserve(buffer, most);
    return buffer->at + buffer->length;
}

static inline void buffer_close(struct buffer *buffer, const char *end)
{
    size_t length = (size_t)(end - buffer->at);

    assert(length <= buffer->room);
    buffer->length = length;
}

/* Bytes at a place that has room for them; each returns their end. */
static inline char *text_write(char *at, struct text text)
{
    if (text.length)
        memcpy(at, text.at, text.length);
    return at + text.length;
}

static inline char *string_write(char *at, const char *string)
{
    size_t length = strlen(string);

    memcpy(at, string, length);
    return at + length;
}

/* Quoted, escaped, bytes that aren't UTF-8 replaced; absent: null. */
char *json_string_write(char *at, struct text text);
/* The room that it wants. */
static inline size_t json_string_most(struct text text)
{
    return 6 * text.length + sizeof("null");
}
