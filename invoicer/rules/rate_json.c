/*
 * rate_json.c - reads a rating question, rates it, writes the answer.
 */
#include "invoicer/rules/rate_json.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct question {
    const struct currency *currency;
    struct price price;
    struct price_discounts discounts;
    struct rating_slice slice;
    struct arena *arena;
    struct price_issue issue;
};

static int refuse(struct question *question, const char *code, const char *pointer,
                  const char *format, ...) PRINTF_LIKE(4, 5);

static int refuse(struct question *question, const char *code, const char *pointer,
                  const char *format, ...)
{
    va_list arguments;

    question->issue.code = code;
    (void)snprintf(question->issue.pointer, sizeof(question->issue.pointer), "%s", pointer);
    va_start(arguments, format);
    (void)vsnprintf(question->issue.detail, sizeof(question->issue.detail), format, arguments);
    va_end(arguments);
    return RATE_REFUSED;
}

/* An issue below a member points from the question's root. */
static int refuse_below(struct question *question, const char *member)
{
    char below[sizeof(question->issue.pointer)];

    memcpy(below, question->issue.pointer, sizeof(below));
    (void)snprintf(question->issue.pointer, sizeof(question->issue.pointer), "%s%.80s", member,
                   below);
    return RATE_REFUSED;
}

/* An absent amount is 0 and no issue. */
static int read_amount(struct question *question, const json_t *json, const char *pointer,
                       struct decimal *amount)
{
    int r;

    if (!json || json_is_null(json))
        return 0;
    if (!json_is_string(json))
        return refuse(question, "invalid_amount", pointer, "isn't a decimal string");
    r = decimal_parse_sum(text_from(json_string_value(json), json_string_length(json)), amount);
    if (r == DECIMAL_TOO_PRECISE)
        return refuse(question, "too_precise", pointer, "has more than 12 decimals");
    if (r == DECIMAL_TOO_LARGE)
        return refuse(question, "too_large", pointer, "is too large");
    if (r)
        return refuse(question, "invalid_amount", pointer, "isn't a decimal string");
    if (amount->units < 0)
        return refuse(question, "negative_amount", pointer, "is negative");
    return 0;
}

static int read_events(struct question *question, const json_t *list)
{
    size_t count = json_array_size(list);
    struct decimal *events;

    if (!json_is_array(list) || count > RATE_EVENTS_MAX)
        return refuse(question, "invalid_value", "/events", "isn't an array of at most %d amounts",
                      RATE_EVENTS_MAX);
    events = arena_take(question->arena, count * sizeof(*events));
    if (!events)
        return refuse(question, "too_large", "/events", "have no room");
    for (size_t i = 0; i < count; i++) {
        char pointer[32];
        int r;

        (void)snprintf(pointer, sizeof(pointer), "/events/%zu", i);
        if (!json_is_string(json_array_get(list, i)))
            return refuse(question, "invalid_amount", pointer, "isn't a decimal string");
        r = read_amount(question, json_array_get(list, i), pointer, &events[i]);
        if (r)
            return r;
    }
    question->slice.events = events;
    question->slice.event_count = count;
    return 0;
}

static void read_cell(struct question *question, const json_t *json, struct rating_cell *cell)
{
    const json_t *dimensions = json_object_get(json, "dimensions");

    for (size_t i = 0; i < question->price.dimension_count; i++) {
        const json_t *value = json_object_get(dimensions, question->price.dimensions[i].at);

        if (json_is_string(value))
            cell->dimensions[i] = text_from(json_string_value(value), json_string_length(value));
    }
}

static int read_cells(struct question *question, const json_t *list)
{
    size_t count = json_array_size(list);
    struct rating_cell *cells;

    if (!json_is_array(list) || count > RATE_EVENTS_MAX)
        return refuse(question, "invalid_value", "/quantities",
                      "isn't an array of at most %d quantities", RATE_EVENTS_MAX);
    cells = arena_take(question->arena, count * sizeof(*cells));
    if (!cells)
        return refuse(question, "too_large", "/quantities", "have no room");
    for (size_t i = 0; i < count; i++) {
        const json_t *cell = json_array_get(list, i);
        char pointer[48];
        int r;

        (void)snprintf(pointer, sizeof(pointer), "/quantities/%zu/quantity", i);
        if (!json_is_string(json_object_get(cell, "quantity")))
            return refuse(question, "invalid_amount", pointer, "isn't a decimal string");
        r = read_amount(question, json_object_get(cell, "quantity"), pointer, &cells[i].quantity);
        if (r)
            return r;
        read_cell(question, cell, &cells[i]);
    }
    question->slice.cells = cells;
    question->slice.cell_count = count;
    return 0;
}

static int read_quantities(struct question *question, const json_t *json)
{
    const json_t *quantity = json_object_get(json, "quantity");

    if (question->price.kind == PRICE_PERCENTAGE)
        return read_events(question, json_object_get(json, "events"));
    if (question->price.kind == PRICE_MATRIX)
        return read_cells(question, json_object_get(json, "quantities"));
    if (!quantity)
        return refuse(question, "missing_member", "/quantity", "is missing");
    if (!json_is_string(quantity))
        return refuse(question, "invalid_amount", "/quantity", "isn't a decimal string");
    return read_amount(question, quantity, "/quantity", &question->slice.quantity);
}

static int read_slice(struct question *question, const json_t *json)
{
    const json_t *billed = json_object_get(json, "alreadyBilled");
    const json_t *last = json_object_get(json, "lastSlice");
    int r;

    if (last && !json_is_boolean(last))
        return refuse(question, "invalid_value", "/lastSlice", "isn't true or false");
    question->slice.is_last = !last || json_is_true(last);
    r = read_amount(question, json_object_get(billed, "quantity"), "/alreadyBilled/quantity",
                    &question->slice.billed_quantity);
    if (r == 0)
        r = read_amount(question, json_object_get(billed, "amount"), "/alreadyBilled/amount",
                        &question->slice.billed_amount);
    return r ? r : read_quantities(question, json);
}

static int read_question(struct question *question, const json_t *json)
{
    static const char *const members[] = {"currency",   "price",         "quantity",  "events",
                                          "quantities", "alreadyBilled", "discounts", "lastSlice"};
    const char *name;
    json_t *member;

    json_object_foreach((json_t *)json, name, member)
    {
        char pointer[64];
        size_t known = 0;

        while (known < ARRAY_LEN(members) && strcmp(name, members[known]) != 0)
            known++;
        (void)snprintf(pointer, sizeof(pointer), "/%.60s", name);
        if (known == ARRAY_LEN(members))
            return refuse(question, "unknown_member", pointer, "isn't a member of a question");
    }
    question->currency =
        currency_find(text_of(json_string_value(json_object_get(json, "currency"))));
    if (!question->currency)
        return refuse(question, "currency_invalid", "/currency", "isn't a currency of ISO 4217");
    if (price_read(json_object_get(json, "price"), question->arena, &question->price,
                   &question->issue))
        return refuse_below(question, "/price");
    if (price_read_discounts(json_object_get(json, "discounts"), &question->discounts,
                             &question->issue))
        return refuse_below(question, "/discounts");
    return read_slice(question, json);
}

/* --- writing --- */

static void add_quoted(struct buffer *answer, const char *before, const char *text, size_t length)
{
    buffer_add_string(answer, before);
    buffer_add_char(answer, '"');
    buffer_add(answer, text, length);
    buffer_add_char(answer, '"');
}

static void add_money(struct buffer *answer, const char *before, struct money money,
                      const struct currency *currency)
{
    char text[MONEY_TEXT_MAX];
    size_t length = money_format(money, currency, text);

    add_quoted(answer, before, text, length);
}

static void add_decimal(struct buffer *answer, const char *before, struct decimal decimal)
{
    char text[DECIMAL_TEXT_MAX];
    size_t length = decimal_format(decimal, text);

    add_quoted(answer, before, text, length);
}

void rated_write(const struct rated_line *line, const struct price *price,
                 const struct currency *currency, struct buffer *buffer)
{
    CLEANUP(buffer_deinit) struct buffer words = {0};

    buffer_add_string(buffer, "{\"kind\":\"");
    buffer_add_string(buffer, rated_kind_name(line->kind));
    buffer_add_string(buffer, "\",\"tier\":");
    if (line->tier)
        buffer_add_int(buffer, (int64_t)line->tier);
    else
        buffer_add_string(buffer, "null");
    rated_describe(line, price, &words);
    buffer_add_string(buffer, ",\"description\":");
    buffer_add_json_string(buffer, buffer_text(&words));
    add_decimal(buffer, ",\"quantity\":", line->quantity);
    if (line->kind == RATED_MINIMUM)
        add_money(buffer, ",\"unitAmount\":", line->amount, currency);
    else
        add_decimal(buffer, ",\"unitAmount\":", line->unit_amount);
    add_money(buffer, ",\"amount\":", line->amount, currency);
    add_money(buffer, ",\"discount\":", line->discount, currency);
    add_money(buffer, ",\"total\":", line->total, currency);
    buffer_add_char(buffer, '}');
}

static void add_answer(const struct question *question, const struct rated_line *lines,
                       const struct rating *rating, struct buffer *answer)
{
    buffer_add_string(answer, "{\"lines\":[");
    for (size_t i = 0; i < rating->line_count; i++) {
        if (i)
            buffer_add_char(answer, ',');
        rated_write(&lines[i], &question->price, question->currency, answer);
    }
    add_decimal(answer, "],\"billedQuantity\":", rating->billed_quantity);
    add_money(answer, ",\"amount\":", rating->amount, question->currency);
    add_money(answer, ",\"discountTotal\":", rating->discount, question->currency);
    add_money(answer, ",\"total\":", rating->total, question->currency);
    buffer_add_char(answer, '}');
}

static void add_error(const struct price_issue *issue, struct buffer *answer)
{
    buffer_printf(answer, "{\"error\":{\"code\":\"%s\",\"pointer\":", issue->code);
    buffer_add_json_string(answer, text_of(issue->pointer));
    buffer_add_string(answer, ",\"detail\":");
    buffer_add_json_string(answer, text_of(issue->detail));
    buffer_add_string(answer, "}}");
}

static int refuse_rating(struct question *question, int outcome)
{
    const char *pointer = "";

    if (outcome == RATING_NOT_IN_SLICES)
        pointer = "/alreadyBilled";
    return refuse(question, rating_outcome_code(outcome), pointer, "%s",
                  rating_outcome_detail(outcome));
}

static int answer_question(struct question *question, struct text text, struct buffer *answer)
{
    json_error_t error;
    json_t *json = json_loadb(text.at, text.length, JSON_REJECT_DUPLICATES, &error);
    struct rated_line *lines;
    struct rating rating;
    int r;

    if (!json_is_object(json)) {
        json_decref(json);
        return refuse(question, "invalid_json", "", "%s", json ? "isn't an object" : error.text);
    }
    r = read_question(question, json);
    lines =
        r ? NULL : arena_take(question->arena, rating_lines_max(&question->price) * sizeof(*lines));
    if (r == 0 && !lines)
        r = refuse(question, "too_large", "", "has no room");
    if (r == 0) {
        r = rating_rate(&question->price, &question->discounts, question->currency,
                        &question->slice, lines, &rating);
        if (r)
            r = refuse_rating(question, r);
        else
            add_answer(question, lines, &rating, answer);
    }
    json_decref(json); /* cells point into it */
    return r;
}

int rate_json(struct text text, struct arena *arena, struct buffer *answer)
{
    struct question question = {.arena = arena};
    int r = answer_question(&question, text, answer);

    if (r)
        add_error(&question.issue, answer);
    return r;
}
