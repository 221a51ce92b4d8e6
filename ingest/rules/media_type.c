#include "ingest/rules/media_type.h"

#include <string.h>

static bool is_token_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static struct text cut_token(struct text *rest)
{
    size_t length = 0;
    struct text token;

    while (length < rest->length && is_token_byte(rest->at[length]))
        length++;
    token = text_from(rest->at, length);
    *rest = text_from(rest->at + length, rest->length - length);
    return token;
}

static bool cut_char(struct text *rest, char c)
{
    if (rest->length == 0 || rest->at[0] != c)
        return false;
    *rest = text_from(rest->at + 1, rest->length - 1);
    return true;
}

/* What stands between double quotes, escapes left as they are. */
static bool cut_quoted(struct text *rest, struct text *value)
{
    const char *begin = rest->at;
    size_t length = 0;

    while (length < rest->length && begin[length] != '"')
        length += begin[length] == '\\' ? 2 : 1;
    if (length >= rest->length)
        return false;
    *value = text_from(begin, length);
    *rest = text_from(begin + length + 1, rest->length - length - 1);
    return true;
}

static bool cut_parameter(struct text *rest, struct media_type *type)
{
    struct text name, value;

    *rest = text_trim(*rest);
    if (rest->length == 0 || rest->at[0] == ';')
        return true;
    name = cut_token(rest);
    if (name.length == 0 || !cut_char(rest, '='))
        return false;
    if (cut_char(rest, '"')) {
        if (!cut_quoted(rest, &value))
            return false;
    } else {
        value = cut_token(rest);
        if (value.length == 0)
            return false;
    }
    if (text_equal_ignoring_case(name, text_of("charset")))
        type->charset = value;
    return true;
}

bool media_type_parse(struct text text, struct media_type *type)
{
    struct text rest = text_trim(text);
    const char *begin = rest.at;
    struct media_type found = {.charset = text_of(NULL)};

    if (cut_token(&rest).length == 0 || !cut_char(&rest, '/') || cut_token(&rest).length == 0)
        return false;
    found.name = text_from(begin, (size_t)(rest.at - begin));
    for (rest = text_trim(rest); rest.length > 0; rest = text_trim(rest))
        if (!cut_char(&rest, ';') || !cut_parameter(&rest, &found))
            return false;
    *type = found;
    return true;
}

bool media_type_is(const struct media_type *type, const char *name)
{
    return text_equal_ignoring_case(type->name, text_of(name));
}

bool media_type_starts(const struct media_type *type, const char *prefix)
{
    size_t length = strlen(prefix);

    return type->name.length >= length &&
           text_equal_ignoring_case(text_from(type->name.at, length), text_of(prefix));
}

bool media_type_is_utf8(const struct media_type *type)
{
    return text_is_absent(type->charset) ||
           text_equal_ignoring_case(type->charset, text_of("utf-8"));
}
