/*
 * plan.c - plans and subscriptions out of their strict catalog records.
 */
#include "invoicer/rules/plan.h"

#include "invoicer/rules/card_json.h"

#include <stdio.h>
#include <string.h>

struct reader {
    struct arena *arena;
    struct price_issue *issue;
    const char *list; /* the currency of `prices` that counts; NULL: `price` does */
};

static int refuse(struct reader *reader, const char *pointer, const char *detail)
{
    reader->issue->code = "malformed_record";
    (void)snprintf(reader->issue->pointer, sizeof(reader->issue->pointer), "/%s", pointer);
    (void)snprintf(reader->issue->detail, sizeof(reader->issue->detail), "%s", detail);
    return PLAN_MALFORMED;
}

static struct text borrowed(const json_t *object, const char *member)
{
    const json_t *json = json_object_get(object, member);

    if (!json_is_string(json))
        return text_of(NULL);
    return text_from(json_string_value(json), json_string_length(json));
}

/* An absent member gives the absent text. */
static int read_text(struct reader *reader, const json_t *object, const char *member,
                     struct text *text)
{
    struct text found = borrowed(object, member);

    *text = arena_copy(reader->arena, found);
    if (text_is_absent(*text) && !text_is_absent(found))
        return refuse(reader, member, "has no room");
    return 0;
}

static int read_required(struct reader *reader, const json_t *object, const char *member,
                         struct text *text)
{
    if (text_is_absent(borrowed(object, member)))
        return refuse(reader, member, "is missing or no string");
    return read_text(reader, object, member, text);
}

static int read_duration(struct reader *reader, const json_t *object, const char *member,
                         struct duration *duration)
{
    if (duration_parse(borrowed(object, member), duration) || duration_is_zero(*duration))
        return refuse(reader, member, "isn't a duration");
    return 0;
}

static int read_instant(struct reader *reader, const json_t *object, const char *member,
                        struct instant usual, struct instant *instant)
{
    struct text text = borrowed(object, member);

    *instant = usual;
    if (!text_is_absent(text) && instant_parse(text, instant))
        return refuse(reader, member, "isn't a time");
    return 0;
}

/* What isn't metered, or has no period of its own, grants nothing. */
static int read_quota(struct reader *reader, const json_t *json, struct rate_card *card)
{
    const json_t *granted = json_object_get(json, "entitlementTemplate");
    struct text amount = borrowed(granted, "issueAfterReset");

    card->quota = (struct quota){.period = card->cadence};
    if (!text_is(borrowed(granted, "type"), "metered") || text_is_absent(card->feature_key))
        return 0;
    if (!text_is_absent(amount) && decimal_parse(amount, &card->quota.granted))
        return refuse(reader, "issueAfterReset", "isn't an amount");
    if (!text_is_absent(borrowed(granted, "usagePeriod")) &&
        read_duration(reader, granted, "usagePeriod", &card->quota.period))
        return PLAN_MALFORMED;
    card->quota.is_there = !duration_is_zero(card->quota.period);
    return 0;
}

static int read_price(struct reader *reader, const json_t *json, struct rate_card *card)
{
    const json_t *price = json_object_get(json, "price");

    card->has_price = price && !json_is_null(price);
    if (!card->has_price)
        return 0;
    if (reader->list)
        price = json_object_get(json_object_get(json, "prices"), reader->list);
    if (!price)
        return refuse(reader, "prices", "doesn't have the subscription's currency");
    if (price_read(price, reader->arena, &card->price, reader->issue) ||
        price_read_discounts(json_object_get(json, "discounts"), &card->discounts, reader->issue))
        return PLAN_MALFORMED;
    /* Usage is only known when its period is over, so a usage card is never due before. */
    if (card->is_of_usage)
        card->price.term = PRICE_IN_ARREARS;
    return 0;
}

static int read_card(struct reader *reader, const json_t *json, struct rate_card *card)
{
    int r = read_required(reader, json, "key", &card->key);

    if (r == 0)
        r = read_text(reader, json, "name", &card->name);
    if (r == 0)
        r = read_text(reader, json, "featureKey", &card->feature_key);
    if (r)
        return r;
    if (text_is_absent(card->name))
        card->name = card->key;
    card->is_of_usage = text_is(borrowed(json, "type"), "usage_based");
    card->is_once = text_is_absent(borrowed(json, "billingCadence"));
    if (card->is_of_usage && (card->is_once || text_is_absent(card->feature_key)))
        return refuse(reader, "billingCadence", "or featureKey of a usage card is missing");
    if (!card->is_once)
        r = read_duration(reader, json, "billingCadence", &card->cadence);
    if (r == 0)
        r = read_quota(reader, json, card);
    return r ? r : read_price(reader, json, card);
}

static int read_phase(struct reader *reader, const json_t *json, const struct plan *plan,
                      bool is_last, struct phase *phase)
{
    const json_t *list = json_object_get(json, "rateCards");
    struct rate_card *cards;
    int r = read_required(reader, json, "key", &phase->key);

    if (r == 0)
        r = read_text(reader, json, "name", &phase->name);
    phase->is_open = is_last;
    if (r == 0 && !is_last)
        r = read_duration(reader, json, "duration", &phase->duration);
    if (r)
        return r;
    phase->card_count = json_array_size(list);
    cards = arena_take(reader->arena, phase->card_count * sizeof(*cards));
    if (!cards)
        return refuse(reader, "rateCards", "have no room");
    for (size_t i = 0; i < phase->card_count && r == 0; i++) {
        r = read_card(reader, json_array_get(list, i), &cards[i]);
        if (r == 0 && !card_keep(plan, phase, &cards[i], reader->arena))
            r = refuse(reader, "rateCards", "have no room");
    }
    phase->cards = cards;
    return r;
}

static int read_phases(struct reader *reader, const json_t *list, struct plan *plan)
{
    struct phase *phases;
    int r = 0;

    plan->phase_count = json_array_size(list);
    if (plan->phase_count == 0)
        return refuse(reader, "phases", "are missing");
    phases = arena_take(reader->arena, plan->phase_count * sizeof(*phases));
    if (!phases)
        return refuse(reader, "phases", "have no room");
    for (size_t i = 0; i < plan->phase_count && r == 0; i++)
        r = read_phase(reader, json_array_get(list, i), plan, i + 1 == plan->phase_count,
                       &phases[i]);
    plan->phases = phases;
    return r;
}

static int read_proration(struct reader *reader, const json_t *record, enum proration_mode *mode)
{
    const json_t *config = json_object_get(record, "proRatingConfig");
    struct text name = borrowed(config, "mode");

    *mode = PRORATION_MAX_CONSUMPTION_BASED;
    if (!text_is_absent(name) && !proration_mode_from(name, mode))
        return refuse(reader, "proRatingConfig", "has no such mode");
    if (json_is_false(json_object_get(config, "enabled")))
        *mode = PRORATION_NONE;
    return 0;
}

/* Its own, or the one that its price lists are read by. */
static int read_currency(struct reader *reader, const json_t *record, struct text asked,
                         struct plan *plan)
{
    struct text own = borrowed(record, "currency");

    plan->currency = currency_find(text_is_absent(asked) ? own : asked);
    if (!plan->currency)
        return refuse(reader, "currency", "isn't a currency");
    if (!text_is(own, plan->currency->code))
        reader->list = plan->currency->code;
    return 0;
}

int plan_read(const json_t *record, struct arena *arena, struct plan *plan,
              struct price_issue *issue)
{
    return plan_read_in(record, text_of(NULL), arena, plan, issue);
}

int plan_read_in(const json_t *record, struct text currency, struct arena *arena, struct plan *plan,
                 struct price_issue *issue)
{
    struct reader reader = {.arena = arena, .issue = issue};
    struct plan read = {0};
    int r = read_required(&reader, record, "key", &read.key);

    if (r == 0)
        r = read_text(&reader, record, "name", &read.name);
    if (r == 0)
        r = read_duration(&reader, record, "billingCadence", &read.cadence);
    if (r)
        return r;
    read.version = json_integer_value(json_object_get(record, "version"));
    if (text_is_absent(read.name))
        read.name = read.key;
    read.must_align =
        json_is_true(json_object_get(json_object_get(record, "alignment"), "billablesMustAlign"));
    r = read_currency(&reader, record, currency, &read);
    if (r == 0)
        r = read_proration(&reader, record, &read.proration);
    if (r == 0)
        r = read_phases(&reader, json_object_get(record, "phases"), &read);
    if (r)
        return r;
    *plan = read;
    return 0;
}

/* Where it came from, and what it brought along. */
static int read_past(struct reader *reader, const json_t *record, struct subscription *subscription)
{
    const json_t *credit = json_object_get(record, "credit");
    int r = read_text(reader, json_object_get(record, "annotations"), "subscription.previous.id",
                      &subscription->previous_id);

    if (r || !credit)
        return r;
    if (!text_is(borrowed(credit, "currency"), subscription->plan->currency->code))
        return refuse(reader, "credit/currency", "isn't the plan's");
    if (money_parse(borrowed(credit, "amount"), subscription->plan->currency,
                    &subscription->credit) ||
        subscription->credit.minor < 0)
        return refuse(reader, "credit/amount", "isn't an amount of the currency");
    return 0;
}

int subscription_read(const json_t *record, const struct plan *plan, struct arena *arena,
                      struct subscription *subscription, struct price_issue *issue)
{
    struct reader reader = {.arena = arena, .issue = issue};
    struct subscription read = {.plan = plan, .zone = zone_utc()};
    const struct instant for_ever = {INT64_MAX};
    int r = read_required(&reader, record, "id", &read.id);

    if (r == 0)
        r = read_required(&reader, record, "customerKey", &read.customer_key);
    if (r == 0 && text_is_absent(borrowed(record, "activeFrom")))
        r = refuse(&reader, "activeFrom", "is missing");
    if (r == 0)
        r = read_instant(&reader, record, "activeFrom", for_ever, &read.active_from);
    if (r == 0)
        r = read_instant(&reader, record, "activeTo", for_ever, &read.active_to);
    if (r == 0)
        r = read_instant(&reader, record, "billingAnchor", read.active_from, &read.anchor);
    if (r == 0)
        r = read_instant(&reader, record, "deletedAt", for_ever, &read.deleted_at);
    if (r == 0)
        r = read_past(&reader, record, &read);
    if (r)
        return r;
    read.customer_name = read.customer_key;
    *subscription = read;
    return 0;
}
