#include "invoicer/rules/plan_life.h"
#include "invoicer/rules/plan_show.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct instant at(const char *text)
{
    struct instant instant;

    cr_assert_eq(instant_parse(text_of(text), &instant), 0);
    return instant;
}

/* From `from` to `to`, either of them perhaps "". */
static json_t *version(int number, const char *from, const char *to)
{
    json_t *record = json_pack("{s:s,s:i,s:s}", "key", "pro", "version", number, "name", "Pro");

    if (*from)
        json_object_set_new(record, "effectiveFrom", json_string(from));
    if (*to)
        json_object_set_new(record, "effectiveTo", json_string(to));
    return record;
}

static enum plan_status status(const char *from, const char *to, const char *now)
{
    json_t *record = version(1, from, to);
    enum plan_status found = plan_status_of(record, at(now));

    json_decref(record);
    return found;
}

Test(plan_life, a_version_is_for_sale_from_its_first_moment_until_its_end)
{
    static const char from[] = "2026-01-01T00:00:00Z", to[] = "2026-02-01T00:00:00Z";

    cr_assert_eq(status(from, to, "2025-12-31T23:59:59Z"), PLAN_SCHEDULED);
    cr_assert_eq(status(from, to, from), PLAN_ACTIVE);
    cr_assert_eq(status(from, to, "2026-01-31T23:59:59Z"), PLAN_ACTIVE);
    cr_assert_eq(status(from, to, to), PLAN_ARCHIVED);
    cr_assert_eq(status("", "", from), PLAN_ACTIVE);
    /* One that was archived before it began never begins. */
    cr_assert_eq(status(to, from, from), PLAN_ARCHIVED);
}

Test(plan_life, a_key_names_the_newest_version_that_is_active)
{
    struct catalog_state state;

    catalog_state_init(&state);
    state.now = at("2026-01-15T00:00:00Z");
    cr_assert_eq(plan_current_version(&state, "pro"), 0);
    catalog_state_put(&state, "plan/pro@1", version(1, "2025-01-01T00:00:00Z", ""));
    catalog_state_put(&state, "plan/pro@2", version(2, "2026-01-01T00:00:00Z", ""));
    catalog_state_put(&state, "plan/pro@3", version(3, "2026-02-01T00:00:00Z", ""));

    cr_assert_eq(plan_current_version(&state, "pro"), 2);
    catalog_state_put(&state, "plan/pro@2", version(2, "", "2026-01-15T00:00:00Z"));
    cr_assert_eq(plan_current_version(&state, "pro"), 1);
    state.now = at("2026-02-01T00:00:00Z");
    cr_assert_eq(plan_current_version(&state, "pro"), 3);
    catalog_state_deinit(&state);
}

Test(plan_life, versions_say_the_same_whenever_they_are_for_sale)
{
    json_t *one = version(1, "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    json_t *two = version(2, "", "");

    cr_assert(plan_says_the_same(one, two));
    json_object_set_new(two, "name", json_string("Another"));
    cr_assert_not(plan_says_the_same(one, two));
    json_decref(one);
    json_decref(two);
}

/* Whatever was written stands in a draft; looking at it only says what is wrong. */
Test(plan_life, a_draft_of_anything_can_be_shown)
{
    static const char *const plans[] = {
        "{'key':'x'}",
        "{'key':'x','phases':7,'currency':3,'name':[],'billingCadence':{}}",
        "{'key':'x','phases':[3,{'rateCards':{}},{'rateCards':[null,{'price':5,'prices':'a'}]}]}",
        "{'key':'x','phases':[{'rateCards':[{'type':'usage_based','price':{'type':'tiered','tiers':"
        "[1,{'unitPrice':[]}]},'prices':{'EUR':null}}]}]}",
        "{'key':'x','phases':[{'rateCards':[{'price':{'type':'matrix','values':[{'match':3}],"
        "'dimensions':'a\\u001b'}}]}]}",
    };
    struct catalog_state state;

    catalog_state_init(&state);
    for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
        CLEANUP(buffer_deinit) struct buffer text = {0};
        char quoted[512];
        json_t *plan, *draft, *shown;

        snprintf(quoted, sizeof(quoted), "%s", plans[i]);
        for (char *c = quoted; *c; c++)
            *c = *c == '\'' ? '"' : *c;
        plan = json_loads(quoted, 0, NULL);
        cr_assert_not_null(plan, "%s", quoted);
        draft = plan_draft_of(plan, "x", state.now);

        shown = plan_shown(draft, &state);
        plan_show_write(shown, &text);

        cr_assert_gt(json_array_size(json_object_get(shown, "validationErrors")), 0);
        cr_assert_str_eq(json_string_value(json_object_get(shown, "status")), "draft");
        cr_assert_null(memchr(text.at, '\033', text.length));
        json_decref(shown);
        json_decref(draft);
        json_decref(plan);
    }
    catalog_state_deinit(&state);
}

static bool is_lower(const char *order, const char *new_plan, const char *old_plan)
{
    json_t *configuration = json_loads(order, 0, NULL);
    json_t *to = json_loads(new_plan, 0, NULL), *from = json_loads(old_plan, 0, NULL);
    bool lower = plan_is_lower(configuration, to, from);

    json_decref(configuration);
    json_decref(to);
    json_decref(from);
    return lower;
}

Test(plan_life, a_change_to_a_plan_that_stands_before_is_a_downgrade)
{
    static const char order[] = "{\"planOrder\":[\"starter\",\"pro\"]}";
    static const char starter[] = "{\"key\":\"starter\"}", pro[] = "{\"key\":\"pro\"}";
    static const char own[] =
        "{\"key\":\"starter\",\"metadata\":{\"zuplo_private_plan\":\"true\"}}";

    cr_expect(is_lower(order, starter, pro));
    cr_expect(!is_lower(order, pro, starter));
    cr_expect(!is_lower(order, pro, pro), "another version of it");
    cr_expect(!is_lower(order, "{\"key\":\"other\"}", pro), "one that isn't in the order");
    cr_expect(!is_lower(order, starter, "{\"key\":\"other\"}"));
    cr_expect(!is_lower(order, own, pro), "a private one");
    cr_expect(!is_lower("{}", starter, pro));
    cr_expect(!is_lower("null", starter, pro), "no configuration");
}
