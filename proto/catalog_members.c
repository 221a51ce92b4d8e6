/*
 * catalog_members.c - reads members of a record.
 */
#include "proto/catalog_parts.h"

#include <string.h>

const char *catalog_read_optional(const json_t *object, const char *name, size_t longest,
                                  struct text *text)
{
    const json_t *member = json_object_get(object, name);

    *text = (struct text){NULL, 0};
    if (!member || json_is_null(member))
        return NULL;
    if (!json_is_string(member))
        return "a member that should be a string isn't";
    if (json_string_length(member) == 0 || json_string_length(member) > longest)
        return "a text that is empty or too long";
    *text = text_from(json_string_value(member), json_string_length(member));
    return NULL;
}

const char *catalog_read_text(const json_t *object, const char *name, size_t longest,
                              struct text *text)
{
    const char *why = catalog_read_optional(object, name, longest, text);

    if (why)
        return why;
    return text_is_absent(*text) ? "a required member is missing" : NULL;
}

const char *catalog_read_time(const json_t *object, const char *name, struct instant usual,
                              struct instant *time)
{
    struct text text;
    const char *why = catalog_read_optional(object, name, INSTANT_TEXT_MAX, &text);

    if (why)
        return why;
    *time = usual;
    if (!text_is_absent(text) && instant_parse(text, time) != 0)
        return "a time that isn't RFC 3339";
    return NULL;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool catalog_read_hex(const json_t *object, const char *name, size_t count, uint8_t *bytes)
{
    const char *digits = json_string_value(json_object_get(object, name));

    if (!digits || strlen(digits) != count * 2)
        return false;
    for (size_t i = 0; i < count; i++) {
        int high = digit_of(digits[i * 2]), low = digit_of(digits[i * 2 + 1]);

        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
