/*
 * Prices that ask something of their meter (rating.md 16, 17). A matrix prices by dimensions of the
 * meter, which are part of what is counted; each value names all of them, once. A percentage is of
 * a sum of money; of the events behind it only their number is known when it is billed, so what
 * looks at each event's own amount can't be had in a catalog. A free amount can, where no fixed
 * amount asks which events lie beyond it.
 */
#include "invoicer/rules/catalog_check.h"

#include "invoicer/rules/price.h"

#include <string.h>

static const struct member value_members[] = {{"match", SHAPE_OBJECT, true},
                                              {"amount", SHAPE_AMOUNT, true}};

static void add_names(const json_t *object, struct buffer *names)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value)
    {
        buffer_add_string(names, names->length ? ", " : "");
        buffer_add_string(names, name);
    }
    if (!names->length)
        buffer_add_string(names, "none");
}

/* --- matrix --- */

static void check_dimension(struct catalog_check *check, const struct pointer *where,
                            const char *name, const json_t *meter)
{
    const json_t *group_by = json_object_get(meter, "groupBy");
    CLEANUP(buffer_deinit) struct buffer names = {0};

    if (!meter || json_object_get(group_by, name))
        return;
    add_names(group_by, &names);
    issue_add(check->issues, where, "matrix_dimension_not_in_group_by",
              "the price is by %s, which isn't in the groupBy of meter %s: that has %.*s", name,
              shape_string(meter, "slug"), (int)names.length, names.at);
}

static void check_dimensions(struct catalog_check *check, const struct pointer *where,
                             const json_t *price, const json_t *meter, json_t *seen)
{
    const json_t *names = json_object_get(price, "dimensions");
    json_t *name;
    size_t i;

    if (json_array_size(names) == 0 || json_array_size(names) > PRICE_DIMENSIONS_MAX)
        issue_add(check->issues, where, "matrix_dimensions_invalid",
                  "dimensions isn't an array of 1 to %d names", PRICE_DIMENSIONS_MAX);
    json_array_foreach((json_t *)names, i, name)
    {
        struct pointer place = pointer_element(where, i);
        const char *text = json_string_value(name);

        if (!text)
            issue_add(check->issues, &place, "invalid_type", "a dimension's name is a string");
        else if (json_object_get(seen, text))
            issue_add(check->issues, &place, "matrix_dimensions_invalid", "%s stands here twice",
                      text);
        else
            check_dimension(check, &place, text, meter);
        if (text)
            json_object_set_new(seen, text, json_true());
    }
}

static bool is_plain_text(const json_t *value)
{
    const char *text = json_string_value(value);

    for (size_t i = 0; text && i < json_string_length(value); i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return text != NULL;
}

/* Appends the values in the order of the dimensions; false when one is missing or no text. */
static bool matched_key(const json_t *match, const json_t *dimensions, struct buffer *key)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)dimensions, name, value)
    {
        const json_t *matched = json_object_get(match, name);

        if (!is_plain_text(matched))
            return false;
        buffer_add_json_string(key,
                               text_from(json_string_value(matched), json_string_length(matched)));
    }
    buffer_add_char(key, '\0');
    return json_object_size(match) == json_object_size(dimensions);
}

static void check_value(struct catalog_check *check, const struct pointer *where, json_t *value,
                        const json_t *dimensions, json_t *seen)
{
    struct pointer place = pointer_member(where, "match");
    CLEANUP(buffer_deinit) struct buffer key = {0};
    CLEANUP(buffer_deinit) struct buffer names = {0};
    const json_t *match;

    if (!shape_check(check->issues, where, value, value_members, ARRAY_LEN(value_members)))
        return;
    match = json_object_get(value, "match");
    if (!match)
        return;
    if (!matched_key(match, dimensions, &key)) {
        add_names(dimensions, &names);
        issue_add(check->issues, &place, "matrix_match_invalid",
                  "match doesn't give a text for exactly the dimensions %.*s", (int)names.length,
                  names.at);
        return;
    }
    if (json_object_get(seen, key.at))
        issue_add(check->issues, &place, "matrix_match_duplicated",
                  "another value matches the same dimensions");
    json_object_set_new(seen, key.at, json_true());
}

void catalog_check_matrix(struct catalog_check *check, const struct pointer *where, json_t *price,
                          const struct catalog_priced *of)
{
    struct pointer dimensions = pointer_member(where, "dimensions");
    struct pointer values = pointer_member(where, "values");
    json_t *names = json_object(), *seen = json_object();
    const json_t *list = json_object_get(price, "values");
    json_t *value;
    size_t i;

    if (json_object_get(price, "dimensions"))
        check_dimensions(check, &dimensions, price, of->meter, names);
    if (json_array_size(list) > PRICE_MATRIX_VALUES_MAX)
        issue_add(check->issues, &values, "too_many_matrix_values",
                  "a matrix has at most %d values", PRICE_MATRIX_VALUES_MAX);
    json_array_foreach((json_t *)list, i, value)
    {
        struct pointer place = pointer_element(&values, i);

        check_value(check, &place, value, names, seen);
    }
    json_decref(names);
    json_decref(seen);
}

static bool names_dimension(const json_t *price, const char *dimension)
{
    json_t *name;
    size_t i;

    json_array_foreach(json_object_get(price, "dimensions"), i, name)
    {
        if (text_is(text_of(json_string_value(name)), dimension))
            return true;
    }
    return false;
}

/* In whichever currency. */
static bool price_by(const json_t *card, const char *dimension)
{
    const char *currency;
    json_t *price;

    json_object_foreach(json_object_get(card, "prices"), currency, price)
    {
        if (names_dimension(price, dimension))
            return true;
    }
    return names_dimension(json_object_get(card, "price"), dimension);
}

/* Whether a plan has a card of the feature whose price is by the dimension. */
static bool prices_by(const json_t *plan, const char *feature, const char *dimension)
{
    json_t *phase, *card;
    size_t i, j;

    json_array_foreach(json_object_get(plan, "phases"), i, phase)
        json_array_foreach(json_object_get(phase, "rateCards"), j, card)
    {
        if (text_is(shape_text(card, "featureKey"), feature) && price_by(card, dimension))
            return true;
    }
    return false;
}

/* The first plan record that prices by the dimension; NULL: none does. */
static const char *user_of(const struct catalog_check *check, const char *slug,
                           const char *dimension)
{
    const char *key;
    json_t *record;

    json_object_foreach(check->state->records, key, record)
    {
        if (strncmp(key, "plan/", 5) == 0 && prices_by(record, slug, dimension))
            return key;
    }
    return NULL;
}

void catalog_check_dimension_use(struct catalog_check *check, const struct pointer *where,
                                 const json_t *meter)
{
    const char *slug = shape_string(meter, "slug"), *dimension;
    const json_t *before =
        json_object_get(catalog_state_find(check->state, "meter", slug), "groupBy");
    json_t *path;

    json_object_foreach((json_t *)before, dimension, path)
    {
        const char *plan;

        if (json_object_get(json_object_get(meter, "groupBy"), dimension))
            continue;
        plan = user_of(check, slug, dimension);
        if (plan)
            issue_add(check->issues, where, "dimension_in_use",
                      "meter %s needs its dimension %s: %s prices by it", slug, dimension, plan);
    }
}

/* --- percentage --- */

static bool has_fixed_amount(const json_t *price)
{
    const char *fixed = shape_string(price, "fixedAmount");

    return fixed && strcmp(fixed, "0") != 0;
}

void catalog_check_percentage(struct catalog_check *check, const struct pointer *where,
                              json_t *price, const struct catalog_priced *of)
{
    static const char *const of_events[] = {"freeEvents", "eventMinimum", "eventMaximum"};
    struct pointer free_place = pointer_member(where, "freeAmount");
    struct pointer type_place = pointer_member(where, "type");
    struct text aggregation = shape_text(of->meter, "aggregation");

    for (size_t i = 0; i < ARRAY_LEN(of_events); i++) {
        struct pointer place = pointer_member(where, of_events[i]);

        if (json_object_get(price, of_events[i]))
            issue_add(check->issues, &place, "percentage_needs_each_event",
                      "%s asks for the amount of each event, and a period is billed from their sum "
                      "and number: only rate and fixedAmount or freeAmount can stand here",
                      of_events[i]);
    }
    if (json_object_get(price, "freeAmount") && has_fixed_amount(price))
        issue_add(
            check->issues, &free_place, "percentage_needs_each_event",
            "freeAmount and fixedAmount together ask which events lie beyond the free amount, "
            "and a period is billed from their sum and number");
    if (of->meter && !text_is(aggregation, "SUM"))
        issue_add(check->issues, &type_place, "percentage_meter_not_sum",
                  "a percentage is of a sum of money, and meter %s is %s: it needs SUM",
                  shape_string(of->meter, "slug"), aggregation.at ? aggregation.at : "of no kind");
}
