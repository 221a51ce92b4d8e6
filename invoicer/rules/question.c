#include "invoicer/rules/question.h"

#include "invoicer/rules/grid.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int question_refuse(struct price_issue *issue, const char *code, const char *pointer,
                    const char *format, ...)
{
    va_list arguments;

    issue->code = code;
    (void)snprintf(issue->pointer, sizeof(issue->pointer), "%s", pointer);
    va_start(arguments, format);
    (void)vsnprintf(issue->detail, sizeof(issue->detail), format, arguments);
    va_end(arguments);
    return QUESTION_REFUSED;
}

int question_parse(struct text text, json_t **json, struct price_issue *issue)
{
    json_error_t error;
    json_t *read = json_loadb(text.at, text.length, JSON_REJECT_DUPLICATES, &error);

    if (json_is_object(read)) {
        *json = read;
        return 0;
    }
    if (!read)
        return question_refuse(issue, "invalid_json", "", "isn't JSON: line %d, column %d: %s",
                               error.line, error.column, error.text);
    json_decref(read);
    return question_refuse(issue, "invalid_json", "", "isn't an object");
}

/* "/place/name" with what RFC 6901 escapes; a long name is cut. */
static int refuse_member(struct price_issue *issue, const char *place, const char *name)
{
    char pointer[sizeof(issue->pointer)];
    size_t length = (size_t)snprintf(pointer, sizeof(pointer), "%s/", place);

    for (; *name && length + 3 < sizeof(pointer); name++) {
        if (*name == '~' || *name == '/') {
            pointer[length++] = '~';
            pointer[length++] = *name == '~' ? '0' : '1';
        } else {
            pointer[length++] = *name;
        }
    }
    pointer[length] = '\0';
    return question_refuse(issue, "unknown_member", pointer, "there is no such member here");
}

int question_check(const json_t *json, const char *place, const struct question_members *members,
                   struct price_issue *issue)
{
    const char *name;
    json_t *member;

    if (!json_is_object(json))
        return question_refuse(issue, "invalid_type", place, "isn't an object");
    json_object_foreach((json_t *)json, name, member)
    {
        size_t known = 0;

        while (known < members->count && strcmp(name, members->names[known]) != 0)
            known++;
        if (known == members->count)
            return refuse_member(issue, place, name);
    }
    return 0;
}

bool question_has(const json_t *json)
{
    return json && !json_is_null(json);
}

int question_text(const json_t *json, const char *pointer, struct price_issue *issue,
                  struct text *text)
{
    if (!question_has(json))
        return question_refuse(issue, "missing_member", pointer, "is missing");
    if (!json_is_string(json))
        return question_refuse(issue, "invalid_type", pointer, "isn't a string");
    *text = text_from(json_string_value(json), json_string_length(json));
    return 0;
}

int question_amount(const json_t *json, const char *pointer, struct price_issue *issue,
                    struct decimal *amount)
{
    struct decimal read;
    struct text text;
    int r;

    if (question_has(json) && !json_is_string(json))
        return question_refuse(issue, "invalid_type", pointer,
                               "isn't a decimal in a string, such as \"12.5\"");
    r = question_text(json, pointer, issue, &text);
    if (r)
        return r;
    r = decimal_parse_sum(text, &read);
    if (r == DECIMAL_TOO_PRECISE)
        return question_refuse(issue, "value_too_precise", pointer, "has more than %d decimals",
                               DECIMAL_PLACES);
    if (r == DECIMAL_TOO_LARGE)
        return question_refuse(issue, "value_too_large", pointer, "is too large");
    if (r)
        return question_refuse(issue, "invalid_amount", pointer,
                               "isn't a decimal number such as \"12.5\"");
    if (read.units < 0)
        return question_refuse(issue, "negative_value", pointer, "is negative");
    *amount = read;
    return 0;
}

int question_instant(const json_t *json, const char *pointer, struct price_issue *issue,
                     struct instant *instant)
{
    struct instant read;
    struct text text;
    int r = question_text(json, pointer, issue, &text);

    if (r)
        return r;
    if (instant_parse(text, &read))
        return question_refuse(issue, "invalid_timestamp", pointer,
                               "isn't an RFC 3339 time such as 2026-01-31T00:00:00Z");
    if (read.ns == INT64_MIN || read.ns == INT64_MAX)
        return question_refuse(issue, "out_of_range", pointer,
                               "lies outside the years 1678 to 2261");
    *instant = read;
    return 0;
}

int question_currency(const json_t *json, struct price_issue *issue,
                      const struct currency **currency)
{
    struct text code;
    int r = question_text(json_object_get(json, "currency"), "/currency", issue, &code);

    if (r)
        return r;
    *currency = currency_find(code);
    if (!*currency)
        return question_refuse(issue, "currency_invalid", "/currency",
                               "isn't an ISO 4217 currency such as USD");
    return 0;
}

void question_write_error(const struct price_issue *issue, struct buffer *answer)
{
    buffer_add_string(answer, "{\"error\":{\"code\":\"");
    buffer_add_string(answer, issue->code);
    buffer_add_string(answer, "\",\"pointer\":");
    buffer_add_json_string(answer, text_of(issue->pointer));
    buffer_add_string(answer, ",\"detail\":");
    buffer_add_json_string(answer, text_of(issue->detail));
    buffer_add_string(answer, "}}");
}

void question_describe_error(const struct price_issue *issue, struct buffer *answer)
{
    grid_show(answer, text_of(issue->pointer[0] ? issue->pointer : "the question"));
    buffer_add_char(answer, ' ');
    grid_show(answer, text_of(issue->detail));
    buffer_printf(answer, " (%s)", issue->code);
}
