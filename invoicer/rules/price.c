/*
 * price.c - reads prices from JSON.
 *
 * Amounts are decimal strings (integers are taken too). A tier's part is {"type","amount"}, the
 * amount alone, or null. What a model doesn't know is passed over: the catalog's own check, which
 * names every stray member, stands before this.
 */
#include "invoicer/rules/price.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct reader {
    struct arena *arena;
    struct price_issue *issue;
    char place[64]; /* "/tiers/3" */
};

static int refuse(struct reader *reader, const char *code, const char *member, const char *format,
                  ...) PRINTF_LIKE(4, 5);

static int refuse(struct reader *reader, const char *code, const char *member, const char *format,
                  ...)
{
    va_list arguments;

    reader->issue->code = code;
    (void)snprintf(reader->issue->pointer, sizeof(reader->issue->pointer), "%s%s%s", reader->place,
                   *member ? "/" : "", member);
    va_start(arguments, format);
    (void)vsnprintf(reader->issue->detail, sizeof(reader->issue->detail), format, arguments);
    va_end(arguments);
    return PRICE_MALFORMED;
}

static bool is_given(const json_t *json)
{
    return json && !json_is_null(json);
}

static int decimal_of(struct reader *reader, const json_t *json, const char *member,
                      struct decimal *decimal)
{
    struct decimal read;
    int r = DECIMAL_NOT_A_NUMBER;

    if (json_is_integer(json))
        read = decimal_from_int(json_integer_value(json));
    if (json_is_integer(json))
        r = 0;
    else if (json_is_string(json))
        r = decimal_parse(text_from(json_string_value(json), json_string_length(json)), &read);
    if (r == DECIMAL_TOO_PRECISE)
        return refuse(reader, "value_too_precise", member, "has more than %d decimals",
                      DECIMAL_PLACES);
    if (r == DECIMAL_TOO_LARGE)
        return refuse(reader, "value_too_large", member, "isn't below 10^15");
    if (r)
        return refuse(reader, "invalid_amount", member, "isn't a decimal string such as \"12.50\"");
    *decimal = read;
    return 0;
}

static int amount_of(struct reader *reader, const json_t *json, const char *member,
                     struct decimal *amount)
{
    struct decimal read;
    int r = decimal_of(reader, json, member, &read);

    if (r == 0 && read.units < 0)
        return refuse(reader, "negative_value", member, "is negative");
    if (r == 0)
        *amount = read;
    return r;
}

/* Of an object's member; an absent one leaves *given false and *amount alone. */
static int optional_amount(struct reader *reader, const json_t *object, const char *member,
                           bool *given, struct decimal *amount)
{
    const json_t *json = json_object_get(object, member);

    *given = is_given(json);
    return *given ? amount_of(reader, json, member, amount) : 0;
}

static int required_amount(struct reader *reader, const json_t *object, const char *member,
                           struct decimal *amount)
{
    bool given;
    int r = optional_amount(reader, object, member, &given, amount);

    if (r == 0 && !given)
        return refuse(reader, "missing_member", member, "is missing");
    return r;
}

/* `code` is that of a 0. */
static int positive_amount(struct reader *reader, const json_t *object, const char *member,
                           const char *code, struct decimal *amount)
{
    int r = required_amount(reader, object, member, amount);

    if (r == 0 && amount->units == 0)
        return refuse(reader, code, member, "is 0");
    return r;
}

/* One of a few words. */
struct choice {
    const char *const *names;
    size_t count;
    const char *code; /* of whatever else stands there */
};

static int refuse_choice(struct reader *reader, const char *member, const struct choice *choice)
{
    char list[sizeof(reader->issue->detail)] = "";
    size_t length = 0;

    for (size_t i = 0; i < choice->count && length < sizeof(list); i++)
        length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%s", i ? ", " : "",
                                   choice->names[i]);
    return refuse(reader, choice->code, member, "isn't one of %.130s", list);
}

/* The index of the member's text among the names; an absent member is the first of them. */
static int choice_of(struct reader *reader, const json_t *object, const char *member,
                     const struct choice *choice, size_t *chosen)
{
    const json_t *json = json_object_get(object, member);
    const char *text = json_string_value(json);

    *chosen = 0;
    if (!is_given(json))
        return 0;
    for (size_t i = 0; text && i < choice->count; i++) {
        if (strcmp(text, choice->names[i]) == 0) {
            *chosen = i;
            return 0;
        }
    }
    return refuse_choice(reader, member, choice);
}

/* The elements of a list that must stand there. */
static int list_of(struct reader *reader, const json_t *object, const char *member, size_t *count)
{
    const json_t *list = json_object_get(object, member);

    if (!is_given(list))
        return refuse(reader, "missing_member", member, "is missing");
    if (!json_is_array(list))
        return refuse(reader, "invalid_type", member, "isn't an array");
    *count = json_array_size(list);
    return 0;
}

static int copy_text(struct reader *reader, const json_t *json, const char *member,
                     struct text *text)
{
    *text = arena_copy(reader->arena, text_from(json_string_value(json), json_string_length(json)));
    if (text_is_absent(*text))
        return refuse(reader, "too_large", member, "has no room");
    return 0;
}

/* --- tiers --- */

static int read_part(struct reader *reader, const json_t *tier, const char *member, bool *given,
                     struct decimal *amount)
{
    const json_t *part = json_object_get(tier, member);

    if (json_is_object(part))
        part = json_object_get(part, "amount");
    else if (!is_given(part))
        part = NULL;
    *given = part || json_is_object(json_object_get(tier, member));
    return *given ? amount_of(reader, part, member, amount) : 0;
}

static int read_tier(struct reader *reader, const json_t *json, bool is_percentage,
                     struct price_tier *tier)
{
    bool bounded;
    int r = optional_amount(reader, json, "upToAmount", &bounded, &tier->up_to);

    tier->is_open = !bounded;
    if (r == 0)
        r = read_part(reader, json, "flatPrice", &tier->has_flat, &tier->flat);
    if (r == 0 && is_percentage)
        r = optional_amount(reader, json, "rate", &tier->has_unit, &tier->unit);
    else if (r == 0)
        r = read_part(reader, json, "unitPrice", &tier->has_unit, &tier->unit);
    if (r == 0 && !tier->has_unit && !tier->has_flat)
        return refuse(reader, "tier_without_price", "", "has neither a unit part nor a flat one");
    return r;
}

/* Bounds rise from above 0, and the last tier alone has none. */
static int check_bound(struct reader *reader, const struct price_tier *tiers, size_t index,
                       size_t count)
{
    struct decimal before = index ? tiers[index - 1].up_to : decimal_from_int(0);

    if (tiers[index].is_open != (index + 1 == count))
        return refuse(reader, "tier_open_ended_required", "upToAmount",
                      "the last tier, and no other, is without a bound");
    if (!tiers[index].is_open && index && decimal_compare(tiers[index].up_to, before) == 0)
        return refuse(reader, "tier_bound_duplicated", "upToAmount",
                      "is the bound of the tier before");
    if (!tiers[index].is_open && decimal_compare(tiers[index].up_to, before) <= 0)
        return refuse(reader, "tier_bound_invalid", "upToAmount",
                      "isn't above the bound of the tier before");
    return 0;
}

static int read_tiers(struct reader *reader, const json_t *json, struct price *price)
{
    const json_t *list = json_object_get(json, "tiers");
    struct price_tier *tiers;
    size_t count;
    int r = list_of(reader, json, "tiers", &count);

    if (r)
        return r;
    if (count == 0)
        return refuse(reader, "tier_open_ended_required", "tiers", "has no tier");
    if (count > PRICE_TIERS_MAX)
        return refuse(reader, "too_many_tiers", "tiers", "has more than %d tiers", PRICE_TIERS_MAX);
    tiers = arena_take(reader->arena, count * sizeof(*tiers));
    if (!tiers)
        return refuse(reader, "too_large", "tiers", "has no room");
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(reader->place, sizeof(reader->place), "/tiers/%zu", i);
        if (!json_is_object(json_array_get(list, i)))
            return refuse(reader, "invalid_type", "", "isn't an object");
        r = read_tier(reader, json_array_get(list, i), price->kind == PRICE_GRADUATED_PERCENTAGE,
                      &tiers[i]);
        if (r == 0)
            r = check_bound(reader, tiers, i, count);
        if (r)
            return r;
    }
    reader->place[0] = '\0';
    price->tiers = tiers;
    price->tier_count = count;
    return 0;
}

/* --- percentage and matrix --- */

static int read_percentage(struct reader *reader, const json_t *json, struct price *price)
{
    struct price_percentage *read = &price->percentage;
    struct decimal events = {0};
    bool given;
    int r = required_amount(reader, json, "rate", &price->amount);

    if (r == 0)
        r = optional_amount(reader, json, "fixedAmount", &given, &read->fixed);
    if (r == 0)
        r = optional_amount(reader, json, "freeAmount", &read->has_free_amount, &read->free_amount);
    if (r == 0)
        r = optional_amount(reader, json, "freeEvents", &read->has_free_events, &events);
    if (r == 0)
        r = optional_amount(reader, json, "eventMinimum", &read->has_least, &read->least);
    if (r == 0)
        r = optional_amount(reader, json, "eventMaximum", &read->has_most, &read->most);
    if (r)
        return r;
    if (events.units % decimal_from_int(1).units)
        return refuse(reader, "invalid_amount", "freeEvents", "isn't a whole number");
    read->free_events = (uint64_t)(events.units / decimal_from_int(1).units);
    if (read->has_least && read->has_most && decimal_compare(read->least, read->most) > 0)
        return refuse(reader, "invalid_amount", "eventMinimum", "is above eventMaximum");
    return 0;
}

static int read_value(struct reader *reader, const json_t *json, const struct price *price,
                      struct price_matrix_value *value)
{
    const json_t *match = json_object_get(json, "match");

    if (!is_given(match))
        return refuse(reader, "missing_member", "match", "is missing");
    for (size_t i = 0; i < price->dimension_count; i++) {
        const json_t *named = json_object_get(match, price->dimensions[i].at);
        int r;

        if (!json_is_string(named) || json_object_size(match) != price->dimension_count)
            return refuse(reader, "matrix_match_invalid", "match",
                          "doesn't give a text for exactly the dimensions");
        r = copy_text(reader, named, "match", &value->match[i]);
        if (r)
            return r;
    }
    return required_amount(reader, json, "amount", &value->amount);
}

static bool matches_the_same(const struct price *price, const struct price_matrix_value *a,
                             const struct price_matrix_value *b)
{
    for (size_t i = 0; i < price->dimension_count; i++)
        if (!text_equal(a->match[i], b->match[i]))
            return false;
    return true;
}

/* The later of two would never be found. */
static int check_repeated(struct reader *reader, const struct price *price,
                          const struct price_matrix_value *values, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (matches_the_same(price, &values[i], &values[index]))
            return refuse(reader, "matrix_match_duplicated", "match",
                          "is that of another value too");
    return 0;
}

static int read_dimension(struct reader *reader, const json_t *json, struct price *price,
                          size_t index)
{
    int r;

    if (!json_is_string(json))
        return refuse(reader, "invalid_type", "dimensions", "has a name that isn't a string");
    r = copy_text(reader, json, "dimensions", &price->dimensions[index]);
    for (size_t i = 0; i < index && r == 0; i++)
        if (text_equal(price->dimensions[i], price->dimensions[index]))
            return refuse(reader, "matrix_dimensions_invalid", "dimensions", "has a name twice");
    return r;
}

static int read_dimensions(struct reader *reader, const json_t *json, struct price *price)
{
    int r = list_of(reader, json, "dimensions", &price->dimension_count);

    if (r)
        return r;
    if (price->dimension_count == 0 || price->dimension_count > PRICE_DIMENSIONS_MAX)
        return refuse(reader, "matrix_dimensions_invalid", "dimensions",
                      "isn't an array of 1 to %d names", PRICE_DIMENSIONS_MAX);
    for (size_t i = 0; i < price->dimension_count && r == 0; i++)
        r = read_dimension(reader, json_array_get(json_object_get(json, "dimensions"), i), price,
                           i);
    return r;
}

static int read_matrix(struct reader *reader, const json_t *json, struct price *price)
{
    const json_t *list = json_object_get(json, "values");
    struct price_matrix_value *values;
    size_t count;
    int r = required_amount(reader, json, "amount", &price->amount);

    if (r == 0)
        r = read_dimensions(reader, json, price);
    if (r == 0)
        r = list_of(reader, json, "values", &count);
    if (r)
        return r;
    if (count > PRICE_MATRIX_VALUES_MAX)
        return refuse(reader, "too_many_matrix_values", "values", "has more than %d values",
                      PRICE_MATRIX_VALUES_MAX);
    values = arena_take(reader->arena, count * sizeof(*values));
    if (!values)
        return refuse(reader, "too_large", "values", "has no room");
    for (size_t i = 0; i < count && r == 0; i++) {
        (void)snprintf(reader->place, sizeof(reader->place), "/values/%zu", i);
        r = read_value(reader, json_array_get(list, i), price, &values[i]);
        if (r == 0)
            r = check_repeated(reader, price, values, i);
    }
    if (r)
        return r;
    reader->place[0] = '\0';
    price->values = values;
    price->value_count = count;
    return 0;
}

/* --- the price --- */

static int read_conversion(struct reader *reader, const json_t *json,
                           struct price_conversion *conversion)
{
    static const char *const operation_names[] = {"multiply", "divide"};
    static const char *const rounding_names[] = {"none", "up", "down", "half_away"};
    static const char invalid[] = "unit_conversion_invalid";
    static const struct choice operations = {operation_names, ARRAY_LEN(operation_names), invalid};
    static const struct choice roundings = {rounding_names, ARRAY_LEN(rounding_names), invalid};
    const json_t *from = json_object_get(json, "unitConversion");
    const json_t *precision = json_object_get(from, "precision");
    size_t operation, rounding;
    int r;

    if (!is_given(from))
        return 0;
    (void)snprintf(reader->place, sizeof(reader->place), "/unitConversion");
    r = choice_of(reader, from, "operation", &operations, &operation);
    if (r == 0)
        r = choice_of(reader, from, "rounding", &roundings, &rounding);
    if (r == 0)
        r = positive_amount(reader, from, "factor", invalid, &conversion->factor);
    if (r)
        return r;
    if (!json_object_get(from, "operation"))
        return refuse(reader, "missing_member", "operation", "is missing");
    if (is_given(precision) && (!json_is_integer(precision) || json_integer_value(precision) < 0))
        return refuse(reader, "invalid_type", "precision", "isn't a whole number of at least 0");
    if (json_integer_value(precision) > PRICE_PRECISION_MAX)
        return refuse(reader, invalid, "precision", "isn't 0 to %d", PRICE_PRECISION_MAX);
    conversion->is_set = true;
    conversion->divides = operation == 1;
    conversion->rounding = (enum price_rounding)rounding;
    conversion->precision = (int)json_integer_value(precision);
    reader->place[0] = '\0';
    return 0;
}

static int read_commitments(struct reader *reader, const json_t *json, struct price *price)
{
    int r = optional_amount(reader, json, "minimumAmount", &price->has_minimum, &price->minimum);

    if (r == 0)
        r = optional_amount(reader, json, "maximumAmount", &price->has_maximum, &price->maximum);
    if (r == 0 && price->has_minimum && price->has_maximum &&
        decimal_compare(price->minimum, price->maximum) > 0)
        return refuse(reader, "maximum_below_minimum", "maximumAmount", "lies below minimumAmount");
    return r;
}

static int read_kind(struct reader *reader, const json_t *json, enum price_kind *kind)
{
    static const char *const type_names[] = {
        "flat",  "unit", "tiered", "package", "dynamic", "percentage", "graduated_percentage",
        "matrix"};
    static const enum price_kind kinds[] = {PRICE_FLAT,
                                            PRICE_UNIT,
                                            PRICE_GRADUATED,
                                            PRICE_PACKAGE,
                                            PRICE_DYNAMIC,
                                            PRICE_PERCENTAGE,
                                            PRICE_GRADUATED_PERCENTAGE,
                                            PRICE_MATRIX};
    static const char *const mode_names[] = {"graduated", "volume"};
    static const struct choice types = {type_names, ARRAY_LEN(type_names), "invalid_price_type"};
    static const struct choice modes = {mode_names, ARRAY_LEN(mode_names), "invalid_price_mode"};
    size_t type, mode;
    int r = choice_of(reader, json, "type", &types, &type);

    if (r)
        return r;
    if (!json_is_string(json_object_get(json, "type")))
        return refuse(reader, "missing_member", "type", "is missing");
    *kind = kinds[type];
    if (*kind != PRICE_GRADUATED)
        return 0;
    if (!is_given(json_object_get(json, "mode")))
        return refuse(reader, "missing_member", "mode", "is missing");
    r = choice_of(reader, json, "mode", &modes, &mode);
    if (r == 0 && mode == 1)
        *kind = PRICE_VOLUME;
    return r;
}

static int read_model(struct reader *reader, const json_t *json, struct price *price)
{
    static const char *const term_names[] = {"in_advance", "in_arrears"};
    static const struct choice terms = {term_names, ARRAY_LEN(term_names), "invalid_payment_term"};
    bool given;
    size_t term;
    int r;

    switch (price->kind) {
    case PRICE_GRADUATED:
    case PRICE_VOLUME:
    case PRICE_GRADUATED_PERCENTAGE:
        return read_tiers(reader, json, price);
    case PRICE_PERCENTAGE:
        return read_percentage(reader, json, price);
    case PRICE_MATRIX:
        return read_matrix(reader, json, price);
    case PRICE_DYNAMIC:
        price->amount = decimal_from_int(1);
        return optional_amount(reader, json, "multiplier", &given, &price->amount);
    case PRICE_PACKAGE:
        r = positive_amount(reader, json, "quantityPerPackage", "package_size_invalid",
                            &price->package_size);
        return r ? r : required_amount(reader, json, "amount", &price->amount);
    case PRICE_FLAT:
        r = choice_of(reader, json, "paymentTerm", &terms, &term);
        price->term = term == 1 ? PRICE_IN_ARREARS : PRICE_IN_ADVANCE;
        return r ? r : required_amount(reader, json, "amount", &price->amount);
    case PRICE_UNIT:
        break;
    }
    return required_amount(reader, json, "amount", &price->amount);
}

int price_read(const json_t *json, struct arena *arena, struct price *price,
               struct price_issue *issue)
{
    struct reader reader = {.arena = arena, .issue = issue};
    struct price read = {.term = PRICE_IN_ARREARS};
    int r;

    if (!json_is_object(json))
        return refuse(&reader, "invalid_price", "", "isn't an object");
    r = read_kind(&reader, json, &read.kind);
    if (r == 0)
        r = read_model(&reader, json, &read);
    if (r == 0 && read.kind != PRICE_FLAT)
        r = read_commitments(&reader, json, &read);
    if (r == 0)
        r = read_conversion(&reader, json, &read.conversion);
    if (r)
        return r;
    *price = read;
    return 0;
}

int price_read_discounts(const json_t *json, struct price_discounts *discounts,
                         struct price_issue *issue)
{
    struct reader reader = {.issue = issue};
    struct price_discounts read = {0};
    const json_t *percent = json_object_get(json, "percentage");
    const json_t *usage;
    int r;

    if (!is_given(json)) {
        *discounts = read;
        return 0;
    }
    r = is_given(percent) ? decimal_of(&reader, percent, "percentage", &read.percent) : 0;
    usage = json_object_get(json, "usage");
    if (json_is_object(usage)) /* the catalog's {"quantity"}; a rating's amount stands alone */
        usage = json_object_get(usage, "quantity");
    if (r == 0 && is_given(usage))
        r = amount_of(&reader, usage, "usage", &read.usage);
    if (r)
        return r;
    if (read.percent.units < 0 || decimal_compare(read.percent, decimal_from_int(100)) > 0)
        return refuse(&reader, "percentage_discount_invalid_value", "percentage", "isn't 0 to 100");
    *discounts = read;
    return 0;
}

const char *price_kind_name(enum price_kind kind)
{
    static const char *const names[] = {"flat",    "unit",    "graduated",  "volume",
                                        "package", "dynamic", "percentage", "graduated_percentage",
                                        "matrix"};

    return names[kind];
}

bool price_is_of_usage(const struct price *price)
{
    return price->kind != PRICE_FLAT;
}
