#include "aggregator/rules/query.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct reading {
    const json_t *object;
    const struct catalog_meter *meter;
    struct arena *arena;
    struct query *query;
    struct query_problem *problem;
};

__attribute__((format(printf, 4, 5))) static int refuse(struct query_problem *problem,
                                                        const char *code, const char *pointer,
                                                        const char *format, ...)
{
    va_list arguments;

    problem->status = 400;
    problem->code = code;
    snprintf(problem->pointer, sizeof(problem->pointer), "%s", pointer);
    va_start(arguments, format);
    vsnprintf(problem->detail, sizeof(problem->detail), format, arguments);
    va_end(arguments);
    return QUERY_REFUSED;
}

/* --- pointers --- */

static bool add_char(char pointer[QUERY_POINTER_MAX], size_t *length, char c)
{
    if (*length + 1 == QUERY_POINTER_MAX)
        return false;
    pointer[(*length)++] = c;
    return true;
}

/* Adds a step as RFC 6901 has it; one that has no room is left out, and the place around it named.
 */
static void add_step(char pointer[QUERY_POINTER_MAX], struct text step)
{
    size_t begin = strlen(pointer), length = begin;
    bool fits = add_char(pointer, &length, '/');

    for (size_t i = 0; fits && i < step.length; i++) {
        char c = step.at[i];

        if (c == '~' || c == '/') {
            fits = add_char(pointer, &length, '~');
            c = c == '~' ? '0' : '1';
        }
        fits = fits && add_char(pointer, &length, c);
    }
    pointer[fits ? length : begin] = '\0';
}

static void add_index(char pointer[QUERY_POINTER_MAX], size_t index)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%zu", index);
    add_step(pointer, text_of(digits));
}

static void point_to(char pointer[QUERY_POINTER_MAX], const char *name)
{
    pointer[0] = '\0';
    add_step(pointer, text_of(name));
}

/* As much of a name as a detail repeats. */
static int shown(struct text name)
{
    return (int)(name.length < QUERY_SHOWN_MAX ? name.length : QUERY_SHOWN_MAX);
}

/* --- the two ways of asking --- */

static struct text without_space(struct text body)
{
    static const char spaces[] = " \t\r\n";

    while (body.length && memchr(spaces, body.at[0], sizeof(spaces) - 1))
        body = text_from(body.at + 1, body.length - 1);
    return body;
}

int query_read_body(struct text body, json_t **object, struct query_problem *problem)
{
    json_error_t error;
    json_t *read;

    if (without_space(body).length == 0) {
        *object = json_object();
        return 0;
    }
    read = json_loadb(body.at, body.length, JSON_REJECT_DUPLICATES, &error);
    if (!read)
        return refuse(problem, "invalid_json", "", "the body isn't JSON: %s (line %d, column %d)",
                      error.text, error.line, error.column);
    if (!json_is_object(read)) {
        json_decref(read);
        return refuse(problem, "invalid_json", "", "the body isn't a JSON object: send {…}");
    }
    *object = read;
    return 0;
}

static bool is_list_parameter(struct text name)
{
    return text_is(name, "subject") || text_is(name, "filterSubscription") ||
           text_is(name, "groupBy") || text_is(name, "filterCustomerId");
}

static void append(json_t *object, struct text name, json_t *value)
{
    json_t *list = json_object_getn(object, name.at, name.length);

    if (!list) {
        list = json_array();
        json_object_setn_new(object, name.at, name.length, list);
    }
    json_array_append_new(list, value);
}

static int add_filter(json_t *object, struct text name, json_t *value,
                      struct query_problem *problem)
{
    static const char prefix[] = "filterGroupBy[";
    size_t skip = sizeof(prefix) - 1;
    json_t *map = json_object_get(object, "filterGroupBy");

    if (name.length <= skip + 1 || name.at[name.length - 1] != ']') {
        json_decref(value);
        return refuse(problem, "invalid_parameter", "/filterGroupBy",
                      "write a filter as filterGroupBy[dimension]=value");
    }
    if (!map) {
        map = json_object();
        json_object_set_new(object, "filterGroupBy", map);
    }
    append(map, text_from(name.at + skip, name.length - skip - 1), value);
    return 0;
}

int query_add_parameter(json_t *object, struct text name, struct text value,
                        struct query_problem *problem)
{
    json_t *string = text_is_utf8(value) && text_is_utf8(name)
                         ? json_stringn(value.at ? value.at : "", value.length)
                         : NULL;

    if (!string || name.length == 0) {
        json_decref(string);
        return refuse(problem, "invalid_parameter", "", "a parameter isn't UTF-8 or has no name");
    }
    if (text_is(name, "filterGroupBy") || text_starts(name, "filterGroupBy["))
        return add_filter(object, name, string, problem);
    if (is_list_parameter(name)) {
        append(object, name, string);
        return 0;
    }
    if (json_object_getn(object, name.at, name.length)) {
        char pointer[QUERY_POINTER_MAX] = "";

        json_decref(string);
        add_step(pointer, name);
        return refuse(problem, "invalid_parameter", pointer,
                      "%.*s is given twice: it takes one value", shown(name), name.at);
    }
    json_object_setn_new(object, name.at, name.length, string);
    return 0;
}

/* --- members --- */

static struct text text_of_json(const json_t *string)
{
    return text_from(json_string_value(string), json_string_length(string));
}

static int read_string(struct reading *reading, const char *name, struct text *text)
{
    const json_t *value = json_object_get(reading->object, name);
    char pointer[QUERY_POINTER_MAX];

    *text = text_of(NULL);
    if (!value || json_is_null(value))
        return 0;
    point_to(pointer, name);
    if (!json_is_string(value))
        return refuse(reading->problem, "invalid_parameter", pointer, "%s isn't a string", name);
    *text = text_of_json(value);
    return 0;
}

/* In a URL filterCustomerId[] and advancedMeterGroupByFilters[…], too. */
static bool is_unsupported(struct text name)
{
    struct text first = text_cut(&name, '[');

    return text_is(first, "filterCustomerId") || text_is(first, "advancedMeterGroupByFilters");
}

/* Whether the name is known is said before anything else: a misspelt filter would change sums. */
static int check_names(struct reading *reading)
{
    static const char *const known[] = {"from",           "to",      "windowSize",
                                        "windowTimeZone", "subject", "filterSubscription",
                                        "filterGroupBy",  "groupBy", "clientId"};
    const char *name;
    json_t *value;
    char pointer[QUERY_POINTER_MAX];

    json_object_foreach((json_t *)reading->object, name, value)
    {
        bool is_known = false;
        point_to(pointer, name);
        if (is_unsupported(text_of(name)))
            return refuse(reading->problem, "unsupported_parameter", pointer,
                          "%.*s isn't supported yet: filter by filterSubscription, subject or "
                          "filterGroupBy",
                          shown(text_of(name)), name);
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            is_known = is_known || strcmp(name, known[i]) == 0;
        if (!is_known)
            return refuse(reading->problem, "unknown_parameter", pointer,
                          "there is no parameter %.*s: it is one of from, to, windowSize, "
                          "windowTimeZone, subject, filterSubscription, filterGroupBy, groupBy, "
                          "clientId",
                          shown(text_of(name)), name);
    }
    return 0;
}

/* --- range --- */

struct moment {
    int64_t minute;         /* of any year that can be written */
    struct instant instant; /* of those that can be counted, the nearest */
};

static int read_moment(struct reading *reading, const char *name, bool *has, struct moment *moment)
{
    struct text text;
    char pointer[QUERY_POINTER_MAX];
    int r = read_string(reading, name, &text);

    *has = false;
    if (r || text_is_absent(text))
        return r;
    point_to(pointer, name);
    if (instant_parse(text, &moment->instant) || instant_parse_minute(text, &moment->minute))
        return refuse(reading->problem, "invalid_parameter", pointer,
                      "%s isn't an RFC 3339 time like 2026-11-01T00:00:00Z%s", name,
                      text.length && memchr(text.at, ' ', text.length)
                          ? ": it holds a space, which a + in a URL becomes; write it as %2B"
                          : "");
    *has = true;
    return 0;
}

static bool is_after(struct moment a, struct moment b)
{
    return a.minute != b.minute ? a.minute > b.minute : instant_compare(a.instant, b.instant) > 0;
}

static int read_range(struct reading *reading)
{
    struct query *query = reading->query;
    struct moment from = {.minute = INT64_MIN}, to = {.minute = INT64_MAX};
    int r = read_moment(reading, "from", &query->has_from, &from);

    if (!r)
        r = read_moment(reading, "to", &query->has_to, &to);
    if (r)
        return r;
    if (query->has_from && query->has_to && !is_after(to, from))
        return refuse(reading->problem, "invalid_range", "/to", "to isn't after from");
    query->from_minute = from.minute;
    query->to_minute = to.minute;
    if (query->has_to && instant_compare(instant_from_minute(to.minute), to.instant) < 0)
        query->to_minute++;
    return 0;
}

static int read_window(struct reading *reading)
{
    struct query *query = reading->query;
    struct text size, zone;
    int r = read_string(reading, "windowSize", &size);

    if (!r)
        r = read_string(reading, "windowTimeZone", &zone);
    if (r)
        return r;
    query->has_window = !text_is_absent(size);
    if (query->has_window && !window_size_from(size, &query->window))
        return refuse(reading->problem, "invalid_parameter", "/windowSize",
                      "windowSize is one of MINUTE, HOUR, DAY, MONTH");
    if (!text_is_absent(zone) && !text_is(zone, "UTC") && zone_new(zone, &query->zone))
        return refuse(reading->problem, "invalid_parameter", "/windowTimeZone",
                      "windowTimeZone isn't an IANA time zone like Europe/Berlin");
    return 0;
}

/* --- lists --- */

static int no_room(struct reading *reading)
{
    return refuse(reading->problem, "invalid_parameter", "", "the query is too large");
}

static int read_value(struct reading *reading, const json_t *value, bool null_is_value,
                      const char *pointer, struct text *text)
{
    if (json_is_string(value)) {
        *text = arena_copy(reading->arena, text_of_json(value));
        return text_is_absent(*text) ? no_room(reading) : 0;
    }
    if (!json_is_null(value) || !null_is_value)
        return refuse(reading->problem, "invalid_parameter", pointer, "a value isn't a string%s",
                      null_is_value ? " or null" : "");
    *text = text_of(NULL);
    return 0;
}

/* A list, or one value in its place; null and [] filter nothing. What stands in it twice is one
 * value: it mustn't count twice. `pointer` leads to it. */
static int read_values(struct reading *reading, const json_t *value, size_t most,
                       bool null_is_value, char pointer[QUERY_POINTER_MAX], struct query_list *list)
{
    size_t around = strlen(pointer);
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    struct text *texts;

    if (!value || json_is_null(value) || count == 0)
        return 0;
    if (count > most)
        return refuse(reading->problem, "invalid_parameter", pointer, "%zu values; the most is %zu",
                      count, most);
    texts = arena_take(reading->arena, count * sizeof(*texts));
    if (!texts)
        return no_room(reading);
    *list = (struct query_list){.at = texts};
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_is_array(value) ? json_array_get(value, i) : value;
        int r;

        if (one != value)
            add_index(pointer, i);
        r = read_value(reading, one, null_is_value, pointer, &texts[list->count]);
        if (r)
            return r;
        pointer[around] = '\0';
        if (list->count == 0 || !query_list_has(*list, texts[list->count]))
            list->count++;
    }
    return 0;
}

static int read_list(struct reading *reading, const char *name, size_t most,
                     struct query_list *list)
{
    char pointer[QUERY_POINTER_MAX];

    point_to(pointer, name);
    return read_values(reading, json_object_get(reading->object, name), most, false, pointer, list);
}

/* --- dimensions --- */

static const struct catalog_dimension *dimension_of(const struct reading *reading, struct text name)
{
    for (size_t i = 0; i < reading->meter->dimension_count; i++)
        if (text_equal(reading->meter->dimensions[i].name, name))
            return &reading->meter->dimensions[i];
    return NULL;
}

static int unknown_dimension(struct reading *reading, const char *pointer, struct text name)
{
    return refuse(reading->problem, "unknown_dimension", pointer,
                  "meter %.*s has no dimension %.*s in its groupBy",
                  (int)reading->meter->slug.length, reading->meter->slug.at, shown(name), name.at);
}

static int read_filters(struct reading *reading)
{
    json_t *map = json_object_get(reading->object, "filterGroupBy"), *value;
    const char *name;
    char pointer[QUERY_POINTER_MAX];

    if (!map || json_is_null(map))
        return 0;
    if (!json_is_object(map))
        return refuse(reading->problem, "invalid_parameter", "/filterGroupBy",
                      "filterGroupBy isn't an object of dimension and values");
    json_object_foreach(map, name, value)
    {
        struct query_filter *filter = &reading->query->filters[reading->query->filter_count];
        int r;

        point_to(pointer, "filterGroupBy");
        add_step(pointer, text_of(name));
        if (!dimension_of(reading, text_of(name)))
            return unknown_dimension(reading, pointer, text_of(name));
        filter->dimension = arena_copy(reading->arena, text_of(name));
        if (text_is_absent(filter->dimension))
            return no_room(reading);
        r = read_values(reading, value, QUERY_VALUES_MAX, true, pointer, &filter->values);
        if (r)
            return r;
        reading->query->filter_count++;
    }
    return 0;
}

static bool is_grouped_by(const struct query *query, struct text name)
{
    for (size_t i = 0; i < query->group_count; i++)
        if (text_equal(query->group_by[i], name))
            return true;
    return false;
}

/* Points to the name in groupBy, which is a list or the name alone. */
static int unknown_group(struct reading *reading, struct text name)
{
    const json_t *list = json_object_get(reading->object, "groupBy"), *one;
    char pointer[QUERY_POINTER_MAX];
    size_t i;

    point_to(pointer, "groupBy");
    json_array_foreach(list, i, one)
    {
        if (!text_equal(text_of_json(one), name))
            continue;
        add_index(pointer, i);
        break;
    }
    return unknown_dimension(reading, pointer, name);
}

static int read_group_by(struct reading *reading)
{
    struct query *query = reading->query;
    struct query_list names = {.count = 0};
    int r = read_list(reading, "groupBy", QUERY_VALUES_MAX, &names);

    for (size_t i = 0; !r && i < names.count; i++) {
        if (text_is(names.at[i], "subject"))
            query->by_subject = true;
        else if (text_is(names.at[i], "subscription"))
            query->by_subscription = true;
        else if (!dimension_of(reading, names.at[i]))
            r = unknown_group(reading, names.at[i]);
        else if (!is_grouped_by(query, names.at[i]))
            query->group_by[query->group_count++] = names.at[i];
    }
    return r;
}

static int check_client_id(struct reading *reading)
{
    struct text id;
    int r = read_string(reading, "clientId", &id);

    if (!r && id.length > QUERY_CLIENT_ID_MAX)
        return refuse(reading->problem, "invalid_parameter", "/clientId",
                      "clientId has more than %d bytes", QUERY_CLIENT_ID_MAX);
    return r;
}

/* --- the whole --- */

static int read_all(struct reading *reading)
{
    static int (*const readers[])(struct reading *) = {
        check_names, read_range, read_window, read_filters, read_group_by, check_client_id};
    int r = 0;

    for (size_t i = 0; !r && i < ARRAY_LEN(readers); i++)
        r = readers[i](reading);
    if (!r)
        r = read_list(reading, "subject", QUERY_VALUES_MAX, &reading->query->subjects);
    if (!r)
        r = read_list(reading, "filterSubscription", QUERY_SUBSCRIPTIONS_MAX,
                      &reading->query->subscriptions);
    return r;
}

int query_parse(const json_t *object, const struct catalog *catalog, struct text meter,
                struct arena *arena, struct query *query, struct query_problem *problem)
{
    struct query found = {.zone = NULL};
    struct reading reading = {.object = object,
                              .meter = catalog_meter(catalog, meter),
                              .arena = arena,
                              .query = &found,
                              .problem = problem};
    int r;

    if (!reading.meter) {
        r = refuse(problem, "unknown_meter", "", "there is no meter %.*s in this bucket",
                   (int)(meter.length > 64 ? 64 : meter.length), meter.at);
        problem->status = 404;
        return r;
    }
    found.meter = arena_copy(arena, meter);
    found.aggregation = reading.meter->aggregation;
    r = text_is_absent(found.meter) ? no_room(&reading) : read_all(&reading);
    if (r) {
        query_deinit(&found);
        return r;
    }
    *query = found;
    return 0;
}

void query_deinit(struct query *query)
{
    query->zone = zone_free(query->zone);
}

const struct zone *query_zone(const struct query *query)
{
    return query->zone ? query->zone : zone_utc();
}

bool query_list_has(struct query_list list, struct text value)
{
    for (size_t i = 0; i < list.count; i++)
        if (text_equal(list.at[i], value))
            return true;
    return list.count == 0;
}
