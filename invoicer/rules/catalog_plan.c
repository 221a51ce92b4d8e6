/*
 * Plans and phases (product.md 1.6, 1.7). All phases but the last have a duration of at least an
 * hour; the last goes on for ever. Key and currency of a plan stay what they were in its first
 * version.
 */
#include "invoicer/rules/catalog_check.h"

#include "common/base/duration.h"

#include <string.h>

static const struct member plan_members[] = {
    {"key", SHAPE_KEY, true},
    {"name", SHAPE_NAME, true},
    {"description", SHAPE_DESCRIPTION, false},
    {"currency", SHAPE_CURRENCY, false},
    {"billingCadence", SHAPE_TEXT, true},
    {"phases", SHAPE_ARRAY, true},
    {"proRatingConfig", SHAPE_OBJECT, false},
    {"paymentMethodRequired", SHAPE_SWITCH, false},
    {"paymentRequired", SHAPE_SWITCH, false},
    {"alignment", SHAPE_OBJECT, false},
    {"defaultTaxConfig", SHAPE_OBJECT, false},
    {"metadata", SHAPE_MAP, false},
};

static const struct member phase_members[] = {
    {"key", SHAPE_KEY, true},
    {"name", SHAPE_NAME, true},
    {"description", SHAPE_DESCRIPTION, false},
    {"duration", SHAPE_TEXT, false},
    {"rateCards", SHAPE_ARRAY, true},
    {"metadata", SHAPE_MAP, false},
};

static const struct member pro_rating_members[] = {
    {"enabled", SHAPE_SWITCH, false},
    {"mode", SHAPE_TEXT, false},
};

static const struct member alignment_members[] = {{"billablesMustAlign", SHAPE_SWITCH, false}};

static void check_cadence(struct catalog_check *check, const struct pointer *where,
                          const json_t *plan)
{
    static const char *const cadences[] = {"PT1H", "P1D", "P1W", "P2W",  "P4W",
                                           "P1M",  "P3M", "P6M", "P12M", "P1Y"};
    struct pointer place = pointer_member(where, "billingCadence");
    const char *cadence = shape_string(plan, "billingCadence");

    for (size_t i = 0; i < ARRAY_LEN(cadences); i++)
        if (!cadence || strcmp(cadence, cadences[i]) == 0)
            return;
    issue_add(check->issues, &place, "plan_billing_cadence_invalid",
              "%s isn't one of PT1H, P1D, P1W, P2W, P4W, P1M, P3M, P6M, P12M, P1Y", cadence);
}

static void check_duration(struct catalog_check *check, const struct pointer *where,
                           const json_t *phase, bool is_last)
{
    struct pointer place = pointer_member(where, "duration");
    struct text text = shape_text(phase, "duration");
    struct duration duration;

    if (is_last && !text_is_absent(text))
        issue_add(check->issues, &place, "plan_has_last_phase_with_duration",
                  "the last phase goes on for ever and has no duration");
    else if (!is_last && text_is_absent(text))
        issue_add(check->issues, &place, "plan_has_non_last_phase_with_no_duration",
                  "every phase but the last needs a duration");
    else if (!text_is_absent(text) && text.at[0] == '-')
        issue_add(check->issues, &place, "plan_phase_with_negative_duration", "%s is negative",
                  text.at);
    else if (!text_is_absent(text) &&
             (duration_parse(text, &duration) || duration.seconds % 60 != 0))
        issue_add(check->issues, &place, "invalid_duration",
                  "%s isn't an ISO 8601 duration of whole minutes, such as P1M or P2W", text.at);
    else if (!text_is_absent(text) && !duration_lasts_an_hour(duration))
        issue_add(check->issues, &place, "plan_phase_duration_less_then_an_hour",
                  "%s is shorter than an hour", text.at);
}

static void check_repeated(struct catalog_check *check, const struct pointer *where, json_t *seen,
                           const json_t *object, const char *code)
{
    struct pointer place = pointer_member(where, "key");
    const char *key = shape_string(object, "key");

    if (!key)
        return;
    if (json_object_get(seen, key))
        issue_add(check->issues, &place, code, "key %s stands here twice", key);
    json_object_set_new(seen, key, json_true());
}

static void check_cards(struct catalog_check *check, const struct pointer *where, json_t *cards,
                        const json_t *plan)
{
    json_t *seen = json_object();
    json_t *card;
    size_t i;

    if (json_array_size(cards) == 0)
        issue_add(check->issues, where, "plan_phase_has_no_rate_cards",
                  "a phase needs at least one rate card");
    if (json_array_size(cards) > CATALOG_CARDS_MAX)
        issue_add(check->issues, where, "too_many_rate_cards", "a phase has at most %d rate cards",
                  CATALOG_CARDS_MAX);
    json_array_foreach(cards, i, card)
    {
        struct pointer place = pointer_element(where, i);

        catalog_check_card(check, &place, card, plan);
        check_repeated(check, &place, seen, card, "rate_card_duplicated_key");
    }
    json_decref(seen);
}

/* What isn't there is as empty as [], and has its code: plan_with_no_phases and its like. */
static void default_list(json_t *object, const char *name)
{
    if (json_is_object(object) && json_is_null(json_object_get(object, name)))
        json_object_del(object, name);
    if (json_is_object(object))
        shape_default(object, name, json_array());
}

static void check_phases(struct catalog_check *check, const struct pointer *where, json_t *phases,
                         const json_t *plan)
{
    json_t *seen = json_object();
    json_t *phase;
    size_t i;

    if (json_array_size(phases) == 0)
        issue_add(check->issues, where, "plan_with_no_phases", "a plan needs at least one phase");
    if (json_array_size(phases) > CATALOG_PHASES_MAX)
        issue_add(check->issues, where, "too_many_phases", "a plan has at most %d phases",
                  CATALOG_PHASES_MAX);
    json_array_foreach(phases, i, phase)
    {
        struct pointer place = pointer_element(where, i);
        struct pointer cards = pointer_member(&place, "rateCards");

        default_list(phase, "rateCards");
        if (!shape_check(check->issues, &place, phase, phase_members, ARRAY_LEN(phase_members)))
            continue;
        check_repeated(check, &place, seen, phase, "plan_phase_duplicated_key");
        check_duration(check, &place, phase, i + 1 == json_array_size(phases));
        if (json_object_get(phase, "rateCards"))
            check_cards(check, &cards, json_object_get(phase, "rateCards"), plan);
    }
    json_decref(seen);
}

static void check_pro_rating(struct catalog_check *check, const struct pointer *where, json_t *plan)
{
    static const char *const modes[] = {"max_consumption_based", "time_based", "none"};
    struct pointer place = pointer_member(where, "proRatingConfig");
    struct pointer mode_place = pointer_member(&place, "mode");
    json_t *config;
    const char *mode;

    shape_default(plan, "proRatingConfig", json_object());
    config = json_object_get(plan, "proRatingConfig");
    if (!shape_check(check->issues, &place, config, pro_rating_members,
                     ARRAY_LEN(pro_rating_members)))
        return;
    shape_default(config, "enabled", json_true());
    shape_default_string(config, "mode", modes[0]);
    mode = shape_string(config, "mode");
    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        if (strcmp(mode, modes[i]) == 0)
            return;
    issue_add(check->issues, &mode_place, "invalid_pro_rating_mode",
              "%s isn't max_consumption_based, time_based or none", mode);
}

static void check_currency(struct catalog_check *check, const struct pointer *where, json_t *plan)
{
    struct pointer place = pointer_member(where, "currency");
    const char *key = shape_string(plan, "key");
    struct text before;

    shape_default_string(plan, "currency", "USD");
    if (!key)
        return;
    before =
        shape_text(catalog_state_plan(check->state, key, catalog_state_version(check->state, key)),
                   "currency");
    if (!text_is_absent(before) && !text_equal(before, shape_text(plan, "currency")))
        issue_add(check->issues, &place, "plan_currency_immutable",
                  "plan %s is in %s for good: another currency is another plan", key, before.at);
}

static bool is_unaligned(const json_t *card, struct duration plan)
{
    struct duration cadence;

    return duration_parse(shape_text(card, "billingCadence"), &cadence) == 0 &&
           duration_lasts_an_hour(cadence) && !duration_align(cadence, plan);
}

/* Where no card's cadence fits, the plan's is the one to change. */
static void check_compatible(struct catalog_check *check, const struct pointer *where,
                             const json_t *plan)
{
    struct pointer place = pointer_member(where, "billingCadence");
    struct duration cadence;
    size_t recurring = 0, unaligned = 0, i, j;
    json_t *phase, *card;

    if (duration_parse(shape_text(plan, "billingCadence"), &cadence))
        return;
    json_array_foreach(json_object_get(plan, "phases"), i, phase)
        json_array_foreach(json_object_get(phase, "rateCards"), j, card)
    {
        recurring += json_object_get(card, "billingCadence") != NULL;
        unaligned += is_unaligned(card, cadence);
    }
    if (unaligned > 0 && unaligned == recurring)
        issue_add(check->issues, &place, "plan_billing_cadence_not_compatible",
                  "the plan's %s fits the billingCadence of none of its rate cards",
                  shape_string(plan, "billingCadence"));
}

/* paymentRequired is the portal's name of paymentMethodRequired (product.md 9.12). */
static void check_payment(json_t *plan)
{
    json_t *alias = json_object_get(plan, "paymentRequired");

    if (alias) {
        shape_default(plan, "paymentMethodRequired", json_incref(alias));
        json_object_del(plan, "paymentRequired");
    }
}

void catalog_check_plan(struct catalog_check *check, const struct pointer *where, json_t *plan)
{
    struct pointer phases = pointer_member(where, "phases");
    struct pointer alignment = pointer_member(where, "alignment");
    struct pointer tax = pointer_member(where, "defaultTaxConfig");

    default_list(plan, "phases");
    if (!shape_check(check->issues, where, plan, plan_members, ARRAY_LEN(plan_members)))
        return;
    check_cadence(check, where, plan);
    check_currency(check, where, plan);
    check_payment(plan);
    check_pro_rating(check, where, plan);
    catalog_check_tax(check, &tax, json_object_get(plan, "defaultTaxConfig"));
    if (json_object_get(plan, "alignment") &&
        !shape_check(check->issues, &alignment, json_object_get(plan, "alignment"),
                     alignment_members, ARRAY_LEN(alignment_members)))
        return;
    if (json_object_get(plan, "phases"))
        check_phases(check, &phases, json_object_get(plan, "phases"), plan);
    check_compatible(check, where, plan);
    catalog_check_price_lists(check, where, plan);
    catalog_check_features_of(check, where, plan);
}
