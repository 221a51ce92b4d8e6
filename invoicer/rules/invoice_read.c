#include "invoicer/rules/invoice_read.h"

#include "invoicer/rules/card_json.h"
#include "invoicer/rules/render.h"

#include <jansson.h>
#include <string.h>

/* Reads members until one is wrong; what is read behind it says nothing. */
struct reader {
    struct arena *arena;
    const struct currency *currency;
    bool is_wrong;
};

static void *take(struct reader *reader, size_t size)
{
    void *taken = reader->is_wrong ? NULL : arena_take(reader->arena, size ? size : 1);

    if (!taken)
        reader->is_wrong = true;
    return taken;
}

/* Absent for null, and where there is no text. */
static struct text read_text(struct reader *reader, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    struct text copy;

    if (!json_is_string(value))
        return text_of(NULL);
    copy =
        arena_copy(reader->arena, text_from(json_string_value(value), json_string_length(value)));
    if (text_is_absent(copy))
        reader->is_wrong = true;
    return copy;
}

static struct text borrowed(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_string(value) ? text_from(json_string_value(value), json_string_length(value))
                                 : text_of(NULL);
}

static struct decimal read_decimal(struct reader *reader, const json_t *object, const char *name)
{
    struct decimal value = {0};

    if (decimal_parse_sum(borrowed(object, name), &value))
        reader->is_wrong = true;
    return value;
}

static struct money read_money(struct reader *reader, const json_t *object, const char *name)
{
    struct money value = {0};

    if (!reader->currency || money_parse(borrowed(object, name), reader->currency, &value))
        reader->is_wrong = true;
    return value;
}

static struct money read_money_if_there(struct reader *reader, const json_t *object,
                                        const char *name)
{
    return json_object_get(object, name) ? read_money(reader, object, name) : (struct money){0};
}

static void read_credit(struct reader *reader, const json_t *json, struct invoice_credit *credit)
{
    if (!json)
        return;
    credit->granted = read_money(reader, json, "granted");
    credit->used_before = read_money(reader, json, "usedBefore");
    credit->used = read_money(reader, json, "used");
    credit->remaining = read_money(reader, json, "remaining");
}

/* null is the far future. */
static struct instant read_instant(struct reader *reader, const json_t *object, const char *name)
{
    struct instant value = {INT64_MAX};

    if (!json_is_null(json_object_get(object, name)) &&
        instant_parse(borrowed(object, name), &value))
        reader->is_wrong = true;
    return value;
}

static struct window read_window(struct reader *reader, const json_t *object)
{
    return (struct window){read_instant(reader, object, "from"),
                           read_instant(reader, object, "to")};
}

/* A billing period; its phase becomes number `phase` of the plan. */
static struct billing_period read_period(struct reader *reader, const json_t *object,
                                         struct phase *phases, int phase)
{
    if (!json_is_object(object))
        return (struct billing_period){.phase = PERIODS_NONE};
    phases[phase].key = read_text(reader, object, "phase");
    return (struct billing_period){phase, read_window(reader, object)};
}

static struct invoice_position read_position(const json_t *object)
{
    const json_t *position = json_object_get(object, "position");

    return (struct invoice_position){
        (int32_t)json_integer_value(json_object_get(position, "partition")),
        json_integer_value(json_object_get(position, "nextOffset"))};
}

static void read_windows(struct reader *reader, const json_t *line, struct invoice_usage *usage)
{
    const json_t *array = json_object_get(line, "windows");
    struct invoice_window *windows = take(reader, json_array_size(array) * sizeof(*windows));
    json_t *window;
    size_t i;

    if (!windows)
        return;
    json_array_foreach((json_t *)array, i, window)
    {
        windows[i].window = read_window(reader, window);
        windows[i].quantity = read_decimal(reader, window, "quantity");
    }
    usage->windows = windows;
    usage->window_count = json_array_size(array);
}

static enum rated_kind read_rated_kind(struct reader *reader, const json_t *detail)
{
    for (enum rated_kind i = RATED_FLAT; i <= RATED_MINIMUM; i++)
        if (text_is(borrowed(detail, "kind"), rated_kind_name(i)))
            return i;
    reader->is_wrong = true;
    return RATED_FLAT;
}

static void read_detail(struct reader *reader, const json_t *json, struct rated_line *detail)
{
    detail->kind = read_rated_kind(reader, json);
    detail->tier = (size_t)json_integer_value(json_object_get(json, "tier"));
    detail->value = (size_t)json_integer_value(json_object_get(json, "value"));
    detail->quantity = read_decimal(reader, json, "quantity");
    if (detail->kind != RATED_MINIMUM)
        detail->unit_amount = read_decimal(reader, json, "unitAmount");
    detail->amount = read_money(reader, json, "amount");
    detail->discount = read_money(reader, json, "discount");
    detail->total = read_money(reader, json, "total");
}

static void read_details(struct reader *reader, const json_t *json, struct invoice_line *line)
{
    const json_t *array = json_object_get(json, "details");
    struct rated_line *details = take(reader, json_array_size(array) * sizeof(*details));
    json_t *detail;
    size_t i;

    if (!details)
        return;
    json_array_foreach((json_t *)array, i, detail)
    {
        read_detail(reader, detail, &details[i]);
        /* What describes a detail takes its tier or value from the price. */
        if (!line->card || details[i].tier > line->card->price.tier_count ||
            details[i].value > line->card->price.value_count)
            reader->is_wrong = true;
    }
    line->details = details;
    line->detail_count = json_array_size(array);
}

static const struct rate_card *read_card(struct reader *reader, const json_t *json,
                                         const struct invoice_line *line)
{
    struct rate_card *card = take(reader, sizeof(*card));
    struct price_issue issue;

    if (!card)
        return NULL;
    card->key = read_text(reader, json, "rateCardKey");
    card->name = read_text(reader, json, "name");
    card->feature_key = read_text(reader, json, "featureKey");
    card->has_price = true;
    card->kept.version = read_text(reader, json, "priceVersion");
    if (price_read(json_object_get(json, "price"), reader->arena, &card->price, &issue) ||
        price_read_discounts(json_object_get(json, "discounts"), &card->discounts, &issue) ||
        !card_keep_line(card, line->phase_key, reader->arena))
        reader->is_wrong = true;
    return card;
}

static enum invoice_line_kind read_kind(struct reader *reader, const json_t *json)
{
    for (enum invoice_line_kind i = INVOICE_FEE; i <= INVOICE_ADJUSTMENT; i++)
        if (text_is(borrowed(json, "kind"), invoice_line_kind_name(i)))
            return i;
    reader->is_wrong = true;
    return INVOICE_FEE;
}

static void read_line(struct reader *reader, const json_t *json, struct invoice_line *line)
{
    const json_t *period = json_object_get(json, "period");

    line->id = read_text(reader, json, "id");
    line->kind = read_kind(reader, json);
    line->phase_key = read_text(reader, json, "phaseKey");
    line->period.index = json_integer_value(json_object_get(period, "index"));
    line->period.window = read_window(reader, period);
    line->card = read_card(reader, json, line);
    if (!line->card)
        return;
    if (line->kind != INVOICE_FEE) {
        line->usage.quantity = read_decimal(reader, json, "quantity");
        line->usage.events = (uint64_t)json_integer_value(json_object_get(json, "events"));
        read_windows(reader, json, &line->usage);
    }
    if (line->kind == INVOICE_ADJUSTMENT) {
        line->billed_quantity = read_decimal(reader, json, "billedQuantity");
        line->billed_total = read_money(reader, json, "billedTotal");
    }
    line->amount = read_money(reader, json, "amount");
    line->discount = read_money(reader, json, "discount");
    line->credit = read_money_if_there(reader, json, "credit");
    line->total = read_money(reader, json, "total");
    read_details(reader, json, line);
}

static void read_lines(struct reader *reader, const json_t *json, struct invoice *invoice)
{
    const json_t *array = json_object_get(json, "lines");
    struct invoice_line *lines = take(reader, json_array_size(array) * sizeof(*lines));
    json_t *line;
    size_t i;

    if (!lines)
        return;
    json_array_foreach((json_t *)array, i, line)
    {
        if (!reader->is_wrong)
            read_line(reader, line, &lines[i]);
    }
    invoice->lines = lines;
    invoice->line_count = json_array_size(array);
}

static void read_subscription(struct reader *reader, const json_t *json, struct invoice *invoice)
{
    const json_t *customer = json_object_get(json, "customer"), *of = json_object_get(json, "plan");
    struct subscription *subscription = take(reader, sizeof(*subscription));
    struct plan *plan = take(reader, sizeof(*plan));
    struct phase *phases = take(reader, 2 * sizeof(*phases));

    if (!subscription || !plan || !phases)
        return;
    subscription->id = read_text(reader, json, "subscription");
    subscription->previous_id =
        read_text(reader, json_object_get(json, "credit"), "previousSubscription");
    subscription->customer_key = read_text(reader, customer, "key");
    subscription->customer_name = read_text(reader, customer, "name");
    subscription->zone = zone_utc();
    subscription->plan = plan;
    plan->key = read_text(reader, of, "key");
    plan->name = read_text(reader, of, "name");
    plan->version = json_integer_value(json_object_get(of, "version"));
    plan->currency = reader->currency;
    plan->phases = phases;
    plan->phase_count = 2;
    invoice->subscription = subscription;
    invoice->boundary.at = read_instant(reader, json, "boundary");
    invoice->boundary.ended = read_period(reader, json_object_get(json, "ended"), phases, 0);
    invoice->boundary.begins = read_period(reader, json_object_get(json, "begins"), phases, 1);
}

static void read_all(struct reader *reader, const json_t *json, struct invoice *invoice)
{
    struct text digest = borrowed(json, "digest");

    invoice->id = read_text(reader, json, "id");
    reader->currency = currency_find(borrowed(json, "currency"));
    if (!reader->currency || digest.length != INVOICE_DIGEST_TEXT - 1) {
        reader->is_wrong = true;
        return;
    }
    memcpy(invoice->digest, digest.at, digest.length);
    invoice->position = read_position(json);
    invoice->amount = read_money(reader, json, "amount");
    invoice->discount = read_money(reader, json, "discountTotal");
    invoice->total = read_money(reader, json, "total");
    read_credit(reader, json_object_get(json, "credit"), &invoice->credit);
    read_subscription(reader, json, invoice);
    read_lines(reader, json, invoice);
}

static bool comes_out_the_same(const struct invoice *invoice, struct text json)
{
    struct buffer again = {0};
    bool is_same;

    render_json(invoice, &again);
    is_same = text_equal(buffer_text(&again), json);
    buffer_deinit(&again);
    return is_same;
}

int invoice_read(struct text json, struct arena *arena, struct invoice *invoice)
{
    struct reader reader = {.arena = arena};
    struct invoice read = {.line_count = 0};
    json_t *object = json_loadb(json.at, json.length, 0, NULL);

    if (!json_is_object(object)) {
        json_decref(object);
        return INVOICE_READ_MALFORMED;
    }
    read_all(&reader, object, &read);
    json_decref(object);
    if (reader.is_wrong || !comes_out_the_same(&read, json))
        return INVOICE_READ_MALFORMED;
    *invoice = read;
    return 0;
}
