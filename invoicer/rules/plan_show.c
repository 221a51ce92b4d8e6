#include "invoicer/rules/plan_show.h"

#include "invoicer/rules/catalog_check.h"

#include <stdlib.h>
#include <string.h>

enum { SUMMARY_TIERS_SHOWN_MAX = 4 };

static const char *member(const json_t *object, const char *name)
{
    const char *text = shape_string(object, name);

    return text ? text : "";
}

/* Texts come from outside: what a terminal would obey is shown as '?'. */
static void add_safe(struct buffer *text, const char *from)
{
    for (; *from; from++) {
        unsigned char c = (unsigned char)*from;

        buffer_add_char(text, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
}

/* --- what is shown --- */

static json_t *currencies_of(const json_t *plan)
{
    CLEANUP(buffer_deinit) struct buffer list = {0};
    json_t *currencies = json_array();
    struct text rest, code;

    if (!shape_string(plan, "currency"))
        return currencies;
    plan_currencies(plan, &list);
    rest = buffer_text(&list);
    while (rest.length > 0) {
        code = text_cut(&rest, ',');
        json_array_append_new(currencies, json_stringn(code.at, code.length));
        if (rest.length > 0 && rest.at[0] == ' ') {
            rest.at++;
            rest.length--;
        }
    }
    return currencies;
}

static bool is_draft(const json_t *record)
{
    return json_is_object(json_object_get(record, "plan"));
}

json_t *plan_shown(const json_t *record, const struct catalog_state *state)
{
    struct issues ignored = {0};
    json_t *shown, *strict;

    if (!is_draft(record)) {
        shown = json_copy((json_t *)record);
        json_object_set_new(shown, "status",
                            json_string(plan_status_name(plan_status_of(record, state->now))));
        json_object_set_new(shown, "currencies", currencies_of(record));
        return shown;
    }
    shown = json_copy(json_object_get(record, "plan"));
    strict = plan_strict(shown, state, &ignored);
    issues_deinit(&ignored);
    json_object_set_new(shown, "status", json_string(plan_status_name(PLAN_DRAFT)));
    json_object_set_new(shown, "currencies", currencies_of(strict));
    json_object_set_new(shown, "validationErrors", plan_validation_errors(record, state));
    json_decref(strict);
    return shown;
}

static json_t *row_of(const json_t *record, const struct catalog_state *state,
                      const json_t *subscribers)
{
    static const char *const kept[] = {"key",        "version",        "name",
                                       "status",     "effectiveFrom",  "effectiveTo",
                                       "currencies", "billingCadence", "validationErrors"};
    json_t *shown = plan_shown(record, state), *row = json_object(), *count;
    CLEANUP(buffer_deinit) struct buffer id = {0};

    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (json_object_get(shown, kept[i]))
            json_object_set(row, kept[i], json_object_get(shown, kept[i]));
    if (!is_draft(record)) {
        buffer_printf(&id, "%s@%lld", member(record, "key"),
                      (long long)json_integer_value(json_object_get(record, "version")));
        buffer_add_char(&id, '\0');
        count = json_object_get(subscribers, id.at);
        json_object_set_new(row, "subscriptions", json_integer(json_integer_value(count)));
    }
    json_decref(shown);
    return row;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys of all plans and drafts, each once, in order; the caller frees the array alone. */
static const char **keys_of(const struct catalog_state *state, size_t *count)
{
    size_t room = json_object_size(state->records) + json_object_size(state->versions) + 1;
    const char **keys = calloc(room, sizeof(*keys));
    const char *key;
    json_t *value;

    if (!keys)
        abort();
    *count = 0;
    json_object_foreach(state->versions, key, value) keys[(*count)++] = key;
    json_object_foreach(state->records, key, value)
    {
        if (strncmp(key, "draft/", 6) == 0 && !catalog_state_version(state, key + 6))
            keys[(*count)++] = key + 6;
    }
    qsort(keys, *count, sizeof(*keys), by_name);
    return keys;
}

json_t *plan_listed(const struct catalog_state *state, const json_t *subscribers)
{
    json_t *listed = json_array();
    size_t count;
    const char **keys = keys_of(state, &count);

    for (size_t i = 0; i < count; i++) {
        const json_t *draft = catalog_state_find(state, "draft", keys[i]);

        if (draft)
            json_array_append_new(listed, row_of(draft, state, subscribers));
        for (int64_t version = catalog_state_version(state, keys[i]); version > 0; version--) {
            const json_t *record = catalog_state_plan(state, keys[i], version);

            if (record)
                json_array_append_new(listed, row_of(record, state, subscribers));
        }
    }
    free(keys);
    return listed;
}

/* --- as text --- */

/* A draft holds whatever somebody wrote. */
static void tame(struct buffer *text, size_t from)
{
    for (size_t i = from; i < text->length; i++) {
        unsigned char c = (unsigned char)text->at[i];

        if ((c < 0x20 && c != '\n') || c == 0x7f)
            text->at[i] = '?';
    }
}

static void add_currencies(struct buffer *text, const json_t *shown)
{
    json_t *currency;
    size_t i;

    json_array_foreach(json_object_get(shown, "currencies"), i, currency)
    {
        buffer_printf(text, "%s%s", i ? ", " : "", json_string_value(currency));
    }
}

static void add_row(struct buffer *text, const json_t *row)
{
    CLEANUP(buffer_deinit) struct buffer id = {0};
    CLEANUP(buffer_deinit) struct buffer currencies = {0};
    json_int_t version = json_integer_value(json_object_get(row, "version"));
    size_t errors = json_array_size(json_object_get(row, "validationErrors"));

    add_safe(&id, member(row, "key"));
    if (version)
        buffer_printf(&id, "@%lld", (long long)version);
    add_currencies(&currencies, row);
    buffer_printf(text, "%-24.*s %-9s %-8s %-16.*s %5lld  %-20s %-20s ", (int)id.length, id.at,
                  member(row, "status"), member(row, "billingCadence"), (int)currencies.length,
                  currencies.at ? currencies.at : "",
                  (long long)json_integer_value(json_object_get(row, "subscriptions")),
                  member(row, "effectiveFrom"), member(row, "effectiveTo"));
    add_safe(text, member(row, "name"));
    if (errors)
        buffer_printf(text, " (%zu validation error%s)", errors, errors == 1 ? "" : "s");
    buffer_add_char(text, '\n');
}

void plan_list_write(const json_t *listed, struct buffer *text)
{
    json_t *row;
    size_t i;

    buffer_printf(text, "%-24s %-9s %-8s %-16s %5s  %-20s %-20s %s\n", "PLAN", "STATUS", "CADENCE",
                  "CURRENCIES", "SUBS", "FROM", "TO", "NAME");
    json_array_foreach((json_t *)listed, i, row)
    {
        add_row(text, row);
    }
    tame(text, 0);
}

static const char *part_of(const json_t *tier, const char *name)
{
    const json_t *part = json_object_get(tier, name);
    const char *amount =
        json_is_object(part) ? shape_string(part, "amount") : json_string_value(part);

    return amount;
}

/* "0.1 up to 1000, then 0.05": of a draft as far as it can be read. */
static void add_tiers(struct buffer *text, const json_t *price)
{
    const json_t *tiers = json_object_get(price, "tiers");
    bool is_rate = text_is(shape_text(price, "type"), "graduated_percentage");
    json_t *tier;
    size_t i;

    json_array_foreach((json_t *)tiers, i, tier)
    {
        const char *unit = part_of(tier, is_rate ? "rate" : "unitPrice");
        const char *flat = part_of(tier, "flatPrice"), *bound = shape_string(tier, "upToAmount");

        if (i == SUMMARY_TIERS_SHOWN_MAX) {
            buffer_printf(text, ", and %zu more tiers", json_array_size(tiers) - i);
            return;
        }
        buffer_printf(text, "%s%s%s%s%s%s%s%s", i ? ", then " : " ", unit ? unit : "",
                      unit && is_rate ? " %" : "", unit && flat ? " and " : "", flat ? flat : "",
                      flat ? " at once" : "", bound ? " up to " : "", bound ? bound : "");
    }
}

static void add_conversion(struct buffer *text, const json_t *price)
{
    const json_t *conversion = json_object_get(price, "unitConversion");

    if (conversion)
        buffer_printf(text, ", quantity %sd by %s",
                      text_is(shape_text(conversion, "operation"), "divide") ? "divide"
                                                                             : "multiplie",
                      member(conversion, "factor"));
}

static void add_price(struct buffer *text, const json_t *price)
{
    const char *type = member(price, "type");

    if (strcmp(type, "tiered") == 0)
        buffer_add_string(text, member(price, "mode"));
    else
        buffer_add_string(text, type);
    if (json_object_get(price, "tiers"))
        add_tiers(text, price);
    if (strcmp(type, "percentage") == 0)
        buffer_printf(text, " %s %%", member(price, "rate"));
    if (strcmp(type, "matrix") == 0)
        buffer_printf(text, " of %zu values, else",
                      json_array_size(json_object_get(price, "values")));
    if (shape_string(price, "amount"))
        buffer_printf(text, " %s", member(price, "amount"));
    if (shape_string(price, "multiplier"))
        buffer_printf(text, " %s", member(price, "multiplier"));
    if (shape_string(price, "quantityPerPackage"))
        buffer_printf(text, " for each %s", member(price, "quantityPerPackage"));
    if (shape_string(price, "freeAmount"))
        buffer_printf(text, " beyond %s", member(price, "freeAmount"));
    if (shape_string(price, "fixedAmount"))
        buffer_printf(text, " and %s an event", member(price, "fixedAmount"));
    if (strcmp(type, "flat") == 0)
        buffer_add_string(text, strcmp(member(price, "paymentTerm"), "in_arrears") == 0
                                    ? " in arrears"
                                    : " in advance");
    add_conversion(text, price);
}

static void add_card(struct buffer *text, const json_t *card, const char *currency)
{
    const char *key = shape_string(card, "key") ? member(card, "key") : member(card, "featureKey");
    const char *cadence = member(card, "billingCadence"), *further;
    const json_t *price = json_object_get(card, "price");
    json_t *other;

    buffer_add_string(text, "  ");
    add_safe(text, key);
    buffer_printf(text, ", %s%s: ", *cadence ? "every " : "once", cadence);
    if (!json_is_object(price)) {
        buffer_add_string(text, "free\n");
        return;
    }
    buffer_printf(text, "%s%s", currency, *currency ? " " : "");
    add_price(text, price);
    buffer_add_char(text, '\n');
    json_object_foreach(json_object_get(card, "prices"), further, other)
    {
        buffer_add_string(text, "      ");
        add_safe(text, further);
        buffer_add_char(text, ' ');
        add_price(text, other);
        buffer_add_char(text, '\n');
    }
}

static void add_phases(struct buffer *text, const json_t *shown)
{
    const json_t *phases = json_object_get(shown, "phases");
    json_t *phase, *card;
    size_t i, j;

    if (!json_is_array(phases))
        return;
    json_array_foreach((json_t *)phases, i, phase)
    {
        buffer_add_string(text, "Phase ");
        add_safe(text, member(phase, "key"));
        buffer_printf(text, "%s%s\n", *member(phase, "duration") ? ", for " : "",
                      member(phase, "duration"));
        json_array_foreach(json_object_get(phase, "rateCards"), j, card)
            add_card(text, card, member(shown, "currency"));
    }
}

static void add_errors(struct buffer *text, const json_t *shown)
{
    const json_t *errors = json_object_get(shown, "validationErrors");
    json_t *error;
    size_t i;

    if (json_array_size(errors) > 0)
        buffer_add_string(text, "Before it can be published:\n");
    json_array_foreach((json_t *)errors, i, error)
    {
        buffer_printf(text, "  %s: %s: ", member(error, "path"), member(error, "code"));
        add_safe(text, member(error, "message"));
        buffer_add_char(text, '\n');
    }
}

void plan_show_write(const json_t *shown, struct buffer *text)
{
    json_int_t version = json_integer_value(json_object_get(shown, "version"));
    const char *from = member(shown, "effectiveFrom"), *to = member(shown, "effectiveTo");

    add_safe(text, member(shown, "key"));
    if (version)
        buffer_printf(text, "@%lld", (long long)version);
    buffer_add_string(text, ", ");
    add_safe(text, member(shown, "name"));
    buffer_printf(text, ": %s", member(shown, "status"));
    if (*from || *to)
        buffer_printf(text, ", for sale%s%s%s%s", *from ? " from " : "", from, *to ? " to " : "",
                      to);
    buffer_add_char(text, '\n');
    buffer_printf(text, "Billed every %s in ", member(shown, "billingCadence"));
    add_currencies(text, shown);
    buffer_add_char(text, '\n');
    add_phases(text, shown);
    add_errors(text, shown);
    tame(text, 0);
}
