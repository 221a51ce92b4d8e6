#include "invoicer/rules/shape.h"

#include "common/base/decimal.h"
#include "common/base/duration.h"
#include "common/base/money.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_MAX = 64,
    ID_MAX = 256,
    NAME_MAX_CHARACTERS = 256,
    DESCRIPTION_MAX = 1024,
    TEXT_MAX = 1024
};

static const int64_t minute_ns = INT64_C(60000000000);

bool key_is_valid(struct text text)
{
    bool after_letter = false;

    if (text.length == 0 || text.length > KEY_MAX)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (!is_letter && !(c == '_' && after_letter))
            return false;
        after_letter = is_letter;
    }
    return after_letter;
}

bool ulid_is_valid(struct text text)
{
    static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz";

    if (text.length != 26 || text.at[0] < '0' || text.at[0] > '7')
        return false;
    for (size_t i = 0; i < text.length; i++)
        if (!text.at[i] || !strchr(letters, text.at[i]))
            return false;
    return true;
}

static size_t characters(struct text text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.length; i++)
        if (((unsigned char)text.at[i] & 0xc0) != 0x80)
            count++;
    return count;
}

static bool has_control(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7f)
            return true;
    return false;
}

struct text shape_text(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_string(value))
        return text_of(NULL);
    return text_from(json_string_value(value), json_string_length(value));
}

const char *shape_string(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

void shape_default(json_t *object, const char *name, json_t *value)
{
    if (json_object_get(object, name))
        json_decref(value);
    else if (json_object_set_new(object, name, value))
        abort();
}

void shape_default_string(json_t *object, const char *name, const char *value)
{
    if (value)
        shape_default(object, name, json_string(value));
}

/* One member under check. */
struct checked {
    struct issues *issues;
    const struct pointer *where;
    json_t *object;
    json_t *value;
    const char *name;
};

static bool refuse(const struct checked *it, const char *code, const char *what)
{
    issue_add(it->issues, it->where, code, "%s %s", it->name, what);
    return false;
}

static bool check_time(const struct checked *it, enum shape_kind kind)
{
    char text[INSTANT_TEXT_MAX];
    struct instant instant;
    struct text spelled = text_from(json_string_value(it->value), json_string_length(it->value));

    if (instant_parse(spelled, &instant))
        return refuse(it, "invalid_timestamp",
                      "isn't an RFC 3339 time such as 2026-01-31T00:00:00Z");
    if (kind == SHAPE_TIME && instant.ns % minute_ns != 0)
        return refuse(it, "not_a_whole_minute", "has seconds: billing counts in whole minutes");
    instant_format(instant, text);
    json_object_set_new(it->object, it->name, json_string(text));
    return true;
}

static bool check_amount(const struct checked *it, enum shape_kind kind)
{
    char text[DECIMAL_TEXT_MAX];
    struct text spelled = text_from(json_string_value(it->value), json_string_length(it->value));
    struct decimal amount;
    int r;

    if (json_is_integer(it->value)) {
        snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(it->value));
        spelled = text_of(text);
    }
    r = kind == SHAPE_SUM ? decimal_parse_sum(spelled, &amount) : decimal_parse(spelled, &amount);
    if (r == DECIMAL_TOO_PRECISE)
        return refuse(it, "value_too_precise", "has more than 12 decimals");
    if (r == DECIMAL_TOO_LARGE)
        return refuse(it, "value_too_large", "is 10^15 or more");
    if (r)
        return refuse(it, "invalid_amount", "isn't a decimal number such as \"0.01\"");
    if (kind == SHAPE_PERCENT &&
        (amount.units < 0 || decimal_compare(amount, decimal_from_int(100)) > 0))
        return refuse(it, "percentage_discount_invalid_value", "isn't 0 to 100");
    if (amount.units < 0)
        return refuse(it, "negative_value", "is negative");
    decimal_format(amount, text);
    json_object_set_new(it->object, it->name, json_string(text));
    return true;
}

static bool check_map(const struct checked *it)
{
    const char *name;
    json_t *value;

    json_object_foreach(it->value, name, value)
    {
        struct pointer where = pointer_member(it->where, name);

        if (json_is_boolean(value))
            json_object_set_new(it->value, name,
                                json_string(json_is_true(value) ? "true" : "false"));
        else if (!json_is_string(value))
            issue_add(it->issues, &where, "invalid_type", "%s.%s isn't a string", it->name, name);
    }
    return true;
}

static bool check_string(const struct checked *it, enum shape_kind kind)
{
    struct text text = text_from(json_string_value(it->value), json_string_length(it->value));
    struct duration duration;

    switch (kind) {
    case SHAPE_KEY:
        return key_is_valid(text) ||
               refuse(it, "invalid_key",
                      "isn't 1 to 64 lower-case letters and digits joined by single underscores");
    case SHAPE_NAME:
        return (text.length && characters(text) <= NAME_MAX_CHARACTERS && !has_control(text)) ||
               refuse(it, "invalid_name", "isn't 1 to 256 characters without control characters");
    case SHAPE_ID:
        return (text.length && text.length <= ID_MAX && !has_control(text)) ||
               refuse(it, "invalid_key", "isn't 1 to 256 bytes without control characters");
    case SHAPE_DESCRIPTION:
        return characters(text) <= DESCRIPTION_MAX ||
               refuse(it, "invalid_description", "has more than 1024 characters");
    case SHAPE_TEXT:
        return (text.length && text.length <= TEXT_MAX) ||
               refuse(it, "invalid_text", "isn't 1 to 1024 bytes");
    case SHAPE_ULID:
        return ulid_is_valid(text) || refuse(it, "invalid_id", "isn't a ULID (26 characters)");
    case SHAPE_TIME:
    case SHAPE_INSTANT:
        return check_time(it, kind);
    case SHAPE_DURATION:
        return duration_parse(text, &duration) == 0 ||
               refuse(it, "invalid_duration", "isn't an ISO 8601 duration such as P1M or PT1H");
    default:
        assert(kind == SHAPE_CURRENCY);
        return currency_find(text) != NULL ||
               refuse(it, "currency_invalid", "isn't an ISO 4217 currency such as USD");
    }
}

static bool check_kind(const struct checked *it, enum shape_kind kind)
{
    switch (kind) {
    case SHAPE_ANY:
        return true;
    case SHAPE_SWITCH:
        return json_is_boolean(it->value) || refuse(it, "invalid_type", "isn't true or false");
    case SHAPE_COUNT:
        return (json_is_integer(it->value) && json_integer_value(it->value) >= 0) ||
               refuse(it, "invalid_type", "isn't a whole number of at least 0");
    case SHAPE_OBJECT:
        return json_is_object(it->value) || refuse(it, "invalid_type", "isn't an object");
    case SHAPE_ARRAY:
        return json_is_array(it->value) || refuse(it, "invalid_type", "isn't an array");
    case SHAPE_MAP:
        return json_is_object(it->value) ? check_map(it)
                                         : refuse(it, "invalid_type", "isn't an object of strings");
    case SHAPE_AMOUNT:
    case SHAPE_SUM:
    case SHAPE_PERCENT:
        return json_is_string(it->value) || json_is_integer(it->value)
                   ? check_amount(it, kind)
                   : refuse(it, "invalid_type", "isn't a decimal in a string, such as \"0.01\"");
    default:
        return json_is_string(it->value) ? check_string(it, kind)
                                         : refuse(it, "invalid_type", "isn't a string");
    }
}

static const struct member *find(const struct member *members, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(members[i].name, name) == 0)
            return &members[i];
    return NULL;
}

static void check_member(struct checked *it, const struct member *members, size_t count)
{
    const struct member *member = find(members, count, it->name);

    if (!member)
        issue_add(it->issues, it->where, "unknown_member", "there is no member %s here", it->name);
    else if (check_kind(it, member->kind))
        return;
    json_object_del(it->object, it->name);
}

static void drop_nulls(json_t *object, const struct member *members, size_t count)
{
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(object, next, name, value)
    {
        if (json_is_null(value) && find(members, count, name))
            json_object_del(object, name);
    }
}

bool shape_check(struct issues *issues, const struct pointer *where, json_t *value,
                 const struct member *members, size_t count)
{
    const char *name;
    json_t *of_member;
    void *next;

    if (!json_is_object(value)) {
        issue_add(issues, where, "invalid_type", "isn't an object");
        return false;
    }
    drop_nulls(value, members, count);
    for (size_t i = 0; i < count; i++) {
        struct pointer missing = pointer_member(where, members[i].name);

        if (members[i].is_required && !json_object_get(value, members[i].name))
            issue_add(issues, &missing, "missing_member", "%s is missing", members[i].name);
    }
    json_object_foreach_safe(value, next, name, of_member)
    {
        struct pointer place = pointer_member(where, name);
        struct checked it = {issues, &place, value, of_member, name};

        check_member(&it, members, count);
    }
    return true;
}
