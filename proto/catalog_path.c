/*
 * catalog_path.c - reads `$.a['b c']`.
 */
#include "proto/catalog.h"

#include <string.h>

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c > 127;
}

static bool is_name_part(char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9') || c == '-';
}

/* Reads a name behind its dot; returns what is left, absent when there is no name. */
static struct text read_name(struct text rest, struct text *step)
{
    size_t length = 0;

    if (rest.length == 0 || !is_name_start(rest.at[0]))
        return (struct text){NULL, 0};
    while (length < rest.length && is_name_part(rest.at[length]))
        length++;
    *step = text_from(rest.at, length);
    return text_from(rest.at + length, rest.length - length);
}

/* Reads `text']` behind its `['`, without the backslashes, into scratch. */
static struct text read_quoted(struct text rest, char *scratch, struct text *step)
{
    size_t at = 0, length = 0;

    while (at < rest.length && rest.at[at] != '\'') {
        if (rest.at[at] == '\\') {
            at++;
            if (at == rest.length || (rest.at[at] != '\'' && rest.at[at] != '\\'))
                return (struct text){NULL, 0};
        }
        scratch[length++] = rest.at[at++];
    }
    if (rest.length - at < 2 || rest.at[at + 1] != ']')
        return (struct text){NULL, 0};
    *step = text_from(scratch, length);
    return text_from(rest.at + at + 2, rest.length - at - 2);
}

bool catalog_path_parse(struct text text, char *scratch, struct catalog_path *path)
{
    struct catalog_path read = {.spelling = text};
    struct text rest;

    if (!text_starts(text, "$"))
        return false;
    rest = text_from(text.at + 1, text.length - 1);
    while (rest.length > 0) {
        struct text *step = &read.steps[read.count];

        if (read.count == CATALOG_PATH_STEPS_MAX)
            return false;
        if (rest.at[0] == '.')
            rest = read_name(text_from(rest.at + 1, rest.length - 1), step);
        else if (text_starts(rest, "['"))
            rest = read_quoted(text_from(rest.at + 2, rest.length - 2), scratch, step);
        else
            return false;
        if (text_is_absent(rest))
            return false;
        scratch += step->at == scratch ? step->length : 0;
        read.count++;
    }
    if (read.count == 0)
        return false;
    *path = read;
    return true;
}
