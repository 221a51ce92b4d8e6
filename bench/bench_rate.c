/*
 * bench_rate.c - what a rated line and an invoice of ten lines cost on one core.
 *
 *   bench-rate [STAGE [ROUNDS]]      STAGE: all, line, unit, build, invoice, month
 *
 * line      a graduated price of five tiers over random quantities, a line a tier
 * unit      quantity × amount
 * build     an invoice of ten usage lines over one billing window each, rated and digested
 * invoice   the same, written as JSON
 * month     the same over thirty windows a line
 *
 * Prints the median round. Each round's sums are compared with those of the first, and those of
 * `line` with the sum that plain 64-bit arithmetic gives.
 */
#include "invoicer/rules/invoice.h"
#include "invoicer/rules/render.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QUANTITIES = 10000, INVOICES = 2000, ROUNDS_MAX = 99, CARDS = 10, DAYS = 30 };

static int64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench-rate: %s\n", what);
    exit(1);
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static json_t *json_of(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);

    if (!json)
        fail(error.text);
    return json;
}

/* --- lines --- */

static const char GRADUATED[] =
    "{\"type\":\"tiered\",\"mode\":\"graduated\",\"tiers\":["
    "{\"upToAmount\":\"1000\",\"unitPrice\":{\"type\":\"unit\",\"amount\":\"0.1\"}},"
    "{\"upToAmount\":\"10000\",\"unitPrice\":{\"type\":\"unit\",\"amount\":\"0.05\"}},"
    "{\"upToAmount\":\"100000\",\"unitPrice\":{\"type\":\"unit\",\"amount\":\"0.02\"}},"
    "{\"upToAmount\":\"1000000\",\"unitPrice\":{\"type\":\"unit\",\"amount\":\"0.01\"}},"
    "{\"unitPrice\":{\"type\":\"unit\",\"amount\":\"0.0005\"}}]}";
static const char UNIT[] = "{\"type\":\"unit\",\"amount\":\"0.0013\"}";

/* The same in units of 10^-4 of the currency: every tier's part is rounded to cents by itself. */
static int64_t plain_cents(int64_t quantity)
{
    static const int64_t bounds[] = {0, 1000, 10000, 100000, 1000000, INT64_MAX};
    static const int64_t prices[] = {1000, 500, 200, 100, 5};
    int64_t cents = 0;

    for (int i = 0; i < 5; i++) {
        int64_t end = quantity < bounds[i + 1] ? quantity : bounds[i + 1];

        if (end > bounds[i])
            cents += ((end - bounds[i]) * prices[i] + 50) / 100;
    }
    return cents;
}

struct rates {
    struct price price;
    const struct currency *currency;
    int64_t quantities[QUANTITIES];
    size_t lines;
    int64_t cents;
};

static void rate_all(struct rates *rates)
{
    static const struct price_discounts none;
    struct rated_line lines[2 * PRICE_TIERS_MAX + 1];
    struct rating rating;

    rates->lines = 0;
    rates->cents = 0;
    for (size_t i = 0; i < QUANTITIES; i++) {
        struct rating_slice slice = {.quantity = decimal_from_int(rates->quantities[i]),
                                     .is_last = true};

        if (rating_rate(&rates->price, &none, rates->currency, &slice, lines, &rating))
            fail("can't be rated");
        rates->lines += rating.line_count;
        rates->cents += (int64_t)rating.total.minor;
    }
}

static void bench_lines(const char *name, const char *price, bool is_graduated, int rounds)
{
    static struct rates rates;
    struct price_issue issue;
    struct arena arena;
    int64_t took[ROUNDS_MAX], expected = 0;
    uint64_t state = 7;
    json_t *json = json_of(price);

    arena_init(&arena, 1 << 20);
    if (price_read(json, &arena, &rates.price, &issue))
        fail(issue.detail);
    json_decref(json);
    rates.currency = currency_find(text_of("USD"));
    for (size_t i = 0; i < QUANTITIES; i++) {
        rates.quantities[i] = (int64_t)(next_random(&state) % 3000000);
        expected +=
            is_graduated ? plain_cents(rates.quantities[i]) : (rates.quantities[i] * 13 + 50) / 100;
    }
    for (int round = 0; round < rounds; round++) {
        int64_t start = clock_ns();

        rate_all(&rates);
        took[round] = clock_ns() - start;
        if (rates.cents != expected)
            fail("another sum than plain arithmetic gives");
    }
    qsort(took, (size_t)rounds, sizeof(*took), compare);
    printf("%-10s %8.1f ns a line %10.1f ns a rating\n", name,
           (double)took[rounds / 2] / (double)rates.lines, (double)took[rounds / 2] / QUANTITIES);
    arena_deinit(&arena);
}

/* --- invoices --- */

struct counted {
    struct invoice_window windows[CARDS][DAYS];
    size_t window_count, calls;
    uint64_t state;
};

static int usage_of(void *context, const struct rate_card *card, struct window period,
                    struct invoice_usage *usage)
{
    struct counted *counted = context;
    struct invoice_window *windows = counted->windows[counted->calls++ % CARDS];
    int64_t sum = 0;

    (void)card;
    (void)period;
    for (size_t i = 0; i < counted->window_count; i++) {
        int64_t quantity = (int64_t)(next_random(&counted->state) % 100000);

        windows[i].quantity = decimal_from_int(quantity);
        sum += quantity;
    }
    usage->quantity = decimal_from_int(sum);
    usage->windows = windows;
    usage->window_count = counted->window_count;
    return 0;
}

static void write_plan(struct buffer *text)
{
    static const char *const prices[] = {UNIT, GRADUATED,
                                         "{\"type\":\"package\",\"amount\":\"10\","
                                         "\"quantityPerPackage\":\"1000\"}"};

    buffer_add_string(text, "{\"key\":\"pro\",\"name\":\"Pro\",\"version\":3,\"currency\":\"USD\","
                            "\"billingCadence\":\"P1M\",\"phases\":[{\"key\":\"default\","
                            "\"name\":\"Default\",\"rateCards\":[");
    for (int i = 0; i < CARDS; i++)
        buffer_printf(text,
                      "%s{\"type\":\"usage_based\",\"key\":\"api_%d\",\"name\":\"API calls %d\","
                      "\"featureKey\":\"api_%d\",\"billingCadence\":\"P1M\",\"price\":%s}",
                      i ? "," : "", i, i, i, i == 1 || i == 2 ? prices[i] : prices[0]);
    buffer_add_string(text, "]}]}");
    buffer_add_char(text, '\0');
}

struct billed {
    struct arena kept;
    struct plan plan;
    struct subscription subscription;
    struct billing_boundary boundary;
    struct counted counted;
};

static void billed_init(struct billed *billed, size_t windows)
{
    CLEANUP(buffer_deinit) struct buffer text = {0};
    struct price_issue issue;
    json_t *json;
    int64_t first;

    *billed = (struct billed){.counted = {.window_count = windows}};
    arena_init(&billed->kept, 1 << 20);
    write_plan(&text);
    json = json_of(text.at);
    if (plan_read(json, &billed->kept, &billed->plan, &issue))
        fail(issue.detail);
    json_decref(json);
    json = json_of("{\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"customerKey\":\"acme\","
                   "\"activeFrom\":\"2026-01-01T00:00:00Z\"}");
    if (subscription_read(json, &billed->plan, &billed->kept, &billed->subscription, &issue))
        fail(issue.detail);
    json_decref(json);
    if (!periods_first(&billed->subscription, &billed->boundary) ||
        !periods_next(&billed->subscription, &billed->boundary, &billed->boundary))
        fail("no second boundary");
    first = instant_minute(billed->boundary.ended.window.from);
    for (size_t i = 0; i < CARDS * DAYS; i++) {
        int64_t from = first + (int64_t)(i % DAYS) * 1440;

        billed->counted.windows[i / DAYS][i % DAYS].window =
            (struct window){instant_from_minute(from), instant_from_minute(from + 1440)};
    }
}

static void bench_invoices(const char *name, size_t windows, bool writes, int rounds)
{
    CLEANUP(buffer_deinit) struct buffer json = {0};
    static struct billed billed;
    struct invoice_sources sources = {.usage_of = usage_of, .context = &billed.counted};
    struct arena arena;
    struct invoice invoice;
    int64_t took[ROUNDS_MAX], cents, expected = 0;

    billed_init(&billed, windows);
    arena_init(&arena, 16 << 20);
    for (int round = 0; round < rounds; round++) {
        int64_t start = clock_ns();

        billed.counted.state = 7;
        cents = 0;
        for (int i = 0; i < INVOICES; i++) {
            arena_reset(&arena);
            if (invoice_build(&billed.subscription, &billed.boundary, &sources, &arena, &invoice) ||
                invoice.line_count != CARDS)
                fail("not an invoice of ten lines");
            cents += (int64_t)invoice.total.minor;
            buffer_clear(&json);
            if (writes)
                render_json(&invoice, &json);
        }
        took[round] = clock_ns() - start;
        expected = round ? expected : cents;
        if (cents != expected)
            fail("another sum than the round before");
    }
    qsort(took, (size_t)rounds, sizeof(*took), compare);
    printf("%-10s %8.0f ns an invoice, %.0f a second, %zu bytes\n", name,
           (double)took[rounds / 2] / INVOICES, 1e9 * INVOICES / (double)took[rounds / 2],
           json.length);
    arena_deinit(&arena);
    arena_deinit(&billed.kept);
}

int main(int argc, char **argv)
{
    const char *stage = argc > 1 ? argv[1] : "all";
    int rounds = argc > 2 ? atoi(argv[2]) : 9;
    bool all = strcmp(stage, "all") == 0;

    if (rounds < 1 || rounds > ROUNDS_MAX)
        fail("1 to 99 rounds");
    if (all || strcmp(stage, "line") == 0)
        bench_lines("line", GRADUATED, true, rounds);
    if (all || strcmp(stage, "unit") == 0)
        bench_lines("unit", UNIT, false, rounds);
    if (all || strcmp(stage, "build") == 0)
        bench_invoices("build", 1, false, rounds);
    if (all || strcmp(stage, "invoice") == 0)
        bench_invoices("invoice", 1, true, rounds);
    if (all || strcmp(stage, "month") == 0)
        bench_invoices("month", DAYS, true, rounds);
    return 0;
}
