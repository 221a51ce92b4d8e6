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

/* `,"total":`, for what mostly is the amount again: the text at `amount_at` is copied then. */
static inline void json_write_total(struct buffer *json, struct money total, struct money amount,
                                    size_t amount_at, size_t amount_length,
                                    const struct currency *currency)
{
    if (money_compare(total, amount) != 0) {
        json_write_money(json, ",\"total\":", total, currency);
        return;
    }
    buffer_add_string(json, ",\"total\":");
    buffer_reserve(json, amount_length);
    memcpy(json->at + json->length, json->at + amount_at, amount_length);
    json->length += amount_length;
}

struct json_sums {
    struct money amount, discount, credit, total;
};

/* The amount, the discount as the member `discount_name`, the credit where there is any as most
 * lines never know one, and the total. */
static inline void json_write_sums(struct buffer *json, const char *discount_name,
                                   const struct json_sums *sums, const struct currency *currency)
{
    size_t amount_at, amount_length;

    buffer_add_string(json, ",\"amount\":");
    amount_at = json->length;
    json_write_money(json, "", sums->amount, currency);
    amount_length = json->length - amount_at;
    json_write_money(json, discount_name, sums->discount, currency);
    if (sums->credit.minor)
        json_write_money(json, ",\"credit\":", sums->credit, currency);
    json_write_total(json, sums->total, sums->amount, amount_at, amount_length, currency);
}

static inline void json_write_instant(struct buffer *json, const char *before,
                                      struct instant instant)
{
    char *text = json_open_quotes(json, before, INSTANT_TEXT_MAX);

    json_close_quotes(json, instant_format(instant, text));
}
