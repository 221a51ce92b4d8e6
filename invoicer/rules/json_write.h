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

/* --- at a place that has room (buffer_open) --- */

enum {
    JSON_DECIMAL_MAX = DECIMAL_TEXT_MAX + 2,
    JSON_MONEY_MAX = MONEY_TEXT_MAX + 2,
    JSON_INSTANT_MAX = INSTANT_TEXT_MAX + 2,
};

static inline char *json_put_decimal(char *at, const char *before, struct decimal decimal)
{
    at = string_write(at, before);
    *at++ = '"';
    at += decimal_format(decimal, at);
    *at++ = '"';
    return at;
}

static inline char *json_put_money(char *at, const char *before, struct money money,
                                   const struct currency *currency)
{
    at = string_write(at, before);
    *at++ = '"';
    at += money_format(money, currency, at);
    *at++ = '"';
    return at;
}

static inline char *json_put_instant(char *at, const char *before, struct instant instant)
{
    at = string_write(at, before);
    *at++ = '"';
    at += instant_format(instant, at);
    *at++ = '"';
    return at;
}

/* --- a number that is said again --- */

/* Its text with the quotes: made once, and copied to where the number comes again. */
struct json_known {
    int128 number; /* a decimal's units, or an amount's */
    size_t length;
    char text[JSON_MONEY_MAX];
};

static inline void json_know_decimal(struct json_known *known, struct decimal decimal)
{
    known->number = decimal.units;
    known->length = (size_t)(json_put_decimal(known->text, "", decimal) - known->text);
}

static inline void json_know_money(struct json_known *known, struct money money,
                                   const struct currency *currency)
{
    known->number = money.minor;
    known->length = (size_t)(json_put_money(known->text, "", money, currency) - known->text);
}

static inline char *json_put_known(char *at, const char *before, const struct json_known *known)
{
    at = string_write(at, before);
    memcpy(at, known->text, sizeof(known->text)); /* all of it: a few moves in place */
    return at + known->length;
}

static inline char *json_put_decimal_again(char *at, const char *before, struct decimal decimal,
                                           const struct json_known *known)
{
    return decimal.units == known->number ? json_put_known(at, before, known)
                                          : json_put_decimal(at, before, decimal);
}

static inline char *json_put_money_again(char *at, const char *before, struct money money,
                                         const struct currency *currency,
                                         const struct json_known *known)
{
    return money.minor == known->number ? json_put_known(at, before, known)
                                        : json_put_money(at, before, money, currency);
}

/* --- to the buffer's end --- */

static inline void json_write_decimal(struct buffer *json, const char *before,
                                      struct decimal decimal)
{
    char *at = buffer_open(json, strlen(before) + JSON_DECIMAL_MAX);

    buffer_close(json, json_put_decimal(at, before, decimal));
}

static inline void json_write_money(struct buffer *json, const char *before, struct money money,
                                    const struct currency *currency)
{
    char *at = buffer_open(json, strlen(before) + JSON_MONEY_MAX);

    buffer_close(json, json_put_money(at, before, money, currency));
}

static inline void json_write_instant(struct buffer *json, const char *before,
                                      struct instant instant)
{
    char *at = buffer_open(json, strlen(before) + JSON_INSTANT_MAX);

    buffer_close(json, json_put_instant(at, before, instant));
}
