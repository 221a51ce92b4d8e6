/*
 * stripe_plan.c - the requests that make our invoice Stripe's. Those for the example of
 * tests/golden/invoice stand in tests/golden/stripe/plan.txt, each parameter on a line of its own;
 * TOLLWAY_UPDATE_GOLDEN=1 writes them anew, for a reader to check.
 */
#include "invoicer/rules/stripe_plan.h"

#include "common/base/money.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { JSON_MAX = 1 << 20 };

static const struct stripe_terms terms = {
    .account = {"acct_1", 6},
    .bucket = {"demo", 4},
    .is_live = false,
};
static struct arena arena;
static char why[STRIPE_WHY_MAX];

static void begin(void)
{
    arena_init(&arena, 64 << 20);
    why[0] = '\0';
}

static void end(void)
{
    arena_deinit(&arena);
}

TestSuite(stripe_expect, .init = begin, .fini = end);
TestSuite(stripe_plan, .init = begin, .fini = end);

static struct text read_file(const char *name)
{
    char path[512], *bytes = arena_take(&arena, JSON_MAX);
    size_t length;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/tests/golden/%s", TOLLWAY_SOURCE_DIR, name);
    file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    length = fread(bytes, 1, JSON_MAX, file);
    (void)fclose(file);
    return text_from(bytes, length);
}

/* Single quotes stand for double ones. */
static struct text json_of(const char *text)
{
    struct text copy = arena_copy(&arena, text_of(text));

    for (char *at = (char *)(uintptr_t)copy.at; at < copy.at + copy.length; at++)
        if (*at == '\'')
            *at = '"';
    return copy;
}

static struct text invoice_of(const char *currency, const char *total, const char *lines)
{
    CLEANUP(buffer_deinit) struct buffer json = {0};

    buffer_printf(&json,
                  "{'id':'I-1','subscription':'S','plan':{'name':'Pro'},'currency':'%s',"
                  "'boundary':'2026-03-01T00:00:00Z','ended':null,'begins':{'phase':'default',"
                  "'from':'2026-03-01T00:00:00Z','to':'2026-04-01T00:00:00Z'},'total':'%s',"
                  "'digest':'d','lines':[%s]}",
                  currency, total, lines);
    buffer_add_char(&json, '\0');
    return json_of(json.at);
}

#define PERIOD     "'period':{'from':'2026-02-01T00:00:00Z','to':'2026-03-01T00:00:00Z'}"
#define FEE(total) "{'id':'L','kind':'fee','name':'Fee'," PERIOD ",'total':'" total "'}"

/* --- what Stripe must hold --- */

static void assert_outcome(int outcome, const char *currency, const char *total, const char *lines)
{
    struct stripe_expected expected = {.total = 4711};
    struct text invoice = invoice_of(currency, total, lines);

    cr_assert_eq(stripe_expect(invoice, &arena, &expected, why), outcome, "%s", lines);
    cr_assert_eq(expected.total, 4711, "a refused call leaves its out parameter alone");
}

static void assert_description(const char *line, const char *description)
{
    char whole[4096];
    struct stripe_expected expected;

    (void)snprintf(whole, sizeof(whole), "{'id':'L'," PERIOD ",'total':'1.00',%s}", line);
    cr_assert_eq(stripe_expect(invoice_of("USD", "1.00", whole), &arena, &expected, why), 0, "%s",
                 line);
    cr_assert(text_is(expected.lines[0].description, description), "%.*s",
              (int)expected.lines[0].description.length, expected.lines[0].description.at);
}

Test(stripe_expect, the_example_has_a_line_for_each_of_ours)
{
    static const int64_t amounts[] = {44910, 132132, 200, 25000};
    struct stripe_expected expected;

    cr_assert_eq(stripe_expect(read_file("invoice/example.json"), &arena, &expected, why), 0);

    cr_assert(text_is(expected.invoice, "01ARZ3NDEKTSV4RRFFQ69G5FAV-20260301T0000Z"));
    cr_assert_str_eq(expected.currency, "usd");
    cr_assert_eq(expected.total, 202242);
    cr_assert_eq(expected.line_count, ARRAY_LEN(amounts));
    for (size_t i = 0; i < ARRAY_LEN(amounts); i++)
        cr_assert_eq(expected.lines[i].amount, amounts[i]);
    cr_assert_str_eq(expected.lines[3].key, "4");
}

Test(stripe_expect, a_period_ends_with_its_last_second)
{
    struct stripe_expected expected;

    cr_assert_eq(stripe_expect(invoice_of("USD", "1.00", FEE("1.00")), &arena, &expected, why), 0);

    cr_assert_eq(expected.lines[0].from_s, 1769904000); /* 2026-02-01T00:00:00Z */
    cr_assert_eq(expected.lines[0].to_s, 1772323199);   /* 2026-02-28T23:59:59Z */
}

Test(stripe_expect, a_period_without_an_end_or_of_a_moment_is_where_it_begins)
{
    struct stripe_expected expected;
    static const char *const ends[] = {"null", "'2026-02-01T00:00:00Z'", "'2026-02-01T00:00:01Z'"};

    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char line[256];

        (void)snprintf(line, sizeof(line),
                       "{'id':'L','kind':'fee','name':'Fee','total':'1.00','period':"
                       "{'from':'2026-02-01T00:00:00Z','to':%s}}",
                       ends[i]);
        cr_assert_eq(stripe_expect(invoice_of("USD", "1.00", line), &arena, &expected, why), 0);
        cr_assert_eq(expected.lines[0].from_s, 1769904000);
        cr_assert_eq(expected.lines[0].to_s, 1769904000, "%s", ends[i]);
    }
}

Test(stripe_expect, a_line_says_what_an_invoice_says)
{
    assert_description("'kind':'fee','name':'Platform fee','discount':'0.00'", "Platform fee");
    assert_description("'kind':'fee','name':'Fee','discount':'49.90','credit':'8.70'",
                       "Fee, less 49.90, less 8.70 of credit");
    assert_description("'kind':'usage','name':'Calls','quantity':'3168200','price':{'type':'unit'},"
                       "'details':[{'kind':'usage','quantity':'3168200','unitAmount':'0.0001'}]",
                       "Calls (3,168,200 x 0.0001)");
    assert_description("'kind':'usage','name':'Calls','quantity':'10','price':{'type':'tiered'},"
                       "'details':[{'kind':'usage','quantity':'10','unitAmount':'2'}]",
                       "Calls (10 x 2)");
    assert_description("'kind':'adjustment','name':'Calls','quantity':'1501000',"
                       "'billedQuantity':'1001000','discount':'-0.50'",
                       "Calls, adjusted (2026-02-01 to 2026-03-01: 1,501,000 instead of "
                       "1,001,000)");
}

Test(stripe_expect, a_unit_price_is_said_only_where_quantity_times_it_is_the_amount)
{
    assert_description("'kind':'usage','name':'Calls','quantity':'10','price':{'type':'tiered'},"
                       "'details':[{'kind':'usage','quantity':'4','unitAmount':'2'},"
                       "{'kind':'usage','quantity':'6','unitAmount':'1'}]",
                       "Calls (10)");
    assert_description("'kind':'usage','name':'Bytes','quantity':'1000','price':{'type':'unit'},"
                       "'details':[{'kind':'usage','quantity':'1','unitAmount':'2'}]",
                       "Bytes (1,000)");
    assert_description(
        "'kind':'usage','name':'Sales','quantity':'10','price':{'type':"
        "'percentage'},'details':[{'kind':'usage','quantity':'10','unitAmount':'2'}]",
        "Sales (10)");
    assert_description("'kind':'usage','name':'Calls','quantity':'0','details':[]", "Calls (0)");
}

Test(stripe_expect, a_long_name_gives_way_to_what_tells_its_line_from_others)
{
    char line[2048] = "'kind':'usage','quantity':'12','details':[],'name':'x";
    struct text said;
    struct stripe_expected expected;
    size_t length = strlen(line);

    for (; length < 1500; length += 3)
        memcpy(line + length, "\xe2\x82\xac", 3);
    (void)snprintf(line + length, sizeof(line) - length, "'");
    {
        char whole[4096];

        (void)snprintf(whole, sizeof(whole), "{'id':'L'," PERIOD ",'total':'1.00',%s}", line);
        cr_assert_eq(stripe_expect(invoice_of("USD", "1.00", whole), &arena, &expected, why), 0);
    }
    said = expected.lines[0].description;

    cr_assert(said.length <= 500 && said.length > 497, "%zu", said.length);
    cr_assert(text_is_utf8(said));
    cr_assert_eq(memcmp(said.at + said.length - 5, " (12)", 5), 0);
}

Test(stripe_expect, a_total_of_zero_is_nothing_to_hand_over)
{
    assert_outcome(STRIPE_PLAN_NOTHING, "USD", "0.00", FEE("0.00"));
    assert_outcome(STRIPE_PLAN_NOTHING, "USD", "0.00", FEE("1.00") "," FEE("-1.00"));
    assert_outcome(STRIPE_PLAN_NOTHING, "CLF", "0.0000", "");
}

Test(stripe_expect, what_stripe_can_not_count_is_unfit)
{
    assert_outcome(STRIPE_PLAN_UNFIT, "KWD", "5.124", FEE("5.124"));
    cr_assert_not_null(strstr(why, "give prices that come to no more decimals"), "%s", why);
    assert_outcome(STRIPE_PLAN_UNFIT, "KWD", "5.120", FEE("5.115") "," FEE("0.005"));
    assert_outcome(STRIPE_PLAN_UNFIT, "CLF", "5.1200", FEE("5.1200"));
}

Test(stripe_expect, an_id_that_metadata_can_not_hold_is_unfit)
{
    CLEANUP(buffer_deinit) struct buffer json = {0};
    struct stripe_expected expected;

    for (size_t length = 500; length <= 501; length++) {
        buffer_clear(&json);
        buffer_add_string(&json,
                          "{'currency':'USD','total':'1.00','lines':[" FEE("1.00") "],'id':'");
        for (size_t i = 0; i < length; i++)
            buffer_add_char(&json, 'i');
        buffer_add(&json, "'}", 3);
        cr_assert_eq(stripe_expect(json_of(json.at), &arena, &expected, why),
                     length == 500 ? 0 : STRIPE_PLAN_UNFIT);
    }
    cr_assert_not_null(strstr(why, "shorter ids"));
}

Test(stripe_expect, lines_that_do_not_sum_to_the_total_are_no_invoice_of_ours)
{
    assert_outcome(STRIPE_PLAN_MALFORMED, "USD", "1.01", FEE("1.00"));
    assert_outcome(STRIPE_PLAN_MALFORMED, "USD", "1.00", "");
    assert_outcome(STRIPE_PLAN_MALFORMED, "USD", "2.00",
                   FEE("92233720368547758.07") "," FEE("92233720368547758.07"));
}

Test(stripe_expect, what_is_no_invoice_is_malformed)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{'id':'I','currency':'XXX','total':'1.00','lines':[]}",
        "{'id':'I','currency':'USD','total':1,'lines':[]}",
        "{'id':'I','currency':'USD','total':'1.001','lines':[]}",
        "{'currency':'USD','total':'1.00','lines':[" FEE("1.00") "]}",
        "{'id':'I','currency':'USD','total':'1.00','lines':{}}",
        "{'id':'I','currency':'USD','total':'1.00','lines':[1]}",
        "{'id':'I','currency':'USD','total':'1.00','lines':[{'id':'L','total':'1.00','name':'N'}]}",
        "{'id':'I','currency':'USD','total':'1.00','lines':[{'id':'L','total':'1.00','name':''"
        "," PERIOD "}]}",
        "{'id':'I','currency':'USD','total':'1.00','lines':[{'id':'L','total':'1.00','name':'N',"
        "'period':{'from':'2026-02-01T00:00:00Z','to':'soon'}}]}",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct stripe_expected expected;

        cr_assert_eq(stripe_expect(json_of(texts[i]), &arena, &expected, why),
                     STRIPE_PLAN_MALFORMED, "%s", texts[i]);
    }
}

Test(stripe_expect, without_room_says_so)
{
    struct text invoice = invoice_of("USD", "1.00", FEE("1.00"));
    struct stripe_expected expected;
    int r = STRIPE_PLAN_NO_MEMORY;
    size_t limit = 0;

    for (; r == STRIPE_PLAN_NO_MEMORY; limit += 16) {
        struct arena small;

        arena_init(&small, limit);
        r = stripe_expect(invoice, &small, &expected, why);
        arena_deinit(&small);
    }
    cr_assert_eq(r, 0);
    cr_assert_gt(limit, 64);
}

/* --- a decoder of forms --- */

struct pair {
    struct text name, value;
};

static unsigned nibble(char c)
{
    const char *digits = "0123456789ABCDEF", *at = strchr(digits, c);

    cr_assert(c && at, "%c", c);
    return (unsigned)(at - digits);
}

static struct text decode(struct text text)
{
    char *out = arena_take(&arena, text.length + 1);
    size_t length = 0;

    for (size_t i = 0; i < text.length; i++) {
        cr_assert_neq(text.at[i], '+');
        if (text.at[i] != '%') {
            out[length++] = text.at[i];
            continue;
        }
        cr_assert_lt(i + 2, text.length);
        out[length++] = (char)(nibble(text.at[i + 1]) << 4 | nibble(text.at[i + 2]));
        i += 2;
    }
    return text_from(out, length);
}

static bool next_pair(struct text *body, struct pair *pair)
{
    struct text rest;

    if (body->length == 0)
        return false;
    rest = text_cut(body, '&');
    pair->name = decode(text_cut(&rest, '='));
    pair->value = decode(rest);
    return true;
}

static struct text value_of(struct text body, const char *name)
{
    struct pair pair;

    while (next_pair(&body, &pair))
        if (text_is(pair.name, name))
            return pair.value;
    return text_of(NULL);
}

static int64_t number_of(struct text text)
{
    struct decimal value;

    cr_assert_eq(decimal_parse_sum(text, &value), 0, "%.*s", (int)text.length, text.at);
    return (int64_t)(value.units / 1000000000000);
}

/* --- the requests --- */

struct planned {
    struct text invoice;
    struct stripe_expected expected;
    const struct stripe_step *steps;
    size_t count;
};

static void plan_with(struct text invoice, const struct stripe_terms *with, int64_t attempt,
                      struct planned *planned)
{
    *planned = (struct planned){.invoice = invoice};
    cr_assert_eq(stripe_expect(invoice, &arena, &planned->expected, why), 0, "%s", why);
    cr_assert_eq(stripe_plan(invoice, &planned->expected, with, text_of("cus_1"), attempt, &arena,
                             &planned->steps, &planned->count),
                 0);
}

static void write_step(const struct stripe_step *step, struct buffer *out)
{
    buffer_add_string(out, "POST ");
    buffer_add_text(out, step->path);
    buffer_add_string(out, "\nIdempotency-Key: ");
    buffer_add_text(out, step->key);
    buffer_add_string(out, "\n\n");
    for (size_t i = 0; i < step->body.length; i++) {
        buffer_add_string(out, i && step->body.at[i] == '&' ? "\n" : "");
        buffer_add_char(out, step->body.at[i]);
    }
    buffer_add_string(out, "\n\n");
}

Test(stripe_plan, of_the_example_is_these_bytes)
{
    CLEANUP(buffer_deinit) struct buffer found = {0};
    struct planned planned;
    char path[512];
    FILE *file;

    plan_with(read_file("invoice/example.json"), &terms, 1, &planned);
    for (size_t i = 0; i < planned.count; i++)
        write_step(&planned.steps[i], &found);
    if (getenv("TOLLWAY_UPDATE_GOLDEN")) {
        (void)snprintf(path, sizeof(path), "%s/tests/golden/stripe/plan.txt", TOLLWAY_SOURCE_DIR);
        file = fopen(path, "wb");
        cr_assert_not_null(file);
        cr_assert_eq(fwrite(found.at, 1, found.length, file), found.length);
        (void)fclose(file);
    }

    cr_assert(text_equal(buffer_text(&found), read_file("stripe/plan.txt")), "%.*s",
              (int)found.length, found.at);
}

Test(stripe_plan, is_sent_by_mail_where_the_terms_say_so)
{
    struct stripe_terms sent = terms;
    struct planned planned;
    struct text body;

    sent.is_sent = true;
    sent.days_until_due = 30;
    plan_with(invoice_of("USD", "1.00", FEE("1.00")), &sent, 1, &planned);
    body = planned.steps[0].body;

    cr_assert(text_is(value_of(body, "collection_method"), "send_invoice"));
    cr_assert(text_is(value_of(body, "days_until_due"), "30"));
    cr_assert(text_is(value_of(body, "description"), "Pro, 2026-03-01 to 2026-04-01"),
              "a first invoice has no period that ended");
}

static void assert_keys_differ(const struct stripe_terms *with, const char *invoice,
                               int64_t attempt, struct text *keys, size_t *count)
{
    struct planned planned;

    plan_with(json_of(invoice), with, attempt, &planned);
    for (size_t i = 0; i < planned.count; i++) {
        struct text key = planned.steps[i].key;

        cr_assert_eq(key.length, 64);
        for (size_t k = 0; k < *count; k++)
            cr_assert_not(text_equal(keys[k], key), "%zu and %zu", k, *count);
        keys[(*count)++] = key;
    }
}

Test(stripe_plan, keys_are_others_for_whatever_differs)
{
#define REST "','currency':'USD','total':'1.00','lines':[" FEE("1.00") "]}"
    struct stripe_terms other_account = terms, live = terms, other_bucket = terms, shifted = terms;
    struct text keys[64];
    size_t count = 0;

    other_account.account = text_of("acct_2");
    live.is_live = true;
    other_bucket.bucket = text_of("demo2");
    shifted.bucket = text_of("demoI");
    assert_keys_differ(&terms, "{'id':'I-1" REST, 1, keys, &count);
    assert_keys_differ(&terms, "{'id':'I-1" REST, 2, keys, &count);
    assert_keys_differ(&terms, "{'id':'I-11" REST, 1, keys, &count);
    assert_keys_differ(&other_account, "{'id':'I-1" REST, 1, keys, &count);
    assert_keys_differ(&live, "{'id':'I-1" REST, 1, keys, &count);
    assert_keys_differ(&other_bucket, "{'id':'I-1" REST, 1, keys, &count);
    assert_keys_differ(&shifted, "{'id':'-1" REST, 1, keys, &count);

    cr_assert_eq(count, 21);
#undef REST
}

/* --- generated invoices --- */

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (random_state >> 33) % bound;
}

/* Amounts are in whole units of the currency's, and its last digit but one. */
static void generate(const struct currency *currency, size_t lines, struct buffer *json,
                     struct money *total)
{
    static const char *const names[] = {"Fee", "50 % & <b>", "\xc3\x96sterreich \xe2\x82\xac",
                                        "a=b&c[d]+e", "\\n\\u0007"};
    char text[MONEY_TEXT_MAX];

    *total = (struct money){0};
    for (size_t i = 0; i < lines; i++) {
        struct money amount = {((int128)random_below(2000000) - 500000) * 10};

        total->minor += amount.minor;
        (void)money_format(amount, currency, text);
        buffer_printf(json,
                      "%s{'id':'line/%zu','kind':'%s','name':'%s','quantity':'%zu',"
                      "'billedQuantity':'7','details':[],'total':'%s'," PERIOD "}",
                      i ? "," : "", i, random_below(2) ? "usage" : "adjustment",
                      names[random_below(ARRAY_LEN(names))], i * 1001, text);
    }
    buffer_add_char(json, '\0');
}

struct tally {
    int64_t sum;
    size_t lines;
    bool seen[STRIPE_LINES_MAX + 1];
};

static void count_pair(const struct pair *pair, struct tally *tally)
{
    static const char key[] = "[metadata][tollway_line]", amount[] = "[amount]";
    struct text name = pair->name;

    cr_assert(pair->value.length > 0 && pair->value.length <= 500);
    cr_assert(text_is_utf8(pair->value));
    if (memmem(name.at, name.length, amount, strlen(amount))) {
        tally->sum += number_of(pair->value);
    } else if (memmem(name.at, name.length, key, strlen(key))) {
        int64_t number = number_of(pair->value);

        cr_assert(number > 0 && number <= STRIPE_LINES_MAX);
        cr_assert_not(tally->seen[number], "line %lld is there twice", (long long)number);
        tally->seen[number] = true;
        tally->lines++;
    }
}

static void count_body(struct text body, struct tally *tally)
{
    size_t before = tally->lines;
    struct pair pair;

    while (next_pair(&body, &pair))
        count_pair(&pair, tally);
    cr_assert(tally->lines - before <= STRIPE_LINES_PER_CALL);
}

static void assert_whole(const struct planned *planned, size_t lines, int64_t total)
{
    struct tally tally = {0};
    size_t expected = lines < STRIPE_LINES_MAX ? lines : STRIPE_LINES_MAX;

    cr_assert(text_is(planned->steps[0].path, "/v1/invoices"));
    for (size_t i = 1; i + 1 < planned->count; i++) {
        cr_assert(text_is(planned->steps[i].path, "/v1/invoices/{invoice}/add_lines"));
        count_body(planned->steps[i].body, &tally);
    }
    cr_assert(text_is(planned->steps[planned->count - 1].path, "/v1/invoices/{invoice}/finalize"));
    cr_assert(text_is(planned->steps[planned->count - 1].body, "auto_advance=true"));
    cr_assert_eq(tally.sum, total);
    cr_assert_eq(tally.lines, expected);
    for (size_t i = 1; i <= expected; i++)
        cr_assert(tally.seen[i], "line %zu is missing", i);
    cr_assert_eq(planned->count,
                 2 + (expected + STRIPE_LINES_PER_CALL - 1) / STRIPE_LINES_PER_CALL);
}

/* What a test's own view of a currency says that Stripe's minor unit is of ours. */
static const struct {
    const char *code;
    int64_t multiple;
} currencies[] = {{"USD", 1}, {"JPY", 1}, {"ISK", 100}, {"UGX", 100}, {"KWD", 1}, {"CLP", 1}};

Test(stripe_plan, has_each_line_once_and_their_sum_is_the_total)
{
    static const size_t counts[] = {1, 2, 49, 50, 51, 100, 249, 250, 251, 400};

    random_state = 7;
    for (size_t i = 0; i < 60; i++) {
        CLEANUP(buffer_deinit) struct buffer lines = {0};
        const struct currency *currency =
            currency_find(text_of(currencies[i % ARRAY_LEN(currencies)].code));
        size_t count = i < ARRAY_LEN(counts) ? counts[i] : 1 + random_below(300);
        char text[MONEY_TEXT_MAX];
        struct planned planned, again;
        struct money total;

        generate(currency, count, &lines, &total);
        (void)money_format(total, currency, text);
        plan_with(invoice_of(currency->code, text, lines.at), &terms, 1, &planned);
        assert_whole(&planned, count,
                     (int64_t)total.minor * currencies[i % ARRAY_LEN(currencies)].multiple);
        plan_with(planned.invoice, &terms, 1, &again);
        for (size_t k = 0; k < planned.count; k++)
            cr_assert(text_equal(planned.steps[k].body, again.steps[k].body) &&
                      text_equal(planned.steps[k].key, again.steps[k].key));
        end();
        begin();
    }
}

Test(stripe_plan, of_more_lines_than_stripe_takes_ends_with_the_sum_of_the_rest)
{
    CLEANUP(buffer_deinit) struct buffer lines = {0};
    const struct stripe_line *last;
    struct planned planned;

    for (size_t i = 0; i < 260; i++)
        buffer_add_string(&lines, i ? "," FEE("0.01") : FEE("0.01"));
    buffer_add_char(&lines, '\0');
    plan_with(invoice_of("USD", "2.60", lines.at), &terms, 1, &planned);
    last = &planned.expected.lines[249];

    cr_assert_eq(planned.expected.line_count, 250);
    cr_assert_eq(last->amount, 11);
    cr_assert_str_eq(last->key, "250");
    cr_assert(text_is(last->description, "11 further lines"));
    cr_assert_eq(planned.expected.lines[248].amount, 1);
}

/* --- reconciling --- */

Test(stripe_plan, missing_lines_are_added_and_no_others)
{
    CLEANUP(buffer_deinit) struct buffer lines = {0};
    struct stripe_step step;
    struct tally tally = {0};
    struct planned planned;
    bool seen[120] = {0};
    size_t next = 0, calls = 0;

    for (size_t i = 0; i < 120; i++)
        buffer_add_string(&lines, i ? "," FEE("0.01") : FEE("0.01"));
    buffer_add_char(&lines, '\0');
    plan_with(invoice_of("USD", "1.20", lines.at), &terms, 1, &planned);
    for (size_t i = 0; i < 120; i += 3)
        seen[i] = true;
    for (; stripe_plan_missing(&planned.expected, seen, &terms, 1, 1, &next, &arena, &step) == 1;
         calls++)
        count_body(step.body, &tally);

    cr_assert_eq(calls, 2);
    cr_assert_eq(tally.lines, 80);
    for (size_t i = 0; i < 120; i++)
        cr_assert_neq(tally.seen[i + 1], seen[i]);
}

Test(stripe_plan, requests_that_reconcile_have_keys_of_what_they_say)
{
    struct stripe_step first, again, other;
    struct planned planned;
    bool none[2] = {false, false}, one[2] = {true, false};
    size_t next = 0;

    plan_with(invoice_of("USD", "2.00", FEE("1.00") "," FEE("1.00")), &terms, 1, &planned);
    cr_assert_eq(stripe_plan_missing(&planned.expected, none, &terms, 1, 1, &next, &arena, &first),
                 1);
    cr_assert_eq(stripe_plan_missing(&planned.expected, none, &terms, 1, 1, &next, &arena, &other),
                 0);
    next = 0;
    cr_assert_eq(stripe_plan_missing(&planned.expected, none, &terms, 1, 1, &next, &arena, &again),
                 1);
    next = 0;
    cr_assert_eq(stripe_plan_missing(&planned.expected, one, &terms, 1, 1, &next, &arena, &other),
                 1);

    cr_assert(text_equal(first.key, again.key));
    cr_assert_not(text_equal(first.key, other.key));
    cr_assert_not(text_equal(first.key, planned.steps[1].key));
}

Test(stripe_plan, a_finalize_of_its_own_moment_has_a_key_of_its_own)
{
    struct stripe_step at_7, at_8;
    struct planned planned;

    plan_with(invoice_of("USD", "1.00", FEE("1.00")), &terms, 1, &planned);
    cr_assert_eq(stripe_plan_finalize(&planned.expected, &terms, 1, 7, 1, &arena, &at_7), 0);
    cr_assert_eq(stripe_plan_finalize(&planned.expected, &terms, 1, 8, 1, &arena, &at_8), 0);

    cr_assert(text_equal(at_7.body, planned.steps[2].body));
    cr_assert(text_equal(at_7.path, planned.steps[2].path));
    cr_assert_not(text_equal(at_7.key, at_8.key));
    cr_assert_not(text_equal(at_7.key, planned.steps[2].key));
}

/* --- the customer --- */

Test(stripe_plan, a_customer_is_what_the_catalog_says)
{
    struct stripe_step step;
    struct text customer =
        json_of("{'key':'acme','name':'Acme & Co','primaryEmail':'a@b.example','billingAddress':"
                "{'country':'AT','postalCode':'1010','line1':'Ring 1','phoneNumber':'+43 1'}}");

    cr_assert_eq(stripe_plan_customer(customer, &terms, 1, &arena, &step), 0);

    cr_assert(text_is(step.path, "/v1/customers"));
    cr_assert(text_is(step.body,
                      "name=Acme%20%26%20Co&email=a%40b.example&address[country]=AT"
                      "&address[postal_code]=1010&address[line1]=Ring%201&phone=%2B43%201"
                      "&metadata[tollway_customer]=acme&metadata[tollway_bucket]=demo"));
}

Test(stripe_plan, a_customer_that_can_not_be_found_again_is_not_made)
{
    CLEANUP(buffer_deinit) struct buffer json = {0};
    struct stripe_step step;

    cr_assert_eq(stripe_plan_customer(json_of("{'name':'N'}"), &terms, 1, &arena, &step),
                 STRIPE_PLAN_MALFORMED);
    cr_assert_eq(stripe_plan_customer(text_of("x"), &terms, 1, &arena, &step),
                 STRIPE_PLAN_MALFORMED);
    buffer_printf(&json, "{'key':'%0501d'}", 1);
    buffer_add_char(&json, '\0');
    cr_assert_eq(stripe_plan_customer(json_of(json.at), &terms, 1, &arena, &step),
                 STRIPE_PLAN_UNFIT);
}

Test(stripe_plan, attempts_at_a_customer_have_keys_of_their_own)
{
    struct stripe_step first, second;
    struct text customer = json_of("{'key':'acme'}");

    cr_assert_eq(stripe_plan_customer(customer, &terms, 1, &arena, &first), 0);
    cr_assert_eq(stripe_plan_customer(customer, &terms, 2, &arena, &second), 0);

    cr_assert(text_equal(first.body, second.body));
    cr_assert_not(text_equal(first.key, second.key));
}
