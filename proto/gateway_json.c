/*
 * gateway_json.c - the CloudEvent that a gateway's event stands for.
 *
 * Properties are sorted by path, so those in one object are neighbours: each is written after
 * closing the objects that it doesn't share with the one before and opening its own.
 */
#include "common/base/digits.h"
#include "proto/gateway_batch.h"

static void add_member(struct buffer *json, const char *name, struct text value)
{
    if (text_is_absent(value))
        return;
    buffer_printf(json, ",\"%s\":", name);
    buffer_add_json_string(json, value);
}

/* Room for its sign, its point and 2^127. */
enum { DECIMAL_ROOM = 2 + 2 * DIGITS_MAX };

static void add_decimal(struct buffer *json, int128 mantissa, unsigned scale)
{
    char digits[DECIMAL_ROOM], *end = digits;
    uint128 size = mantissa < 0 ? -(uint128)mantissa : (uint128)mantissa;
    uint64_t power = digits_powers[scale];

    if (mantissa < 0)
        *end++ = '-';
    end = digits_write_wide(end, size / power);
    if (scale > 0) {
        *end++ = '.';
        end = digits_write(end, (uint64_t)(size % power), (int)scale);
    }
    buffer_add(json, digits, (size_t)(end - digits));
}

static void add_value(struct buffer *json, const struct gateway_value *value)
{
    switch (value->kind) {
    case GATEWAY_FALSE:
        buffer_add_string(json, "false");
        break;
    case GATEWAY_TRUE:
        buffer_add_string(json, "true");
        break;
    case GATEWAY_STRING:
        buffer_add_json_string(json, value->is.text);
        break;
    case GATEWAY_DECIMAL:
        add_decimal(json, value->is.mantissa, value->scale);
        break;
    default:
        buffer_add_string(json, "null");
    }
}

/* How many objects two neighbours share, `data` not counted. */
static size_t shared(const struct catalog_path *a, const struct catalog_path *b)
{
    size_t count = 0;

    while (count + 1 < a->count && count + 1 < b->count &&
           text_equal(a->steps[count], b->steps[count]))
        count++;
    return count;
}

static void add_properties(struct buffer *json, const struct gateway_event *event)
{
    const struct gateway_shape *shape = event->shape;
    size_t open = 0; /* objects inside `data` */

    for (size_t i = 0; i < event->property_count; i++) {
        const struct catalog_path *path = shape->paths[shape->sorted[i]];
        size_t kept = i ? shared(shape->paths[shape->sorted[i - 1]], path) : 0;

        for (; open > kept; open--)
            buffer_add_char(json, '}');
        if (i)
            buffer_add_char(json, ',');
        for (; open + 1 < path->count; open++) {
            buffer_add_json_string(json, path->steps[open]);
            buffer_add_string(json, ":{");
        }
        buffer_add_json_string(json, path->steps[open]);
        buffer_add_char(json, ':');
        add_value(json, &event->properties[shape->sorted[i]]);
    }
    for (; open > 0; open--)
        buffer_add_char(json, '}');
}

void gateway_event_json(const struct gateway_event *event, struct buffer *json)
{
    char time[INSTANT_TEXT_MAX];

    buffer_add_string(json, "{\"specversion\":\"1.0\"");
    add_member(json, "id", event->id);
    add_member(json, "source", event->source);
    add_member(json, "type", event->type);
    add_member(json, "subscription", event->subscription);
    add_member(json, "subject", event->subject);
    if (event->has_time) {
        instant_format(event->time, time);
        buffer_printf(json, ",\"time\":\"%s\"", time);
    }
    if (event->has_sequence)
        buffer_printf(json, ",\"sequence\":\"%llu\"", (unsigned long long)event->sequence);
    buffer_add_string(json, ",\"data\":{");
    add_properties(json, event);
    buffer_add_string(json, "}}");
}
