/*
 * http_route.c - routes by path, and percent-decoding.
 */
#include "common/io/http_route.h"

#include <string.h>

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool needs_decoding(struct text text, bool plus_is_space)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '%' || (plus_is_space && text.at[i] == '+'))
            return true;
    }
    return false;
}

struct text http_decode_percent(struct arena *arena, struct text text, bool plus_is_space)
{
    size_t length = 0;
    char *at;

    if (!needs_decoding(text, plus_is_space))
        return text;
    at = arena_take(arena, text.length);
    if (!at)
        return (struct text){0};
    for (size_t i = 0; i < text.length; i++) {
        int high = text.length - i > 2 ? hex_of(text.at[i + 1]) : -1;
        int low = text.length - i > 2 ? hex_of(text.at[i + 2]) : -1;

        if (text.at[i] == '%' && high >= 0 && low >= 0) {
            at[length++] = (char)(high * 16 + low);
            i += 2;
        } else {
            at[length++] = plus_is_space && text.at[i] == '+' ? ' ' : text.at[i];
        }
    }
    return text_from(at, length);
}

/* Both begin with '/'. */
static bool match(const char *route, struct text path, struct arena *arena, struct text *parameters)
{
    struct text left = text_of(route);
    size_t found = 0;

    while (left.length > 0 && path.length > 0) {
        struct text wanted = text_cut(&left, '/');
        struct text got = http_decode_percent(arena, text_cut(&path, '/'), false);
        bool is_parameter = text_starts(wanted, "{");

        if (is_parameter && got.length > 0 && found < HTTP_PARAMETERS_MAX)
            parameters[found++] = got;
        else if (is_parameter || !text_equal(wanted, got))
            return false;
    }
    return left.length == 0 && path.length == 0;
}

/* A trailing '/' makes another path: text_cut alone would not see the empty last segment. */
static bool is_path_of(const struct http_route *route, struct text path, struct arena *arena,
                       struct text *parameters)
{
    size_t length = strlen(route->path);

    if ((path.at[path.length - 1] == '/') != (route->path[length - 1] == '/'))
        return false;
    if (text_is(path, route->path))
        return true;
    return strpbrk(route->path, "{%") || memchr(path.at, '%', path.length)
               ? match(route->path, path, arena, parameters)
               : false;
}

int http_route_find(const struct http_route *routes, size_t count, enum http_method method,
                    struct text path, struct arena *arena, struct text *parameters, size_t *index)
{
    bool known = false;

    for (size_t i = 0; i < count; i++) {
        struct text found[HTTP_PARAMETERS_MAX] = {0};

        if (!is_path_of(&routes[i], path, arena, found))
            continue;
        known = true;
        if (routes[i].method != method)
            continue;
        memcpy(parameters, found, sizeof(found));
        *index = i;
        return 0;
    }
    return known ? HTTP_ROUTE_OTHER_METHOD : HTTP_ROUTE_UNKNOWN;
}

void http_route_methods(const struct http_route *routes, size_t count, struct text path,
                        struct arena *arena, struct buffer *methods)
{
    static const char *const names[] = {"GET, HEAD", "POST", "PUT", "DELETE", "PATCH"};
    size_t listed = 0;

    for (size_t i = 0; i < count; i++) {
        struct text found[HTTP_PARAMETERS_MAX] = {0};

        if (!is_path_of(&routes[i], path, arena, found))
            continue;
        if (listed++ > 0)
            buffer_add_string(methods, ", ");
        buffer_add_string(methods, names[routes[i].method]);
    }
}
