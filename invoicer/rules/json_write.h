/*
 * json_write.h - members of JSON documents that are written by hand, byte for byte the same for
 * ever.
 *
 * `before` is what stands before the value: ",\"amount\":". Amounts and quantities are strings.
 *
 * Ownership  Appends to the caller's buffer.
 * Threads    Any.
 */
#pragma once

#include "common/base/instant.h"
#include "common/base/money.h"

/* Defined here, as an invoice is little else: the length of `before` is known to the compiler. */
static inline void json_write_text(struct buffer *json, const char *before, struct text text)
{
    buffer_add_string(json, before);
    buffer_add_json_string(json, text); /* absent: null */
}

static inline void json_write_int(struct buffer *json, const char *before, int64_t number)
{
    buffer_add_string(json, before);
    buffer_add_int(json, number);
}

/* Room for a text of at most `most` bytes in quotes, the first of which is written. */
static inline char *json_open_quotes(struct buffer *json, const char *before, size_t most)
{
    buffer_add_string(json, before);
    buffer_reserve(json, most + 2);
    json->at[json->length++] = '"';
    return json->at + json->length;
}

static inline void json_close_quotes(struct buffer *json, size_t length)
{
    json->length += length;
    json->at[json->length++] = '"';
}

static inline void json_write_decimal(struct buffer *json, const char *before,
                                      struct decimal decimal)
{
    char *text = json_open_quotes(json, before, DECIMAL_TEXT_MAX);

    json_close_quotes(json, decimal_format(decimal, text));
}

static inline void json_write_money(struct buffer *json, const char *before, struct money money,
                                    const struct currency *currency)
{
    char *text = json_open_quotes(json, before, MONEY_TEXT_MAX);

    json_close_quotes(json, money_format(money, currency, text));
}

static inline void json_write_instant(struct buffer *json, const char *before,
                                      struct instant instant)
{
    char *text = json_open_quotes(json, before, INSTANT_TEXT_MAX);

    json_close_quotes(json, instant_format(instant, text));
}
