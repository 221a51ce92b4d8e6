/*
 * json_write.c - formats values where they stand in the document.
 */
#include "invoicer/rules/json_write.h"

void json_write_text(struct buffer *json, const char *before, struct text text)
{
    buffer_add_string(json, before);
    buffer_add_json_string(json, text);
}

void json_write_int(struct buffer *json, const char *before, int64_t number)
{
    buffer_add_string(json, before);
    buffer_add_int(json, number);
}

/* Room for a text of at most `most` bytes in quotes, the first of which is written. */
static char *open_quotes(struct buffer *json, const char *before, size_t most)
{
    buffer_add_string(json, before);
    buffer_reserve(json, most + 2);
    buffer_add_char(json, '"');
    return json->at + json->length;
}

static void close_quotes(struct buffer *json, size_t length)
{
    json->length += length;
    buffer_add_char(json, '"');
}

void json_write_decimal(struct buffer *json, const char *before, struct decimal decimal)
{
    char *text = open_quotes(json, before, DECIMAL_TEXT_MAX);

    close_quotes(json, decimal_format(decimal, text));
}

void json_write_money(struct buffer *json, const char *before, struct money money,
                      const struct currency *currency)
{
    char *text = open_quotes(json, before, MONEY_TEXT_MAX);

    close_quotes(json, money_format(money, currency, text));
}

void json_write_instant(struct buffer *json, const char *before, struct instant instant)
{
    char *text = open_quotes(json, before, INSTANT_TEXT_MAX);

    close_quotes(json, instant_format(instant, text));
}
