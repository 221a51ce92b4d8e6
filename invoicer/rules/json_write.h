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

struct json_sums {
    struct money amount, discount, credit, total;
};

enum { JSON_SUMS_MAX = 4 * (JSON_MONEY_MAX + 20) };

/* `,"amount":…`, the discount as the member `discount_name`, the credit where there is any as most
 * lines never know one, and the total: mostly the amount again, whose text is copied then. */
static inline char *json_put_sums(char *at, const char *discount_name, const struct json_sums *sums,
                                  const struct currency *currency)
{
    const char *amount = at = string_write(at, ",\"amount\":");
    size_t length;

    at = json_put_money(at, "", sums->amount, currency);
    length = (size_t)(at - amount);
    at = json_put_money(at, discount_name, sums->discount, currency);
    if (sums->credit.minor)
        at = json_put_money(at, ",\"credit\":", sums->credit, currency);
    at = string_write(at, ",\"total\":");
    if (money_compare(sums->total, sums->amount) == 0)
        return text_write(at, text_from(amount, length));
    return json_put_money(at, "", sums->total, currency);
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

static inline void json_write_sums(struct buffer *json, const char *discount_name,
                                   const struct json_sums *sums, const struct currency *currency)
{
    char *at = buffer_open(json, JSON_SUMS_MAX);

    buffer_close(json, json_put_sums(at, discount_name, sums, currency));
}

static inline void json_write_instant(struct buffer *json, const char *before,
                                      struct instant instant)
{
    char *at = buffer_open(json, strlen(before) + JSON_INSTANT_MAX);

    buffer_close(json, json_put_instant(at, before, instant));
}
