/*
 * http_query.c - what a handler asks of its request: headers, query parameters, the key.
 */
#include "common/base/fault.h"
#include "common/io/http_route.h"

#include <assert.h>

struct text http_header(const struct http_request *request, const char *name)
{
    struct text wanted = text_of(name);

    for (size_t i = 0; i < request->header_count; i++) {
        if (text_equal_ignoring_case(request->headers[i].name, wanted))
            return request->headers[i].value;
    }
    return (struct text){0};
}

/* Skips empty parameters ("a=1&&b=2"); absent at the end. */
static struct text next_parameter(struct text *query)
{
    struct text parameter = {0};

    while (query->length > 0 && parameter.length == 0)
        parameter = text_cut(query, '&');
    return parameter.length > 0 ? parameter : (struct text){0};
}

size_t http_query_count(const struct http_request *request)
{
    struct text query = request->query;
    size_t count = 0;

    while (!text_is_absent(next_parameter(&query)))
        count++;
    return count;
}

static int decode(struct http_request *request, struct text parameter, struct text *name,
                  struct text *value)
{
    struct text left = parameter;
    struct text first = http_decode_percent(request->arena, text_cut(&left, '='), true);
    struct text second = http_decode_percent(request->arena, left, true);

    if (text_is_absent(first) || text_is_absent(second))
        return fault(FAULT_REFUSE, "the query doesn't fit the request's arena");
    *name = first;
    *value = second;
    return 0;
}

int http_query_at(struct http_request *request, size_t index, struct text *name, struct text *value)
{
    struct text query = request->query;
    struct text parameter = next_parameter(&query);

    while (index-- > 0)
        parameter = next_parameter(&query);
    assert(!text_is_absent(parameter));
    return decode(request, parameter, name, value);
}

struct text http_query(struct http_request *request, const char *name, size_t nth)
{
    struct text query = request->query;
    struct text parameter, found, value;

    while (!text_is_absent(parameter = next_parameter(&query))) {
        if (decode(request, parameter, &found, &value))
            return (struct text){0};
        if (text_is(found, name) && nth-- == 0)
            return value;
    }
    return (struct text){0};
}

struct text http_bearer(const struct http_request *request)
{
    struct text left = http_header(request, "authorization");
    struct text scheme = text_cut(&left, ' ');
    struct text key = text_trim(left);

    if (!text_equal_ignoring_case(scheme, text_of("bearer")) || key.length == 0)
        return (struct text){0};
    return key;
}
