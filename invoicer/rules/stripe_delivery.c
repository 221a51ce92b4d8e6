#include "invoicer/rules/stripe_delivery.h"

#include "invoicer/rules/json_write.h"
#include "invoicer/rules/stripe_text.h"

static const char *const names[] = {
    [STRIPE_BEGUN] = "begun",
    [STRIPE_FINALIZED] = "finalized",
    [STRIPE_HELD] = "held",
};

const char *stripe_state_name(enum stripe_state state)
{
    return names[state];
}

bool stripe_delivery_is_settled(struct text json)
{
    return text_starts(json, "{\"state\":\"finalized\"");
}

/* --- reading --- */

/* Reads members until one is wrong; what is read behind it says nothing. */
struct reader {
    struct arena *arena;
    int r;
};

/* Absent for null alone. */
static struct text read_text_if_any(struct reader *reader, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    struct text copy;

    if (reader->r || json_is_null(value))
        return text_of(NULL);
    if (!json_is_string(value)) {
        reader->r = STRIPE_DELIVERY_MALFORMED;
        return text_of(NULL);
    }
    copy = arena_copy(reader->arena, stripe_member(object, name));
    if (text_is_absent(copy))
        reader->r = STRIPE_DELIVERY_NO_MEMORY;
    return copy;
}

static struct text read_text(struct reader *reader, const json_t *object, const char *name)
{
    struct text text = read_text_if_any(reader, object, name);

    if (!reader->r && text.length == 0)
        reader->r = STRIPE_DELIVERY_MALFORMED;
    return text;
}

static enum stripe_state read_state(struct reader *reader, const json_t *object)
{
    struct text name = stripe_member(object, "state");

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (text_is(name, names[i]))
            return (enum stripe_state)i;
    reader->r = STRIPE_DELIVERY_MALFORMED;
    return STRIPE_HELD;
}

static int64_t read_attempt(struct reader *reader, const json_t *object)
{
    const json_t *attempt = json_object_get(object, "attempt");

    if (!json_is_integer(attempt) || json_integer_value(attempt) < 0)
        reader->r = STRIPE_DELIVERY_MALFORMED;
    return json_integer_value(attempt);
}

static struct instant read_instant(struct reader *reader, const json_t *object)
{
    struct text text = stripe_member(object, "begunAt");
    struct instant instant = {0};

    if (text_is_absent(text) || instant_parse(text, &instant))
        reader->r = STRIPE_DELIVERY_MALFORMED;
    return instant;
}

static void read_steps(struct reader *reader, const json_t *array, struct stripe_delivery *delivery)
{
    size_t count = json_array_size(array), i;
    struct stripe_step *steps;
    const json_t *object;

    if (!json_is_array(array))
        reader->r = STRIPE_DELIVERY_MALFORMED;
    if (reader->r || count == 0)
        return;
    steps = arena_take(reader->arena, count * sizeof(*steps));
    if (!steps) {
        reader->r = STRIPE_DELIVERY_NO_MEMORY;
        return;
    }
    json_array_foreach(array, i, object)
    {
        steps[i] = (struct stripe_step){
            .path = read_text(reader, object, "path"),
            .key = read_text(reader, object, "key"),
            .body = read_text(reader, object, "body"),
        };
    }
    delivery->steps = steps;
    delivery->step_count = count;
}

static void read_members(struct reader *reader, const json_t *object,
                         struct stripe_delivery *delivery)
{
    *delivery = (struct stripe_delivery){
        .state = read_state(reader, object),
        .attempt = read_attempt(reader, object),
        .begun_at = read_instant(reader, object),
        .customer = read_text_if_any(reader, object, "customer"),
        .stripe = read_text_if_any(reader, object, "stripe"),
        .number = read_text_if_any(reader, object, "number"),
        .status = read_text_if_any(reader, object, "status"),
        .reason = read_text_if_any(reader, object, "reason"),
    };
    read_steps(reader, json_object_get(object, "steps"), delivery);
}

/* What is begun has what may be sent, and nothing else has; what is finalised says what it became,
 * what is held says why. */
static bool is_whole(const struct stripe_delivery *delivery)
{
    switch (delivery->state) {
    case STRIPE_BEGUN:
        return delivery->attempt > 0 && delivery->step_count > 0;
    case STRIPE_FINALIZED:
        return !text_is_absent(delivery->stripe) && delivery->step_count == 0;
    case STRIPE_HELD:
        break;
    }
    return !text_is_absent(delivery->reason) && delivery->step_count == 0;
}

int stripe_delivery_read(struct text json, struct arena *arena, struct stripe_delivery *delivery)
{
    struct reader reader = {.arena = arena};
    struct stripe_delivery read;
    json_t *object = json_loadb(json.at, json.length, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(object)) {
        json_decref(object);
        return STRIPE_DELIVERY_MALFORMED;
    }
    read_members(&reader, object, &read);
    json_decref(object);
    if (!reader.r && !is_whole(&read))
        reader.r = STRIPE_DELIVERY_MALFORMED;
    if (reader.r == 0)
        *delivery = read;
    return reader.r;
}

/* --- writing --- */

static void write_steps(const struct stripe_delivery *delivery, struct buffer *json)
{
    buffer_add_string(json, ",\"steps\":[");
    for (size_t i = 0; i < delivery->step_count; i++) {
        const struct stripe_step *step = &delivery->steps[i];

        json_write_text(json, i ? ",{\"path\":" : "{\"path\":", step->path);
        json_write_text(json, ",\"key\":", step->key);
        json_write_text(json, ",\"body\":", step->body);
        buffer_add_char(json, '}');
    }
    buffer_add_string(json, "]}");
}

void stripe_delivery_write(const struct stripe_delivery *delivery, struct buffer *json)
{
    char begun[INSTANT_TEXT_MAX];

    (void)instant_format(delivery->begun_at, begun);
    buffer_printf(json, "{\"state\":\"%s\",\"attempt\":%lld,\"begunAt\":\"%s\"",
                  names[delivery->state], (long long)delivery->attempt, begun);
    json_write_text(json, ",\"customer\":", delivery->customer);
    json_write_text(json, ",\"stripe\":", delivery->stripe);
    json_write_text(json, ",\"number\":", delivery->number);
    json_write_text(json, ",\"status\":", delivery->status);
    json_write_text(json, ",\"reason\":", delivery->reason);
    write_steps(delivery, json);
}
