/*
 * stripe_delivery.c - the record of an invoice's way to Stripe: written, and read back.
 */
#include "invoicer/rules/stripe_delivery.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define BEGUN   "'state':'begun','attempt':2,'begunAt':'2026-12-01T02:00:00Z','customer':'cus_1'"
#define NOTHING ",'stripe':null,'number':null,'status':null,'reason':null"
#define STEPS   ",'steps':[{'path':'/v1/invoices','key':'k','body':'a=b'}]"

static struct arena arena;

static int read_record(const char *record, struct stripe_delivery *delivery)
{
    char json[2048];

    (void)snprintf(json, sizeof(json), "%s", record);
    for (char *at = json; *at; at++)
        if (*at == '\'')
            *at = '"';
    arena_deinit(&arena);
    arena_init(&arena, 1 << 20);
    return stripe_delivery_read(text_of(json), &arena, delivery);
}

static void assert_malformed(const char *record)
{
    struct stripe_delivery delivery = {.attempt = 7};

    cr_assert_eq(read_record(record, &delivery), STRIPE_DELIVERY_MALFORMED, "%s", record);
    cr_assert_eq(delivery.attempt, 7);
}

static void assert_comes_back(const char *record)
{
    CLEANUP(buffer_deinit) struct buffer json = {0};
    struct stripe_delivery delivery;

    cr_assert_eq(read_record(record, &delivery), 0, "%s", record);
    stripe_delivery_write(&delivery, &json);

    for (size_t i = 0; i < json.length; i++)
        if (json.at[i] == '"')
            json.at[i] = '\'';
    cr_assert(text_is(buffer_text(&json), record), "%.*s", (int)json.length, json.at);
}

Test(stripe_delivery, comes_back_from_its_record_whatever_its_state)
{
    assert_comes_back("{" BEGUN NOTHING STEPS "}");
    assert_comes_back("{'state':'finalized','attempt':1,'begunAt':'2026-12-01T02:00:00.500Z',"
                      "'customer':'cus_1','stripe':'in_1','number':'A-1','status':'open',"
                      "'reason':null,'steps':[]}");
    assert_comes_back("{'state':'held','attempt':0,'begunAt':'1970-01-01T00:00:00Z',"
                      "'customer':null,'stripe':null,'number':null,'status':null,"
                      "'reason':'give a customer','steps':[]}");
}

Test(stripe_delivery, keeps_the_bytes_that_may_have_been_sent)
{
    CLEANUP(buffer_deinit) struct buffer json = {0};
    const struct stripe_step steps[] = {
        {text_of("/v1/invoices"), text_of("k1"), text_of("a=\"b\\\xc3\x96\n")},
        {text_of("/v1/invoices/{invoice}/finalize"), text_of("k2"), text_of("c=d")},
    };
    const struct stripe_delivery written = {
        .attempt = INT64_MAX, .begun_at = {1}, .steps = steps, .step_count = 2};
    struct stripe_delivery read;

    stripe_delivery_write(&written, &json);
    arena_init(&arena, 1 << 20);
    cr_assert_eq(stripe_delivery_read(buffer_text(&json), &arena, &read), 0);

    cr_assert_eq(read.attempt, INT64_MAX);
    cr_assert_eq(read.begun_at.ns, 1);
    cr_assert_eq(read.step_count, 2);
    for (size_t i = 0; i < 2; i++) {
        cr_assert(text_equal(read.steps[i].path, steps[i].path));
        cr_assert(text_equal(read.steps[i].key, steps[i].key));
        cr_assert(text_equal(read.steps[i].body, steps[i].body));
    }
    arena_deinit(&arena);
}

Test(stripe_delivery, that_lacks_what_its_state_wants_is_malformed)
{
    assert_malformed("{" BEGUN NOTHING ",'steps':[]}");
    assert_malformed("{'state':'finalized','attempt':1,'begunAt':'2026-12-01T02:00:00Z',"
                     "'customer':'cus_1'" NOTHING ",'steps':[]}");
    assert_malformed("{'state':'held','attempt':1,'begunAt':'2026-12-01T02:00:00Z',"
                     "'customer':'cus_1'" NOTHING ",'steps':[]}");
    assert_malformed("{'state':'held','attempt':1,'begunAt':'2026-12-01T02:00:00Z',"
                     "'customer':null,'stripe':null,'number':null,'status':null,"
                     "'reason':'why'" STEPS "}");
}

Test(stripe_delivery, that_is_another_record_is_malformed)
{
    assert_malformed("");
    assert_malformed("[]");
    assert_malformed("{" BEGUN NOTHING STEPS);
    assert_malformed("{" BEGUN NOTHING "}");
    assert_malformed("{" BEGUN NOTHING ",'steps':{}}");
    assert_malformed("{" BEGUN NOTHING ",'steps':[1]}");
    assert_malformed("{" BEGUN NOTHING ",'steps':[{'path':'/v1/invoices','key':'k'}]}");
    assert_malformed("{" BEGUN NOTHING ",'steps':[{'path':'','key':'k','body':'b'}]}");
    assert_malformed("{" BEGUN ",'stripe':7,'number':null,'status':null,'reason':null" STEPS "}");
    assert_malformed("{" BEGUN ",'number':null,'status':null,'reason':null" STEPS "}");
    assert_malformed(
        "{'state':'sent','attempt':1,'begunAt':'2026-12-01T02:00:00Z','customer':null" NOTHING STEPS
        "}");
    assert_malformed(
        "{'state':'begun','attempt':0,'begunAt':'2026-12-01T02:00:00Z','customer':null" NOTHING
            STEPS "}");
    assert_malformed("{'state':'begun','attempt':'1','begunAt':'2026-12-01T02:00:00Z',"
                     "'customer':null" NOTHING STEPS "}");
    assert_malformed("{'state':'begun','attempt':1,'begunAt':'today','customer':null" NOTHING STEPS
                     "}");
    assert_malformed("{" BEGUN ",'attempt':3" NOTHING STEPS "}");
}

Test(stripe_delivery, that_has_no_room_says_so)
{
    static const char json[] = "{\"state\":\"held\",\"attempt\":1,\"begunAt\":"
                               "\"2026-12-01T02:00:00Z\",\"customer\":\"cus_1\",\"stripe\":null,"
                               "\"number\":null,\"status\":null,\"reason\":\"why\",\"steps\":[]}";
    struct stripe_delivery delivery;

    arena_init(&arena, 16);
    cr_assert_eq(stripe_delivery_read(text_of(json), &arena, &delivery), STRIPE_DELIVERY_NO_MEMORY);
    arena_deinit(&arena);
}

Test(stripe_delivery, is_settled_once_it_is_finalised)
{
    cr_assert(stripe_delivery_is_settled(text_of("{\"state\":\"finalized\",\"attempt\":1")));
    cr_assert_not(stripe_delivery_is_settled(text_of("{\"state\":\"begun\",\"attempt\":1")));
    cr_assert_not(stripe_delivery_is_settled(text_of("{\"state\":\"held\",\"attempt\":1")));
    for (enum stripe_state i = STRIPE_BEGUN; i <= STRIPE_HELD; i++) {
        CLEANUP(buffer_deinit) struct buffer json = {0};
        struct stripe_delivery delivery = {.state = i};

        stripe_delivery_write(&delivery, &json);
        cr_assert_eq(stripe_delivery_is_settled(buffer_text(&json)), i == STRIPE_FINALIZED, "%s",
                     stripe_state_name(i));
    }
}
