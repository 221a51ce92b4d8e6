/*
 * rate_question.c - the question's members, each checked; an absent one and null are the same.
 */
#include "invoicer/rules/rate_question.h"

#include "invoicer/rules/rate_json.h"

#include <stdio.h>
#include <string.h>

struct reader {
    const json_t *json;
    struct arena *arena;
    struct rate_question *question;
    struct price_issue *issue;
};

/* An issue of price.h points from its own object: from the question's root it is below a member. */
static int refuse_below(struct price_issue *issue, const char *member)
{
    char below[sizeof(issue->pointer)];

    memcpy(below, issue->pointer, sizeof(below));
    (void)snprintf(issue->pointer, sizeof(issue->pointer), "%s%.120s", member, below);
    return QUESTION_REFUSED;
}

/* An absent amount is 0. */
static int read_optional(const struct reader *reader, const json_t *json, const char *pointer,
                         struct decimal *amount)
{
    return question_has(json) ? question_amount(json, pointer, reader->issue, amount) : 0;
}

/* --- quantities --- */

static int list_of(const struct reader *reader, const char *member, size_t element_size,
                   size_t *count, void **elements)
{
    const json_t *list = json_object_get(reader->json, member);
    char pointer[32];

    (void)snprintf(pointer, sizeof(pointer), "/%s", member);
    if (!question_has(list))
        return question_refuse(reader->issue, "missing_member", pointer, "is missing");
    if (!json_is_array(list) || json_array_size(list) > RATE_EVENTS_MAX)
        return question_refuse(reader->issue, "invalid_type", pointer,
                               "isn't an array of at most %d elements", RATE_EVENTS_MAX);
    *count = json_array_size(list);
    *elements = arena_take(reader->arena, *count * element_size);
    if (!*elements)
        return question_refuse(reader->issue, "too_large", pointer, "has no room");
    return 0;
}

static int read_events(const struct reader *reader)
{
    const json_t *list = json_object_get(reader->json, "events");
    struct decimal *events;
    void *elements;
    size_t count;
    int r = list_of(reader, "events", sizeof(*events), &count, &elements);

    if (r)
        return r;
    events = elements;
    for (size_t i = 0; i < count && r == 0; i++) {
        char pointer[32];

        (void)snprintf(pointer, sizeof(pointer), "/events/%zu", i);
        r = question_amount(json_array_get(list, i), pointer, reader->issue, &events[i]);
    }
    reader->question->slice.events = events;
    reader->question->slice.event_count = count;
    return r;
}

static int read_dimensions(const struct reader *reader, const json_t *json, const char *place,
                           struct rating_cell *cell)
{
    const struct price *price = &reader->question->price;
    char pointer[sizeof(reader->issue->pointer)];
    const char *name;
    json_t *value;

    (void)snprintf(pointer, sizeof(pointer), "%s/dimensions", place);
    if (!json_is_object(json))
        return question_refuse(reader->issue, json ? "invalid_type" : "missing_member", pointer,
                               json ? "isn't an object" : "is missing");
    json_object_foreach((json_t *)json, name, value)
    {
        if (!json_is_string(value))
            return question_refuse(reader->issue, "invalid_type", pointer,
                                   "has a value that isn't a string");
        for (size_t i = 0; i < price->dimension_count; i++)
            if (text_is(price->dimensions[i], name))
                cell->dimensions[i] =
                    text_from(json_string_value(value), json_string_length(value));
    }
    return 0;
}

static int read_cell(const struct reader *reader, const json_t *json, size_t index,
                     struct rating_cell *cell)
{
    static const char *const names[] = {"dimensions", "quantity"};
    static const struct question_members members = {names, ARRAY_LEN(names)};
    char place[40], pointer[64];
    int r;

    (void)snprintf(place, sizeof(place), "/quantities/%zu", index);
    (void)snprintf(pointer, sizeof(pointer), "%s/quantity", place);
    r = question_check(json, place, &members, reader->issue);
    if (r == 0)
        r = question_amount(json_object_get(json, "quantity"), pointer, reader->issue,
                            &cell->quantity);
    if (r == 0)
        r = read_dimensions(reader, json_object_get(json, "dimensions"), place, cell);
    return r;
}

static int read_cells(const struct reader *reader)
{
    const json_t *list = json_object_get(reader->json, "quantities");
    struct rating_cell *cells;
    void *elements;
    size_t count;
    int r = list_of(reader, "quantities", sizeof(*cells), &count, &elements);

    if (r)
        return r;
    cells = elements;
    for (size_t i = 0; i < count && r == 0; i++)
        r = read_cell(reader, json_array_get(list, i), i, &cells[i]);
    reader->question->slice.cells = cells;
    reader->question->slice.cell_count = count;
    return r;
}

/* The price says which of the three names its quantities; the others have no place beside it. */
static int read_quantities(const struct reader *reader)
{
    static const char *const names[] = {"quantity", "events", "quantities"};
    enum price_kind kind = reader->question->price.kind;
    const char *wanted = kind == PRICE_PERCENTAGE ? "events"
                         : kind == PRICE_MATRIX   ? "quantities"
                                                  : "quantity";
    const json_t *quantity = json_object_get(reader->json, "quantity");
    char pointer[32];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(pointer, sizeof(pointer), "/%s", names[i]);
        if (strcmp(names[i], wanted) != 0 && question_has(json_object_get(reader->json, names[i])))
            return question_refuse(reader->issue, "not_applicable", pointer,
                                   "isn't what a %s price takes: give %s", price_kind_name(kind),
                                   wanted);
    }
    if (kind == PRICE_PERCENTAGE)
        return read_events(reader);
    if (kind == PRICE_MATRIX)
        return read_cells(reader);
    if (kind == PRICE_FLAT)
        return read_optional(reader, quantity, "/quantity", &reader->question->slice.quantity);
    return question_amount(quantity, "/quantity", reader->issue, &reader->question->slice.quantity);
}

/* --- the rest --- */

static int read_billed(const struct reader *reader)
{
    static const char *const names[] = {"quantity", "amount"};
    static const struct question_members members = {names, ARRAY_LEN(names)};
    const json_t *billed = json_object_get(reader->json, "alreadyBilled");
    struct rating_slice *slice = &reader->question->slice;
    struct money money;
    int r;

    if (!question_has(billed))
        return 0;
    r = question_check(billed, "/alreadyBilled", &members, reader->issue);
    if (r == 0)
        r = read_optional(reader, json_object_get(billed, "quantity"), "/alreadyBilled/quantity",
                          &slice->billed_quantity);
    if (r == 0)
        r = read_optional(reader, json_object_get(billed, "amount"), "/alreadyBilled/amount",
                          &slice->billed_amount);
    if (r == 0 && money_of(slice->billed_amount, reader->question->currency, &money))
        return question_refuse(reader->issue, "amount_finer_than_minor_unit",
                               "/alreadyBilled/amount",
                               "has decimals below the currency's minor unit");
    return r;
}

static int read_last(const struct reader *reader)
{
    const json_t *last = json_object_get(reader->json, "lastSlice");

    if (question_has(last) && !json_is_boolean(last))
        return question_refuse(reader->issue, "invalid_type", "/lastSlice", "isn't true or false");
    reader->question->slice.is_last = !question_has(last) || json_is_true(last);
    return 0;
}

static int check_commitment(const struct reader *reader, const char *pointer, bool is_given,
                            struct decimal amount)
{
    const struct rate_question *question = reader->question;
    struct money money;

    if (is_given && money_of(amount, question->currency, &money))
        return question_refuse(reader->issue, "amount_finer_than_minor_unit", pointer,
                               "has decimals below the currency's minor unit");
    return 0;
}

static int check_flat(const struct reader *reader, const json_t *json)
{
    static const char *const names[] = {"minimumAmount", "maximumAmount"};
    char pointer[32];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(pointer, sizeof(pointer), "/price/%s", names[i]);
        if (question_has(json_object_get(json, names[i])))
            return question_refuse(reader->issue, "not_applicable", pointer,
                                   "has no place on a flat price");
    }
    return 0;
}

static int read_price(const struct reader *reader)
{
    const json_t *json = json_object_get(reader->json, "price");
    struct price *price = &reader->question->price;
    int r;

    if (!question_has(json))
        return question_refuse(reader->issue, "missing_member", "/price", "is missing");
    if (price_check_members(json, reader->issue) ||
        price_read(json, reader->arena, price, reader->issue))
        return refuse_below(reader->issue, "/price");
    if (price->kind == PRICE_FLAT)
        return check_flat(reader, json);
    r = check_commitment(reader, "/price/minimumAmount", price->has_minimum, price->minimum);
    return r ? r
             : check_commitment(reader, "/price/maximumAmount", price->has_maximum, price->maximum);
}

static int read_discounts(const struct reader *reader)
{
    static const char *const names[] = {"percentage", "usage"};
    static const struct question_members members = {names, ARRAY_LEN(names)};
    const json_t *json = json_object_get(reader->json, "discounts");
    int r = question_has(json) ? question_check(json, "/discounts", &members, reader->issue) : 0;

    if (r)
        return r;
    if (price_read_discounts(json, &reader->question->discounts, reader->issue))
        return refuse_below(reader->issue, "/discounts");
    return 0;
}

int rate_question_read(const json_t *json, struct arena *arena, struct rate_question *question,
                       struct price_issue *issue)
{
    static const char *const names[] = {"currency",   "price",         "quantity",  "events",
                                        "quantities", "alreadyBilled", "discounts", "lastSlice"};
    static const struct question_members members = {names, ARRAY_LEN(names)};
    struct rate_question read = {0};
    struct reader reader = {json, arena, &read, issue};
    int r = question_check(json, "", &members, issue);

    if (r == 0)
        r = question_currency(json, issue, &read.currency);
    if (r == 0)
        r = read_price(&reader);
    if (r == 0)
        r = read_discounts(&reader);
    if (r == 0)
        r = read_billed(&reader);
    if (r == 0)
        r = read_last(&reader);
    if (r == 0)
        r = read_quantities(&reader);
    if (r == 0)
        *question = read;
    return r;
}

int rate_question_refuse(const struct rate_question *question, int outcome,
                         struct price_issue *issue)
{
    const struct rating_slice *slice = &question->slice;
    const char *pointer = "", *code = rating_outcome_code(outcome);

    if (outcome == RATING_NOT_IN_SLICES)
        pointer = slice->billed_quantity.units ? "/alreadyBilled/quantity"
                  : slice->billed_amount.units ? "/alreadyBilled/amount"
                                               : "/lastSlice";
    if (outcome == RATING_NOT_APPLICABLE && question->price.conversion.is_set) {
        code = "unit_conversion_not_applicable";
        pointer = "/price/unitConversion";
    } else if (outcome == RATING_NOT_APPLICABLE) {
        code = question->price.kind == PRICE_FLAT ? "usage_discount_with_flat_price"
                                                  : "usage_discount_not_applicable";
        pointer = "/discounts/usage";
    }
    return question_refuse(issue, code, pointer, "%s", rating_outcome_detail(outcome));
}
