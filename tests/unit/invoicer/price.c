/*
 * price.c - prices are written as they are read, and records that aren't right are refused.
 */
#include "invoicer/rules/plan.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static json_t *json_of(const char *text)
{
    char *quoted = text_copy(text_of(text));
    json_t *json;

    for (char *at = quoted; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    json = json_loads(quoted, 0, NULL);
    cr_assert_not_null(json, "%s", quoted);
    free(quoted);
    return json;
}

static void write_price(const json_t *json, struct buffer *buffer)
{
    CLEANUP(arena_deinit) struct arena arena;
    struct price_issue issue = {0};
    struct price price;

    arena_init(&arena, 1 << 20);
    cr_assert_eq(price_read(json, &arena, &price, &issue), 0, "%s %s", issue.pointer, issue.detail);
    price_write(&price, buffer);
}

Test(price, what_was_written_is_read_as_the_same_price)
{
    static const char *const prices[] = {
        "{'type':'flat','amount':'9.990'}",
        "{'type':'flat','amount':'9.99','paymentTerm':'in_arrears'}",
        "{'type':'unit','amount':'0.001','minimumAmount':'5','maximumAmount':'50'}",
        "{'type':'tiered','mode':'graduated','tiers':[{'upToAmount':'1','flatPrice':'2'},"
        "{'upToAmount':null,'unitPrice':{'type':'unit','amount':'3'}}]}",
        "{'type':'tiered','mode':'volume','tiers':[{'flatPrice':'2','unitPrice':'1'}]}",
        "{'type':'package','amount':'10','quantityPerPackage':'1000'}",
        "{'type':'dynamic'}",
        "{'type':'dynamic','multiplier':'1.2','unitConversion':{'operation':'divide',"
        "'factor':'1000','rounding':'half_away','precision':2}}",
        "{'type':'percentage','rate':'1.3','fixedAmount':'2','freeAmount':'250','freeEvents':'3',"
        "'eventMinimum':'0.5','eventMaximum':'20'}",
        "{'type':'graduated_percentage','tiers':[{'upToAmount':'10','rate':'1',"
        "'flatPrice':{'type':'flat','amount':'200'}},{'rate':'0.5'}]}",
        "{'type':'matrix','dimensions':['region','model'],'values':[{'match':{'region':'eu',"
        "'model':'large'},'amount':'0.2'}],'amount':'0.1'}",
    };

    for (size_t i = 0; i < ARRAY_LEN(prices); i++) {
        CLEANUP(buffer_deinit) struct buffer once = {0}, twice = {0};
        json_t *json = json_of(prices[i]), *again;

        write_price(json, &once);
        again = json_loadb(once.at, once.length, JSON_REJECT_DUPLICATES, NULL);
        cr_assert_not_null(again, "%.*s", (int)once.length, once.at);
        write_price(again, &twice);
        cr_assert(text_equal(buffer_text(&once), buffer_text(&twice)), "%.*s", (int)once.length,
                  once.at);
        json_decref(json);
        json_decref(again);
    }
}

Test(price, is_written_in_one_spelling)
{
    CLEANUP(buffer_deinit) struct buffer found = {0};
    json_t *json = json_of("{'tiers':[{'flatPrice':{'amount':'5.00','type':'flat'},"
                           "'upToAmount':'10'},{'unitPrice':'0.50'}],'mode':'graduated',"
                           "'type':'tiered','minimumAmount':'1.0'}");

    write_price(json, &found);

    cr_assert(text_is(buffer_text(&found),
                      "{\"type\":\"tiered\",\"mode\":\"graduated\",\"tiers\":[{\"upToAmount\":"
                      "\"10\",\"flatPrice\":{\"type\":\"flat\",\"amount\":\"5\"},\"unitPrice\":"
                      "null},{\"upToAmount\":null,\"flatPrice\":null,\"unitPrice\":{\"type\":"
                      "\"unit\",\"amount\":\"0.5\"}}],\"minimumAmount\":\"1\"}"),
              "%.*s", (int)found.length, found.at);
    json_decref(json);
}

Test(price, a_full_arena_is_an_issue_not_a_crash)
{
    json_t *json = json_of("{'type':'matrix','dimensions':['region'],'values':[{'match':"
                           "{'region':'eu'},'amount':'0.2'}],'amount':'0.1'}");
    struct price_issue issue = {0};
    struct price price = {.kind = PRICE_VOLUME};

    for (size_t limit = 0; limit < 192; limit += 16) {
        CLEANUP(arena_deinit) struct arena arena;

        arena_init(&arena, limit);
        if (price_read(json, &arena, &price, &issue) == 0)
            continue;
        cr_assert_str_eq(issue.code, "too_large");
        cr_assert_eq(price.kind, PRICE_VOLUME);
    }
    cr_assert_not_null(issue.code);
    json_decref(json);
}

Test(plan, records_that_arent_whole_are_refused)
{
    static const char *const records[] = {
        "{}",
        "{'key':'a','billingCadence':'P1M','currency':'USD'}",
        "{'key':'a','billingCadence':'P1M','currency':'XXX','phases':[{'key':'b','rateCards':[]}]}",
        "{'key':'a','billingCadence':'P0M','currency':'USD','phases':[{'key':'b','rateCards':[]}]}",
        "{'key':'a','billingCadence':'P1M','currency':'USD','phases':[{'rateCards':[]}]}",
        "{'key':'a','billingCadence':'P1M','currency':'USD','phases':[{'key':'b','rateCards':[]},"
        "{'key':'c','rateCards':[]}]}",
        "{'key':'a','billingCadence':'P1M','currency':'USD','phases':[{'key':'b','rateCards':["
        "{'key':'c','type':'usage_based','billingCadence':'P1M'}]}]}",
        "{'key':'a','billingCadence':'P1M','currency':'USD','phases':[{'key':'b','rateCards':["
        "{'key':'c','type':'flat_fee','price':{'type':'flat'}}]}]}",
    };

    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        CLEANUP(arena_deinit) struct arena arena;
        struct price_issue issue = {0};
        struct plan plan = {.version = 77};
        json_t *json = json_of(records[i]);

        arena_init(&arena, 1 << 20);
        cr_assert_eq(plan_read(json, &arena, &plan, &issue), PLAN_MALFORMED, "%s", records[i]);
        cr_assert_not_null(issue.code);
        cr_assert_eq(plan.version, 77);
        json_decref(json);
    }
}
