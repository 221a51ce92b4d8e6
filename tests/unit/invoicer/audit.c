/*
 * audit.c - the audit's own arithmetic and its own count: they agree with what bills, and see what
 * is wrong.
 */
#include "invoicer/rules/audit_count.h"
#include "invoicer/rules/rating.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- prices --- */

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static uint64_t below(uint64_t *state, uint64_t most)
{
    return next(state) % most;
}

/* "0.0123", "17", "2.5": an amount of some decimals. */
static void add_amount(struct buffer *json, const char *name, uint64_t *state, uint64_t most)
{
    static const int64_t scales[] = {1, 10, 1000, 100000};
    int64_t scale = scales[below(state, 4)];
    char text[DECIMAL_TEXT_MAX];
    struct decimal amount = decimal_from_int((int64_t)below(state, most * (uint64_t)scale));

    amount.units /= scale;
    (void)decimal_format(amount, text);
    buffer_printf(json, "\"%s\":\"%s\"", name, text);
}

static void add_tiers(struct buffer *json, uint64_t *state, bool is_rate)
{
    uint64_t tiers = 1 + below(state, 5), bound = 0;

    buffer_add_string(json, ",\"tiers\":[");
    for (uint64_t i = 0; i < tiers; i++) {
        bool has_flat = below(state, 3) == 0;

        bound += 1 + below(state, 400);
        buffer_add_string(json, i ? ",{" : "{");
        if (i + 1 < tiers)
            buffer_printf(json, "\"upToAmount\":\"%llu\",", (unsigned long long)bound);
        if (is_rate) {
            add_amount(json, "rate", state, 20);
        } else {
            buffer_add_string(json, "\"unitPrice\":{\"type\":\"unit\",");
            add_amount(json, "amount", state, 3);
            buffer_add_char(json, '}');
        }
        buffer_add_string(json, ",\"flatPrice\":");
        if (has_flat) {
            buffer_add_string(json, "{\"type\":\"flat\",");
            add_amount(json, "amount", state, 50);
            buffer_add_char(json, '}');
        } else {
            buffer_add_string(json, "null");
        }
        buffer_add_char(json, '}');
    }
    buffer_add_char(json, ']');
}

/* Minor units that every currency of the test has: whole amounts. */
static void add_commitments(struct buffer *json, uint64_t *state)
{
    static const char *const roundings[] = {"none", "up", "down", "half_away"};

    if (below(state, 3) == 0)
        buffer_printf(json, ",\"minimumAmount\":\"%llu\"", (unsigned long long)below(state, 40));
    if (below(state, 3) == 0)
        buffer_printf(json, ",\"maximumAmount\":\"%llu\"",
                      (unsigned long long)(40 + below(state, 400)));
    if (below(state, 3) == 0)
        buffer_printf(json,
                      ",\"unitConversion\":{\"operation\":\"%s\",\"factor\":\"%llu\","
                      "\"rounding\":\"%s\",\"precision\":%llu}",
                      below(state, 2) ? "divide" : "multiply",
                      (unsigned long long)(1 + below(state, 12)), roundings[below(state, 4)],
                      (unsigned long long)below(state, 4));
}

static void write_price(struct buffer *json, uint64_t *state)
{
    uint64_t kind = below(state, 8);

    buffer_add_string(json, "{\"price\":{");
    switch (kind) {
    case 0:
        buffer_add_string(json, "\"type\":\"unit\",");
        add_amount(json, "amount", state, 5);
        break;
    case 1:
        buffer_add_string(json, "\"type\":\"dynamic\",");
        add_amount(json, "multiplier", state, 5);
        break;
    case 2:
        buffer_add_string(json, "\"type\":\"package\",\"quantityPerPackage\":\"7.5\",");
        add_amount(json, "amount", state, 30);
        break;
    case 3:
    case 4:
        buffer_printf(json, "\"type\":\"tiered\",\"mode\":\"%s\"",
                      kind == 3 ? "graduated" : "volume");
        add_tiers(json, state, false);
        break;
    case 5:
        buffer_add_string(json, "\"type\":\"graduated_percentage\"");
        add_tiers(json, state, true);
        break;
    case 6:
        buffer_add_string(json, "\"type\":\"percentage\",");
        add_amount(json, "rate", state, 5);
        buffer_add_char(json, ',');
        add_amount(json, below(state, 2) ? "freeAmount" : "fixedAmount", state, 900);
        break;
    default:
        buffer_add_string(json, "\"type\":\"flat\",");
        add_amount(json, "amount", state, 90);
        break;
    }
    if (kind < 6)
        add_commitments(json, state);
    buffer_printf(json, "},\"discounts\":{\"percentage\":\"%llu\",\"usage\":\"%llu\"}}",
                  (unsigned long long)(below(state, 2) ? below(state, 101) : 0),
                  (unsigned long long)(kind < 6 && below(state, 2) ? below(state, 60) : 0));
}

/* The details that move money, as both have them. */
static void assert_same(const struct rated_line *lines, size_t count,
                        const struct audit_rating *rating, const char *json)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        if (lines[i].amount.minor == 0)
            continue;
        cr_assert_lt(at, rating->count, "%s", json);
        cr_assert(rating->details[at].amount == lines[i].amount.minor, "%s", json);
        cr_assert(rating->details[at].discount == lines[i].discount.minor, "%s", json);
        cr_assert(rating->details[at].total == lines[i].total.minor, "%s", json);
        at++;
    }
    cr_assert_eq(at, rating->count, "%s", json);
}

static void compare(const char *json, struct decimal quantity, const struct currency *currency)
{
    struct rated_line lines[2 * PRICE_TIERS_MAX + 1];
    struct rating_slice slice = {.quantity = quantity, .counted = 3, .is_last = true};
    struct audit_counted counted = {.quantity = quantity, .events = 3};
    struct price_discounts discounts;
    struct audit_rating audited = {0};
    struct price_issue issue;
    struct rating rating;
    struct price price;
    struct arena arena;
    json_t *line = json_loads(json, 0, NULL);

    arena_init(&arena, 1 << 20);
    cr_assert_not_null(line, "%s", json);
    cr_assert_eq(price_read(json_object_get(line, "price"), &arena, &price, &issue), 0, "%s %s",
                 issue.detail, json);
    cr_assert_eq(price_read_discounts(json_object_get(line, "discounts"), &discounts, &issue), 0);
    cr_assert_eq(rating_rate(&price, &discounts, currency, &slice, lines, &rating), 0, "%s", json);
    cr_assert_eq(audit_rate(line, &counted, currency->digits, &audited), 0, "%s", json);
    assert_same(lines, rating.line_count, &audited, json);
    audit_rating_deinit(&audited);
    arena_deinit(&arena);
    json_decref(line);
}

Test(audit, rational_numbers_give_every_cent_that_rating_gives)
{
    static const char *const codes[] = {"JPY", "USD", "KWD"};
    uint64_t state = 4711;

    for (int i = 0; i < 20000; i++) {
        CLEANUP(buffer_deinit) struct buffer json = {0};
        struct decimal quantity = {(int128)below(&state, 1500000) * 1000000000};

        write_price(&json, &state);
        buffer_add_char(&json, '\0');
        compare(json.at, quantity, currency_find(text_of(codes[i % 3])));
    }
}

Test(audit, a_price_that_it_does_not_know_is_no_price_of_nothing)
{
    json_t *line = json_loads("{\"price\":{\"type\":\"auction\"}}", 0, NULL);
    struct audit_counted counted = {.quantity = {1}};
    struct audit_rating rating = {0};

    cr_assert_eq(audit_rate(line, &counted, 2, &rating), AUDIT_UNKNOWN);
    audit_rating_deinit(&rating);
    json_decref(line);
}

/* --- counts --- */

struct log {
    struct usage_writer *writer;
    struct usage_reader *reader;
    struct audit_count *count;
    int64_t offset;
};

/* `region` NULL: the event has none. */
static void add_event_of(struct log *log, const char *id, const char *at, int64_t late_ms,
                         const char *amount, enum aggregation aggregation, const char *region)
{
    struct usage_series series = {.aggregation = aggregation,
                                  .subscription = text_of("S"),
                                  .meter = text_of("api"),
                                  .dimension_count = region != NULL,
                                  .dimensions = {{text_of("region"), text_of(region)}}};
    union usage_value value = {.amount = {0}};
    struct usage_event event = {.arrival_ms = 0};
    struct usage_batch batch;
    const char *reason;

    memcpy(event.fingerprint.identity, id, strlen(id));
    cr_assert_eq(instant_parse(text_of(at), &event.time), 0);
    event.arrival_ms = event.time.ns / 1000000 + late_ms;
    if (aggregation == AGGREGATION_UNIQUE_COUNT)
        memcpy(value.unique, amount, strlen(amount));
    else
        cr_assert_eq(decimal_parse(text_of(amount), &value.amount), 0);
    usage_writer_reset(log->writer);
    cr_assert_eq(usage_writer_add(log->writer, &event, &series, &value, 1), 0);
    cr_assert_eq(usage_decode(log->reader, usage_writer_finish(log->writer), &batch, &reason), 0);
    audit_count_take(log->count, 0, log->offset++, &batch);
}

static void add_event(struct log *log, const char *id, const char *at, int64_t late_ms,
                      const char *amount, enum aggregation aggregation)
{
    add_event_of(log, id, at, late_ms, amount, aggregation, "eu");
}

static struct audit_want want_of(const char *from, const char *to, int64_t next_offset)
{
    struct audit_want want = {
        .subscription = text_of("S"), .meter = text_of("api"), .next_offset = next_offset};

    cr_assert_eq(instant_parse(text_of(from), &want.from), 0);
    cr_assert_eq(instant_parse(text_of(to), &want.to), 0);
    return want;
}

static struct log log_of(struct audit_want *wants, size_t count)
{
    static const int64_t horizon_ms = INT64_C(35) * 86400000;

    return (struct log){usage_writer_new(), usage_reader_new(),
                        audit_count_new(wants, count, 1, &horizon_ms), 0};
}

static void log_end(struct log *log)
{
    (void)usage_writer_free(log->writer);
    (void)usage_reader_free(log->reader);
    (void)audit_count_free(log->count);
}

static void assert_decimal(struct decimal found, const char *expected)
{
    char text[DECIMAL_TEXT_MAX];

    (void)decimal_format(found, text);
    cr_assert_str_eq(text, expected);
}

static void assert_answer(struct audit_want *want, const char *expected)
{
    assert_decimal(audit_want_answer(want), expected);
}

Test(audit, an_event_counts_once_in_its_period_and_before_the_position)
{
    struct audit_want wants[] = {want_of("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", 100),
                                 want_of("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", 4)};
    struct log log = log_of(wants, 2);
    bool in_order = wants[0].next_offset == 100;

    add_event(&log, "a", "2026-01-01T00:00:00Z", 0, "1", AGGREGATION_SUM);
    add_event(&log, "b", "2026-01-31T23:59:59Z", 0, "2", AGGREGATION_SUM);
    add_event(&log, "b", "2026-01-31T10:00:00Z", 5, "64", AGGREGATION_SUM); /* the same day */
    add_event(&log, "c", "2026-02-01T00:00:00Z", 0, "4", AGGREGATION_SUM);
    add_event(&log, "d", "2026-01-10T00:00:00Z", 0, "8", AGGREGATION_SUM);
    add_event(&log, "d", "2026-01-11T00:00:00Z", 0, "16", AGGREGATION_SUM); /* another day */
    add_event(&log, "e", "2026-01-12T00:00:00Z", INT64_C(35) * 86400000 + 1, "32",
              AGGREGATION_SUM); /* late */
    assert_answer(&wants[in_order ? 0 : 1], "27");
    assert_answer(&wants[in_order ? 1 : 0], "3");
    audit_want_deinit(&wants[0]);
    audit_want_deinit(&wants[1]);
    log_end(&log);
}

Test(audit, each_aggregation_has_its_answer)
{
    static const struct {
        enum aggregation aggregation;
        const char *answer;
    } cases[] = {{AGGREGATION_SUM, "10.5"},      {AGGREGATION_COUNT, "4"},
                 {AGGREGATION_MIN, "1"},         {AGGREGATION_MAX, "5"},
                 {AGGREGATION_AVG, "2.625"},     {AGGREGATION_LATEST, "2.5"},
                 {AGGREGATION_UNIQUE_COUNT, "4"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct audit_want want = want_of("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", 100);
        struct log log = log_of(&want, 1);

        add_event(&log, "a", "2026-01-02T00:00:00Z", 0, "1", cases[i].aggregation);
        add_event(&log, "b", "2026-01-04T00:00:00Z", 0, "2.5", cases[i].aggregation);
        add_event(&log, "c", "2026-01-03T00:00:00Z", 0, "5", cases[i].aggregation);
        add_event(&log, "d", "2026-01-04T00:00:00Z", 0, "2", cases[i].aggregation);
        assert_answer(&want, cases[i].answer);
        audit_want_deinit(&want);
        log_end(&log);
    }
}

/* As usage_cells.c: each combination of dimensions is aggregated by itself. */
Test(audit, a_matrix_is_counted_by_its_values)
{
    static const struct {
        enum aggregation aggregation;
        const char *us, *eu, *others, *all;
    } cases[] = {
        {AGGREGATION_SUM, "0", "12", "14", "26"},  {AGGREGATION_COUNT, "0", "2", "4", "6"},
        {AGGREGATION_MAX, "0", "7", "8", "15"},    {AGGREGATION_AVG, "0", "6", "7", "13"},
        {AGGREGATION_LATEST, "0", "7", "8", "15"}, {AGGREGATION_UNIQUE_COUNT, "0", "2", "4", "6"}};
    json_t *price =
        json_loads("{\"type\":\"matrix\",\"dimensions\":[\"region\"],\"values\":["
                   "{\"match\":{\"region\":\"us\"},\"amount\":\"1\"},"
                   "{\"match\":{\"region\":\"eu\"},\"amount\":\"2\"}],\"amount\":\"3\"}",
                   0, NULL);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct audit_want want = want_of("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", 100);
        enum aggregation aggregation = cases[i].aggregation;
        struct log log;

        want.matrix = price;
        log = log_of(&want, 1);
        add_event_of(&log, "a", "2026-01-02T00:00:00Z", 0, "5", aggregation, "eu");
        add_event_of(&log, "b", "2026-01-03T00:00:00Z", 0, "7", aggregation, "eu");
        add_event_of(&log, "c", "2026-01-02T00:00:00Z", 0, "4", aggregation, "asia");
        add_event_of(&log, "d", "2026-01-03T00:00:00Z", 0, "5", aggregation, "asia");
        add_event_of(&log, "e", "2026-01-02T00:00:00Z", 0, "2", aggregation, NULL);
        add_event_of(&log, "f", "2026-01-03T00:00:00Z", 0, "3", aggregation, NULL);
        assert_answer(&want, cases[i].all);
        assert_decimal(want.values[0], cases[i].us);
        assert_decimal(want.values[1], cases[i].eu);
        assert_decimal(want.values[2], cases[i].others);
        audit_want_deinit(&want);
        log_end(&log);
    }
    json_decref(price);
}
