/*
 * stripe_expect.c - what Stripe must hold of an invoice: its lines as one amount each.
 */
#include "invoicer/rules/stripe_plan.h"

#include "common/base/digits.h"
#include "invoicer/rules/invoice.h"
#include "invoicer/rules/rate_json.h"
#include "invoicer/rules/stripe_amount.h"
#include "invoicer/rules/stripe_text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { DESCRIPTION_MAX = 500, DAY_LENGTH = 10 };

/* --- what a line says --- */

/* "1,234.5"; as it came where it isn't a number. */
static void add_quantity(struct buffer *out, struct text text)
{
    struct decimal quantity;

    if (decimal_parse_sum(text, &quantity))
        buffer_add_text(out, text);
    else
        quantity_describe(quantity, out);
}

/* The unit price, where it is one and the quantity times it is the amount. */
static struct text unit_price(const json_t *line)
{
    const json_t *details = json_object_get(line, "details");
    const json_t *only = json_array_get(details, 0);
    struct text type = stripe_member(json_object_get(line, "price"), "type");
    bool is_one = json_array_size(details) == 1 && text_is(stripe_member(only, "kind"), "usage") &&
                  text_equal(stripe_member(only, "quantity"), stripe_member(line, "quantity")) &&
                  (text_is(type, "unit") || text_is(type, "tiered"));

    return is_one ? stripe_member(only, "unitAmount") : text_of(NULL);
}

/* ", adjusted (2026-01-01 to 2026-02-01: 1,500 instead of 1,000)": the end is exclusive, as we
 * print it. */
static void describe_adjustment(const json_t *line, struct buffer *out)
{
    const json_t *period = json_object_get(line, "period");
    struct text from = stripe_cut(stripe_member(period, "from"), DAY_LENGTH);
    struct text to = stripe_cut(stripe_member(period, "to"), DAY_LENGTH);

    buffer_add_string(out, ", adjusted (");
    buffer_add_text(out, from);
    buffer_add_string(out, " to ");
    buffer_add_text(out, text_is_absent(to) ? text_of("open") : to);
    buffer_add_string(out, ": ");
    add_quantity(out, stripe_member(line, "quantity"));
    buffer_add_string(out, " instead of ");
    add_quantity(out, stripe_member(line, "billedQuantity"));
    buffer_add_char(out, ')');
}

static void describe_usage(const json_t *line, struct buffer *out)
{
    struct text price = unit_price(line);

    buffer_add_string(out, " (");
    add_quantity(out, stripe_member(line, "quantity"));
    if (!text_is_absent(price)) {
        buffer_add_string(out, " x ");
        buffer_add_text(out, price);
    }
    buffer_add_char(out, ')');
}

/* The line's amount is without what is taken off: quantity times price is more. */
static void describe_less(const json_t *line, const char *name, const char *what,
                          struct buffer *out)
{
    struct text amount = stripe_member(line, name);

    for (size_t i = 0; i < amount.length; i++) {
        if (amount.at[i] == '0' || amount.at[i] == '.')
            continue;
        buffer_printf(out, ", less %.*s%s", (int)amount.length, amount.at, what);
        return;
    }
}

/* A name that is too long gives way: what stands behind it tells this line from others. */
static struct text describe(const json_t *line, struct arena *arena)
{
    CLEANUP(buffer_deinit) struct buffer out = {0}, behind = {0};
    struct text kind = stripe_member(line, "kind"), rest;

    if (text_is(kind, "adjustment"))
        describe_adjustment(line, &behind);
    else if (text_is(kind, "usage"))
        describe_usage(line, &behind);
    if (!text_is(kind, "adjustment")) {
        describe_less(line, "discount", "", &behind);
        describe_less(line, "credit", " of credit", &behind);
    }
    rest = stripe_cut(buffer_text(&behind), DESCRIPTION_MAX);
    buffer_add_text(&out, stripe_cut(stripe_member(line, "name"), DESCRIPTION_MAX - rest.length));
    buffer_add_text(&out, rest);
    return arena_copy(arena, buffer_text(&out));
}

/* --- a line --- */

/* Floored. */
static bool seconds_of(struct text text, int64_t *seconds)
{
    struct instant instant;
    int64_t ms;

    if (text_is_absent(text) || instant_parse(text, &instant))
        return false;
    ms = instant_ms(instant);
    *seconds = ms / 1000 - (ms % 1000 < 0);
    return true;
}

/* Stripe's end is within the period: its last second; one without an end has but its begin. */
static bool take_period(const json_t *line, struct stripe_line *made)
{
    const json_t *period = json_object_get(line, "period");
    bool is_open = json_is_null(json_object_get(period, "to"));

    if (!seconds_of(stripe_member(period, "from"), &made->from_s))
        return false;
    if (!is_open && !seconds_of(stripe_member(period, "to"), &made->to_s))
        return false;
    if (is_open || made->to_s <= made->from_s)
        made->to_s = made->from_s;
    else
        made->to_s--;
    return true;
}

static bool money_of_member(const json_t *object, const char *name, const struct currency *currency,
                            struct money *money)
{
    struct text text = stripe_member(object, name);

    return !text_is_absent(text) && money_parse(text, currency, money) == 0;
}

static int take_line(const json_t *line, const struct currency *currency, size_t number,
                     struct arena *arena, struct stripe_line *made, char why[STRIPE_WHY_MAX])
{
    struct text id = stripe_member(line, "id"), name = stripe_member(line, "name");
    struct money total;

    *made =
        (struct stripe_line){.our_line = arena_copy(arena, stripe_cut(id, STRIPE_METADATA_MAX))};
    assert(number <= INVOICE_LINES_MAX);
    *digits_write_all(made->key, number) = '\0';
    if (id.length == 0 || name.length == 0 || !money_of_member(line, "total", currency, &total) ||
        !take_period(line, made))
        return STRIPE_PLAN_MALFORMED;
    if (!stripe_amount(total, currency, &made->amount, why))
        return STRIPE_PLAN_UNFIT;
    made->description = describe(line, arena);
    return text_is_absent(made->description) || text_is_absent(made->our_line)
               ? STRIPE_PLAN_NO_MEMORY
               : 0;
}

/* --- all of them --- */

/* The lines from number `from` on become that one, since Stripe takes no more. */
static int fold(struct stripe_line *lines, size_t from, size_t count, struct arena *arena)
{
    struct stripe_line *all = &lines[from];
    char said[64];

    for (size_t i = from + 1; i < count; i++) {
        if (__builtin_add_overflow(all->amount, lines[i].amount, &all->amount))
            return STRIPE_PLAN_MALFORMED;
        all->from_s = lines[i].from_s < all->from_s ? lines[i].from_s : all->from_s;
        all->to_s = lines[i].to_s > all->to_s ? lines[i].to_s : all->to_s;
    }
    (void)snprintf(said, sizeof(said), "%zu further lines", count - from);
    all->description = arena_copy(arena, text_of(said));
    all->our_line = text_of("further");
    return text_is_absent(all->description) ? STRIPE_PLAN_NO_MEMORY : 0;
}

/* Not one line, or too many to be an invoice of ours, is MALFORMED. */
static int take_lines(const json_t *array, const struct currency *currency, struct arena *arena,
                      struct stripe_expected *expected, char why[STRIPE_WHY_MAX])
{
    size_t count = json_array_size(array), i;
    struct stripe_line *lines;
    const json_t *line;
    int r;

    if (count == 0 || count > INVOICE_LINES_MAX)
        return STRIPE_PLAN_MALFORMED;
    lines = arena_take(arena, count * sizeof(*lines));
    if (!lines)
        return STRIPE_PLAN_NO_MEMORY;
    json_array_foreach(array, i, line)
    {
        r = take_line(line, currency, i + 1, arena, &lines[i], why);

        if (r)
            return r;
    }
    r = count > STRIPE_LINES_MAX ? fold(lines, STRIPE_LINES_MAX - 1, count, arena) : 0;
    if (r)
        return r;
    expected->lines = lines;
    expected->line_count = count < STRIPE_LINES_MAX ? count : STRIPE_LINES_MAX;
    return 0;
}

/* The total is the lines' sum, or it is no invoice of ours. */
static bool adds_up(const struct stripe_expected *expected)
{
    int64_t sum = 0;

    for (size_t i = 0; i < expected->line_count; i++)
        if (__builtin_add_overflow(sum, expected->lines[i].amount, &sum))
            return false;
    return sum == expected->total;
}

/* Our id is what the invoice is found by at Stripe: it can't be cut. */
static int take_id(struct text id, struct arena *arena, struct stripe_expected *expected,
                   char why[STRIPE_WHY_MAX])
{
    if (id.length == 0)
        return STRIPE_PLAN_MALFORMED;
    if (id.length > STRIPE_METADATA_MAX) {
        (void)snprintf(why, STRIPE_WHY_MAX,
                       "the invoice's id is longer than the %d bytes that Stripe's metadata take: "
                       "collect it otherwise, and give subscriptions shorter ids",
                       STRIPE_METADATA_MAX);
        return STRIPE_PLAN_UNFIT;
    }
    expected->invoice = arena_copy(arena, id);
    return text_is_absent(expected->invoice) ? STRIPE_PLAN_NO_MEMORY : 0;
}

static int expect(const json_t *invoice, struct arena *arena, struct stripe_expected *expected,
                  char why[STRIPE_WHY_MAX])
{
    const struct currency *currency = currency_find(stripe_member(invoice, "currency"));
    struct money total;
    int r;

    if (!currency || !money_of_member(invoice, "total", currency, &total))
        return STRIPE_PLAN_MALFORMED;
    if (total.minor == 0)
        return STRIPE_PLAN_NOTHING;
    for (size_t i = 0; i < 3; i++)
        expected->currency[i] = (char)(currency->code[i] | 0x20);
    r = take_id(stripe_member(invoice, "id"), arena, expected, why);
    if (r)
        return r;
    if (!stripe_amount(total, currency, &expected->total, why))
        return STRIPE_PLAN_UNFIT;
    r = take_lines(json_object_get(invoice, "lines"), currency, arena, expected, why);
    return r ? r : adds_up(expected) ? 0 : STRIPE_PLAN_MALFORMED;
}

int stripe_expect(struct text invoice, struct arena *arena, struct stripe_expected *expected,
                  char why[STRIPE_WHY_MAX])
{
    struct stripe_expected made = {.total = 0};
    json_t *object = json_loadb(invoice.at, invoice.length, 0, NULL);
    int r = json_is_object(object) ? expect(object, arena, &made, why) : STRIPE_PLAN_MALFORMED;

    json_decref(object);
    if (r == 0)
        *expected = made;
    return r;
}
