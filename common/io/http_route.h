/*
 * http_route.h - which route a request's path means.
 *
 * A route's path is segments; {name} stands for one segment that isn't empty. Segments are compared
 * after percent-decoding, so %2F never splits one.
 *
 * Threads    Any.
 */
#pragma once

#include "common/io/http.h"

enum http_route_outcome {
    HTTP_ROUTE_UNKNOWN = 1,  /* no route has this path */
    HTTP_ROUTE_OTHER_METHOD, /* some have, by other methods */
};

/*
 * Finds the route of `path` (raw) and fills the parameters, decoded into the arena where needed.
 * `method` may be HTTP_METHOD_COUNT: one that no route has. Returns 0 with *index.
 */
MUST_USE int http_route_find(const struct http_route *routes, size_t count, enum http_method method,
                             struct text path, struct arena *arena, struct text *parameters,
                             size_t *index);

/* Writes "GET, HEAD, POST": the methods that routes of this path take. */
void http_route_methods(const struct http_route *routes, size_t count, struct text path,
                        struct arena *arena, struct buffer *methods);

/* Decodes %XX, and '+' to a space if asked. The text itself when there is nothing to decode; absent
 * when the arena is full. A '%' without two hex digits stays as it is. */
MUST_USE struct text http_decode_percent(struct arena *arena, struct text text, bool plus_is_space);
