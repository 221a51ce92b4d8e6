/*
 * The rules, in the order of the code; which of several refusals is given: refusal.h.
 *
 * 0. An event of a numbered source has a `sequence`, a number.
 * 1. `type` is the eventType of at least one meter.
 * 2. `subscription` decides alone; else `subject` is looked up as subscription id, consumer name,
 *    customer key. The subscription is active at `time` (absent: the arrival): activeFrom <= time <
 *    activeTo.
 * 3. `time` isn't further ahead of the arrival than the tolerance; exactly on it passes.
 * 4. Meters whose eventFrom is after `time` are left out; one has to remain.
 * 5. Each meter but COUNT has a value: a JSON number or a decimal string, not negative, below
 * 10^15, 12 decimals at the most. UNIQUE_COUNT: a text that isn't empty.
 * 6. Each dimension is a text, or null where it is missing.
 */
#include "ingest/rules/admit.h"

#include "common/base/digits.h"
#include "ingest/rules/content.h"

#include <assert.h>
#include <string.h>

static const int64_t WHOLE_END = 1000000000000000; /* 10^15: no number is as large */

struct weighing {
    const struct admission *admission;
    const struct event *event;
    struct arena *arena;
    struct refusal *refusal;
    const struct event_places *places;
    struct instant time; /* the event's, or the arrival */
    struct instant arrival;
    bool is_numbered;
    const struct catalog_subscription *subscription;
};

/* --- 0: its number --- */

static void check_sequence(struct weighing *weighing)
{
    const struct event *given = weighing->event;

    weighing->is_numbered = catalog_is_numbered(weighing->admission->catalog, given->source);
    if (!weighing->is_numbered)
        return;
    if (given->sequence_is_faulty)
        refuse(weighing->refusal, weighing->arena, REFUSAL_INVALID_ATTRIBUTE, text_of("/sequence"),
               "sequence isn't a number below 2^64 in decimal digits: the source is declared "
               "numbered, so its events are known by it");
    else if (!given->has_sequence)
        refuse(weighing->refusal, weighing->arena, REFUSAL_MISSING_ATTRIBUTE, text_of("/sequence"),
               "sequence is missing: the source is declared numbered, so send the number that it "
               "gave this event alone");
}

/* --- 1, 2: whose it is --- */

static const struct catalog_subscription *by_id(struct weighing *weighing)
{
    struct text id = weighing->event->subscription;
    const struct catalog_subscription *found =
        catalog_subscription_like(weighing->admission->catalog, id, weighing->event->guess);

    if (!found) {
        refuse(weighing->refusal, weighing->arena, REFUSAL_UNKNOWN_SUBSCRIPTION,
               text_of("/subscription"),
               "no subscription of this bucket has this id: correct it, or apply the subscription "
               "to the catalog first");
        return NULL;
    }
    if (catalog_is_active(found, weighing->time))
        return found;
    refuse(weighing->refusal, weighing->arena, REFUSAL_SUBSCRIPTION_INACTIVE,
           text_of("/subscription"),
           "the subscription isn't active at the event's time: send a time between its activeFrom "
           "and activeTo");
    return NULL;
}

static const struct catalog_subscription *by_subject(struct weighing *weighing)
{
    const struct catalog_subscription *found = NULL;
    int r = catalog_find_subject(weighing->admission->catalog, weighing->event->subject,
                                 weighing->event->guess, weighing->time, &found);

    if (r == CATALOG_SUBJECT_UNKNOWN)
        refuse(weighing->refusal, weighing->arena, REFUSAL_UNKNOWN_SUBSCRIPTION,
               text_of("/subject"),
               "the subject is no subscription id, consumer name or customer key of this bucket: "
               "correct it, or send the subscription's id as `subscription`");
    else if (r == CATALOG_SUBJECT_AMBIGUOUS)
        refuse(weighing->refusal, weighing->arena, REFUSAL_AMBIGUOUS_SUBJECT, text_of("/subject"),
               "the subject has several subscriptions active at the event's time: send the id of "
               "one as `subscription`");
    else if (r == CATALOG_SUBJECT_INACTIVE)
        refuse(weighing->refusal, weighing->arena, REFUSAL_SUBSCRIPTION_INACTIVE,
               text_of("/subject"),
               "the subject has no subscription active at the event's time: send a time at which "
               "one is, or the id of another as `subscription`");
    return r == 0 ? found : NULL;
}

static const struct catalog_subscription *subscription_of(struct weighing *weighing)
{
    if (!text_is_absent(weighing->event->subscription))
        return by_id(weighing);
    if (!text_is_absent(weighing->event->subject))
        return by_subject(weighing);
    refuse(weighing->refusal, weighing->arena, REFUSAL_MISSING_SUBSCRIPTION,
           text_of("/subscription"),
           "the event names neither a subscription nor a subject: send one of them");
    return NULL;
}

/* --- 3, 4: when it was --- */

static void check_future(struct weighing *weighing)
{
    int64_t ahead;

    if (__builtin_sub_overflow(weighing->time.ns, weighing->arrival.ns, &ahead))
        ahead = weighing->time.ns > weighing->arrival.ns ? INT64_MAX : INT64_MIN;
    if (ahead > weighing->admission->future.ns)
        refuse(weighing->refusal, weighing->arena, REFUSAL_TIME_IN_FUTURE, text_of("/time"),
               "the time is more than %lld s after the event's arrival: set the sender's clock, "
               "or leave `time` out",
               (long long)(weighing->admission->future.ns / 1000000000));
}

/* --- 5: values --- */

static void refuse_value(struct weighing *weighing, const struct catalog_meter *meter,
                         enum refusal_code code, const char *why)
{
    refuse(weighing->refusal, weighing->arena, code,
           event_property_pointer(&meter->value, weighing->arena), "the value of meter %.*s %s",
           (int)meter->slug.length, meter->slug.at, why);
}

static void refuse_number(struct weighing *weighing, const struct catalog_meter *meter, int outcome)
{
    if (outcome == DECIMAL_TOO_LARGE)
        refuse_value(weighing, meter, REFUSAL_VALUE_TOO_LARGE,
                     "is 10^15 or more: send it in several events");
    else if (outcome == DECIMAL_TOO_PRECISE)
        refuse_value(weighing, meter, REFUSAL_VALUE_TOO_PRECISE,
                     "has more than 12 decimals: round it before sending");
    else
        refuse_value(weighing, meter, REFUSAL_INVALID_VALUE,
                     "isn't a number: send a JSON number or a string like \"12.5\"");
}

static int read_number(const struct event_value *value, struct decimal *number)
{
    switch (value->kind) {
    case VALUE_NUMBER:
        return decimal_parse_json(value->is.text, number);
    case VALUE_STRING:
        return decimal_parse(value->is.text, number);
    case VALUE_DECIMAL:
        return decimal_from_mantissa(value->is.mantissa, value->scale, number);
    default:
        return DECIMAL_NOT_A_NUMBER;
    }
}

/* Of a number that is too large or too precise, which isn't zero. */
static bool has_minus(const struct event_value *value)
{
    return value->kind == VALUE_DECIMAL ? value->is.mantissa < 0 : value->is.text.at[0] == '-';
}

/* Writes also an amount that is refused as negative. */
static void take_amount(struct weighing *weighing, const struct catalog_meter *meter,
                        const struct event_value *value, struct decimal *amount)
{
    int r = read_number(value, amount);
    bool is_negative = r == 0 && amount->units < 0;

    if (r == DECIMAL_TOO_LARGE || r == DECIMAL_TOO_PRECISE)
        is_negative = has_minus(value);
    if (is_negative)
        refuse_value(weighing, meter, REFUSAL_NEGATIVE_VALUE,
                     "is negative: usage only adds up, corrections are made on the invoice");
    else if (r)
        refuse_number(weighing, meter, r);
}

/* Digits alone, short, not led by 0: a number that is its own shortest decimal. Most are. */
static bool is_shortest(struct text number)
{
    if (number.length > 15 || (number.at[0] == '0' && number.length > 1))
        return false;
    for (size_t i = 0; i < number.length; i++)
        if (number.at[i] < '0' || number.at[i] > '9')
            return false;
    return true;
}

/* The shortest form of the number; absent when the arena is full. */
static struct text spell(struct arena *arena, struct decimal number)
{
    char digits[DECIMAL_TEXT_MAX];

    return arena_copy(arena, text_from(digits, decimal_format(number, digits)));
}

/* The same of a whole number that isn't negative: most. */
static struct text spell_whole(struct arena *arena, uint64_t number)
{
    char *at = arena_take_unset(arena, DIGITS_MAX);

    if (!at)
        return text_of(NULL);
    return text_from(at, (size_t)(digits_write_all(at, number) - at));
}

static bool is_small_whole(const struct event_value *value)
{
    return value->kind == VALUE_DECIMAL && value->scale == 0 && value->is.mantissa >= 0 &&
           value->is.mantissa < WHOLE_END;
}

/* text_of_scalar of what is neither a string nor small and whole. */
static struct text text_of_other(struct weighing *weighing, const struct event_value *value,
                                 int *outcome)
{
    struct decimal number;

    switch (value->kind) {
    case VALUE_TRUE:
        return text_of("true");
    case VALUE_FALSE:
        return text_of("false");
    case VALUE_NUMBER:
        if (is_shortest(value->is.text))
            return value->is.text;
        break;
    case VALUE_DECIMAL:
        break;
    default:
        *outcome = DECIMAL_NOT_A_NUMBER;
        return text_of(NULL);
    }
    *outcome = read_number(value, &number);
    if (*outcome)
        return text_of(NULL);
    return spell(weighing->arena, number);
}

/* Strings as they are, numbers as their shortest decimal, true, false; absent where a scalar has no
 * such form. *outcome is the decimal's. */
static inline struct text text_of_scalar(struct weighing *weighing, const struct event_value *value,
                                         int *outcome)
{
    *outcome = 0;
    if (value->kind == VALUE_STRING)
        return value->is.text;
    if (is_small_whole(value))
        return spell_whole(weighing->arena, (uint64_t)value->is.mantissa);
    return text_of_other(weighing, value, outcome);
}

static void take_unique(struct weighing *weighing, const struct catalog_meter *meter,
                        const struct event_value *value, uint8_t unique[16])
{
    int outcome;
    struct text text = text_of_scalar(weighing, value, &outcome);

    if (outcome == DECIMAL_NOT_A_NUMBER)
        refuse_value(weighing, meter, REFUSAL_INVALID_VALUE,
                     "isn't a text: send a string, a number, true or false");
    else if (outcome)
        refuse_number(weighing, meter, outcome);
    else if (text.length == 0)
        refuse_value(weighing, meter, REFUSAL_INVALID_VALUE,
                     "is empty: send what is to be counted once");
    else if (text.length > EVENT_TEXT_BYTES_MAX)
        refuse_value(weighing, meter, REFUSAL_TOO_LONG,
                     "has more than 1024 bytes: shorten it, or send its digest");
    else
        fingerprint_unique(&weighing->admission->key, text, unique);
}

/* *taken is zero before. */
static void take_value(struct weighing *weighing, const struct catalog_meter *meter, uint32_t place,
                       union usage_value *taken)
{
    struct event_value value;

    if (meter->aggregation == AGGREGATION_COUNT)
        return;
    event_value_at(weighing->event, place, &value);
    if (value.kind == VALUE_MISSING)
        refuse_value(weighing, meter, REFUSAL_MISSING_VALUE, "is missing or null: send it");
    else if (meter->aggregation == AGGREGATION_UNIQUE_COUNT)
        take_unique(weighing, meter, &value, taken->unique);
    else
        take_amount(weighing, meter, &value, &taken->amount);
}

/* --- 6: dimensions --- */

static void refuse_dimension(struct weighing *weighing, const struct catalog_dimension *dimension,
                             enum refusal_code code, const char *why)
{
    refuse(weighing->refusal, weighing->arena, code,
           event_property_pointer(&dimension->path, weighing->arena), "dimension %.*s %s",
           (int)dimension->name.length, dimension->name.at, why);
}

static struct text take_dimension(struct weighing *weighing,
                                  const struct catalog_dimension *dimension, uint32_t place)
{
    struct event_value value;
    struct text text;
    int outcome;

    event_value_at(weighing->event, place, &value);
    if (value.kind == VALUE_MISSING)
        return text_of(NULL);
    if (value.kind == VALUE_STRING && value.is.text.length <= EVENT_TEXT_BYTES_MAX)
        return value.is.text;
    text = text_of_scalar(weighing, &value, &outcome);
    if (outcome == DECIMAL_NOT_A_NUMBER)
        refuse_dimension(weighing, dimension, REFUSAL_INVALID_DIMENSION,
                         "is an object or an array: send a string, a number, true or false");
    else if (outcome)
        refuse_dimension(weighing, dimension, REFUSAL_INVALID_DIMENSION,
                         "is a number of 10^15 or more, or of more than 12 decimals: send it as a "
                         "string");
    else if (text.length > EVENT_TEXT_BYTES_MAX)
        refuse_dimension(weighing, dimension, REFUSAL_TOO_LONG,
                         "has more than 1024 bytes: shorten it");
    return text;
}

static void take_dimensions(struct weighing *weighing, const struct catalog_meter *meter,
                            const uint32_t *places, struct content_values *taken)
{
    taken->size = 0;
    for (size_t i = 0; i < meter->dimension_count; i++) {
        struct text value = take_dimension(weighing, &meter->dimensions[i], places[i]);

        taken->values[i] = value;
        taken->size += value.length;
    }
}

/* --- the whole --- */

/* Where the path leads to in this event; `guess` is where it led to in another. */
static uint32_t find_place(const struct event *event, const struct catalog_path *path,
                           uint32_t guess)
{
    return event_is_place(event, path, guess) ? guess : event_place(event, path);
}

/* Meters that have no place yet. */
static void list_meters(const struct admission *admission, struct text type,
                        struct event_places *places)
{
    uint32_t *at = places->at;

    places->shape = 0;
    places->meters = catalog_meters_of(admission->catalog, type, &places->meter_count);
    places->type_hash = fingerprint_text(&admission->key, type);
    for (size_t i = 0; i < places->meter_count; i++) {
        const struct catalog_meter *meter = places->meters[i];

        *at++ = JSON_NONE;
        for (size_t j = 0; j < meter->dimension_count; j++) {
            const struct catalog_dimension *dimension = &meter->dimensions[j];

            assert(j == 0 || text_compare(dimension[-1].name, dimension->name) < 0);
            *at++ = JSON_NONE;
        }
    }
}

static void find_places(const struct admission *admission, const struct event *event,
                        struct event_places *places)
{
    uint32_t *at = places->at;

    if (!places->are_known || !text_equal(places->meters[0]->event_type, event->type))
        list_meters(admission, event->type, places);
    if (event->shape != 0 && event->shape == places->shape)
        return;
    places->shape = event->shape;
    for (size_t i = 0; i < places->meter_count; i++) {
        const struct catalog_meter *meter = places->meters[i];

        if (meter->aggregation != AGGREGATION_COUNT)
            at[0] = find_place(event, &meter->value, at[0]);
        at++;
        for (size_t j = 0; j < meter->dimension_count; j++, at++)
            *at = find_place(event, &meter->dimensions[j].path, *at);
    }
    places->are_known = places->meter_count > 0;
}

/* The part of the event that counts for the meter. What of it is refused has no series. */
static void take_part(struct weighing *weighing, const struct catalog_meter *meter,
                      const uint32_t *places, struct usage_part *part)
{
    struct content_values values;

    part->aggregation = meter->aggregation;
    part->value = (union usage_value){.amount = {0}};
    take_value(weighing, meter, places[0], &part->value);
    take_dimensions(weighing, meter, places + 1, &values);
    if (weighing->refusal->code == REFUSAL_NONE)
        part->series = content_write_series(meter, weighing->subscription->id,
                                            weighing->event->subject, &values, weighing->arena);
}

/* Returns how many there are. */
static size_t take_parts(struct weighing *weighing, struct usage_part *parts)
{
    const struct event_places *places = weighing->places;
    const uint32_t *at = places->at;
    size_t count = 0;

    for (size_t i = 0; i < places->meter_count; i++) {
        const struct catalog_meter *meter = places->meters[i];

        if (weighing->time.ns >= meter->from.ns)
            take_part(weighing, meter, at, &parts[count++]);
        at += 1 + meter->dimension_count;
    }
    if (count == 0)
        refuse(weighing->refusal, weighing->arena, REFUSAL_BEFORE_EVENT_FROM, text_of("/time"),
               "the time is before the eventFrom of every meter of this type: such events are not "
               "to be counted");
    return count;
}

static uint8_t flags_of(const struct weighing *weighing)
{
    return (uint8_t)((weighing->event->time_is_absent ? USAGE_TIME_ABSENT : 0) |
                     (weighing->is_numbered ? USAGE_NUMBERED : 0));
}

/* Of the event whose series were written just before: bytes that were just stored in pieces can't
 * be loaded as wider ones yet, so what was written first is hashed first, behind the next writing.
 */
static void take_fingerprint(const struct weighing *weighing, struct usage_part *parts,
                             size_t count, struct fingerprint *fingerprint)
{
    const struct fingerprint_key *key = &weighing->admission->key;
    struct text subscription = weighing->is_numbered ? text_of(NULL) : weighing->subscription->id;
    uint8_t bytes[CONTENT_IDENTITY_MAX], payload[CONTENT_PAYLOAD_MAX];
    struct text identity = content_write_identity(weighing->event, subscription, bytes);

    for (size_t i = 0; i < count; i++)
        parts[i].hash = fingerprint_text(key, parts[i].series);
    fingerprint_identity(key, identity, fingerprint->identity);
    fingerprint->payload = 0;
    if (!weighing->is_numbered)
        fingerprint->payload = fingerprint_payload(
            key, content_write_payload(weighing->event, weighing->places->type_hash, parts, count,
                                       payload));
}

static int no_room(struct weighing *weighing)
{
    refuse(weighing->refusal, weighing->arena, REFUSAL_TOO_LONG, text_of(""),
           "the event needs more memory than one may: send it in a smaller batch");
    return EVENT_REFUSED;
}

static bool has_all_series(const struct usage_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (text_is_absent(parts[i].series))
            return false;
    return true;
}

/* Writes down what was taken. */
static void write_down(struct weighing *weighing, int64_t arrival_ms, struct usage_part *parts,
                       struct admitted *admitted)
{
    const struct event *event = weighing->event;

    admitted->subscription = weighing->subscription;
    take_fingerprint(weighing, parts, admitted->part_count, &admitted->event.fingerprint);
    admitted->event.time = weighing->time;
    admitted->event.arrival_ms = arrival_ms;
    admitted->event.sequence = weighing->is_numbered ? event->sequence : 0;
    admitted->event.flags = flags_of(weighing);
    admitted->parts = parts;
}

int admit(const struct admission *admission, const struct event *event, int64_t arrival_ms,
          struct arena *arena, struct admitted *admitted, struct refusal *refusal)
{
    struct instant arrival = instant_from_ms(arrival_ms);
    struct event_places own, *places = event->places ? event->places : &own;
    struct weighing weighing = {
        .admission = admission,
        .event = event,
        .arena = arena,
        .refusal = refusal,
        .places = places,
        .time = event->time_is_absent ? arrival : event->time,
        .arrival = arrival,
    };
    struct usage_part *parts;

    own.are_known = false;
    if (!event->gateway || !places->are_known)
        find_places(admission, event, places);
    check_sequence(&weighing);
    if (places->meter_count == 0) {
        refuse(refusal, arena, REFUSAL_UNKNOWN_TYPE, text_of("/type"),
               "no meter of this bucket has this eventType: correct the type, or apply a meter to "
               "the catalog first");
        return EVENT_REFUSED;
    }
    weighing.subscription = subscription_of(&weighing);
    check_future(&weighing);
    parts = arena_take_unset(arena, places->meter_count * sizeof(*parts));
    if (!parts)
        return no_room(&weighing);
    admitted->part_count = take_parts(&weighing, parts);
    if (refusal->code != REFUSAL_NONE)
        return EVENT_REFUSED;
    if (!has_all_series(parts, admitted->part_count))
        return no_room(&weighing);
    write_down(&weighing, arrival_ms, parts, admitted);
    return 0;
}
